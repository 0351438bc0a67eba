"""The table of all methods is what the registries say, and every method has its paper."""

import pytest
from scripts.list_methods import INDEX, text

from saddlepoint.catalogue import rows
from saddlepoint.citation import cited
from saddlepoint.methods import registered
from saddlepoint.recipe import shipped


def test_the_page_is_what_the_script_writes() -> None:
    assert INDEX.read_text(encoding="utf-8") == text(), "run `python -m scripts.list_methods`"


def test_every_method_has_its_paper_or_says_why_not() -> None:
    methods = {(entry.name, entry.room) for entry in registered()}
    assert [row.method for row in rows() if (row.method, row.room) in methods and not row.paper] == []


def test_every_recipe_holds_methods() -> None:
    named = {name for row in rows() for name in row.recipes}
    assert named == set(shipped())


@pytest.mark.parametrize(
    ("bibtex", "words"),
    [
        (r"@a{k, author={Kynk{\"a}{\"a}nniemi, Tuomas and Karras, Tero and Aila, Timo}, year={2019}}", "Kynkäänniemi et al. 2019"),
        (r"@a{k, author={S{\o}nderby, Casper Kaae}, year={2017}}", "Sønderby 2017"),
        (r"@a{k, author={Flamary, R{\'e}mi and others}, year={2021}}", "Flamary et al. 2021"),
        ("@a{k,\n  author = {Lim, Jae Hyun\n            and Ye, Jong Chul},\n  title = {A {Year}}\n}", "Lim and Ye"),
        ("@a{k, title={None}}", ""),
    ],
)
def test_how_a_work_is_cited(bibtex: str, words: str) -> None:
    assert cited(bibtex) == words
