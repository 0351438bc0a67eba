"""DINOv2, from torch hub, with the preprocessing of torch-fidelity."""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import Extractor, Seen
from saddlepoint.extractors.network import NetworkExtractor, digest_of, global_generator_kept, in_colour

REPOSITORY = "facebookresearch/dinov2"
# Torch hub's name for a copy of the repository's main branch.
COPY = "facebookresearch_dinov2_main"

SIDE = 224
LAYERS = ("class token",)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPARATION = f"grey three times; bilinear to {SIDE} x {SIDE} as TensorFlow 1 does it; less 255 {MEAN}, over 255 {STD}"


class DinoV2(Extractor):
    """DINOv2's vision transformers: the class token, 384, 768, 1,024 or 1,536 features for the sizes s, b, l and g.

    Torch hub brings both the network's code and its weights from the authors' repository. Nothing is fetched unless `download` says
    so, and a copy that is there is used as it is.

    >>> DinoV2().size
    's'
    """

    name: ClassVar[str] = "dinov2"
    bibtex: ClassVar[str] = """@article{oquab2024dinov2,
  title={{DINOv2}: Learning Robust Visual Features without Supervision},
  author={Oquab, Maxime and Darcet, Timoth{\\'e}e and Moutakanni, Th{\\'e}o and others},
  journal={Transactions on Machine Learning Research},
  year={2024}
}"""

    size: Literal["s", "b", "l", "g"] = Field(default="s", description="small (21 M parameters), base, large or giant (1.1 G)")
    download: bool = Field(default=False, description="fetch code and weights with torch hub when they are not there")

    def open(self, device: str = "cpu") -> NetworkExtractor:
        network = self._load().requires_grad_(False).eval()
        return NetworkExtractor(
            self.name,
            f"DINOv2 ViT-{self.size.upper()}/14",
            LAYERS,
            (),
            digest_of(network.state_dict(), self.name, self.size, LAYERS, PREPARATION),
            network.to(device),
            see,
            device=device,
        )

    def _load(self) -> nn.Module:
        entry = f"dinov2_vit{self.size}14"
        folder = Path(torch.hub.get_dir())
        wanted = [folder / COPY / "hubconf.py", folder / "checkpoints" / f"{entry}_pretrain.pth"]
        absent = [str(path) for path in wanted if not path.is_file()]
        if absent and not self.download:
            cure = f"put torch hub's copy of {REPOSITORY} and its weights there, or allow extractor.download=true"
            raise InputError([f"extractor: dinov2 lacks {' and '.join(absent)}; {cure}"])
        try:
            with global_generator_kept():
                # From the copy where there is one: torch hub would ask the network for the branch's name even then.
                source = (REPOSITORY, "github") if absent else (str(folder / COPY), "local")
                network: nn.Module = torch.hub.load(source[0], entry, source=source[1], verbose=False)
        except Exception as error:  # the repository's own code runs here, and may raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError([f"extractor: dinov2 could not be loaded by torch hub ({reason}); see {folder}"]) from None
        return network


def see(network: nn.Module, pixels: Tensor) -> Seen:
    """Features of pixels 0 … 255 `[n, C, H, W]`."""
    return Seen(network(prepared(pixels)))


def prepared(pixels: Tensor) -> Tensor:
    """What enters the transformer, `[n, 3, 224, 224]`, the same bits as torch-fidelity's."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
    from torchvision.transforms.functional import normalize

    resized = interpolate_bilinear_2d_like_tensorflow1x(in_colour(pixels), size=(SIDE, SIDE), align_corners=False)
    prepared: Tensor = normalize(resized, [255 * mean for mean in MEAN], [255 * std for std in STD])
    return prepared
