"""What distances must say of small sets, worked out with plain numbers."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from saddlepoint.measures.class_conditional_frechet_distance import ClassConditionalFrechetDistance
from saddlepoint.measures.evidence import Evidence, GaussianMixture
from saddlepoint.measures.frechet_distance import FrechetDistance
from saddlepoint.measures.frechet_distance_infinity import FrechetDistanceInfinity
from saddlepoint.measures.kernel_distance import KernelDistance
from saddlepoint.measures.maximum_mean_discrepancy import ExactMaximumMeanDiscrepancy, MaximumMeanDiscrepancy
from saddlepoint.measures.sliced_wasserstein_distance import SlicedWassersteinDistance
from saddlepoint.measures.wasserstein_distance import WassersteinDistance
from saddlepoint.verification.cases import Case, one, pinned, sample

Points = Sequence[Sequence[float]]
Kernel = Callable[[Sequence[float], Sequence[float]], float]

# Six, since of fifteen distances there is one in the middle.
REAL: Points = ((0, 0), (2, 1), (-1, 3), (4, -2), (1, 1), (3, 0))
FAKE: Points = ((1, 5), (3, 2), (0, 1), (5, 6))


def _moments(points: Points, lost: int = 1) -> tuple[list[float], list[list[float]]]:
    """Mean and covariance over `n - lost`, entry by entry."""
    n = len(points)
    mean = [sum(column) / n for column in zip(*points, strict=True)]
    d = range(len(mean))
    return mean, [[sum((p[a] - mean[a]) * (p[b] - mean[b]) for p in points) / (n - lost) for b in d] for a in d]


def _product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    return [[sum(a[i][k] * b[k][j] for k in range(2)) for j in range(2)] for i in range(2)]


def _trace_of_root(product: list[list[float]]) -> float:
    """`tr M^(1/2)` of a 2 x 2 matrix of positive eigenvalues: `sqrt(tr M + 2 sqrt det M)`."""
    trace = product[0][0] + product[1][1]
    determinant = product[0][0] * product[1][1] - product[0][1] * product[1][0]
    return math.sqrt(trace + 2 * math.sqrt(max(0.0, determinant)))


def _frechet(real: Points, fake: Points, lost: int = 1) -> tuple[float, float, float, list[list[float]]]:
    """Squared gap of the means, the covariances' traces, `tr` of the root, and the product under it."""
    (m, s), (w, t) = _moments(real, lost), _moments(fake, lost)
    product = _product(s, t)
    return (
        sum((a - b) ** 2 for a, b in zip(m, w, strict=True)),
        s[0][0] + s[1][1] + t[0][0] + t[1][1],
        _trace_of_root(product),
        product,
    )


def frechet_distance(record: FrechetDistance) -> Iterator[Case]:
    """Moments of 2 x 2, whose root is known in closed form; and a shift."""
    gap, traces, root, product = _frechet(REAL, FAKE)
    right = gap + traces - 2 * root
    biased_gap, biased_traces, biased_root, _ = _frechet(REAL, FAKE, lost=0)
    by_entry = sum(math.sqrt(product[i][i]) for i in range(2))
    yield Case(
        "by moments",
        "6 real and 4 fake points of the plane; means, covariances and the root of their product by hand",
        record,
        Evidence(sample(REAL), sample(FAKE)),
        {"frechet-distance": right},
        one(
            ("covariances are over n, not n - 1", biased_gap + biased_traces - 2 * biased_root),
            ("the square root of the whole is given", math.sqrt(right)),
            ("the trace of the root is taken off once, not twice", gap + traces - root),
            ("the root is taken entry by entry, not of the matrix", gap + traces - 2 * by_entry),
            ("the root is missing from the product of covariances", gap + traces - 2 * (product[0][0] + product[1][1])),
            ("the gap of the means is not squared", math.sqrt(gap) + traces - 2 * root),
            ("the covariances are left out", gap),
        ),
        plain=True,
    )
    shifted = [(x + 3, y - 4) for x, y in REAL]
    yield Case(
        "a shift",
        "fakes that are the reals shifted by (3, -4): the squared length of the shift",
        record,
        Evidence(sample(REAL), sample(shifted)),
        {"frechet-distance": 25.0},
        one(("the square root of the whole is given", 5.0), ("the gap of the means is not squared", 5.0)),
        plain=True,
        tolerance=1e-4,
    )


def class_conditional_frechet_distance(record: ClassConditionalFrechetDistance) -> Iterator[Case]:
    """A shift of its own in each class."""
    far = [(x + 10, y) for x, y in REAL]
    real, labels = [*REAL, *far], torch.tensor([0] * 6 + [1] * 6)
    fake = [(x + 1, y) for x, y in REAL] + [(x, y + 3) for x, y in far]
    gap, traces, root, _ = _frechet(real, fake)
    yield Case(
        "a shift in each class",
        "two classes of 6 points; the fakes of class 0 are shifted by 1, of class 1 by 3: mean and worst of the squares",
        record,
        Evidence(sample(real, labels=labels), sample(fake, labels=labels)),
        {"class-conditional-frechet-distance": 5.0, "class-conditional-frechet-distance-worst": 9.0},
        one(("all classes are thrown together", gap + traces - 2 * root)),
    )


