"""What codes know of classes: accuracy of a nearest-neighbour classifier on them (Donahue et al. 2017; Cover & Hart 1967)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.measures.evidence import Encoding, Evidence
from saddlepoint.measures.feature_sets import value_problems
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.modes import binomial_interval
from saddlepoint.measures.neighbours import exact_squares, nearest, tiles, within
from saddlepoint.measures.reconstruction import as_generated
from saddlepoint.streams import Streams

AT_A_TIME = 64


def nearest_neighbour_labels(train: Tensor, labels: Tensor, test: Tensor, k: int = 1) -> Tensor:
    r"""The label that most of the k nearest training codes have, by Euclidean distance: int64 `[m]`.

    Equal votes go to the smallest label. Where more than k are within the k-th distance, all of them vote, so that the order of the
    training codes changes nothing. Distances are exact; memory: `8 m K` bytes and what `neighbours.nearest` takes.

    Args:
        train: codes `[n, d]`.
        labels: of the training codes, int64 `[n]`, 0 or more.
        test: codes `[m, d]`.
        k: neighbours that vote, 1 to n.

    Raises:
        InputError: codes that are not finite or of different d, not a label for each, fewer than k training codes.

    >>> nearest_neighbour_labels(torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([3, 3, 7]), torch.tensor([[0.4], [4.0]]))
    tensor([3, 7])

    Source: Cover and Hart 1967.
    """
    problems = _problems(train, labels, test, k)
    if problems:
        raise InputError(problems)
    train, test, one_hot = train.cpu(), test.cpu(), F.one_hot(labels.cpu()).double()
    reach = exact_squares(test, torch.arange(len(test)), train, nearest(test, train, k).indices[:, -1])
    votes = torch.zeros(len(test), one_hot.shape[1], dtype=torch.float64)
    for tile in tiles(test, train):
        votes[tile.rows] += within(tile, test, train, reach[tile.rows, None], closed=True).double() @ one_hot[tile.columns]
    return votes.argmax(1)


def nearest_neighbour_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, k: int = 1) -> float:
    """Share of test codes whose label `nearest_neighbour_labels` finds.

    >>> codes, labels = torch.tensor([[0.0], [5.0]]), torch.tensor([0, 1])
    >>> nearest_neighbour_accuracy(codes, labels, torch.tensor([[1.0], [2.0]]), labels)
    0.5
    """
    if test_labels.shape != (len(test),):
        raise InputError(
            [f"nearest-neighbour-accuracy: {len(test)} test codes with labels {tuple(test_labels.shape)}; give one each"]
        )
    return float((nearest_neighbour_labels(train, train_labels, test, k) == test_labels).double().mean())


def _problems(train: Tensor, labels: Tensor, test: Tensor, k: int) -> list[str]:
    name = "nearest-neighbour-accuracy"
    if train.ndim != 2 or test.ndim != 2 or train.shape[1:] != test.shape[1:] or 0 in (len(train), len(test)):
        return [f"{name}: codes of the shapes {tuple(train.shape)} and {tuple(test.shape)}; give [n, d] and [m, d], not empty"]
    problems = value_problems(name, train, "training") + value_problems(name, test, "test")
    if labels.shape != (len(train),) or bool((labels < 0).any()):
        problems.append(f"{name}: {len(train)} training codes with labels {tuple(labels.shape)}; give one each, 0 or more")
    if not 1 <= k <= len(train):
        problems.append(f"{name}: {k} neighbours of {len(train)} training codes; give 1 to {len(train)}")
    return problems


class NearestNeighbourAccuracy(Measure):
    """Accuracy on codes of held-out data, with the training set's codes as neighbours; the same on raw pixels stands beside it."""

    name: ClassVar[str] = "nearest-neighbour-accuracy"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "nearest-neighbour-accuracy": Quantity("nearest-neighbour accuracy of codes", higher_is_better=True)
    }
    uses = frozenset({"encoder", "train", "held-out"})
    own_samples: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    bibtex: ClassVar[str] = """@inproceedings{donahue2017adversarial,
  title={Adversarial feature learning},
  author={Donahue, Jeff and Kr{\\"a}henb{\\"u}hl, Philipp and Darrell, Trevor},
  booktitle={International Conference on Learning Representations},
  year={2017}
}"""

    k: int = Field(default=1, ge=1, description="neighbours that vote")

    def problems(self, evidence: Evidence) -> list[str]:
        known = super().problems(evidence)
        for side, sample in (("training", evidence.train), ("held-out", evidence.held_out)):
            if sample is not None and sample.labels is None:
                known.append(f"{self.name}: the {side} samples have no labels; choose data with labels")
        return known

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        train, test, encoder = evidence.train, evidence.held_out, evidence.encoder
        assert train is not None
        assert train.labels is not None
        assert test is not None
        assert test.labels is not None
        assert encoder is not None
        codes, on_codes = _encoded(encoder, train.images), _encoded(encoder, test.images)
        value = nearest_neighbour_accuracy(codes, train.labels, on_codes, test.labels, self.k)
        pixels = nearest_neighbour_accuracy(train.images.flatten(1), train.labels, test.images.flatten(1), test.labels, self.k)
        details = {"on pixels": pixels, "training codes": len(train), "k": self.k}
        interval = binomial_interval(round(value * len(test)), len(test))
        return {"nearest-neighbour-accuracy": Estimate(value, len(test), interval=interval, details=details)}


def _encoded(encoder: Encoding, images: Tensor) -> Tensor:
    return torch.cat([encoder.encode(as_generated(part)).cpu() for part in images.split(AT_A_TIME)])
