"""Memorisation: are generated samples nearer to the training data than held-out data are?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Evidence, Sample
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.neighbours import Nearest, flat, nearest
from saddlepoint.streams import Streams

COMPONENTS = 64
CELL_FAKES, CELL_HELD_OUT, CELL_TRAIN = 20, 10, 10
FEWEST_CELLS, MOST_CELLS = 5, 50
NEAR = 0.01
SHOWN, SHOWN_NEIGHBOURS = 10, 5
BLOCK = 2**20
FLAGGED = 3.0
SUSPICIOUS = (
    "more than 3 standard errors below the held-out samples: copying, where A and C_T say so too; "
    "else samples that lie where the data is sparse"
)

Cell = tuple[int, int, int]


class Copying(NamedTuple):
    """`a` in [0, 1] and `near_share` in [0, 1], each with a standard error and a 95 % interval from one bootstrap."""

    a: float
    a_error: float
    a_interval: tuple[float, float]
    near_share: float
    near_share_error: float
    near_share_interval: tuple[float, float]


class CT(NamedTuple):
    """`value`, its standard deviation under the null, the cells used of how many, and the masses of both sides left out."""

    value: float
    null_error: float
    used: int
    cells: int
    held_out_left_out: float
    fake_left_out: float


class Authenticity(NamedTuple):
    """Shares in [0, 1] of fakes and of held-out reals that are authentic, and the standard error of their difference."""

    fake: float
    held_out: float
    error: float


def mann_whitney(fake: Tensor, held_out: Tensor) -> float:
    """`A = P(fake < held-out) + P(fake = held-out) / 2` over all pairs of two sets of distances, `[m]` and `[n]`.

    .5 when they are alike, 1 when every fake is nearer.

    Raises:
        InputError: an empty side, or distances that are NaN.

    >>> mann_whitney(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0]))
    0.625
    """
    if not len(fake) or not len(held_out):
        raise InputError(["mann_whitney: no distances on one side; give at least one on each"])
    if any(side.is_complex() or bool(side.isnan().any()) for side in (fake, held_out)):
        raise InputError(["mann_whitney: distances that are complex or NaN have no order; leave them out"])
    below, upto = _ranks(fake, held_out)
    return 1 - float((below + upto).double().sum()) / (2 * len(fake) * len(held_out))


def copying(fake: Tensor, held_out: Tensor, streams: Streams, resamples: int = 1000) -> Copying:
    r"""Mann-Whitney's A, and the share of fakes nearer to the training data than 99 % of held-out data.

    The second is .01 on average for a generator that is right: `mean 1[fake < q]`, q the linear 1 % quantile of held-out distances.
    Errors and intervals: both sides drawn with replacement, the training set as it is.

    Args:
        fake: distances to the nearest training sample, `[m]`.
        held_out: likewise, `[n]`.
    """
    # In ascending order, so that the order of the samples changes no resample.
    fake, held_out = fake.double().sort().values, held_out.double().sort().values
    below, upto = _ranks(fake, held_out)
    twice = (below + upto).double()
    values, shares = [], []
    block = max(1, BLOCK // max(len(fake), len(held_out)))
    for start in range(0, resamples, block):
        count = min(block, resamples - start)
        drawn = streams.integers("memorisation bootstrap fake", len(fake), count, len(fake))
        others = streams.integers("memorisation bootstrap held-out", len(held_out), count, len(held_out))
        times = torch.zeros(count, len(held_out) + 1, dtype=torch.int64).scatter_add_(1, others + 1, torch.ones_like(others))
        sums = times.cumsum(1).double()
        ranks = (sums[:, below] + sums[:, upto]).gather(1, drawn).mean(1)
        values.append(1 - ranks / (2 * len(held_out)))
        shares.append((fake[drawn] < _low_quantile(held_out[others])[:, None]).double().mean(1))
    a, near = torch.cat(values), torch.cat(shares)
    return Copying(
        1 - float(twice.mean()) / (2 * len(held_out)),
        float(a.std()),
        _interval(a),
        float((fake < _low_quantile(held_out[None])).double().mean()),
        float(near.std()),
        _interval(near),
    )


def data_copying(fake: Tensor, held_out: Tensor, cells: Sequence[Tensor], train: Tensor) -> CT:
    r"""The test statistic C_T of Meehan et al.: Mann-Whitney's Z by cell, averaged with the held-out data's weights.

        Z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12),     C_T = sum_c P_c Z_c / sum_c P_c,

    U the pairs in which the fake is farther (ties 1/2), m and n the cell's fakes and held-out reals, `P_c` its share of the
    held-out. Below 0: copying, above 0: underfitting; under the null the mean is 0 and the standard deviation
    `sqrt(sum_c w_c^2)`, w the weights. A cell counts with 20 fakes, 10 held-out and 10 training samples; the rest is left out,
    and where no cell counts all samples are one cell.

    Args:
        fake: distances of fakes to the nearest training sample, `[m]`.
        held_out: likewise, `[n]`.
        cells: the cell of each fake and of each held-out real, int64 `[m]`, `[n]`.
        train: the cell of each training sample, int64.

    Source: Meehan, Chaudhuri, Dasgupta, "A non-parametric test to detect data-copying in generative models", section 3.

    >>> one = torch.zeros(30, dtype=torch.int64)
    >>> round(data_copying(torch.zeros(30), torch.ones(30), [one, one], one).value, 6) == round(-((3 * 900 / 61) ** 0.5), 6)
    True
    """
    fake_cells, held_cells = cells
    number = 1 + int(max(fake_cells.max(), held_cells.max(), train.max()))
    counts = [torch.bincount(side, minlength=number).tolist() for side in (fake_cells, held_cells, train)]
    used = [cell for cell in range(number) if _counts((counts[0][cell], counts[1][cell], counts[2][cell]))]
    if not used:
        return CT(_z(fake, held_out), 1.0, 0, number, 0.0, 0.0)
    weights = [counts[1][cell] / len(held_out) for cell in used]
    total = sum(weights)
    values = [_z(fake[fake_cells == cell], held_out[held_cells == cell]) for cell in used]
    return CT(
        sum(weight * value for weight, value in zip(weights, values, strict=True)) / total,
        math.sqrt(sum((weight / total) ** 2 for weight in weights)),
        len(used),
        number,
        1 - total,
        1 - sum(counts[0][cell] for cell in used) / len(fake),
    )


def authenticity(fake: Nearest, held_out: Nearest, train: Tensor) -> Authenticity:
    r"""Shares of samples that are farther from their nearest training sample t than t is from its nearest other one.

        authentic: d(y, t) > d(t, its nearest other training sample)

    The share has no universal value (.38 in 2 dimensions, .81 in 64), so the fakes' is read against the held-out reals'. The error
    is that of a difference of shares with one success and one failure added to each (Agresti and Caffo), so that it is never 0.

    Args:
        fake: nearest training sample of each fake, k = 1.
        held_out: likewise, of held-out reals.
        train: training features `[t, d]`.

    Source: Alaa, van Breugel, Saveliev, van der Schaar, "How faithful is your synthetic data?", section 3.3.
    """
    found = torch.cat([fake.indices[:, 0], held_out.indices[:, 0]])
    chosen, places = found.unique(return_inverse=True)
    others = nearest(train[chosen], train, 1, skip=chosen).distances[:, 0]
    authentic = torch.cat([fake.distances[:, 0], held_out.distances[:, 0]]) > others[places]
    hits = authentic[: len(fake.distances)], authentic[len(fake.distances) :]
    smoothed = [(int(side.sum()) + 1, len(side) + 2) for side in hits]
    error = math.sqrt(sum(x / n * (1 - x / n) / n for x, n in smoothed))
    return Authenticity(float(hits[0].double().mean()), float(hits[1].double().mean()), error)


def _ranks(fake: Tensor, held_out: Tensor) -> tuple[Tensor, Tensor]:
    """How many held-out distances are below each fake's, and below or equal."""
    ordered = held_out.sort().values
    return torch.searchsorted(ordered, fake.contiguous()), torch.searchsorted(ordered, fake.contiguous(), right=True)


