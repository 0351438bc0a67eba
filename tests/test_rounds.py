"""The round: each piece at most once, undeclared needs refused, anybody's module judged."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Example, Features, InputGradient, Judgement, Need, Record, Round, Sides, present
from saddlepoint.streams import Streams


class Counted:
    """D(x) = <w, x>^2 / 2 per sample, with a block of features; notes what it was asked."""

    def __init__(self) -> None:
        self.weight = torch.arange(1.0, 4.0, requires_grad=True)
        self.asked: list[tuple[int, bool]] = []

    def __call__(self, example: Example, features: bool) -> Judgement:
        self.asked.append((len(example.image), features))
        product = example.image @ self.weight
        return Judgement(product.square() / 2, {"block": example.image} if features else {})


class Examples:
    """Draws on demand, and counts."""

    def __init__(self, n: int) -> None:
        self.image, self.calls = torch.randn(n, 3), 0

    def __call__(self) -> Example:
        self.calls += 1
        return Example(self.image)


def made(needs: Iterable[Need] = ()) -> tuple[Round, Examples, Examples, Counted]:
    torch.manual_seed(0)
    real, fake, judge = Examples(4), Examples(6), Counted()
    return Round(real, fake, judge, streams=Streams(0), clock={"discriminator": 10, "generator": 2}, needs=needs), real, fake, judge


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    round, real, fake, judge = made([InputGradient("interpolates"), Features("real")])
    assert (real.calls, fake.calls, judge.asked) == (0, 0, [])
    assert round.update == 2


def test_each_piece_is_computed_once() -> None:
    round, real, fake, judge = made([InputGradient("real"), InputGradient("interpolates"), Features("fake")])
    for _ in range(3):
        assert round.scores.real.shape == (4,)
        assert round.scores.fake.shape == (6,)
        assert round.judge("interpolates").scores.shape == (4,)
        assert round.input_gradient("real") is round.input_gradient("real")
        assert round.input_gradient("interpolates") is round.input_gradient("interpolates")
        assert round.real is round.real
        assert round.interpolates is round.interpolates
        assert round.judge("fake").features["block"].shape == (6, 3)
    assert (real.calls, fake.calls) == (1, 1)
    assert judge.asked == [(4, False), (6, True), (4, False)]


def test_a_new_key_is_a_fresh_pass_and_says_itself_whether_it_wants_features() -> None:
    round, *_, judge = made()
    assert not round.judged("again")
    first = round.judge("again", round.real)
    assert round.judged("again")
    assert round.judge("again") is first
    assert first.features == {}
    assert round.judge("few", Example(round.real.image[:2]), features=True).features["block"].shape == (2, 3)
    assert judge.asked == [(4, False), (2, True)]
    assert not round.judged("real")
    with pytest.raises(ValueError, match='"other" was not judged in this round'):
        round.judge("other")


def test_an_undeclared_input_gradient_is_refused() -> None:
    round, *_ = made([InputGradient("real")])
    with pytest.raises(ValueError, match=r'the input gradient at "fake" was not declared: add InputGradient\("fake"\)'):
        round.input_gradient("fake")


def test_undeclared_features_are_not_there() -> None:
    round, *_ = made([Features("real")])
    assert round.judge("real").features
    assert not round.judge("fake").features


def test_the_input_gradient_is_that_of_the_sum_and_differentiable() -> None:
    """D = <w, x>^2 / 2: g = <w, x> w, and d/dw sum_i ||g_i||^2 by finite differences."""
    round, real, _, judge = made([InputGradient("real")])
    gradient = round.input_gradient("real")
    weight = judge.weight.detach()
    torch.testing.assert_close(gradient.detach(), (real.image @ weight)[:, None] * weight)
    (on_weight,) = torch.autograd.grad(gradient.square().sum(), judge.weight)

    def energy(w: Tensor) -> Tensor:
        return (((real.image.double() @ w)[:, None] * w) ** 2).sum()

    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    numeric = torch.stack([(energy(weight.double() + d) - energy(weight.double() - d)) / 2e-6 for d in step])
    torch.testing.assert_close(on_weight.double(), numeric, rtol=1e-4, atol=1e-4)


def test_the_fakes_keep_their_graph() -> None:
    """In the generator's turn the input gradient at the fakes is taken where they are, so the generator stays reachable."""
    source = torch.randn(5, 3, requires_grad=True)
    round = Round(
        Examples(5),
        lambda: Example(2 * source),
        Counted(),
        streams=Streams(0),
        clock={"generator": 0},
        needs=[InputGradient("fake")],
    )
    (on_source,) = torch.autograd.grad(round.input_gradient("fake").square().sum(), source)
    assert on_source.abs().sum() > 0


