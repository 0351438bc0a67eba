"""Train, resume, prove, warm start, through the command line."""

import hashlib
import json
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from saddlepoint.errors import Interrupted
from saddlepoint.recipe import load
from saddlepoint.training import loop
from saddlepoint.training.checkpoints import read_checkpoint
from saddlepoint.training.events import Events
from saddlepoint.training.proof import differences
from tests.cli.command_line import DIGITS, OFTEN, listing, refused, saddlepoint


def events(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same bits."""
    return differences(read_checkpoint(one), read_checkpoint(other), one, other) == []


def test_train_makes_the_folder_of_the_design_and_says_where(here: Path) -> None:
    outcome = saddlepoint("train", *DIGITS, *OFTEN, "updates=8")
    assert outcome.code == 0
    run = Path("runs/dcgan-digits-1")
    last = outcome.out.splitlines()[-3:]
    assert [line.split() for line in last] == [
        ["run", str(run)],
        ["samples", str(run / "samples/000008.png")],
        ["report", str(run / "report.html")],
    ]
    made = {name for name, content in listing(run).items() if content != "folder"}
    files = [f"{name}.safetensors" for name in ("generator", "discriminator", "average", "training")]
    assert made == {
        *("recipe.yaml", "environment.json", "events.jsonl", "report.html"),
        *(f"checkpoints/{update:06d}/{file}" for update in (4, 6, 8) for file in [*files, "state.json"]),
        *(f"samples/{update:06d}.png" for update in (0, 4, 8)),
    }
    assert [(event["event"], event["update"]) for event in events(run)] == [
        *(("start", 0), ("samples", 0), ("progress", 2), ("progress", 4), ("samples", 4)),
        *(("progress", 6), ("progress", 8), ("samples", 8), ("done", 8)),
    ]


def test_json_is_all_that_is_printed(digits: Path) -> None:
    trained = saddlepoint("train", *DIGITS, "updates=2", "--json", "--out", "one")
    assert (trained.code, trained.err) == (0, "")
    assert trained.json == {"run": "one", "samples": "one/samples/000002.png", "report": "one/report.html"}
    resumed = saddlepoint("resume", "one", "updates=3", "--json")
    assert resumed.json == {"run": "one", "samples": "one/samples/000003.png", "report": "one/report.html"}
    assert saddlepoint("resume", str(digits), "--prove", "2", "--json").json == {
        "run": str(digits),
        "updates": 2,
        "differences": [],
    }


def test_the_next_free_name_is_taken(here: Path) -> None:
    for number in (1, 2):
        assert saddlepoint("train", *DIGITS, "updates=1", "--json").json["run"] == f"runs/dcgan-digits-{number}"


def test_a_run_folder_and_a_file_are_recipes(digits: Path) -> None:
    assert saddlepoint("train", str(digits), "--out", "again").code == 0
    assert same(digits, Path("again"))
    Path("mine.yaml").write_text((digits / "recipe.yaml").read_text())
    assert saddlepoint("train", "mine.yaml", "--json").json["run"] == "runs/mine-digits-1"


def test_more_updates_go_on_to_the_bits_of_a_longer_run(here: Path) -> None:
    assert saddlepoint("train", *DIGITS, *OFTEN, "updates=8", "--out", "long").code == 0
    assert saddlepoint("train", *DIGITS, *OFTEN, "updates=4", "--out", "short").code == 0
    assert saddlepoint("resume", "short", "updates=8").code == 0
    assert yaml.safe_load(Path("short/recipe.yaml").read_text())["schedule"]["updates"] == 8
    assert same(Path("long"), Path("short"))


def test_a_finished_run_stays_as_it_is(digits: Path) -> None:
    before = {name: content for name, content in listing(digits).items() if name not in ("environment.json", "report.html")}
    assert saddlepoint("resume", str(digits)).code == 0
    after = listing(digits)
    assert {name: after[name] for name in before} == before


def test_the_log_entry_at_an_end_that_grew_draws_from_no_stream(here: Path) -> None:
    assert saddlepoint("train", *DIGITS, *OFTEN, "updates=6", "--out", "long").code == 0
    assert saddlepoint("train", *DIGITS, *OFTEN, "updates=3", "--out", "short").code == 0
    assert saddlepoint("resume", "short", "updates=6").code == 0
    streams = [read_checkpoint(Path(run)).state["streams"] for run in ("long", "short")]
    assert streams[0] == streams[1]


def test_a_finished_run_says_that_it_is_at_its_end(here: Path, digits: Path) -> None:
    outcome = saddlepoint("resume", str(digits))
    assert outcome.code == 0
    assert "is at its end, update 8; updates=N goes on" in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["updates=7"], [("updates", "7", "the run's 8", "may only grow")]),
        (["updates=0"], [("updates", "'0'", "above 0")]),
        (["updates=soon"], [("updates", "'soon'", "above 0")]),
        (["updates=inf"], [("updates", "'inf'", "above 0")]),
        (["updates=9", "updates=10"], [("updates", "given twice, 9 and 10")]),
        (["seed=1", "batch=4"], [("seed", "only updates=N"), ("batch", "only updates=N")]),
        (["updates=9", "--prove", "2"], [("updates", "--prove")]),
        (["--prove", "7"], [("7 updates before its last one", "4, 6, 8")]),
    ],
)
def test_what_resume_refuses(here: Path, digits: Path, words: list[str], said: list[tuple[str, ...]]) -> None:
    before = listing(here)
    refused(saddlepoint("resume", str(digits), *words), *said)
    assert listing(here) == before


@pytest.mark.parametrize("field", ["seed", "schedule.batch", "networks.width", "optimizers.generator.lr", "average.decay"])
@pytest.mark.parametrize("words", [[], ["updates=9"], ["--prove", "2"]], ids=["resume", "grow", "prove"])
def test_a_changed_recipe_is_refused_by_the_name_of_its_field(digits: Path, field: str, words: list[str]) -> None:
    path = digits / "recipe.yaml"
    mapping = load(path).to_mapping()
    inner = mapping
    *sections, last = field.split(".")
    for section in sections:
        inner = inner[section]
    inner[last] = inner[last] * 2 if field != "average.decay" else 0.5
    if field == "seed":
        inner[last] = 5
    path.write_text(yaml.safe_dump(mapping))
    before = listing(digits)
    refused(saddlepoint("resume", str(digits), *words), (field, "differs from what the run was trained with"))
    assert listing(digits) == before


def test_all_changed_fields_are_named(digits: Path) -> None:
    path = digits / "recipe.yaml"
    path.write_text(yaml.safe_dump(load(path, ["seed=5", "batch=4", "updates=7"]).to_mapping()))
    refused(saddlepoint("resume", str(digits)), ("schedule.batch",), ("seed",), ("schedule.updates", "7", "8"))


def test_changed_data_are_refused(digits: Path) -> None:
    environment = digits / "environment.json"
    environment.write_text(environment.read_text().replace(json.loads(environment.read_text())["data"]["digest"], "0" * 64))
    refused(saddlepoint("resume", str(digits), "updates=9"), ("data", "digits", "digest changed", "put the files back"))


def test_another_number_of_threads_warns_in_the_log(digits: Path) -> None:
    state = digits / "checkpoints/000008/state.json"
    changed = json.loads(state.read_text())
    changed["made_under"]["threads"] = 7
    state.write_text(json.dumps(changed))
    outcome = saddlepoint("resume", str(digits), "updates=9")
    assert outcome.code == 0
    assert "warning: threads 7 before, 1 now" in outcome.out
    assert [event["message"] for event in events(digits) if event["event"] == "warning"] == [
        "threads 7 before, 1 now: the run goes on closely, but not to the same bits"
    ]


def test_prove_agrees_with_a_run_and_leaves_it_alone(here: Path, digits: Path) -> None:
    before = listing(here)
    outcome = saddlepoint("resume", str(digits), "--prove", "4")
    assert (outcome.code, outcome.err) == (0, "")
    assert "none: the bits agree" in outcome.out
    assert listing(here) == before


def test_prove_says_no_when_one_bit_differs(digits: Path) -> None:
    folder = digits / "checkpoints/000006"
    tensors = load_file(folder / "training.safetensors")
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    tensors[name].view(torch.int32).flatten()[0].bitwise_xor_(1 << 27)
    save_file(tensors, folder / "training.safetensors")
    state = json.loads((folder / "state.json").read_text())
    state["files"]["training.safetensors"] = hashlib.sha256((folder / "training.safetensors").read_bytes()).hexdigest()
    (folder / "state.json").write_text(json.dumps(state))
    outcome = saddlepoint("resume", str(digits), "--prove", "2")
    assert outcome.code == 1
    assert "training: optimizer" in outcome.out
    found = saddlepoint("resume", str(digits), "--prove", "2", "--json")
    assert found.code == 1
    assert any(line.startswith("training: optimizer") for line in found.json["differences"])


def test_a_run_without_a_checkpoint_starts_again(trained: dict[str, Path], digits: Path) -> None:
    for path in sorted((digits / "checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert saddlepoint("resume", str(digits)).code == 0
    assert same(trained["digits"], digits)


def test_one_process_a_run(here: Path, digits: Path) -> None:
    before = listing(here)
    with Events(digits / "events.jsonl", (digits / "events.jsonl").stat().st_size):
        refused(saddlepoint("resume", str(digits), "updates=9"), (str(digits), "another process trains this run"))
    assert listing(here) == before


def test_warm_start_begins_at_the_other_runs_weights(digits: Path) -> None:
    outcome = saddlepoint("train", *DIGITS, f"from={digits}", "optimizers={name: sgd, lr: 1e-30}", "updates=1", "--out", "warm")
    assert outcome.code == 0
    donor, warm = read_checkpoint(digits), read_checkpoint(Path("warm"))
    for file in ("generator", "discriminator", "average"):
        weights = [name for name in donor.tensors[file] if "running" not in name]
        assert weights
        for name in weights:
            torch.testing.assert_close(warm.tensors[file][name], donor.tensors[file][name], rtol=0, atol=5e-5)
    assert saddlepoint("resume", "warm", "updates=2").code == 0


def test_warm_start_from_a_run_without_average(here: Path) -> None:
    assert saddlepoint("train", *DIGITS, "average.decay=0", "updates=1", "--out", "raw").code == 0
    assert saddlepoint("train", *DIGITS, "from=raw", "updates=1", "--out", "warm").code == 0


def test_a_warm_start_that_does_not_fit_names_every_tensor(here: Path, digits: Path, points: Path) -> None:
    before = listing(here)
    outcome = saddlepoint("train", *DIGITS, "networks.width=5", f"from={digits}", "--out", "wide")
    refused(outcome, *(("from: ", "has the shape", "is needed") for _ in outcome.lines))
    assert {line.split(": ")[2] for line in outcome.lines} == {"generator", "discriminator", "average"}
    refused(
        outcome := saddlepoint("train", *DIGITS, f"from={points}", "--out", "wide"),
        *(("from: ",) for _ in outcome.lines),
    )
    assert listing(here) == before


class Pressing(loop.Nobody):
    """Presses Ctrl-C at the last moment of an update: when all of it is logged."""

    def __init__(self, update: int, number: signal.Signals) -> None:
        self._update = update
        self._number = number

    def updated(self, update: int) -> None:
        if update == self._update:
            signal.raise_signal(self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_last_moment_of_an_update_still_saves(trained: dict[str, Path], number: signal.Signals) -> None:
    recipe = load(trained["digits"])
    with pytest.raises(Interrupted) as stopped:
        loop.train(recipe, Path("run"), Pressing(3, number))
    assert read_checkpoint(Path("run")).update == stopped.value.update == 4
    loop.resume(Path("run"))
    assert same(trained["digits"], Path("run"))


def test_a_second_signal_is_not_waited_for(trained: dict[str, Path]) -> None:
    class Twice(Pressing):
        def updated(self, update: int) -> None:
            super().updated(update)
            super().updated(update)

    with pytest.raises(KeyboardInterrupt):
        loop.train(load(trained["digits"]), Path("run"), Twice(5, signal.SIGINT))
    assert read_checkpoint(Path("run")).update == 4
    loop.resume(Path("run"))
    assert same(trained["digits"], Path("run"))


def test_the_log_goes_on_where_the_clock_stood(digits: Path) -> None:
    def seconds() -> float:
        times = [event["time"] for event in events(digits) if "time" in event]
        assert isinstance(times[-1], dict)
        return float(times[-1]["seconds"])

    before = seconds()
    assert saddlepoint("resume", str(digits), "updates=10").code == 0
    assert seconds() > before


def test_points_leave_an_animation(points: Path) -> None:
    assert (points / "samples/training.gif").read_bytes().startswith(b"GIF8")
