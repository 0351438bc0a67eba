"""SDP against its formula in plain loops, and every property of its specification."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from saddlepoint.objectives import OBJECTIVES
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.sdp import SDP, distinct, squared_distances, take
from saddlepoint.rounds import Example, Judgement, Round, Sides
from saddlepoint.schedules import After, Staircase
from saddlepoint.streams import Streams

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def sdp(**fields: Any) -> SDP:
    return SDP(**fields)


class Critic(nn.Module):
    """Two convolutional blocks and a score, each sample by itself; the passes it makes are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 7, 3, stride=2, padding=1)]).double()
        self.last = nn.Linear(7 * 4, 1).double()
        self.passes: list[int] = []

    def judge(self, example: Example, features: bool) -> Judgement:
        self.passes.append(len(example.image))
        outputs, hidden = {}, example.image
        for number, block in enumerate(self.blocks):
            hidden = nn.functional.leaky_relu(block(hidden), 0.2)
            outputs[f"block {number}"] = hidden
        return Judgement(self.last(hidden.flatten(1)).squeeze(-1), outputs if features else {})


def images(n: int) -> Tensor:
    return torch.rand(n, 2, 4, 4, dtype=torch.float64) * 2 - 1


def round_of(
    judge: Callable[[Example, bool], Judgement],
    real: Example,
    fake: Example,
    penalty: SDP,
    *,
    updates: tuple[int, int] = (0, 0),
    couples_batch: bool = True,
    view: Callable[[Tensor], Tensor] = lambda image: image,
) -> Round:
    return Round(
        lambda: real,
        lambda: fake,
        judge,
        streams=Streams(5, dtype=torch.float64),
        clock={"discriminator": updates[0], "generator": updates[1]},
        needs=penalty.needs,
        couples_batch=couples_batch,
        view=lambda image, round: view(image),
    )


def by_loops(fakes: Array, reals: Array, fake: Judgement, real: Judgement, k: int, fields: dict[str, Any]) -> float:
    """Section A.1 written out: nothing here is shared with the code under test."""

    def phi(block: Array) -> Array:
        if block.ndim == 3:
            flat = block.reshape(len(block), -1)
            block = flat.max(1) if fields.get("aggregator", "max") == "max" else flat.mean(1)
        norm = math.sqrt((block**2).sum())
        normalization = fields.get("normalization", "squared")
        return block / {"squared": max(norm**2, 1e-4), "unit": max(norm, 1e-6), "none": 1.0}[normalization]

    def compared(score: float) -> float:
        return 1 / (1 + math.exp(-score)) if fields.get("score") == "probability" else score

    terms, total = fields.get("terms", "both"), 0.0
    order = sorted(range(len(fakes)), key=lambda i: (-float(fake.scores[i]), i))
    for i in order[:k]:
        j = min(range(len(reals)), key=lambda j: (((reals[j] - fakes[i]) ** 2).sum(), j))
        if terms != "features":
            total += (compared(float(fake.scores[i])) - compared(float(real.scores[j]))) ** 2
        if terms != "score":
            for name in fake.features:
                total += ((phi(fake.features[name][i].numpy()) - phi(real.features[name][j].numpy())) ** 2).sum()
    return total / k / (len(fakes) if fields.get("scale") == "batch" else 1)


