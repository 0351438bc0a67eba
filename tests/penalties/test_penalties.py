"""The battery every penalty goes through."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.networks.dropout import dropout
from saddlepoint.penalties import PENALTIES
from saddlepoint.rounds import Example, Judgement, Round
from saddlepoint.schedules import Constant
from saddlepoint.streams import Streams

# Those that ask for more than scores.
DECLARING = [name for name, penalty in PENALTIES.items() if penalty().needs]


class Discriminator:
    """Two layers over leading axes; one block is a map of channels, one a vector. Counts the images it judges."""

    def __init__(self, *leading: int, seed: int = 0) -> None:
        draws = torch.Generator().manual_seed(seed)
        self.first = torch.randn(*leading, 6, 12, generator=draws, dtype=torch.float64).requires_grad_()
        self.second = torch.randn(*leading, 12, generator=draws, dtype=torch.float64).requires_grad_()
        self.judged: list[int] = []
        # Where masks are drawn from, for a penalty that compares two of them.
        self.masks: Streams | None = None

    def replica(self, r: int) -> "Discriminator":
        lone = Discriminator()
        lone.first, lone.second = self.first[r].detach().requires_grad_(), self.second[r].detach().requires_grad_()
        return lone

    def judge(self, example: Example, features: bool) -> Judgement:
        self.judged.append(example.image.shape[self.second.ndim - 1])
        hidden = (example.image @ self.first).tanh()
        if self.masks is not None:
            hidden = dropout(hidden, 0.4, self.masks, "dropout")
        scores = (hidden @ self.second.unsqueeze(-1)).squeeze(-1)
        blocks = {"map": hidden.reshape(*hidden.shape[:-1], 3, 2, 2), "vector": 2 * hidden} if features else {}
        return Judgement(scores, blocks)


def made(
    discriminator: Discriminator, real: Tensor, fake: Tensor, name: str, *, seeds: int | list[int] = 7, **fields: Any
) -> tuple[Tensor, Round]:
    penalty, streams = PENALTIES[name](**fields), Streams(seeds, dtype=torch.float64)
    discriminator.masks = streams if penalty.needs_dropout else None
    round = Round(
        lambda: Example(real),
        lambda: Example(fake),
        discriminator.judge,
        streams=streams,
        clock={"discriminator": 0, "generator": 0},
        needs=penalty.needs,
        couples_batch=False,
    )
    return penalty(round), round


def points(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_how_many() -> None:
    assert len(PENALTIES) >= 5
    assert len(DECLARING) >= 5


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("sizes", [(4, 4), (1, 1), (5, 3), (2, 6)])
def test_replicas_equal_lone_runs(name: str, sizes: tuple[int, int]) -> None:
    discriminator = Discriminator(3)
    real, fake = points(3, sizes[0], seed=1), points(3, sizes[1], seed=2)
    stacked, _ = made(discriminator, real, fake, name, seeds=[7, 8, 9])
    assert stacked.shape == (3,)
    gradients = torch.autograd.grad(stacked.sum(), [discriminator.first, discriminator.second])
    for r in range(3):
        alone = discriminator.replica(r)
        lone, _ = made(alone, real[r], fake[r], name, seeds=7 + r)
        assert lone.shape == ()
        torch.testing.assert_close(stacked[r], lone, rtol=1e-12, atol=1e-13)
        for together, apart in zip(gradients, torch.autograd.grad(lone, [alone.first, alone.second]), strict=True):
            torch.testing.assert_close(together[r], apart, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_twice_is_the_same_bits(name: str) -> None:
    discriminator, real, fake = Discriminator(), points(6, seed=1), points(6, seed=2)
    kept = real.clone(), fake.clone(), discriminator.first.detach().clone()
    value, round = made(discriminator, real, fake, name)
    assert torch.equal(PENALTIES[name]()(round), value)
    assert torch.equal(made(discriminator, real, fake, name)[0], value)
    assert torch.equal(real, kept[0])
    assert torch.equal(fake, kept[1])
    assert torch.equal(discriminator.first, kept[2])


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_by_finite_differences(name: str) -> None:
    discriminator, real, fake = Discriminator(), points(5, seed=1), points(4, seed=2)

    def value(first: Tensor, second: Tensor) -> Tensor:
        discriminator.first, discriminator.second = first, second
        return made(discriminator, real, fake, name)[0]

    assert torch.autograd.gradcheck(value, (discriminator.first, discriminator.second))


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
    value, _ = made(discriminator, real, fake, name)
    assert float(value.detach()) > 0
    on_first, on_second = torch.autograd.grad(value, [discriminator.first, discriminator.second])
    with torch.no_grad():
        discriminator.first -= 1e-4 * on_first
        discriminator.second -= 1e-4 * on_second
    assert float(made(discriminator, real, fake, name)[0].detach()) < float(value.detach())


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
