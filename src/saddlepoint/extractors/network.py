"""What extractors with a network share: images as they take them, the pass itself, and the identity of both."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import Seen

LONGEST_REASON = 160


class See(Protocol):
    """A network and pixels 0 … 255 as float32 `[n, C, H, W]` to what it says of them, preprocessing included."""

    def __call__(self, network: nn.Module, pixels: Tensor, /) -> Seen: ...


@dataclass(frozen=True)
class NetworkExtractor:
    """A network that sees images: what every record with weights opens into.

    Args:
        network: in eval mode, on `device`.
        channels: numbers of channels it takes.
    """

    name: str
    title: str
    layers: tuple[str, ...]
    classes: tuple[str, ...]
    digest: str
    network: nn.Module
    see: See
    channels: tuple[int, ...] = (1, 3)
    device: str = "cpu"

    def __call__(self, images: Tensor) -> Seen:
        check_images(images, self.title, self.channels)
        with torch.no_grad():
            seen = self.see(self.network, in_pixels(images.to(self.device)).to(torch.float32))
        return Seen(seen.features.cpu(), None if seen.logits is None else seen.logits.cpu())


def check_images(images: Tensor, title: str, channels: tuple[int, ...] = (1, 3)) -> None:
    """Raise unless `images` are `[n, C, H, W]`, bytes or floats, with a number of channels that is taken."""
    if images.ndim != 4 or 0 in images.shape[1:] or not (images.dtype == torch.uint8 or images.is_floating_point()):
        came = f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        wanted = "images, uint8 [n, C, H, W] or float in [-1, 1]"
        raise InputError([f"{title}: takes {wanted}, got {came}; the extractor pixels takes points"])
    if images.shape[1] not in channels:
        wanted = " or ".join(map(str, channels))
        cure = f"give images of {wanted}, or read them with channels={channels[-1]}"
        raise InputError([f"{title}: takes {wanted} channels, got {images.shape[1]}; {cure}"])


def in_pixels(images: Tensor) -> Tensor:
    """Images as floats in a byte's unit: bytes as they are, in float32; floats in [-1, 1] by `127.5 (x + 1)`, not rounded.

    >>> in_pixels(torch.tensor([[[[-1.0, 1.0]]]])).flatten().tolist()
    [0.0, 255.0]
    """
    if images.dtype == torch.uint8:
        return images.to(torch.float32)
    return images.add(1).mul(127.5)


def in_colour(images: Tensor) -> Tensor:
    """Grey images as colour: the one channel three times; colour images as they are.

    >>> in_colour(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).shape
    torch.Size([2, 3, 4, 4])
    """
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def digest_of(tensors: Mapping[str, Tensor], *parts: object) -> str:
    """SHA-256 over tensors, by name in order, and over whatever else decides the features (as JSON).

    >>> weights = {"a": torch.zeros(2)}
    >>> digest_of(weights, "bytes / 255") == digest_of(weights, "bytes / 127")
    False
    """
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def features_of(
    extractor: Callable[[Tensor], Seen], images: Tensor, *, batch: int = 64, progress: Callable[[int, int], None] | None = None
) -> Seen:
    """What an extractor says of all images, `batch` at a time, in their order.

    Memory beyond the images: the answers, `4 n (d + K)` bytes in float32, and one batch's activations. A batch's size changes
    nothing in float64 (1e-10 relative); float32 convolutions may sum in another order, some 1e-6 of the largest feature.

    Args:
        images: uint8 `[n, C, H, W]`, memory-mapped or not; or points `[n, d]`.
        progress: called with (images seen, images in all) after each batch.

    Raises:
        InputError: there are no images, or the extractor does not take them.

    >>> from saddlepoint.extractors import EXTRACTORS
    >>> images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    >>> features_of(EXTRACTORS["pixels"]().open(), images, batch=2).features.shape
    torch.Size([5, 64])
    """
    if len(images) == 0:
        raise InputError(["features: no images were given; give one or more"])
    if batch < 1:
        raise InputError([f"features: a batch of {batch} images; give 1 or more"])
    first = extractor(images[:batch])
    features = _room_for(len(images), first.features)
    logits = None if first.logits is None else _room_for(len(images), first.logits)
    for start in range(0, len(images), batch):
        seen = extractor(images[start : start + batch]) if start else first
        features[start : start + batch] = seen.features
        if logits is not None and seen.logits is not None:
            logits[start : start + batch] = seen.logits
        if progress is not None:
            progress(min(start + batch, len(images)), len(images))
    return Seen(features, logits)


def _room_for(n: int, answers: Tensor) -> Tensor:
    return answers.new_empty(n, *answers.shape[1:])


@contextmanager
def global_generator_kept() -> Iterator[None]:
    """Networks that are built only to be loaded draw from torch's global generator; afterwards it stands where it stood."""
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


def read_bytes(path: Path, where: str) -> bytes:
    """A weights file, whole.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError([f"{where}: {path} cannot be read ({error.strerror or error})"]) from None


def tensors_in(data: bytes, where: str) -> dict[str, Tensor]:
    """The tensors of a PyTorch file, whose pickle may name nothing but tensors.

    Raises:
        InputError: it holds something else, or is damaged.
    """
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise nearly anything
        reason = (str(error) or type(error).__name__).split("\n")[0]
        raise InputError([f"{where}: not a file of weights that torch can read ({reason}); fetch it again"]) from None
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise InputError([f"{where}: holds no tensors by name; give a state dict as torch.save writes it"])
    return dict(found)


@contextmanager
def refused_shapes(where: str, network: str) -> Iterator[None]:
    """What is done inside loads tensors into a network; tensors that are not its own are the user's file's fault."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
        raise InputError([f"{where}: its tensors are not those of {network} ({reason})"]) from None