FIELDS: list[dict[str, Any]] = [
    {},
    {"normalization": "unit"},
    {"normalization": "none"},
    {"aggregator": "mean"},
    {"score": "probability"},
    {"scale": "batch"},
    {"terms": "score"},
    {"terms": "features", "normalization": "unit", "aggregator": "mean"},
    {"terms": "score", "score": "probability", "scale": "batch"},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize(("sizes", "k"), [((8, 8), 3), ((8, 8), 8), ((5, 9), 4), ((9, 2), 2), ((1, 1), 1)])
@pytest.mark.parametrize("couples_batch", [True, False])
def test_value_is_the_formula(fields: dict[str, Any], sizes: tuple[int, int], k: int, couples_batch: bool) -> None:
    critic, real, fake, penalty = Critic(), images(sizes[0]), images(sizes[1]), sdp(k=k, **fields)
    value = penalty(round_of(critic.judge, Example(real), Example(fake), penalty, couples_batch=couples_batch))
    with torch.no_grad():
        expected = by_loops(
            fake.numpy(), real.numpy(), critic.judge(Example(fake), True), critic.judge(Example(real), True), k, fields
        )
    assert value.shape == ()
    assert float(value.detach()) == pytest.approx(expected, rel=1e-12)


def looked_up(
    real_scores: Tensor, fake_scores: Tensor, real: Tensor, features: dict[str, tuple[Tensor, Tensor]] | None = None
) -> Any:
    """A judge that knows the answers: the real batch is told from the fake one by identity."""

    def judge(example: Example, wanted: bool) -> Judgement:
        side = 0 if example.image is real else 1
        blocks = {name: pair[side] for name, pair in (features or {}).items()} if wanted else {}
        return Judgement((real_scores, fake_scores)[side], blocks)

    return judge


def scored(real_scores: Tensor, fake_scores: Tensor, real: Tensor, fake: Tensor, **fields: Any) -> Tensor:
    penalty = sdp(terms="score", **fields)
    return penalty(round_of(looked_up(real_scores, fake_scores, real), Example(real), Example(fake), penalty))


def test_equal_scores_and_equal_distances_go_to_the_lowest_position() -> None:
    """40 equal scores (torch.topk picks others), and reals that lie twice in the batch."""
    real_scores = torch.arange(40.0)
    value = scored(real_scores, torch.zeros(40), torch.arange(40.0)[:, None], torch.arange(40.0)[:, None], k=3)
    assert float(value) == pytest.approx((0 + 1 + 4) / 3)
    twice = torch.cat([torch.full((20, 1), 9.0), torch.zeros(20, 1)])
    value = scored(real_scores, torch.zeros(40), twice, torch.zeros(40, 1), k=1)
    assert float(value) == 20.0**2


def test_k_is_clamped_to_the_batch_and_to_one() -> None:
    real, fake = torch.randn(4, 1), torch.randn(4, 1)
    arguments = (torch.randn(4), torch.randn(4), real, fake)
    assert torch.equal(scored(*arguments, k=1000), scored(*arguments, k=4))
    assert torch.equal(scored(*arguments, k=0), scored(*arguments, k=1))
    assert torch.equal(scored(*arguments, k=2.9), scored(*arguments, k=2))
    assert not torch.equal(scored(*arguments, k=4), scored(*arguments, k=1))


def test_all_pairs_alike_makes_k_irrelevant() -> None:
    real = torch.arange(6.0)[:, None]
    values = [scored(torch.arange(6.0) - 0.5, torch.arange(6.0), real, real.clone(), k=k) for k in range(1, 7)]
    assert all(float(value) == pytest.approx(0.25) for value in values)


def test_permuting_either_batch_changes_nothing() -> None:
    critic, real, fake, penalty = Critic(), images(9), images(7), sdp(k=4)
    value = penalty(round_of(critic.judge, Example(real), Example(fake), penalty))
    shuffled = penalty(round_of(critic.judge, Example(real[torch.randperm(9)]), Example(fake[torch.randperm(7)]), penalty))
    torch.testing.assert_close(shuffled, value, rtol=1e-12, atol=0)


def test_copies_of_reals_are_found_and_cost_nothing() -> None:
    critic, real = Critic(), images(8)
    fake = real[torch.tensor([6, 1, 3])].clone()
    for couples_batch in (True, False):
        round = round_of(critic.judge, Example(real), Example(fake), sdp(k=3), couples_batch=couples_batch)
        assert float(sdp(k=3)(round).detach()) == pytest.approx(0.0, abs=1e-28)
    assert float(round.records["sdp/slope max"]) < 10, "scores that differ by rounding only are no slope"
    assert int(round.records["sdp/distinct reals"]) == 3


@pytest.mark.parametrize(("normalization", "power"), [("squared", -2), ("unit", 0), ("none", 2)])
def test_scaling_all_features(normalization: str, power: int) -> None:
    """Times c: the printed form is divided by c^2, the unit form stays, without normalisation it grows by c^2."""
    real, fake = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    blocks = {"a": (torch.randn(6, 5, 2, 2), torch.randn(6, 5, 2, 2)), "b": (torch.randn(6, 4), torch.randn(6, 4))}

    def value(c: float) -> float:
        scaled = {name: (c * a.double(), c * b.double()) for name, (a, b) in blocks.items()}
        penalty = sdp(k=4, terms="features", normalization=normalization)
        judge = looked_up(torch.zeros(6), torch.arange(6.0), real, scaled)
        return float(penalty(round_of(judge, Example(real), Example(fake), penalty)))

    assert value(7.0) == pytest.approx(value(1.0) * 7.0**power, rel=1e-12)


def test_the_printed_form_is_an_inversion() -> None:
    """||phi(a) - phi(b)||^2 = ||a - b||^2 / (||a||^2 ||b||^2), and the unit form is 2 - 2 cos."""
    a, b = torch.randn(1, 8, dtype=torch.float64), torch.randn(1, 8, dtype=torch.float64)
    real, fake = torch.zeros(1, 1), torch.zeros(1, 1)

    def value(normalization: str) -> float:
        penalty = sdp(terms="features", normalization=normalization)
        return float(
            penalty(round_of(looked_up(torch.zeros(1), torch.zeros(1), real, {"b": (b, a)}), Example(real), Example(fake), penalty))
        )

    assert value("squared") == pytest.approx(float((a - b).square().sum() / (a.square().sum() * b.square().sum())), rel=1e-12)
    assert value("unit") == pytest.approx(2 - 2 * float(nn.functional.cosine_similarity(a, b)), rel=1e-12)


@pytest.mark.parametrize("normalization", ["squared", "unit", "none"])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-4])
def test_a_dead_block_costs_nothing_and_has_bounded_gradients(normalization: str, size: float) -> None:
    """Below the floor phi is a / floor: 0 for a dead block, never NaN, its derivative at most 1 / floor."""
    real, fake = torch.zeros(2, 1), torch.zeros(2, 1)
    block = torch.full((2, 5), size, dtype=torch.float64, requires_grad=True)
    dead = torch.zeros(2, 5, dtype=torch.float64)
    penalty = sdp(terms="features", normalization=normalization)
    value = penalty(
        round_of(looked_up(torch.zeros(2), torch.zeros(2), real, {"b": (dead, block)}), Example(real), Example(fake), penalty)
    )
    (gradient,) = torch.autograd.grad(value, block)
    assert gradient.isfinite().all()
    if size == 0.0:
        assert float(value.detach()) == 0.0
        assert torch.equal(gradient, torch.zeros_like(gradient))
    elif normalization == "squared":  # phi = a / 1e-4, so the term is 1e8 ||a||^2 per sample, mean over both
        torch.testing.assert_close(gradient, 1e8 * block.detach(), rtol=1e-9, atol=0)


