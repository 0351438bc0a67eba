"""The battery every penalty goes through."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from saddlepoint.networks.dropout import dropout
from saddlepoint.penalties import PENALTIES
from saddlepoint.penalties.penalty import Penalty
from saddlepoint.rounds import Example, Judgement, LatentGradient, Learned, Round, State
from saddlepoint.schedules import Constant
from saddlepoint.streams import Streams

# Those that ask for more than scores.
DECLARING = [name for name, penalty in PENALTIES.items() if penalty().needs - {LatentGradient()}]

# Averages of scores that are as good as constants: by differences they would move with the weights, for the gradient they do not.
SETTLED: dict[str, dict[str, Any]] = {"lecam": {"start": 0, "decay": 1 - 1e-12}}


class Discriminator:
    """Two layers over leading axes; one block is a map of channels, one a vector. Counts the images it judges."""

    def __init__(self, *leading: int, seed: int = 0) -> None:
        draws = torch.Generator().manual_seed(seed)
        self.first = torch.randn(*leading, 6, 12, generator=draws, dtype=torch.float64).requires_grad_()
        self.second = torch.randn(*leading, 12, generator=draws, dtype=torch.float64).requires_grad_()
        # The weight of a generator beside it.
        self.third = torch.randn(*leading, 6, 6, generator=draws, dtype=torch.float64).requires_grad_()
        self.judged: list[int] = []
        # Where masks are drawn from, for a penalty that compares two of them.
        self.masks: Streams | None = None
        self.leading = leading
        # What it was before the turn that is looked at.
        self.earlier = None if seed else Discriminator(*leading, seed=1)

    def replica(self, r: int) -> "Discriminator":
        lone = Discriminator()
        lone.first, lone.second = self.first[r].detach().requires_grad_(), self.second[r].detach().requires_grad_()
        lone.third = self.third[r].detach().requires_grad_()
        lone.earlier = None if self.earlier is None else self.earlier.replica(r)
        return lone

    @property
    def learned(self) -> Learned:
        return Learned({"first": self.first, "second": self.second}, lambda: {"first": self.first.mT})

    def generate(self, latents: Tensor) -> Tensor:
        return (latents @ self.third).tanh()

    def taught(self, name: str) -> list[Tensor]:
        """The weights of the first player that may carry a penalty."""
        return [self.first, self.second] if "discriminator" in PENALTIES[name].players else [self.third]

    def judge(self, example: Example, features: bool) -> Judgement:
        self.judged.append(example.image.shape[self.second.ndim - 1])
        hidden = (example.image @ self.first).tanh()
        if self.masks is not None:
            hidden = dropout(hidden, 0.4, self.masks, "dropout")
        scores = (hidden @ self.second.unsqueeze(-1)).squeeze(-1)
        blocks = {"map": hidden.reshape(*hidden.shape[:-1], 3, 2, 2), "vector": 2 * hidden} if features else {}
        return Judgement(scores, blocks)


class Made(NamedTuple):
    """A penalty, the round it was asked in, and what it remembered then."""

    value: Tensor
    penalty: Penalty
    round: Round
    state: State


def round_with(discriminator: Discriminator, real: Tensor, fake: Tensor, penalty: Penalty, seeds: int | list[int]) -> Round:
    streams = Streams(seeds, dtype=torch.float64)
    discriminator.masks = streams if penalty.needs_dropout else None
    of_generator = "discriminator" not in penalty.players
    return Round(
        lambda: Example(real),
        lambda: Example(discriminator.generate(fake) if of_generator else fake),
        discriminator.judge,
        streams=streams,
        clock={"discriminator": 0, "generator": 0},
        needs=penalty.needs,
        couples_batch=False,
        learned={"discriminator": discriminator.learned},
        latents=lambda: fake,
        generate=discriminator.generate,
    )


def made(discriminator: Discriminator, real: Tensor, fake: Tensor, name: str, *, seeds: int | list[int] = 7, **fields: Any) -> Made:
    """In the second turn of its game; the first was played by the discriminator as it was earlier."""
    penalty = PENALTIES[name](**{**SETTLED.get(name, {}), **fields})
    earlier = discriminator.earlier
    assert earlier is not None
    first = round_with(earlier, real, fake, penalty, seeds)
    assert first.scores.real.shape[:-1] == first.scores.fake.shape[:-1]
    state = penalty.observe(first, penalty.initial_state_from(earlier.learned.parameters, earlier.leading))
    round = round_with(discriminator, real, fake, penalty, seeds)
    return Made(penalty(round, state), penalty, round, state)


def points(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_how_many() -> None:
    assert len(PENALTIES) >= 11
    assert len(DECLARING) >= 9


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("sizes", [(4, 4), (1, 1), (5, 3), (2, 6)])
def test_replicas_equal_lone_runs(name: str, sizes: tuple[int, int]) -> None:
    discriminator = Discriminator(3)
    real, fake = points(3, sizes[0], seed=1), points(3, sizes[1], seed=2)
    stacked = made(discriminator, real, fake, name, seeds=[7, 8, 9]).value
    assert stacked.shape == (3,)
    gradients = torch.autograd.grad(stacked.sum(), discriminator.taught(name), materialize_grads=True)
    for r in range(3):
        alone = discriminator.replica(r)
        lone = made(alone, real[r], fake[r], name, seeds=7 + r).value
        assert lone.shape == ()
        torch.testing.assert_close(stacked[r], lone, rtol=1e-12, atol=1e-13)
        own = torch.autograd.grad(lone, alone.taught(name), materialize_grads=True)
        for together, apart in zip(gradients, own, strict=True):
            torch.testing.assert_close(together[r], apart, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_twice_is_the_same_bits(name: str) -> None:
    discriminator, real, fake = Discriminator(), points(6, seed=1), points(6, seed=2)
    kept = real.clone(), fake.clone(), discriminator.first.detach().clone()
    value, penalty, round, state = made(discriminator, real, fake, name)
    remembered = {what: tensor.clone() for what, tensor in state.items()}
    assert torch.equal(penalty(round, state), value)
    assert torch.equal(made(discriminator, real, fake, name).value, value)
    assert all(torch.equal(tensor, state[what]) for what, tensor in remembered.items())
    assert torch.equal(real, kept[0])
    assert torch.equal(fake, kept[1])
    assert torch.equal(discriminator.first, kept[2])


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_by_finite_differences(name: str) -> None:
    discriminator, real, fake = Discriminator(), points(5, seed=1), points(4, seed=2)

    def value(*weights: Tensor) -> Tensor:
        if len(weights) == 2:
            discriminator.first, discriminator.second = weights
        else:
            (discriminator.third,) = weights
        return made(discriminator, real, fake, name).value

    assert torch.autograd.gradcheck(value, tuple(discriminator.taught(name)))


@pytest.mark.parametrize("name", DECLARING)
def test_undeclared_needs_are_refused(name: str) -> None:
    discriminator = Discriminator()
    round = Round(
        lambda: Example(points(4, seed=1)),
        lambda: Example(points(4, seed=2)),
        discriminator.judge,
        streams=Streams(0),
        clock={"discriminator": 0, "generator": 0},
    )
    with pytest.raises(ValueError, match=r"declare"):
        PENALTIES[name]()(round)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_small_step_against_it_lowers_it(name: str) -> None:
    """What is returned is what is punished: with the sign flipped this is red."""
    discriminator, real, fake = Discriminator(), points(6, seed=1), points(6, seed=2)
    value = made(discriminator, real, fake, name).value
    assert float(value.detach()) != 0
    weights = discriminator.taught(name)
    gradients = torch.autograd.grad(value, weights, materialize_grads=True)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= 1e-4 * gradient
    assert float(made(discriminator, real, fake, name).value.detach()) < float(value.detach())


@pytest.mark.parametrize("name", PENALTIES)
def test_records(name: str) -> None:
    record = PENALTIES[name]
    assert record.name == name
    assert "@" in record.bibtex
    assert record(**record().model_dump()) == record()
    assert record(weight=3).weight == Constant(value=3.0)
    assert all(field.description for field in record.model_fields.values())
    with pytest.raises(ValueError, match="Extra inputs"):
        record(no_such_field=1)
    with pytest.raises(ValueError, match="would reward what the penalty punishes"):
        record(weight=-1)
    with pytest.raises(ValueError, match="frozen"):
        record().weight = Constant(value=1.0)
    record.model_json_schema()
