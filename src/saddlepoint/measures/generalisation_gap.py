"""Is the generator nearer to its training set than to the data: by fresh discriminators (Arora et al. 2017), by FD."""

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample, Step, unwatched
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.frechet_distance import frechet_distance
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.probe import Probe
from saddlepoint.streams import Streams

STREAM = "generalisation gap"
BLOCKS = 10


class Distance(NamedTuple):
    """A net distance, and the standard error that comes from the finite halves it was evaluated on."""

    value: float
    error: float


def net_distance(
    first: Tensor, second: Tensor, streams: Streams, *, updates: int = 200, batch: int = 64, step: Step = unwatched
) -> Distance:
    r"""How well a fresh small discriminator tells two sets apart, on halves that it was not trained on.

        d(A, B) = E_A sigma(D) - E_B sigma(D),     D trained on the other halves, on log loss

    that is Arora's neural net distance with `phi(t) = t`, as far as a fixed budget finds it. In [-1, 1]; for independent sets of
    one law it is 0 in expectation, since then D says the same of both; for the ideal D of densities a and b it is
    `1/2 integral (a - b)^2 / (a + b)`. Below 0 where the sets share samples: the shared ones in
    the evaluated half of one were learned as the other's.

    Args:
        first, second: A and B, uint8 `[n, C, H, W]` or points `[n, d]`, two or more of each.
        streams: halves, first weights and batches; the same state gives the same discriminator.
        updates: of the discriminator, each on `batch` samples of each side.
        step: told of each update.

    Raises:
        InputError: fewer than two samples, or samples of different shapes.

    >>> near, far = torch.linspace(0, 1, 40)[:, None], torch.linspace(8, 9, 40)[:, None]
    >>> net_distance(near, far, Streams(0)).value > 0.9
    True

    Source: Arora, Ge, Liang, Ma, Zhang 2017, definition 2.
    """
    if min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise InputError([f"generalisation-gap: sets of the shapes {shapes}; give two or more samples of one size on both sides"])
    first, second = first.detach(), second.detach()
    sides = (("first", first), ("second", second))
    problems = [line for side, given in sides for line in value_problems("generalisation-gap", given, side)]
    if problems:
        raise InputError(problems)
    (first_train, first_test), (second_train, second_test) = (
        _halves(samples, streams, side) for side, samples in (("first", first), ("second", second))
    )
    samples = torch.cat([first_train, second_train])
    probe = Probe(samples, 1, streams, STREAM)
    batches = torch.cat(
        [
            streams.order(f"{STREAM} first batches", len(first_train), updates * batch).reshape(updates, batch),
            streams.order(f"{STREAM} second batches", len(second_train), updates * batch).reshape(updates, batch)
            + len(first_train),
        ],
        dim=1,
    )
    answers = torch.cat([torch.ones(batch), torch.zeros(batch)])
    probe.train_on(samples, batches, lambda scores, _: F.binary_cross_entropy_with_logits(scores.squeeze(1), answers), step)
    on_first, on_second = (probe.answers(test).squeeze(1).double().sigmoid() for test in (first_test, second_test))
    if not bool(torch.cat([on_first, on_second]).isfinite().all()):
        raise InputError(["generalisation-gap: samples so large are beyond float32; divide both sides by one number"])
    variance = sum(float(said.var(correction=0)) / len(said) for said in (on_first, on_second))
    return Distance(float(on_first.mean() - on_second.mean()), math.sqrt(variance))


def frechet_gap(train: Tensor, held_out: Tensor, fake: Tensor) -> Distance:
    r"""`FD(held-out, fake) - FD(train, fake)`, with the standard error over 10 disjoint blocks of a tenth each.

    At equal n both distances have one bias, which cancels. Above 0: the fakes are nearer to the training set than to new data.

    Args:
        train, held_out, fake: features `[n, d]` of one n, 20 or more; their order decides the blocks.

    Raises:
        InputError: fewer than 20, different n, or what `frechet_distance` refuses.

    >>> draws = [Streams(0).normal(name, 100, 2) for name in ("a", "b", "c")]
    >>> gap = frechet_gap(*draws)
    >>> abs(gap.value) < 4 * gap.error
    True
    """
    sizes = {len(train), len(held_out), len(fake)}
    if len(sizes) > 1 or min(sizes) < 2 * BLOCKS:
        counts = f"{len(train)} training, {len(held_out)} held-out and {len(fake)} fake samples"
        raise InputError([f"generalisation-gap: {counts}; give equally many, {2 * BLOCKS} or more"])
    size = len(fake) // BLOCKS
    blocks = [slice(start, start + size) for start in range(0, BLOCKS * size, size)]
    gaps = torch.tensor([frechet_distance(held_out[b], fake[b]) - frechet_distance(train[b], fake[b]) for b in blocks])
    value = frechet_distance(held_out, fake) - frechet_distance(train, fake)
    return Distance(value, float(gaps.std()) / math.sqrt(BLOCKS))