def test_gradients_by_finite_differences() -> None:
    """With respect to the discriminator's weights and to the fakes, both terms, every normalisation."""
    real, fake = images(4), images(3).requires_grad_()
    for fields in ({}, {"normalization": "unit"}, {"score": "probability", "aggregator": "mean"}):
        critic, penalty = Critic(), sdp(k=2, **fields)
        weight = critic.last.weight.detach().clone().requires_grad_()
        kernel = critic.blocks[0].weight.detach().clone().requires_grad_()  # type: ignore[operator]

        def value(fake: Tensor, weight: Tensor, kernel: Tensor, critic: Critic = critic, penalty: SDP = penalty) -> Tensor:
            def judge(example: Example, features: bool) -> Judgement:
                first = nn.functional.leaky_relu(nn.functional.conv2d(example.image, kernel, padding=1), 0.2)
                second = nn.functional.leaky_relu(critic.blocks[1](first), 0.2)
                return Judgement((second.flatten(1) @ weight.T).squeeze(-1), {"a": first, "b": second})

            return penalty(round_of(judge, Example(real), Example(fake), penalty))

        assert torch.autograd.gradcheck(value, (fake, weight, kernel))


def test_who_gets_gradients() -> None:
    """D's turn: D through both sides, nothing to G. G's turn: G through the fakes, nothing to D, no graph behind the reals."""
    critic, generator, penalty = Critic(), nn.Linear(3, 32).double(), sdp(k=3)
    real, latents = images(6).requires_grad_(), torch.randn(6, 3, dtype=torch.float64)

    def fakes() -> Tensor:
        return generator(latents).tanh().reshape(6, 2, 4, 4)  # type: ignore[no-any-return]

    torch.autograd.backward(penalty(round_of(critic.judge, Example(real.detach()), Example(fakes().detach()), penalty)))
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for parameter in critic.parameters()
        if parameter is not critic.last.bias
    )
    assert all(parameter.grad is None for parameter in generator.parameters())

    critic.zero_grad()
    critic.requires_grad_(False)
    round = round_of(critic.judge, Example(real.detach()), Example(fakes()), penalty)
    torch.autograd.backward(penalty(round))
    assert all(parameter.grad is None for parameter in critic.parameters())
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in generator.parameters())
    assert real.grad is None
    assert not round.judge("real").scores.requires_grad
    assert not any(block.requires_grad for block in round.judge("real").features.values())


