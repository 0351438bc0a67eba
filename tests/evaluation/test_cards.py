"""Cards: what may be compared, what is refused, and what comes back from the disk."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Card, Floor, Incomparable, Value, refuse_different
from saddlepoint.evaluation.naming import FAMOUS, title_of
from saddlepoint.evaluation.results import add_values, read_values
from saddlepoint.evaluation.table import shown, table_of
from saddlepoint.measures import MEASURES

PROTOCOL = {
    "measure": "frechet-distance",
    "quantity": "frechet-distance",
    "fields": {"blocks": 10},
    "n_real": 1000,
    "n_fake": 1000,
    "data": "abc",
    "split": "train",
    "preprocessing": "bytes, 8 x 8 x 1",
    "extractor": "pixels",
    "layers": ["pixels"],
    "extractor_digest": "def",
    "weights": "average",
    "batch_norm": "running statistics",
    "checkpoint": "last",
}
PROVENANCE = {"data": "digits", "run": "runs/a", "update": 500, "seed": 0, "versions": {"torch": "2.9"}, "date": "2026-11-24"}


def value(mean: float = 1.5, **changed: Any) -> Value:
    protocol = {name: changed.get(name, field) for name, field in PROTOCOL.items()}
    provenance = {name: changed.get(f"of_{name}", field) for name, field in PROVENANCE.items()}
    name = str(protocol["measure"])
    return Value(
        name, "FD (pixels)", mean, 1000, Card(protocol, provenance), error=0.25, interval=(1.0, 2.0), higher_is_better=False
    )


@pytest.mark.parametrize("field", [name for name in PROTOCOL if name not in ("measure", "quantity", "fields")])
def test_every_field_of_the_protocol_refuses(field: str) -> None:
    with pytest.raises(Incomparable) as refusal:
        refuse_different([value(), value(1.5, **{field: "other"})])
    (line,) = refusal.value.differences
    assert line.startswith(f"{field}: ")
    assert ", and other" in line


def test_a_measures_fields_refuse_for_its_own_name_only() -> None:
    with pytest.raises(Incomparable) as refusal:
        refuse_different([value(), value(fields={"blocks": 5})])
    assert refusal.value.differences == ("frechet-distance: fields.blocks: 10, and 5",)
    refuse_different([value(), value(measure="other", quantity="other", fields={"blocks": 5})])


@pytest.mark.parametrize("field", list(PROVENANCE))
def test_provenance_never_refuses(field: str) -> None:
    refuse_different([value(), value(1.5, **{f"of_{field}": "other"})])


def test_what_differs_is_told_with_the_names_of_the_data() -> None:
    with pytest.raises(Incomparable) as refusal:
        refuse_different([value(), value(data="xyz", of_data="mnist")])
    assert refusal.value.differences == ("data: abc (digits), and xyz (mnist)",)


def test_the_identity_is_of_all_but_versions_and_date() -> None:
    same = [value(of_versions={"torch": "3"}), value(of_date="2027-01-01"), value(mean=2.0)]
    other = [value(of_update=1000), value(of_seed=1), value(weights="raw"), value(of_run="runs/b")]
    assert {one.card.digest for one in same} == {value().card.digest}
    assert len({one.card.digest for one in [value(), *other]}) == 5


def test_from_the_disk_and_back(tmp_path: Path) -> None:
    held = dataclasses.replace(
        value(float("inf")), floor=Floor(0.5, 500, 0.1), notes=("a note",), details={"by class": [1, float("nan")]}, unit="nats"
    )
    add_values(tmp_path, [held])
    (read,) = read_values(tmp_path / "measures.json")
    assert dataclasses.replace(read, details={}) == dataclasses.replace(held, details={})
    assert read.details == {"by class": [1, "nan"]}
    json.loads((tmp_path / "measures.json").read_text(), parse_constant=lambda word: pytest.fail(word))


def test_the_same_card_is_updated_and_another_is_added(tmp_path: Path) -> None:
    add_values(tmp_path, [value(1.0), value(2.0, of_update=1000)])
    add_values(tmp_path, [value(3.0)])
    assert [held.mean for held in read_values(tmp_path / "measures.json")] == [2.0, 3.0]
    assert [path.name for path in tmp_path.iterdir()] == ["measures.json"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": 1, "values": {"a": {}}}', '{"format": "x", "values": {}}']
)
def test_what_no_evaluation_wrote_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "measures.json").write_text(text)
    with pytest.raises(InputError, match=r"measures\.json: is not what an evaluation wrote"):
        add_values(tmp_path, [value()])
    assert (tmp_path / "measures.json").read_text() == text


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "measures.json").write_text('{"format": 99, "values": {}}')
    with pytest.raises(InputError, match="format 99 is newer"):
        read_values(tmp_path / "measures.json")


def test_the_famous_names_are_inceptions_alone() -> None:
    titles = {
        title: {title_of(record, key, title) for record in MEASURES.values() for key in record.quantities}
        for title in ("Inception", "inception", "Inception v3", "digits classifier", "pixels")
    }
    assert titles["Inception"] >= {"FID", "KID", "IS"} == set(FAMOUS.values())
    for title, others in titles.items():
        if title != "Inception":
            assert not others & {"FID", "KID", "IS"}
            assert f"FD ({title})" in others


def test_every_measure_stands_in_the_index_of_their_pages() -> None:
    page = (Path(__file__).parents[2] / "docs" / "measures" / "index.md").read_text(encoding="utf-8")
    assert len(MEASURES) >= 25
    assert [name for name in MEASURES if f"[{name}]({name}.md)" not in page] == []


def test_a_table_says_it_all() -> None:
    noted = dataclasses.replace(value(), floor=Floor(0.25, 500), notes=("small",), unit="px")
    table = table_of([("run", [noted])])
    assert table.columns == ("measure", "value", "better", "floor", "n", "note")
    assert table.rows == (("FD (pixels) [px]", "1.50 ± 0.25 [1.0, 2.0]", "↓", "0.25 (n 500)", "1,000", "1"),)
    assert table.notes == ("1  small",)
    both = table_of([("a", [noted]), ("b", [value(2.0)])])
    assert both.columns[1:3] == ("a", "b")
    assert len(both.rows) == 1


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [
        (350.912, None, "350.9"),
        (0.0, 0.0, "0 ± 0"),
        (3.14159, 0.0271, "3.142 ± 0.027"),
        (155_234.0, 3120.0, "155,200 ± 3,100"),
        (-9.96e-05, None, "-9.96e-05"),
        (float("nan"), None, "nan"),
        (1.0, float("nan"), "1"),
    ],
)
def test_digits_follow_the_error(mean: float, error: float | None, text: str) -> None:
    assert shown(Value("a", "A", mean, 10, Card({}), error=error)) == text