def _low_quantile(distances: Tensor) -> Tensor:
    """The linear 1 % quantile of each row."""
    return torch.quantile(distances, NEAR, dim=1)


def _interval(values: Tensor) -> tuple[float, float]:
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return low, high


def _counts(cell: Cell) -> bool:
    return cell[0] >= CELL_FAKES and cell[1] >= CELL_HELD_OUT and cell[2] >= CELL_TRAIN


def _z(fake: Tensor, held_out: Tensor) -> float:
    m, n = len(fake), len(held_out)
    farther = (1 - mann_whitney(fake, held_out)) * m * n
    return (farther - m * n / 2) / math.sqrt(m * n * (m + n + 1) / 12)


def _projection(train: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and the first principal directions of the training features, float64 `[d]` and `[d, min(64, d)]`."""
    from scipy.linalg import eigh

    train = train.double()
    mean = train.mean(0)
    d = train.shape[1]
    if d <= COMPONENTS:
        return mean, torch.eye(d, dtype=torch.float64)
    centred = train - mean
    _, directions = eigh((centred.T @ centred).numpy(), subset_by_index=[d - COMPONENTS, d - 1])
    found = torch.from_numpy(directions)
    # A direction's sign is anybody's choice; ours makes its largest entry positive.
    return mean, found * found.gather(0, found.abs().argmax(0, keepdim=True)).sign()


def _number_of_cells(fakes: int, held_out: int, train: int) -> int:
    """As many as give twice the samples that a cell needs on average, from 5 to 50; fewer only where even one needs them all."""
    wanted = min(fakes // (2 * CELL_FAKES), held_out // (2 * CELL_HELD_OUT), train // (2 * CELL_TRAIN))
    able = min(fakes // CELL_FAKES, held_out // CELL_HELD_OUT, train // CELL_TRAIN)
    return max(1, min(max(wanted, min(FEWEST_CELLS, able)), MOST_CELLS))


def _cells(train: Tensor, sides: Sequence[Tensor], number: int, streams: Streams) -> tuple[Tensor, list[Tensor]]:
    """Cells of the training points by k-means, and in which of them the sides' points lie."""
    from sklearn.cluster import KMeans

    # The order of the training samples would change where k-means begins.
    order = train[:, train.var(0).argmax()].argsort(stable=True)
    seed = int(streams.integers("memorisation cells", 2**31 - 1, 1))
    means = KMeans(min(number, len(train.unique(dim=0))), n_init=3, random_state=seed).fit(train[order].numpy())
    centres = torch.from_numpy(means.cluster_centers_)
    return nearest(train, centres).indices[:, 0], [nearest(side, centres).indices[:, 0] for side in sides]


class Memorisation(Measure):
    """Nearest training neighbours of samples and of held-out reals, compared in pixels and in features.

    The same training set is searched for both. A (.5 when right, 1 when copying), the share of samples nearer than 99 % of the
    held-out (.01 when right), C_T (0 when right, below minus 3 standard deviations when copying) and the difference of
    authenticity (0 when right, below 0 when copying). `details` of the two A hold the nearest training samples of ten samples: the
    five closest and five spread over the distances, for `neighbours_picture`.
    """

    name: ClassVar[str] = "memorisation"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "copying-pixels": Quantity("copying A (pixels)", higher_is_better=None),
        "copying-features": Quantity("copying A ({extractor})", higher_is_better=None),
        "near-copies-pixels": Quantity("share nearer than 99 % of held-out (pixels)", higher_is_better=None),
        "near-copies-features": Quantity("share nearer than 99 % of held-out ({extractor})", higher_is_better=None),
        "c-t": Quantity("C_T ({extractor})", higher_is_better=None),
        "authenticity": Quantity("authenticity minus held-out's ({extractor})", higher_is_better=None),
    }
    uses = frozenset({"train", "held-out"})
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{meehan2020nonparametric,
  title={A Non-Parametric Test to Detect Data-Copying in Generative Models},
  author={Meehan, Casey and Chaudhuri, Kamalika and Dasgupta, Sanjoy},
  booktitle={International Conference on Artificial Intelligence and Statistics},
  year={2020}
}
@inproceedings{alaa2022faithful,
  title={How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing Generative Models},
  author={Alaa, Ahmed and Van Breugel, Boris and Saveliev, Evgeny S. and van der Schaar, Mihaela},
  booktitle={International Conference on Machine Learning},
  year={2022}
}"""

    resamples: int = Field(default=1000, ge=100, description="of the bootstrap behind the intervals")
    cells: int | None = Field(
        default=None, ge=1, le=1000, description="of C_T's k-means; by default 5 to 50, by the number of samples"
    )

    @property
    def least(self) -> int:
        return CELL_FAKES

    def problems(self, evidence: Evidence) -> list[str]:
        problems = super().problems(evidence)
        for side, sample, least in (("held-out", evidence.held_out, CELL_HELD_OUT), ("training", evidence.train, CELL_TRAIN)):
            if sample is None:
                continue
            if len(sample) < least:
                problems.append(f"{self.name}: {len(sample)} {side} samples are too few; give {least} or more")
            problems += value_problems(self.name, sample.features, side)
            if (
                sample.features.shape[1:] != evidence.fake.features.shape[1:]
                or sample.images.shape[1:] != evidence.fake.images.shape[1:]
            ):
                problems.append(f"{self.name}: {side} and generated samples differ in shape; bring both to one size and extractor")
        return problems

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        train, held_out = _present(evidence.train), _present(evidence.held_out)
        found: dict[str, Estimate] = {}
        step = evidence.steps(2 + 2 * 3)
        for space in ("pixels", "features"):
            points, reals, known = (_points(sample, space) for sample in (evidence.fake, held_out, train))
            fake_nearest = nearest(points, known)
            step(1)
            held_nearest = nearest(reals, known)
            step(1)
            found |= self._copying(space, points, known, fake_nearest, held_nearest, streams)
            step(1)
        # The last space is that of the features.
        found["c-t"] = self._data_copying(evidence.fake, held_out, train, streams)
        step(1)
        found["authenticity"] = _authentic(fake_nearest, held_nearest, known)
        step(1)
        return found

    def _copying(
        self, space: str, points: Tensor, train: Tensor, fake: Nearest, held_out: Nearest, streams: Streams
    ) -> dict[str, Estimate]:
        ours, theirs = fake.distances[:, 0], held_out.distances[:, 0]
        value = copying(ours, theirs, streams, self.resamples)
        n = len(points)
        copies = int((theirs == 0).sum())
        notes = (f"{copies} of {len(theirs)} held-out samples are in the training set: they hide copies",) if copies else ()
        details = {
            "held-out": len(theirs),
            "train": len(train),
            "exact copies of training samples": int((ours == 0).sum()),
            "neighbours": _shown(points, train, ours),
        }
        return {
            f"copying-{space}": Estimate(value.a, n, value.a_error, value.a_interval, notes, details),
            f"near-copies-{space}": Estimate(
                value.near_share,
                n,
                value.near_share_error,
                value.near_share_interval,
                notes,
                {"for a right generator": NEAR, "held-out": len(theirs), "train": len(train)},
            ),
        }

    def _data_copying(self, fake: Sample, held_out: Sample, train: Sample, streams: Streams) -> Estimate:
        mean, directions = _projection(flat(train.features))
        known, reals, fakes = ((flat(s.features).double() - mean) @ directions for s in (train, held_out, fake))
        number = self.cells or _number_of_cells(len(fakes), len(reals), len(known))
        train_cells, (fake_cells, held_cells) = _cells(known, (fakes, reals), number, streams)
        distances = [nearest(side, known).distances[:, 0] for side in (fakes, reals)]
        found = data_copying(distances[0], distances[1], [fake_cells, held_cells], train_cells)
        notes = []
        if found.used == 0:
            notes.append(
                f"no cell holds {CELL_FAKES} fakes, {CELL_HELD_OUT} held-out and {CELL_TRAIN} training samples: all are one cell"
            )
        elif found.used < found.cells:
            masses = f"{found.held_out_left_out:.1%} of the held-out and {found.fake_left_out:.1%} of the generated samples"
            notes.append(f"cells with too few samples are left out, and with them {masses}")
        if found.value < -FLAGGED * found.null_error:
            notes.append(f"copying: more than {FLAGGED:g} standard deviations below what held-out data would give")
        return Estimate(found.value, len(fake), found.null_error, notes=tuple(notes), details=found._asdict())


def _authentic(fake: Nearest, held_out: Nearest, train: Tensor) -> Estimate:
    found = authenticity(fake, held_out, train)
    difference = found.fake - found.held_out
    notes = (SUSPICIOUS,) if difference < -FLAGGED * found.error else ()
    interval = difference - 1.96 * found.error, difference + 1.96 * found.error
    details = {"generated": found.fake, "held-out": found.held_out}
    return Estimate(difference, len(fake.distances), found.error, interval, notes, details)


def _shown(points: Tensor, train: Tensor, distances: Tensor) -> list[dict[str, Any]]:
    """The nearest training samples of the closest samples and of some spread over the distances, nearest first."""
    order = distances.argsort(stable=True)
    closest = min(SHOWN // 2, len(order))
    spread = torch.linspace(closest, len(order) - 1, SHOWN - closest).long() if len(order) > closest else torch.empty(0).long()
    chosen = order[torch.cat([torch.arange(closest), spread]).unique()]
    found = nearest(points[chosen], train, min(SHOWN_NEIGHBOURS, len(train)))
    return [
        {"sample": int(sample), "train": indices.tolist(), "distances": apart.tolist()}
        for sample, indices, apart in zip(chosen, found.indices, found.distances, strict=True)
    ]


def _points(sample: Sample, space: str) -> Tensor:
    return flat(sample.images if space == "pixels" else sample.features)


def _present(sample: Sample | None) -> Sample:
    if sample is None:
        raise InputError(["memorisation: needs training and held-out samples"])
    return sample
