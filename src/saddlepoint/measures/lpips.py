"""Diversity as learned perceptual distance between samples (Zhang et al. 2018): higher is more diverse."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.network import in_colour, read_bytes, refused_shapes, tensors_in
from saddlepoint.measures.evidence import Evidence
from saddlepoint.measures.measure import Estimate, Measure, Quantity
from saddlepoint.measures.ms_ssim import chosen_pairs, mean_of_pairs, no_pairs, sides
from saddlepoint.streams import Streams

Net = Literal["vgg", "alex"]

HEADS = Path(__file__).with_name("lpips_heads.safetensors")
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
PAIRS_AT_ONCE = 16


class Backbone(NamedTuple):
    """A network of torchvision: its file (named after the start of its SHA-256), where its five blocks end, its smallest image."""

    file: str
    sha256: str
    ends: tuple[int, ...]
    smallest: int


BACKBONES: Mapping[Net, Backbone] = {
    "vgg": Backbone("vgg16-397923af.pth", "397923af", (4, 9, 16, 23, 30), 16),
    "alex": Backbone("alexnet-owt-7be5be79.pth", "7be5be79", (2, 5, 8, 10, 12), 31),
}


class PerceptualDistance(nn.Module):
    r"""LPIPS v0.1 with its linear heads: `d(x, y) = sum_l mean_hw w_l . (phi_l(x) - phi_l(y))^2`.

    `phi_l` is the output of block l, its channels divided by their norm at each place.

    Args:
        net: which network.
        weights: torchvision's state dict of it, whole or its `features` alone.

    Raises:
        InputError: the tensors are not the network's.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric",
    equation 1.
    """

    def __init__(self, net: Net, weights: Mapping[str, Tensor], where: str = "weights") -> None:
        super().__init__()
        import torchvision.models
        from safetensors.torch import load_file

        wanted = {name.removeprefix("features."): tensor for name, tensor in weights.items() if name.startswith("features.")}
        # On no device: the classifier behind the features has a hundred million numbers that nobody wants.
        with torch.device("meta"):
            network = torchvision.models.vgg16() if net == "vgg" else torchvision.models.alexnet()
        self.features: nn.Sequential = network.features
        with refused_shapes(where, net):
            self.features.load_state_dict(wanted, assign=True)
        self.ends = BACKBONES[net].ends
        heads = load_file(HEADS)
        self.heads = [heads[f"{net}.{block}"] for block in range(len(self.ends))]
        self.eval().requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of images, uint8 `[n, C, H, W]` with C 1 or 3, in pairs: float32 `[n]`, 0 or more."""
        blocks = zip(self.heads, self._blocks(first), self._blocks(second), strict=True)
        return torch.stack([(head[:, None, None] * (x - y).square()).sum(1).mean((1, 2)) for head, x, y in blocks]).sum(0)

    def _blocks(self, images: Tensor) -> list[Tensor]:
        shift, scale = (torch.tensor(numbers)[:, None, None] for numbers in (SHIFT, SCALE))
        hidden, found, start = (in_colour(images).float() / 127.5 - 1 - shift) / scale, [], 0
        for end in self.ends:
            hidden = self.features[start:end](hidden)
            found.append(hidden / (torch.linalg.vector_norm(hidden, dim=1, keepdim=True) + 1e-10))
            start = end
        return found


class Lpips(Measure):
    """Mean LPIPS of pairs of generated samples, of one class where there are labels: 0 when they are all alike.

    The linear heads ship; the network's file is torchvision's, looked for at `weights`, then in torch hub's folder of checkpoints.
    Its SHA-256 must begin as torchvision's name says. Read the number beside the reals' value: above theirs is noise, not
    diversity, and it does not see classes that are missing.
    """

    name: ClassVar[str] = "lpips"
    quantities: ClassVar[Mapping[str, Quantity]] = {"lpips": Quantity("LPIPS between samples", higher_is_better=True)}
    bibtex: ClassVar[str] = """@inproceedings{zhang2018unreasonable,
  title={The Unreasonable Effectiveness of Deep Features as a Perceptual Metric},
  author={Zhang, Richard and Isola, Phillip and Efros, Alexei A and Shechtman, Eli and Wang, Oliver},
  booktitle={CVPR},
  year={2018}
}"""

    net: Net = Field(
        default="vgg", description="the network: vgg as StyleGAN and torch-fidelity use it, alex as LPIPS's own default"
    )
    weights: str | None = Field(default=None, description="torchvision's file of the network; torch hub's checkpoints otherwise")
    trust: bool = Field(default=False, description="take a file that is not torchvision's; its numbers are no LPIPS")
    pairs: int = Field(default=1000, ge=1, description="of samples, at most; each sample is in one at most")

    def problems(self, evidence: Evidence) -> list[str]:
        problems = super().problems(evidence)
        shape, least = tuple(evidence.fake.images.shape), BACKBONES[self.net].smallest
        if len(shape) != 4 or shape[1] not in (1, 3) or min(shape[2:]) < least:
            came = (
                "the samples are points" if len(shape) != 4 else f"the samples are {shape[3]} x {shape[2]} with {shape[1]} channels"
            )
            problems.append(f"{self.name}: {came}; {self.net} needs images of 1 or 3 channels and {least} pixels or more a side")
        if not self._path().is_file():
            cure = "put it there, or give its path as weights"
            problems.append(f"{self.name}: {self._path()} is not there, torchvision's file {BACKBONES[self.net].file}; {cure}")
        return problems + no_pairs(self.name, evidence)

    def __call__(self, evidence: Evidence, streams: Streams) -> Mapping[str, Estimate]:
        self.check(evidence)
        distance, digest = self.opened()
        labelled = evidence.fake.labels is not None
        fake, real = (chosen_pairs(side, labelled, self.pairs, streams, name) for side, name in sides(self.name, evidence))
        values = [_distances(distance, *both) for both in (fake, real)]
        found = mean_of_pairs(f"lpips-{self.net}", values[0], values[1], labelled, self.pairs)
        return {"lpips": Estimate(found.mean, found.n, found.error, None, found.notes, {**found.details, "sha256": digest})}

    def opened(self) -> tuple[PerceptualDistance, str]:
        """The distance, and the SHA-256 of the network's file.

        Raises:
            InputError: the file is not there, is another, or holds other tensors.
        """
        path, wanted = self._path(), BACKBONES[self.net].sha256
        data = read_bytes(path, "lpips.weights")
        digest = hashlib.sha256(data).hexdigest()
        if not digest.startswith(wanted) and not self.trust:
            cure = "fetch it again, or say trust=true and give up the name LPIPS"
            raise InputError([f"lpips.weights: {path} has the SHA-256 {digest[:16]}…, {self.net}'s begins {wanted}; {cure}"])
        where = f"lpips.weights: {path}"
        return PerceptualDistance(self.net, tensors_in(data, where), where), digest

    def _path(self) -> Path:
        if self.weights is not None:
            return Path(self.weights).expanduser()
        return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[self.net].file


def _distances(distance: PerceptualDistance, first: Tensor, second: Tensor) -> Tensor:
    parts = zip(first.split(PAIRS_AT_ONCE), second.split(PAIRS_AT_ONCE), strict=True)
    with torch.no_grad():
        found = [distance(one, other).double() for one, other in parts if len(one)]
    return torch.cat(found) if found else torch.empty(0)