def frechet_distance_infinity(record: FrechetDistanceInfinity) -> Iterator[Case]:
    """Fakes that are one point: the distance has no bias at any n."""
    reals = [*REAL] * 4
    mean, covariance = _moments(reals)
    yield Case(
        "no bias to take off",
        "40 fakes that are one point: at every n the distance is the squared gap and the reals' variance, and so is its limit",
        record,
        Evidence(sample(reals), sample([(7.0, 7.0)] * 40)),
        {
            "frechet-distance-infinity": (7 - mean[0]) ** 2 + (7 - mean[1]) ** 2 + covariance[0][0] + covariance[1][1],
        },
    )


def _sums(real: Points, fake: Points, kernel: Kernel) -> tuple[float, float, float, float, float]:
    """Mean over other pairs of reals, of fakes; over all pairs of reals, of fakes; over cross pairs."""

    def within(points: Points) -> tuple[float, float]:
        n = len(points)
        total = sum(kernel(x, y) for x in points for y in points)
        own = sum(kernel(x, x) for x in points)
        return (total - own) / (n * (n - 1)), total / n**2

    (reals, all_reals), (fakes, all_fakes) = within(real), within(fake)
    cross = sum(kernel(x, y) for x in real for y in fake) / (len(real) * len(fake))
    return reals, fakes, all_reals, all_fakes, cross


def _polynomial(degree: int, offset: float, scale: float) -> Kernel:
    return lambda x, y: (sum(a * b for a, b in zip(x, y, strict=True)) * scale + offset) ** degree


def _discrepancy(real: Points, fake: Points, kernel: Kernel) -> float:
    reals, fakes, _, _, cross = _sums(real, fake, kernel)
    return reals + fakes - 2 * cross


def _kernel_slips(real: Points, fake: Points, kernel: Kernel) -> tuple[tuple[str, float], ...]:
    reals, fakes, all_reals, all_fakes, cross = _sums(real, fake, kernel)
    right = reals + fakes - 2 * cross
    return (
        ("each sample is paired with itself: the biased estimate", all_reals + all_fakes - 2 * cross),
        ("the cross term is taken off once, not twice", reals + fakes - cross),
        ("the square root is given", math.sqrt(right) if right > 0 else math.nan),
        ("the cross term is missing", reals + fakes),
    )


def kernel_distance(record: KernelDistance) -> Iterator[Case]:
    """Every pair by itself."""
    half = _polynomial(record.degree, record.offset, 0.5)
    yield Case(
        "by pairs",
        "6 real and 4 fake points of the plane, every pair by itself",
        record,
        Evidence(sample(REAL), sample(FAKE)),
        {"kernel-distance": _discrepancy(REAL, FAKE, half)},
        one(
            *_kernel_slips(REAL, FAKE, half),
            ("x . y is not divided by d", _discrepancy(REAL, FAKE, _polynomial(record.degree, record.offset, 1.0))),
            ("the kernel is of degree 2", _discrepancy(REAL, FAKE, _polynomial(2, record.offset, 0.5))),
            ("the kernel has no + 1", _discrepancy(REAL, FAKE, _polynomial(record.degree, 0.0, 0.5))),
        ),
        plain=True,
    )


