"""`saddlepoint verify`: what it prints and how it ends."""

from pathlib import Path

import pytest

from tests.cli.command_line import refused, saddlepoint
from tests.docs.blocks import ROOT, blocks
from tests.verification import slips


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ours() -> None:
    outcome = saddlepoint("verify", "r1", "hinge", "wegan", "kernel-distance")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[:2] == ["r1 (penalty): 9 of 9 probes hold", "hinge (objective): 11 of 11 probes hold"]
    assert outcome.out.splitlines()[-1].endswith("all hold")


def test_a_slip_is_printed_with_what_was_expected_and_what_came() -> None:
    Path("mine.py").write_text("print('hello')\n" + slips.penalty(norm="gradient.norm()"), encoding="utf-8")
    outcome = saddlepoint("verify", "mine.py:penalty", "--like", "wgan-gp")
    assert outcome.code == 1
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith(" gradient of norm 3"))
    assert row[4:] == ["4", f"{(3 * 6**0.5 - 1) ** 2:.6g}", "fails"]
    assert "likely slip: the norm is taken over the whole batch, not sample by sample  [gradient of norm 1, " in outcome.out
    assert "hello" not in outcome.out


def test_json_and_fields() -> None:
    outcome = saddlepoint("verify", "gradient", "centre=0.5", "at=fake", "--json")
    assert outcome.code == 0
    found = {one["probe"]: one for one in outcome.json}
    assert found["gradient of norm 3"]["expected"] == pytest.approx([6.25])
    assert {one["verdict"] for one in outcome.json} == {"holds"}
    Path("mine.py").write_text(slips.penalty(value="((norm - 0.5) ** 2).mean()"), encoding="utf-8")
    assert saddlepoint("verify", "mine.py:penalty", "--like", "gradient", "centre=0.5").code == 0
    assert saddlepoint("verify", "mine.py:penalty", "--like", "gradient").code == 1


def test_what_it_is_can_be_said() -> None:
    Path("mine.py").write_text("def half(*given):\n    return given[0] * 0 + 1 if len(given) == 1 else 0.5\n", encoding="utf-8")
    refused(saddlepoint("verify", "mine.py:half"), ("mine.py:half", "--as"))
    weighting = saddlepoint("verify", "mine.py:half", "--as", "weighting", "--json")
    assert {one["room"] for one in weighting.json} == {"weighting"}
    assert saddlepoint("verify", "mine.py:half", "--as", "measure").code == 0


def test_a_recipe_is_its_methods() -> None:
    outcome = saddlepoint("verify", "gan", "--json")
    assert outcome.code == 0
    assert {(one["room"], one["subject"]) for one in outcome.json} == {("objective", "vanilla")}
    text = """
data: 8-gaussians
networks: mlp
objective: hinge
penalties: {discriminator: [r1, {name: gradient, centre: 2}]}
"""
    Path("both.yaml").write_text(text, encoding="utf-8")
    found = saddlepoint("verify", "both.yaml", "--json").json
    assert list(dict.fromkeys(one["subject"] for one in found)) == ["hinge", "r1", "gradient"]
    assert next(one for one in found if one["subject"] == "gradient" and one["probe"] == "gradient of norm 3")["expected"][0] == (
        pytest.approx(1.0)
    )


def test_what_is_wrong_is_one_line() -> None:
    Path("broken.py").write_text("def f(:\n", encoding="utf-8")
    Path("leaves.py").write_text("raise SystemExit('no')\n", encoding="utf-8")
    refused(saddlepoint("verify", "broken.py:f"), ("broken.py:f", "SyntaxError"))
    refused(saddlepoint("verify", "leaves.py:f"), ("leaves.py:f", "SystemExit"))
    refused(saddlepoint("verify", "broken.py"), "broken.py:gradient_penalty")
    refused(saddlepoint("verify", "adam"), ("adam", "optimizers", "no probes"))
    refused(saddlepoint("verify", "wgan-gq"), "the nearest is wgan-gp")
    refused(saddlepoint("verify", "r1", "centr=1"), ("centr", "centre"))
    refused(saddlepoint("verify", "r1", "hinge", "centre=1"), "centre=1")
    refused(saddlepoint("verify", "r1", "--like", "r2"), "--like")
    refused(saddlepoint("verify", "math:sqrt", "--like", "r3"), "the nearest is r")
    refused(saddlepoint("verify", "math:sqrt", "--weight", "0"), "--weight")


def test_the_example_of_the_page() -> None:
    example, command, printed, program = [block for block in blocks(ROOT / "docs" / "verify.md") if block.text.strip()]
    Path(example.marks["title"]).write_text(example.text, encoding="utf-8")
    outcome = saddlepoint(*command.text.split()[1:])
    shown = [" ".join(line.split(", …")[0].split()) for line in printed.text.splitlines() if line != " …"]
    said = "\n".join(" ".join(line.split()) for line in outcome.out.splitlines())
    assert len(shown) == 8
    assert [line for line in shown if line not in said] == []
    exec(compile(program.text, "verify.md", "exec"), {})