def _halves(samples: Tensor, streams: Streams, side: str) -> tuple[Tensor, Tensor]:
    order = streams.order(f"{STREAM} {side} halves", len(samples), len(samples))
    return samples[order[: len(samples) // 2]], samples[order[len(samples) // 2 :]]


class GeneralisationGap(Measure):
    """`net_distance` of the fakes to the training set, to held-out data, and of these two (its floor); their gap; `frechet_gap`.

    All at the size of the smallest of the three sets; of larger ones as many are drawn.
    """

    name: ClassVar[str] = "generalisation-gap"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "generalisation-gap": Quantity("net distance: held-out - train", higher_is_better=False),
        "net-distance-train": Quantity("net distance of fakes to training reals", higher_is_better=False),
        "net-distance-held-out": Quantity("net distance of fakes to held-out reals", higher_is_better=False),
        "net-distance-floor": Quantity("net distance of held-out to training reals", higher_is_better=None),
        "frechet-gap": Quantity("FD ({extractor}): held-out - train", higher_is_better=False),
    }
    uses = frozenset({"train", "held-out"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{arora2017generalization,
  title={Generalization and equilibrium in generative adversarial nets ({GAN}s)},
  author={Arora, Sanjeev and Ge, Rong and Liang, Yingyu and Ma, Tengyu and Zhang, Yi},
  booktitle={International Conference on Machine Learning},
  year={2017}
}"""

    repeats: int = Field(default=3, ge=1, description="fresh discriminators for each distance, each on its own halves")
    updates: int = Field(default=200, ge=1, description="of Adam, for each discriminator")
    batch: int = Field(default=64, ge=1, description="samples of each side in one update")

    @property
    def least(self) -> int:
        return 2 * BLOCKS

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        for side, sample in (("training", evidence.train), ("held-out", evidence.held_out)):
            if sample is None:
                continue
            if len(sample) < self.least:
                known.append(f"{self.name}: {len(sample)} {side} samples are too few; give {self.least} or more")
            if (
                sample.images.shape[1:] != evidence.fake.images.shape[1:]
                or sample.features.shape[1:] != evidence.real.features.shape[1:]
            ):
                known.append(f"{self.name}: {side} and fake samples differ in shape; give both in one size, by one extractor")
            else:
                known += value_problems(self.name, sample.features, side)
        return known

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        assert evidence.train is not None
        assert evidence.held_out is not None
        named = (("train", evidence.train), ("held-out", evidence.held_out), ("fake", evidence.fake))
        m = min(len(sample) for _, sample in named)
        train, held_out, fake = (_drawn(sample, m, streams, side) for side, sample in named)

        pairs = {"train": (train, fake), "held-out": (held_out, fake), "floor": (train, held_out)}
        step = evidence.steps(len(pairs) * self.repeats * self.updates)
        found = {f"net-distance-{side}": self._distance(*pair, streams, step) for side, pair in pairs.items()}
        near, far = found["net-distance-train"], found["net-distance-held-out"]
        found["generalisation-gap"] = Distance(far.value - near.value, math.hypot(far.error, near.error))
        found["frechet-gap"] = frechet_gap(train.features, held_out.features, fake.features)
        details = {"samples of each set": m, "repeats": self.repeats, "updates": self.updates, "batch": self.batch}
        return {quantity: Estimate(value, m, error, details=details) for quantity, (value, error) in found.items()}

    def _distance(self, first: Sample, second: Sample, streams: Streams, step: Step) -> Distance:
        """The mean over repeats. Its error: one evaluation's, as all look at the same samples, and that of the mean, in squares."""
        repeats = [
            net_distance(first.images, second.images, streams, updates=self.updates, batch=self.batch, step=step)
            for _ in range(self.repeats)
        ]
        values, errors = torch.tensor(repeats, dtype=torch.float64).unbind(1)
        between = float(values.var()) / self.repeats if self.repeats > 1 else 0.0
        return Distance(float(values.mean()), math.sqrt(float(errors.square().mean()) + between))


def _drawn(sample: Sample, m: int, streams: Streams, side: str) -> Sample:
    """`m` of the samples, shuffled, drawn without replacement."""
    return sample.rows(streams.order(f"{STREAM} {side}", len(sample), m))