def _square(x: Sequence[float], y: Sequence[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def _gaussian(bandwidths: Sequence[float], factor: float = 0.5) -> Kernel:
    return lambda x, y: sum(math.exp(-factor * _square(x, y) / h**2) for h in bandwidths) / len(bandwidths)


def _median(points: Points) -> float:
    """The distance in the middle, of an odd number of pairs."""
    apart = sorted(math.sqrt(_square(x, y)) for i, x in enumerate(points) for y in points[:i])
    return apart[len(apart) // 2]


def maximum_mean_discrepancy(record: MaximumMeanDiscrepancy) -> Iterator[Case]:
    """Every pair by itself, with the bandwidths of the record."""
    quick = pinned(record, permutations=10)
    median = _median(REAL) if record.bandwidth is None else record.bandwidth
    bandwidths = [median * multiple for multiple in record.multiples]
    kernel = _polynomial(3, 1.0, 0.5) if record.kernel == "polynomial" else _gaussian(bandwidths)
    reals, fakes, all_reals, all_fakes, cross = _sums(REAL, FAKE, kernel)
    fed = f"6 real and 4 fake points of the plane, every pair by itself; the median distance of the reals is {median:.4g}"
    evidence = Evidence(sample(REAL), sample(FAKE))
    yield Case(
        "unbiased, by pairs",
        fed,
        quick,
        evidence,
        {"maximum-mean-discrepancy": reals + fakes - 2 * cross},
        one(
            *_kernel_slips(REAL, FAKE, kernel),
            ("the bandwidth is not halved: exp(-d^2 / h^2)", _discrepancy(REAL, FAKE, _gaussian(bandwidths, 1.0))),
            ("one bandwidth, the median alone", _discrepancy(REAL, FAKE, _gaussian([median]))),
            ("the kernels of the bandwidths are added, not averaged", len(bandwidths) * (reals + fakes - 2 * cross)),
        ),
        plain=True,
    )
    yield Case(
        "biased, by pairs",
        fed,
        quick,
        evidence,
        {"maximum-mean-discrepancy-biased": all_reals + all_fakes - 2 * cross},
        one(("a sample is not paired with itself: the unbiased estimate", reals + fakes - 2 * cross)),
    )


def exact_maximum_mean_discrepancy(record: ExactMaximumMeanDiscrepancy) -> Iterator[Case]:
    """One Gaussian at 0 in the plane, two fakes: every expectation is a Gaussian of a wider variance."""
    h, s, (a, b) = 2.0, 0.5, ((1.0, 0.0), (0.0, 2.0))
    wide, wider = h**2 + s**2, h**2 + 2 * s**2
    reals = h**2 / wider
    cross = sum(h**2 / wide * math.exp(-_square(point, (0.0, 0.0)) / (2 * wide)) for point in (a, b)) / 2
    fakes = math.exp(-_square(a, b) / (2 * h**2))
    mixture = GaussianMixture(torch.zeros(1, 2, dtype=torch.float64), s)
    yield Case(
        "one Gaussian against two points",
        "a Gaussian of std 0.5 at 0, fakes (1, 0) and (0, 2), bandwidth 2",
        pinned(record, bandwidth=h, multiples=(1.0,)),
        Evidence(sample([(0, 0), (1, 1)]), sample([a, b]), mixture=mixture),
        {"exact-maximum-mean-discrepancy": reals + fakes - 2 * cross},
        one(("each fake is paired with itself: the biased estimate", reals + (1 + fakes) / 2 - 2 * cross)),
    )


LINE_REAL, LINE_FAKE = (0.0, 7.0, 2.0), (8.0, 3.0, 1.5)


def _on_a_line(order: int) -> tuple[float, tuple[tuple[str, float], ...]]:
    def root(real: Sequence[float], fake: Sequence[float], p: int, mean: bool = True) -> float:
        total = sum(abs(x - y) ** p for x, y in zip(real, fake, strict=True))
        return float((total / (len(real) if mean else 1)) ** (1 / p))

    real, fake = sorted(LINE_REAL), sorted(LINE_FAKE)
    other = 3 - order
    return root(real, fake, order), (
        (f"it is W_{other}, not W_{order}", root(real, fake, other)),
        ("the root is missing", root(real, fake, order) ** order),
        ("sum over the samples instead of mean", root(real, fake, order, mean=False)),
        ("the samples are paired as they come, not sorted", root(LINE_REAL, LINE_FAKE, order)),
        ("only the means are compared", abs(sum(real) - sum(fake)) / 3),
    )


def _line(values: Sequence[float]) -> Tensor:
    return torch.tensor(values)[:, None]


def wasserstein_distance(record: WassersteinDistance) -> Iterator[Case]:
    """Sorted numbers, and a shift in the plane."""
    right, wrong = _on_a_line(record.order)
    full = pinned(record, samples=None)
    yield Case(
        "on a line",
        f"reals {list(LINE_REAL)} and fakes {list(LINE_FAKE)}: sorted, they are 1.5, 1 and 1 apart",
        full,
        Evidence(sample(_line(LINE_REAL)), sample(_line(LINE_FAKE))),
        {"wasserstein-distance": right},
        one(*wrong),
        plain=True,
    )
    shifted = [(x + 3, y - 4) for x, y in REAL]
    apart = sum(_square(x, y) ** (record.order / 2) for x in REAL for y in shifted) / len(REAL) ** 2
    yield Case(
        "a shift",
        "fakes that are the reals shifted by (3, -4), in another order: the length of the shift",
        full,
        Evidence(sample(REAL), sample(shifted[::-1])),
        {"wasserstein-distance": 5.0},
        one(
            ("distances are sums of absolute differences, not Euclidean", 7.0),
            ("all pairs are averaged: nothing is transported", apart ** (1 / record.order)),
            ("the root is missing", 5.0**record.order),
        ),
        plain=True,
    )


def sliced_wasserstein_distance(record: SlicedWassersteinDistance) -> Iterator[Case]:
    """Sorted numbers: in one dimension every direction gives the distance."""
    right, wrong = _on_a_line(record.order)
    yield Case(
        "on a line",
        f"reals {list(LINE_REAL)} and fakes {list(LINE_FAKE)}: in one dimension every direction gives the distance itself",
        record,
        Evidence(sample(_line(LINE_REAL)), sample(_line(LINE_FAKE))),
        {"sliced-wasserstein-distance": right},
        one(*wrong),
        plain=True,
    )
