"""Probes hold for everything of ours, and each slip, written on purpose, is caught and named."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures import MEASURES
from saddlepoint.measures.frechet_distance import frechet_distance
from saddlepoint.objectives import OBJECTIVES
from saddlepoint.objectives.f_gan import BOUNDS
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.historical_averaging import HistoricalAveraging
from saddlepoint.penalties.lecam import LeCam
from saddlepoint.rounds import Record, Round, Side, State
from saddlepoint.verification import Outcome, verify
from saddlepoint.verification.measures import CASES
from saddlepoint.verification.verify import registered
from saddlepoint.views import VIEWS
from saddlepoint.weightings import WEIGHTINGS
from tests.verification import slips

Write = Callable[[str], str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes a stranger's file; gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "mine.py"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def named(outcomes: Sequence[Outcome]) -> set[str]:
    return {slip for outcome in outcomes for slip in outcome.slips}


def caught(outcomes: Sequence[Outcome], words: str) -> None:
    """Some probe fails, none raises, and the slip is named."""
    assert {outcome.verdict for outcome in outcomes} <= {"holds", "fails"}, [outcome.note for outcome in outcomes]
    assert "fails" in {outcome.verdict for outcome in outcomes}
    assert any(words in slip for slip in named(outcomes)), named(outcomes)


def only(outcomes: Sequence[Outcome], words: str) -> None:
    """It is caught, and no other slip is named beside it."""
    caught(outcomes, words)
    assert all(words in slip for slip in named(outcomes)), named(outcomes)


def all_hold(outcomes: Sequence[Outcome]) -> None:
    assert outcomes
    assert [(outcome.probe, outcome.came, outcome.note) for outcome in outcomes if outcome.verdict != "holds"] == []


def test_how_many() -> None:
    assert list(registered()) == [*OBJECTIVES, *PENALTIES, *WEIGHTINGS, *VIEWS, *MEASURES]
    assert len(registered()) >= 36
    assert set(CASES) == set(MEASURES), "a measure without a value known by hand"


@pytest.mark.parametrize("name", list(registered()))
def test_ours_hold(name: str) -> None:
    outcomes = verify(name)
    if name == "lpips" and outcomes[0].verdict == "skipped":
        assert all("is not there" in outcome.note for outcome in outcomes)
        return
    all_hold(outcomes)
    assert len(outcomes) >= (2 if name in PENALTIES else 3)
    assert len({outcome.probe for outcome in outcomes}) == len(outcomes)


FIELDS: list[Record] = [
    PENALTIES["gradient"](centre=0.7, at="real", form="one-sided"),
    PENALTIES["gradient"](centre=0.0, at="interpolates"),
    PENALTIES["gradient"](centre=0.0, at="around", form="one-sided"),
    PENALTIES["dragan"](noise="normal"),
    PENALTIES["lecam"](debias=True, start=0),
    PENALTIES["historical-averaging"](window=2),
    PENALTIES["sdp"](k=2, normalization="unit", aggregator="mean", score="probability", scale="batch"),
    PENALTIES["ct"](margin=0.5, features=2.0),
    PENALTIES["bcr"](fakes=0.25),
    PENALTIES["zcr-generator"](sigma=0.4),
    PENALTIES["feature-matching"](features="blocks", distance="l1"),
    PENALTIES["path-length"](rate=0.5),
    OBJECTIVES["vanilla"](saturating=True),
    OBJECTIVES["lsgan"](fake=-1, real=1, target=0),
    OBJECTIVES["one-sided-label-smoothing"](target=0.7),
    OBJECTIVES["relativistic-average"](form="least-squares"),
    OBJECTIVES["relativistic-average"](form="hinge"),
    OBJECTIVES["pu-gan"](form="least-squares", share=0.6),
    OBJECTIVES["bgan"](form="cross-entropy"),
    *(
        OBJECTIVES["f-gan"](divergence=divergence, parameterization=parameterization, saturating=saturating)
        for parameterization, bounds in BOUNDS.items()
        for divergence in bounds
        for saturating in (False, True)
    ),
    WEIGHTINGS["wegan"](eta=1.0),
    WEIGHTINGS["wegan"](eta=0.2, squash="standardized", prefers="low", attached=True),
    WEIGHTINGS["importance"](clip=2.0, temperature=3.0),
    MEASURES["wasserstein-distance"](order=2),
    MEASURES["precision-recall"](k=2),
    MEASURES["kernel-distance"](degree=2, offset=0.5),
]


@pytest.mark.parametrize("record", FIELDS, ids=repr)
def test_ours_hold_with_other_fields(record: Record) -> None:
    all_hold(verify(record))


class Sided:
    """An objective of somebody's, from both sides' scores."""

    def __init__(self, discriminator: Callable[[Tensor, Tensor], Any], generator: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.of_discriminator, self.of_generator = discriminator, generator

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Any:
        return self.of_discriminator(real_scores, fake_scores)

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return self.of_generator(real_scores, fake_scores)


def log_sum(real: Tensor, fake: Tensor) -> Tensor:
    return torch.cat([real, fake]).logsumexp(0)


def softmax_generator(real: Tensor, fake: Tensor) -> Tensor:
    n, m = len(real), len(fake)
    return log_sum(real, fake) - (m * fake + n * real.mean()) / (n + m)


def test_a_right_softmax_of_somebody_holds() -> None:
    all_hold(verify(Sided(lambda r, f: log_sum(r, f) - r, softmax_generator), like="softmax"))


def sp(score: Tensor) -> Tensor:
    return torch.nn.functional.softplus(score)


COUPLED_SLIPS: dict[str, tuple[str, Sided, str]] = {
    "half of the batch": (
        "softmax",
        Sided(lambda r, f: log_sum(r, f) - r, lambda r, f: log_sum(r, f) - (f + r.mean()) / 2),
        "each fake has the target 1/(2n)",
    ),
    "fakes alone": ("softmax", Sided(lambda r, f: log_sum(r, f) - r, lambda r, f: log_sum(r, f) - f), "the reals are missing"),
    "no pairs": (
        "relativistic",
        Sided(lambda r, f: sp(f.mean() - r), lambda r, f: sp(r.mean() - f)),
        "compared with the mean of the other side",
    ),
    "halved": (
        "relativistic-average",
        Sided(
            lambda r, f: (sp(f.mean() - r) / 2, sp(f - r.mean()) / 2),
            lambda r, f: (sp(r.mean() - f) + sp(r - f.mean()).mean()) / 2,
        ),
        "half of the sum of the sides",
    ),
    "one part": (
        "relativistic-average",
        Sided(lambda r, f: (sp(f.mean() - r), sp(f - r.mean())), lambda r, f: sp(r.mean() - f)),
        "the reals are missing in the generator's loss",
    ),
    "all fakes are bad": ("pu-gan", Sided(lambda r, f: (0.3 * sp(-r), sp(f)), lambda r, f: sp(-f)), "taken for bad, all of them"),
}


@pytest.mark.parametrize("slip", COUPLED_SLIPS)
def test_a_slip_in_an_objective_of_the_batch(slip: str) -> None:
    like, mine, words = COUPLED_SLIPS[slip]
    caught(verify(mine, like=like), words)


def test_a_right_penalty_of_somebody_holds(written: Write) -> None:
    path = written(slips.penalty())
    all_hold(verify(f"{path}:penalty", like="wgan-gp"))
    all_hold(verify(f"{path}:penalty"))
    all_hold(verify(f"{written(slips.penalty(value='10 * ((norm - 1) ** 2).mean()'))}:penalty", like="wgan-gp", weight=10))
    all_hold(verify(f"{written(slips.penalty(alpha='torch.rand(n, 1)'))}:penalty", like="wgan-gp", points=True))
    all_hold(verify(f"{written(slips.penalty(mixed='real', value='(norm ** 2).mean()'))}:penalty", like="r1"))


def test_a_penalty_of_rounds_holds(written: Write) -> None:
    path = written(slips.SDP.format(value="3 * SDP()(round)"))
    all_hold(verify(f"{path}:penalty", like="sdp", weight=3))
    only(verify(f"{path}:penalty", like="sdp"), "3 times what it should be")


def test_a_penalty_that_wants_scores_as_a_column(written: Write) -> None:
    all_hold(verify(f"{written(slips.penalty(of='(scores * torch.ones(n, 1)).reshape(n, 1).sum()'))}:penalty", like="wgan-gp"))


@pytest.mark.parametrize("slip", slips.PENALTY_SLIPS)
def test_a_slip_in_a_penalty(slip: str, written: Write) -> None:
    lines, words = slips.PENALTY_SLIPS[slip]
    only(verify(f"{written(slips.penalty(**lines))}:penalty", like="wgan-gp"), words)


@pytest.mark.parametrize("slip", slips.R1_SLIPS)
def test_a_slip_in_r1(slip: str, written: Write) -> None:
    lines, words = slips.R1_SLIPS[slip]
    only(verify(f"{written(slips.penalty(**lines))}:penalty", like="r1"), words)


@pytest.mark.parametrize("slip", slips.SDP_SLIPS)
def test_a_slip_in_sdp(slip: str, written: Write) -> None:
    value, words = slips.SDP_SLIPS[slip]
    only(verify(f"{written(slips.SDP.format(value=value))}:penalty", like="sdp"), words)


def coupled(diagonal: float) -> Callable[[Round], Tensor]:
    def penalty(round: Round) -> Tensor:
        (rows,) = round.learned.matrices().values()
        total: Tensor = (rows @ rows.T - diagonal * torch.eye(len(rows), dtype=rows.dtype)).square().sum()
        return total

    return penalty


def drawn_to(own: bool, floor: float, attached: bool) -> Callable[[Round], Tensor]:
    def penalty(round: Round) -> Tensor:
        real, fake = round.scores.real, round.scores.fake
        means = [scores.mean() if attached else scores.mean().detach() for scores in ((real, fake) if own else (fake, real))]
        above, below = (real - means[0]).clamp(min=floor), (means[1] - fake).clamp(min=floor)
        return above.square().mean() + below.square().mean()

    return penalty


def around(half: float = 0.5, per_sample: bool = False, signed: bool = False, steps: bool = True, pixels: bool = True) -> Any:
    """DRAGAN as a stranger writes it."""

    def penalty(discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
        ones = (len(real),) + (1,) * (real.ndim - 1)
        deviation = real.flatten(1).std(1).reshape(ones) if per_sample else real.std()
        draw: Any = torch.randn if signed else torch.rand
        noise = draw(real.shape if pixels else ones, dtype=real.dtype, generator=torch.Generator().manual_seed(0))
        step = torch.rand(ones, dtype=real.dtype, generator=torch.Generator().manual_seed(1)) if steps else 1.0
        points = (real + step * half * deviation * noise).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
        norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        return (norms - 1).square().mean()

    return penalty


SLIPS_OF_ROUNDS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "drift of the fakes": ("drift", lambda round: round.scores.fake.square().mean(), "of the fakes' scores, not of the reals'"),
    "drift of both": ("drift", lambda r: r.scores.real.square().mean() + r.scores.fake.square().mean(), "both sides' scores"),
    "drift of the mean": ("drift", lambda round: round.scores.real.mean().square(), "of the mean score, not of each"),
    "lecam without maxima": ("lecam", drawn_to(False, -torch.inf, False), "the maximum with 0 is missing"),
    "lecam to its own": ("lecam", drawn_to(True, 0.0, False), "its own average"),
    "lecam attached": ("lecam", drawn_to(False, 0.0, True), "the averages carry a gradient"),
    "rows of length 1": ("orthogonal", coupled(1.0), "the rows' lengths are drawn to 1"),
    "rows with themselves": ("orthogonal", coupled(0.0), "product with itself counts too"),
    "dragan without its half": ("dragan", around(half=1.0), "the half is missing"),
    "dragan without steps": ("dragan", around(steps=False), "the step a of each sample is missing"),
    "dragan by sample": ("dragan", around(per_sample=True), "the deviation is that of each sample"),
    "dragan of one noise": ("dragan", around(pixels=False), "one number a sample"),
    "dragan signed": ("dragan", around(signed=True), "it is normal, not uniform"),
}


@pytest.mark.parametrize("slip", SLIPS_OF_ROUNDS)
def test_a_slip_in_a_penalty_of_rounds(slip: str) -> None:
    like, penalty, words = SLIPS_OF_ROUNDS[slip]
    caught(verify(penalty, like=like, kind="penalty"), words)


def test_right_penalties_of_rounds_hold() -> None:
    all_hold(verify(drawn_to(False, 0.0, False), like="lecam", kind="penalty"))
    all_hold(verify(around(), like="dragan", kind="penalty"))
    all_hold(verify(lambda round: round.scores.real.square().mean(), like="drift", kind="penalty"))
    only(verify(lambda round: 3 * round.scores.real.square().mean(), like="drift", kind="penalty"), "3 times what it should be")


class Late(LeCam):
    """Its averages are updated after use."""

    def _averages(self, round: Round, state: State) -> Mapping[Side, Tensor]:
        now = super()._averages(round, state)
        return {side: state[side] if state["turns"] > 0 and not state.get("observing") else now[side] for side in now}

    def observe(self, round: Round, state: State) -> State:
        return super().observe(round, {**state, "observing": torch.ones(())})


class Anchored(HistoricalAveraging):
    """It never moves its mean."""

    def observe(self, round: Round, state: State) -> State:
        return state


@pytest.mark.parametrize(
    ("record", "like", "words"),
    [(Late(), "lecam", "updated after their use"), (Anchored(), "historical-averaging", "from the first weights")],
    ids=["lecam", "historical-averaging"],
)
def test_a_slip_in_what_is_remembered(record: Record, like: str, words: str) -> None:
    outcomes = verify(record, like=like)
    assert [outcome.probe for outcome in outcomes if outcome.verdict != "holds"] == ["what it remembers of earlier turns"]
    only(outcomes, words)


def test_a_function_that_cannot_remember_is_not_asked() -> None:
    outcomes = verify(lambda round: round.learned.parameters["weight"].square().sum(), like="historical-averaging", kind="penalty")
    assert [outcome.verdict for outcome in outcomes] == ["holds", "holds", "skipped", "skipped"]


def test_a_right_objective_of_somebody_holds(written: Write) -> None:
    all_hold(verify(f"{written(slips.objective())}:Mine", like="vanilla"))
    all_hold(verify(f"{written(slips.objective())}:Mine"))


# Slips that are another one too: -D's loss of fakes is the vanilla generator's with its sign flipped; a hinge at 0 is flat at 0.
ALSO = {"generator is the discriminator", "hinge without margin"}


@pytest.mark.parametrize("slip", slips.OBJECTIVE_SLIPS)
def test_a_slip_in_an_objective(slip: str, written: Write) -> None:
    like, losses, words = slips.OBJECTIVE_SLIPS[slip]
    (caught if slip in ALSO else only)(verify(f"{written(slips.objective(**losses))}:Mine", like=like), words)


def test_a_right_weighting_of_somebody_holds(written: Write) -> None:
    path = written(slips.WEIGHTING.format(value=slips.RIGHT_WEIGHTING))
    all_hold(verify(f"{path}:weights", like="wegan"))
    all_hold(verify(f"{path}:weights"))


@pytest.mark.parametrize("slip", slips.WEIGHTING_SLIPS)
def test_a_slip_in_a_weighting(slip: str, written: Write) -> None:
    value, words = slips.WEIGHTING_SLIPS[slip]
    only(verify(f"{written(slips.WEIGHTING.format(value=value))}:weights", like="wegan"), words)


@pytest.mark.parametrize("name", slips.BODIES)
def test_a_right_measure_of_somebody_holds(name: str, written: Write) -> None:
    path = written(slips.measure(name))
    all_hold(verify(f"{path}:measure", like=name))
    all_hold(verify(f"{path}:measure", kind="measure"))


@pytest.mark.parametrize("slip", slips.MEASURE_SLIPS)
def test_a_slip_in_a_measure(slip: str, written: Write) -> None:
    name, lines, words = slips.MEASURE_SLIPS[slip]
    only(verify(f"{written(slips.measure(name, **lines))}:measure", like=name), words)


def test_functions_and_records_are_taken_as_they_are() -> None:
    all_hold(verify(frechet_distance, like="frechet-distance"))
    all_hold(verify(PENALTIES["r1"], name="mine"))
    assert {outcome.subject for outcome in verify(PENALTIES["r1"], name="mine")} == {"mine"}
    only(verify(PENALTIES["r2"](), like="r1"), "it is taken at the fakes")


def test_what_somebodys_code_raises_is_an_outcome() -> None:
    def mine(discriminator: object, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        raise KeyError("no such\nthing")

    outcomes = verify(mine, like="wgan-gp")
    assert {outcome.verdict for outcome in outcomes} == {"raises"}
    assert {outcome.note for outcome in outcomes} == {"KeyError: 'no such\\nthing'"}

    def leaves(discriminator: object, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)

    assert {outcome.verdict for outcome in verify(leaves, like="wgan-gp")} == {"raises"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"thing": "wgan-pg"}, "the nearest is wgan-gp"),
        ({"thing": "no.such.module:thing"}, "cannot be imported"),
        ({"thing": "nowhere.py:thing"}, "there is no file"),
        ({"thing": "math:"}, "is not module:object"),
        ({"thing": "math:sqr"}, "the nearest is sqrt"),
        ({"thing": lambda a, b, c, d: 0}, "say --as"),
        ({"thing": lambda a, b: 0, "like": "wgan-gp"}, "takes a, b"),
        ({"thing": lambda a, b: 0, "kind": "penalty", "like": "vanilla"}, "--like says objective"),
        ({"thing": 3, "kind": "measure"}, "is of type int"),
        ({"thing": "r1", "like": "vanilla"}, "--like says objective"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refusal:
        verify(**asked)
    assert len(refusal.value.problems) == 1
    assert said in refusal.value.problems[0]


class Unspeakable(Exception):
    """An exception that cannot be written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_that_cannot_be_written_is_named() -> None:
    def scores(_: Tensor) -> Tensor:
        raise Unspeakable

    found = verify(scores, kind="weighting")
    assert {outcome.note for outcome in found if outcome.verdict == "raises"} == {"Unspeakable"}