def test_the_selection_is_a_constant() -> None:
    """Neither the ranking nor the distances leave a gradient: on the image itself nothing but score and features act."""
    real, fake = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    scores = torch.randn(4, dtype=torch.float64, requires_grad=True)
    value = scored(torch.zeros(4), scores, real, fake, k=2)
    on_fake, on_scores = torch.autograd.grad(value, [fake, scores], allow_unused=True)
    assert on_fake is None
    assert int((on_scores != 0).sum()) == 2


def test_passes() -> None:
    """D's turn costs no pass. G's judges only the distinct chosen reals, or the whole batch of a discriminator that couples it."""
    real = torch.cat([images(1), 50 + images(5)])
    fake, penalty = images(6), sdp(k=4)
    shared = Critic()
    round = round_of(shared.judge, Example(real), Example(fake), penalty, couples_batch=False)
    assert round.scores.real.shape == round.scores.fake.shape == (6,)
    value = penalty(round)
    assert shared.passes == [6, 6]

    few = Critic()
    few.load_state_dict(shared.state_dict())
    alone = penalty(round_of(few.judge, Example(real), Example(fake), penalty, couples_batch=False))
    assert few.passes == [6, 1], "all four fakes are nearest to the first real, so one is judged"
    torch.testing.assert_close(alone, value, rtol=1e-12, atol=0)

    coupled = Critic()
    penalty(round_of(coupled.judge, Example(real), Example(fake), penalty, couples_batch=True))
    assert coupled.passes == [6, 6]


def test_two_of_them_in_one_round_do_not_share_a_selection() -> None:
    critic, real, fake = Critic(), images(6), images(6)
    both = round_of(critic.judge, Example(real), Example(fake), sdp(), couples_batch=False)
    for penalty in (sdp(k=2), sdp(k=5), sdp(k=3, terms="score")):
        apart = penalty(round_of(critic.judge, Example(real), Example(fake), penalty, couples_batch=False))
        torch.testing.assert_close(penalty(both), apart, rtol=1e-12, atol=0)


def test_schedules_of_the_paper() -> None:
    """Off before t = 3000, lambda .01; k is 5 at 3000, 6 at 5000, 24 at the last of 100k rounds: counted from 0, not from t."""
    penalty = sdp()
    assert penalty.weight == After(start=3000, value=0.01)
    assert penalty.k == Staircase(start=5, step=1, period=5000)
    assert [penalty.weight(t) for t in (0, 2999, 3000, 99_999)] == [0, 0, 0.01, 0.01]
    assert [penalty.k(t) for t in (3000, 5000, 99_999)] == [5, 6, 24]
    assert penalty.counts == "generator"
    assert sdp(count="discriminator_steps").counts == "discriminator"


@pytest.mark.parametrize(("count", "expected"), [("rounds", 5), ("discriminator_steps", 9)])
def test_k_counts_rounds_or_discriminator_steps(count: str, expected: int) -> None:
    """After 4,000 rounds of 5 steps: k is 5 by rounds, 5 + 20,000 / 5,000 by steps."""
    real = torch.arange(30.0)[:, None]
    penalty = sdp(terms="score", count=count)
    judge = looked_up(torch.zeros(30), torch.arange(30.0), real)
    value = penalty(round_of(judge, Example(real), Example(real.clone()), penalty, updates=(20_000, 4_000)))
    assert float(value) == pytest.approx(np.mean([i**2 for i in range(30 - expected, 30)]))


def test_same_label() -> None:
    """Neighbours share the label; a label absent from the reals, or no labels at all, falls back to the whole batch."""
    real, fake = torch.tensor([[0.0], [10.0], [11.0]]), torch.tensor([[0.1], [0.2], [9.9]])
    real_scores, fake_scores = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3)
    labels, wanted = torch.tensor([0, 0, 1]), torch.tensor([1, 0, 7])

    def value(same_label: bool, real_label: Tensor | None, fake_label: Tensor | None) -> float:
        penalty = sdp(k=3, terms="score", same_label=same_label)
        judge = looked_up(real_scores, fake_scores, real)
        return float(penalty(round_of(judge, Example(real, real_label), Example(fake, fake_label), penalty)))

    assert value(False, labels, wanted) == pytest.approx((1 + 1 + 4) / 3)
    assert value(True, labels, wanted) == pytest.approx((9 + 1 + 4) / 3)
    assert value(True, None, wanted) == value(True, labels, None) == value(False, labels, wanted)