def test_interpolates() -> None:
    """One number a sample, from its own stream, both sides detached, on the segment; of unequal sides the first samples."""
    round, real, fake, _ = made()
    mixed = round.interpolates.image
    assert mixed.shape == (4, 3)
    mix = ((mixed - fake.image[:4]) / (real.image - fake.image[:4])).double()
    torch.testing.assert_close(mix, mix[:, :1].expand(4, 3), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(mix[:, 0].float(), Streams(0).uniform("interpolates", 4), rtol=1e-3, atol=1e-4)
    assert not mixed.requires_grad


def test_interpolates_of_replicas_are_those_of_their_seeds() -> None:
    real, fake = torch.randn(3, 5, 2), torch.randn(3, 4, 2)
    clock = {"discriminator": 0, "generator": 0}

    def judge(example: Example, features: bool) -> Judgement:
        return Judgement(example.image.sum(-1), {})

    stacked = Round(lambda: Example(real), lambda: Example(fake), judge, streams=Streams([5, 6, 7]), clock=clock)
    for r in range(3):
        lone = Round(lambda r=r: Example(real[r]), lambda r=r: Example(fake[r]), judge, streams=Streams(5 + r), clock=clock)  # type: ignore[misc]
        assert torch.equal(stacked.interpolates.image[r], lone.interpolates.image)


def test_of_any_module() -> None:
    """Anything from images to [n] or [n, 1]; by default every need is met."""
    images = {"real": torch.randn(4, 1, 5, 5), "fake": torch.randn(4, 1, 5, 5)}
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 1))
    for module in (convolution, lambda image: convolution(image)[:, 0]):
        round = Round.of(images["real"], images["fake"], module)
        assert round.scores.real.shape == (4,)
        assert round.input_gradient("interpolates").shape == (4, 1, 5, 5)
        for name in ("gradient", "wgan-gp", "r1", "r2"):
            assert PENALTIES[name]()(round).shape == ()
    assert PENALTIES["sdp"](terms="score")(Round.of(images["real"], images["fake"], convolution)).shape == ()
    with_features = Round.of(images["real"], images["fake"], convolution, features=lambda image: {"first": convolution[0](image)})
    assert float(PENALTIES["sdp"]()(with_features).detach()) > 0


def test_of_takes_a_discriminator_of_ours_at_its_word() -> None:
    class Ours(nn.Module):
        def judge(self, example: Example, features: bool) -> Judgement:
            return Judgement(example.image.sum(-1), {"block": example.image} if features else {})

    assert Round.of(torch.randn(3, 2), torch.randn(3, 2), Ours()).judge("real").features["block"].shape == (3, 2)


@pytest.mark.parametrize("scores", [lambda x: x, lambda x: x.sum(), lambda x: x[:1, 0]])
def test_of_refuses_scores_that_are_not_one_a_sample(scores: object) -> None:
    assert callable(scores)
    with pytest.raises(ValueError, match=r"scores have the shape .*; 4 images need \(4,\) or \(4, 1\)"):
        _ = Round.of(torch.randn(4, 3), torch.randn(4, 3), scores).scores.real


def test_records_are_detached() -> None:
    round, *_ = made()
    round.record("x/mean", torch.ones(2, requires_grad=True) * 2)
    assert not round.records["x/mean"].requires_grad
    assert round.records["x/mean"].tolist() == [2, 2]


def test_an_absent_side_is_named() -> None:
    assert present(Sides(real=torch.ones(2)), "real").tolist() == [1, 1]
    with pytest.raises(ValueError, match="the fake scores are needed and absent"):
        present(Sides(real=torch.ones(2)), "fake")


def test_records_refuse_what_they_do_not_know() -> None:
    class Method(Record):
        strength: float = 1.0

    with pytest.raises(ValueError, match="Extra inputs"):
        Method(strenght=2.0)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="finite"):
        Method(strength=float("nan"))
    with pytest.raises(ValueError, match="frozen"):
        Method().strength = 2.0
