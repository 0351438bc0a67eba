"""The one pass over all images."""

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import InputError
from saddlepoint.extractors import EXTRACTORS, Seen, features_of
from saddlepoint.extractors.network import digest_of, in_pixels
from tests.extractors.conftest import pictures


def test_in_batches_with_progress() -> None:
    given: list[int] = []
    told: list[tuple[int, int]] = []

    def extractor(images: Tensor) -> Seen:
        given.append(len(images))
        return Seen(images.float().flatten(1), images.float().flatten(1)[:, :2])

    images = pictures(7, 1, 4)
    seen = features_of(extractor, images, batch=3, progress=lambda done, total: told.append((done, total)))
    assert given == [3, 3, 1]
    assert told == [(3, 7), (6, 7), (7, 7)]
    assert torch.equal(seen.features, images.float().flatten(1))
    assert seen.logits is not None
    assert torch.equal(seen.logits, seen.features[:, :2])


def test_one_image() -> None:
    assert features_of(EXTRACTORS["pixels"]().open(), pictures(1)).features.shape == (1, 768)


def test_nothing_to_see() -> None:
    with pytest.raises(InputError, match="no images were given"):
        features_of(EXTRACTORS["pixels"]().open(), pictures(3)[:0])
    with pytest.raises(InputError, match="a batch of 0 images"):
        features_of(EXTRACTORS["pixels"]().open(), pictures(3), batch=0)


def test_in_pixels() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(in_pixels(every), every.float())
    assert torch.allclose(in_pixels(every.double() / 127.5 - 1), every.double(), atol=1e-12)


def test_a_digest_is_of_names_types_shapes_bytes_and_words() -> None:
    def digests(tensor: Tensor) -> str:
        return digest_of({"a": tensor}, "words")

    base = torch.arange(6.0)
    others = [
        digest_of({"b": base}, "words"),
        digest_of({"a": base}, "other words"),
        digests(base.reshape(2, 3)),
        digests(base.double()),
        digests(base.view(torch.int32)),
        digests(base + 1e-6),
        digest_of({"a": base[:3], "b": base[3:]}, "words"),
    ]
    assert len({digests(base), *others}) == 8
    assert digests(base.reshape(2, 3).T.contiguous().T) == digests(base.reshape(2, 3))
    assert digests(torch.tensor(1.0)) != digests(torch.tensor(2.0))