def test_space() -> None:
    """A function of images decides the neighbours; a recipe can name nothing but pixels."""
    real, fake = torch.tensor([[0.0, 9.0], [5.0, 0.0]]), torch.tensor([[0.1, 0.0]])
    real_scores, fake_scores = torch.tensor([1.0, 2.0]), torch.zeros(1)
    assert float(scored(real_scores, fake_scores, real, fake, k=1)) == 4.0
    assert float(scored(real_scores, fake_scores, real, fake, k=1, space=lambda image: image[..., :1])) == 1.0
    with pytest.raises(ValueError, match="system' is not a space"):
        PENALTIES["sdp"](space="os.system")


def test_neighbours_are_chosen_before_augmentation() -> None:
    """The view turns images around; scores come from what D sees, neighbours from what was drawn."""
    real, fake = torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0]])
    penalty = sdp(k=1, terms="score")
    round = round_of(
        lambda example, _: Judgement(example.image[:, 0], {}),
        Example(real),
        Example(fake),
        penalty,
        view=lambda image: 100 - 10 * image,
    )
    assert float(penalty(round)) == (60 - 50) ** 2


def test_distances_do_not_cancel() -> None:
    """Neighbours 1e-3 apart at an offset of 1000: the form with a dot product picks the wrong one in float32."""
    offset, near = torch.full((1, 50), 1000.0), torch.zeros(4, 50)
    near[:, 0] = torch.tensor([0.4, -0.3, 0.2, 0.05])
    real = offset + near
    assert int(squared_distances(offset, real).argmin()) == 3
    products = offset.square().sum(-1, keepdim=True) - 2 * offset @ real.T + real.square().sum(-1)
    exact = (offset.double() - real.double()).square().sum(-1)
    assert float((products[0] - exact).abs().max()) > 0.1
    assert int(products.argmin()) != 3 or len(set(products[0].tolist())) < 4


def test_half_precision_is_computed_in_float32() -> None:
    real, fake = torch.randn(6, 40), torch.randn(6, 40)
    scores = (1000 * torch.randn(6)).half(), (1000 * torch.randn(6)).half()
    blocks = {"b": (torch.randn(6, 300).half(), torch.randn(6, 300).half())}
    full = {name: (a.float(), b.float()) for name, (a, b) in blocks.items()}
    penalty = sdp(k=4)
    half = round_of(looked_up(*scores, real, blocks), Example(real), Example(fake), penalty)
    single = round_of(looked_up(scores[0].float(), scores[1].float(), real, full), Example(real), Example(fake), penalty)
    assert torch.equal(penalty(half), penalty(single))
    assert half.records["sdp/score term"].dtype == half.records["sdp/feature term"].dtype == torch.float32
    assert torch.equal(half.records["sdp/feature term"], single.records["sdp/feature term"])
    assert half.records["sdp/score term"].isfinite(), "a gap of 300 squared is past float16"


@pytest.mark.parametrize("fields", [{"select": "random"}, {"neighbour": "random"}])
def test_ablations_draw_evenly_and_from_the_streams(fields: dict[str, str]) -> None:
    real, fake, n = torch.arange(6.0)[:, None], torch.arange(6.0)[:, None], 1500
    chosen_side = 0 if "neighbour" in fields else 1
    scores = [torch.zeros(6), torch.zeros(6)]
    scores[chosen_side] = 10.0 ** torch.arange(6.0)  # the value tells which one was taken
    streams = Streams(11)

    def draw() -> float:
        round = Round(
            lambda: Example(real),
            lambda: Example(fake),
            looked_up(scores[0], scores[1], real),
            streams=streams,
            clock={"discriminator": 0, "generator": 0},
            watched=False,
        )
        return float(sdp(k=1, terms="score", **fields)(round))

    counts = np.bincount([round(math.log10(draw()) / 2) for _ in range(n)], minlength=6)
    assert len(counts) == 6
    assert ((counts - n / 6) ** 2 / (n / 6)).sum() < 20.5, "chi-squared of 5 degrees of freedom, p = .001"


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.3, 1.0])
@pytest.mark.parametrize(
    ("objective", "optimum"),
    [
        ("wasserstein", lambda weight: 1 / (2 * weight)),
        ("lsgan", lambda weight: 1 / (1 + 4 * weight)),
        ("hinge", lambda weight: min(2.0, 1 / (2 * weight))),
    ],
)
def test_optimal_gap(objective: str, optimum: Callable[[float], float], weight: float) -> None:
    """One pair, free scores, the score term alone: the gap at which D rests. A lambda below .25 does not move hinge."""
    real = torch.zeros(1, 1, dtype=torch.float64)
    penalty = sdp(terms="score", weight=weight)

    def loss(values: Array) -> float:
        scores = torch.tensor(values)
        sides = Sides(scores[:1], scores[1:])
        losses = OBJECTIVES[objective]().discriminator(sides)
        assert losses.real is not None
        assert losses.fake is not None
        judge = looked_up(scores[:1], scores[1:], real)
        term = penalty(round_of(judge, Example(real), Example(real.clone()), penalty))
        return float(losses.real.mean() + losses.fake.mean() + penalty.weight(0) * term)

    best = minimize(loss, [0.3, 0.1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000})
    assert best.x[0] - best.x[1] == pytest.approx(optimum(weight), rel=1e-4)


