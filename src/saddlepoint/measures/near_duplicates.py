"""Pairs of samples that are known to be near-duplicates, to learn what share of them a distance would see."""

import io
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from saddlepoint.measures.evidence import Generating, Sample
from saddlepoint.streams import Streams

NOISE, LATENT_NOISE, JPEG_QUALITY = 0.03, 0.02, 90
GENERATED_AT_ONCE = 256


def near_duplicates(generator: Generating, count: int, streams: Streams) -> tuple[Sample, Sample, list[tuple[str, str]]]:
    """Pairs that are known to be near-duplicates, and how either half of each was made from one generated sample.

    A half is the sample shifted by a pixel, with a little noise, through JPEG, or generated again from its latent with a little
    noise; points know noise and the latent alone. All combinations come alike often.
    """
    latents = generator.latents(0, count)
    samples = _in_parts(generator.generate, latents)
    kinds = KINDS if samples.ndim == 4 else {kind: KINDS[kind] for kind in ("noise", "regenerated")}
    names = list(kinds)
    made = [(names[i % len(names)], names[i // len(names) % len(names)]) for i in range(count)]
    halves = []
    for side in (0, 1):
        half = torch.empty_like(samples)
        for kind in names:
            rows = torch.tensor([i for i, pair in enumerate(made) if pair[side] == kind], dtype=torch.int64)
            if len(rows):
                half[rows] = kinds[kind](generator, latents[rows], samples[rows], streams)
        halves.append(_see(generator, half))
    return halves[0], halves[1], made


def _shifted(generator: Generating, latents: Tensor, samples: Tensor, streams: Streams) -> Tensor:
    """One pixel to a random side, the border repeated."""
    wide = torch.nn.functional.pad(samples, (1, 1, 1, 1), mode="replicate")
    height, width = samples.shape[2:]
    corners = ((0, 1), (2, 1), (1, 0), (1, 2))
    sides = streams.integers("support-size shifts", 4, len(samples)).tolist()
    return torch.stack(
        [
            image[:, top : top + height, left : left + width]
            for image, (top, left) in zip(wide, (corners[side] for side in sides), strict=True)
        ]
    )


def _noised(generator: Generating, latents: Tensor, samples: Tensor, streams: Streams) -> Tensor:
    noise = streams.normal("support-size noise", *samples.shape).to(samples)
    if samples.ndim == 4:
        return (samples + NOISE * noise).clamp(-1, 1)
    return samples + NOISE * samples.std() * noise


def _compressed(generator: Generating, latents: Tensor, samples: Tensor, streams: Streams) -> Tensor:
    return torch.stack([_jpeg(image) for image in samples]).to(samples)


def _jpeg(image: Tensor) -> Tensor:
    import numpy as np
    from PIL import Image

    pixels = ((image.clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8).permute(1, 2, 0).numpy()
    content = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(content, "JPEG", quality=JPEG_QUALITY)
    read = np.array(Image.open(content)).reshape(pixels.shape)
    return torch.from_numpy(read).permute(2, 0, 1).float() / 127.5 - 1


def _regenerated(generator: Generating, latents: Tensor, samples: Tensor, streams: Streams) -> Tensor:
    moved = latents + LATENT_NOISE * streams.normal("support-size latents", *latents.shape).to(latents)
    return _in_parts(generator.generate, moved if generator.latent_distribution == "normal" else moved.clamp(-1, 1))


KINDS: Mapping[str, Callable[[Generating, Tensor, Tensor, Streams], Tensor]] = {
    "shifted": _shifted,
    "noise": _noised,
    "jpeg": _compressed,
    "regenerated": _regenerated,
}


def draw(generator: Generating, start: int, stop: int) -> Sample:
    """Samples by the numbers of their latents, some at a time."""
    parts = [
        generator.see(generator.generate(generator.latents(begin, min(begin + GENERATED_AT_ONCE, stop))))
        for begin in range(start, stop, GENERATED_AT_ONCE)
    ]
    return _joined(parts)


def _see(generator: Generating, samples: Tensor) -> Sample:
    return _joined([generator.see(part) for part in samples.split(GENERATED_AT_ONCE)])


def _in_parts(function: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
    return torch.cat([function(part) for part in tensor.split(GENERATED_AT_ONCE)])


def _joined(parts: Sequence[Sample]) -> Sample:
    return Sample(torch.cat([part.images for part in parts]), torch.cat([part.features for part in parts]))
