"""What was computed of real data, on disk: features, and whatever is computed from features alone, such as moments.

An entry is one safetensors file named by its key, a digest of everything that decides its numbers: the bytes of the images as the
extractor gets them, and the extractor's digest, which covers its weights and its preprocessing. It is written beside, synced and
renamed, under a lock that dies with its process, and read through a memory map, checked against the SHA-256 of its numbers.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from saddlepoint.extractors.extractor import FeatureExtractor, Seen
from saddlepoint.extractors.network import digest_of, features_of
from saddlepoint.storage import cache_folder, locked, replace_file

FORMAT = 1
CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class Remembered:
    """Tensors by name, memory-mapped where they were `found`; `notes` say what was mended, or why they could not be kept."""

    tensors: Mapping[str, Tensor]
    found: bool
    notes: tuple[str, ...] = ()


def content_of(images: Tensor) -> str:
    """SHA-256 over the type, the shape and the bytes of images or points; 16 MiB at a time, so a memory map stays one.

    >>> grey = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    >>> content_of(grey) == content_of(grey.reshape(2, 1, 2, 8))
    False
    """
    digest = hashlib.sha256(json.dumps([str(images.dtype), list(images.shape)]).encode())
    each = max(1, images[:1].numel() * images.element_size())
    for rows in images.split(max(1, CHUNK_BYTES // each)):
        digest.update(rows.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def key_of(*parts: object) -> str:
    """The name of an entry: a digest of everything that decides its numbers, given as JSON values."""
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True).encode()).hexdigest()


def features_key(images: Tensor, extractor: FeatureExtractor) -> str:
    """The key of an extractor's features of images: of their bytes and of its digest."""
    return key_of("features", content_of(images), extractor.digest)


def moments_key(images: Tensor, extractor: FeatureExtractor) -> str:
    """The key of the moments of an extractor's features of exactly these images, in this order."""
    return key_of("moments", content_of(images), extractor.digest)


def seen_once(
    extractor: FeatureExtractor, images: Tensor, *, batch: int = 64, progress: Callable[[int, int], None] | None = None
) -> tuple[Seen, tuple[str, ...]]:
    """`features_of`, from the cache where it holds them; and notes.

    Raises:
        InputError: there are no images, or the extractor does not take them.
    """

    def look() -> dict[str, Tensor]:
        seen = features_of(extractor, images, batch=batch, progress=progress)
        return {"features": seen.features} if seen.logits is None else {"features": seen.features, "logits": seen.logits}

    held = remembered(features_key(images, extractor), look)
    return Seen(held.tensors["features"], held.tensors.get("logits")), held.notes


def remembered(key: str, compute: Callable[[], Mapping[str, Tensor]]) -> Remembered:
    """The tensors of `key`, computed once. Two processes that want them at once compute them once; a damaged entry is made again.

    A cache that cannot be written costs time only, so it is a note and no error. While an entry is written its bytes are in memory
    beside the tensors.
    """
    path = cache_folder() / "features" / f"{key}.safetensors"
    found, _ = _found(path)
    if found is not None:
        return Remembered(found, True)
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(path.with_suffix(".lock")))
        except OSError as error:
            return Remembered(compute(), False, (_unkept(path, error),))
        # Another process may have made it while this one waited.
        found, damage = _found(path)
        if found is not None:
            return Remembered(found, True)
        tensors = {name: tensor.contiguous() for name, tensor in compute().items()}
        notes = [f"the cache entry {path} was damaged ({damage}) and was made again"] if damage else []
        try:
            for left in path.parent.glob(f"{path.name}.*.partial"):
                left.unlink()
            replace_file(path, save(tensors, {"sha256": _seal(path, tensors)}))
        except OSError as error:
            notes.append(_unkept(path, error))
        return Remembered(tensors, False, tuple(notes))


def _found(path: Path) -> tuple[dict[str, Tensor] | None, str | None]:
    """The tensors of an entry, or what is wrong with it; neither where there is none."""
    if not path.exists():
        return None, None
    try:
        with safe_open(path, framework="pt") as file:
            stated = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        return None, str(error).split("\n")[0]
    return (tensors, None) if _seal(path, tensors) == stated else (None, "its numbers were changed, or are another entry's")


def _seal(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """A digest of the numbers and of the key they belong to: an entry that was moved is not believed."""
    return key_of(path.stem, digest_of(tensors))


def _unkept(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"features could not be kept in {path.parent} ({reason}); set SADDLEPOINT_CACHE to a folder with room"