def test_monitors() -> None:
    """Slopes |gap| / distance, distinct reals, and how many neighbours are nearer than the reals are to each other."""
    real = torch.tensor([[0.0], [10.0], [30.0], [60.0]])  # nearest others at 10, 10, 20, 30: the lower median is 10
    fake = torch.tensor([[1.0], [2.0], [100.0], [29.0]])
    real_scores, fake_scores = torch.tensor([0.0, 0.0, 0.0, 0.0]), torch.tensor([3.0, 8.0, 5.0, -9.0])
    penalty = sdp(k=3, terms="score")
    round = round_of(looked_up(real_scores, fake_scores, real), Example(real), Example(fake), penalty)
    penalty(round)
    assert float(round.records["sdp/slope mean"]) == pytest.approx((3 / 1 + 8 / 2 + 5 / 40) / 3)
    assert float(round.records["sdp/slope max"]) == pytest.approx(4.0)
    assert int(round.records["sdp/distinct reals"]) == 2
    assert float(round.records["sdp/neighbours closer than reals"]) == pytest.approx(2 / 3)
    assert float(round.records["sdp/score term"]) == pytest.approx((9 + 64 + 25) / 3)

    unwatched = round_of(looked_up(real_scores, fake_scores, real), Example(real), Example(fake), penalty)
    unwatched.watched = False
    penalty(unwatched)
    assert set(unwatched.records) == {"sdp/score term"}


def test_both_parts_are_recorded_and_add_up() -> None:
    critic, penalty = Critic(), sdp(k=3)
    round = round_of(critic.judge, Example(images(5)), Example(images(5)), penalty)
    value = penalty(round)
    torch.testing.assert_close(round.records["sdp/score term"] + round.records["sdp/feature term"], value.detach())


def test_needs_follow_the_terms() -> None:
    assert len(sdp().needs) == 2
    assert not sdp(terms="score").needs
    critic = Critic()
    with pytest.raises(ValueError, match="no features by block"):
        sdp()(round_of(critic.judge, Example(images(3)), Example(images(3)), sdp(terms="score")))


def test_a_vector_is_its_own_aggregate() -> None:
    """MLP features [n, d] are compared as they are; a map of one pixel is the same thing."""
    real, fake, block = torch.randn(4, 2), torch.randn(4, 2), (torch.randn(4, 6), torch.randn(4, 6))
    maps = (block[0][..., None, None], block[1][..., None, None])
    penalty = sdp(k=2)
    values = [
        penalty(round_of(looked_up(torch.zeros(4), torch.arange(4.0), real, {"b": pair}), Example(real), Example(fake), penalty))
        for pair in (block, maps)
    ]
    torch.testing.assert_close(values[0], values[1])


def test_take_and_distinct_over_leading_axes() -> None:
    values, index = torch.randn(3, 2, 5, 4), torch.randint(5, (3, 2, 7))
    expected = torch.stack([torch.stack([values[a, b][index[a, b]] for b in range(2)]) for a in range(3)])
    assert torch.equal(take(values, index), expected)
    chosen, places = distinct(index)
    assert torch.equal(take(chosen, places), index)
    for a in range(3):
        for b in range(2):
            unique = torch.tensor(sorted(set(index[a, b].tolist())))
            assert torch.equal(chosen[a, b, : len(unique)], unique)
            assert (chosen[a, b, len(unique) :] == unique[0]).all()