def test_a_function_of_two_is_asked_what_it_is() -> None:
    def apart(a: Tensor, b: Tensor) -> float:
        return float((a.mean(0) - b.mean(0)).norm())

    with pytest.raises(InputError, match=r"what it is cannot be told; say --as"):
        verify(apart)
    assert {outcome.room for outcome in verify(apart, kind="measure")} == {"measure"}


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (0.0, 0.5), (0.25, 0.75)])
def test_alpha_from_a_part_of_the_segment_is_seen(low: float, high: float) -> None:
    def penalty(discriminator: Any, real: Tensor, fake: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        alpha = low + (high - low) * torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator, dtype=torch.float64)
        points = (alpha * real + (1 - alpha) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
        value: Tensor = ((torch.linalg.vector_norm(gradient.flatten(1), dim=1) - 1) ** 2).mean()
        return value

    found = [outcome for outcome in verify(penalty, like="wgan-gp") if outcome.verdict != "holds"]
    assert [outcome.slips for outcome in found] == [("alpha keeps to a part of the segment: draw it uniformly from [0, 1]",)]


@pytest.mark.parametrize(
    ("wrong", "like", "words"),
    [
        (lambda round: PENALTIES["ct"]()(round) * 0 + one_pass(round), "ct", "the second pass is the first one"),
        (lambda round: -PENALTIES["zcr-generator"]()(round), "zcr-generator", "the sign is missing"),
        (lambda round: PENALTIES["bcr"](fakes=1e-12)(round), "bcr", "the fakes are left out"),
        (lambda round: PENALTIES["cr"](flip=False, shift=0)(round), "cr", "nothing is changed"),
        (lambda round: PENALTIES["feature-matching"]()(round).sqrt(), "feature-matching", "the distance is not squared"),
        (lambda round: lengths_without_pixels(round), "path-length", "not divided by the root of the pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_slip_in_what_compares_is_named(wrong: Callable[[Any], Tensor], like: str, words: str) -> None:
    def penalty(round: Any) -> Tensor:
        return wrong(round)

    caught(verify(penalty, like=like), words)


def one_pass(round: Any) -> Tensor:
    """Two judgements of one pass."""
    scores: Tensor = round.scores.real
    return (scores - scores.clone()).square().mean()


def lengths_without_pixels(round: Any) -> Tensor:
    penalty = PENALTIES["path-length"]()
    return 8 * penalty(round, penalty.initial_state(()))


@pytest.mark.parametrize(
    ("view", "probe"),
    [
        (lambda images: images.detach() * 2, "gradients reach the pixels"),
        (lambda images: images + torch.rand_like(images), "the same streams give the same images"),
        (lambda images: images[..., 1:], "images keep their shape"),
        (lambda images: images + images.mean(), "replicas keep apart"),
    ],
    ids=["detached", "own generator", "cropped", "over replicas"],
)
def test_a_slip_in_a_view(view: Any, probe: str) -> None:
    assert probe in [outcome.probe for outcome in verify(view, name="mine") if outcome.verdict == "fails"]
    assert {outcome.room for outcome in verify(view, name="mine")} == {"view"}


def test_a_right_view_of_somebody_holds() -> None:
    all_hold(verify(lambda images: images.flip(-1)))
