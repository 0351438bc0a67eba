"""Inception-v3 as torch-fidelity has it: the port of the network that FID, KID and IS were defined with."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
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

# The file that torch-fidelity and pytorch-fid publish, each under a name of its own.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
FILES = ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth")

SIDE = 299
LAYERS = ("2048", "logits_unbiased")
PREPARATION = "grey three times; bilinear to 299 x 299 as TensorFlow 1 does it; (x - 128) / 128"

# From pixels to the 8 x 8 grid, in the order of the network's own forward pass.
TRUNK = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)


class Inception(Extractor):
    """Inception-v3 of 5 December 2015 as torch-fidelity ports it: 2,048 pooled features, and 1,008 logits without their bias.

    The weights are looked for at `weights`, then in torch hub's folder of checkpoints, under the names that torch-fidelity and
    pytorch-fid give them. A file is read once, its SHA-256 is compared with the published one, and only then it is opened, as
    tensors and nothing else.

    >>> Inception(weights="inception.pth").trust
    False
    """

    name: ClassVar[str] = "inception"
    bibtex: ClassVar[str] = """@inproceedings{szegedy2016rethinking,
  title={Rethinking the Inception Architecture for Computer Vision},
  author={Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jon and Wojna, Zbigniew},
  booktitle={CVPR},
  year={2016}
}
@misc{obukhov2020torchfidelity,
  title={High-fidelity performance metrics for generative models in PyTorch},
  author={Obukhov, Anton and Seitzer, Maximilian and Wu, Po-Wei and Zhydenko, Semen and Kyl, Jonathan and Lin, Elvis Yu-Jing},
  year={2020},
  doi={10.5281/zenodo.4957738}
}"""

    weights: str | None = Field(default=None, description="file of the weights; torch hub's checkpoints are looked in otherwise")
    trust: bool = Field(default=False, description="take a file that is not the published one; its numbers are no FID")
    download: bool = Field(default=False, description="fetch the weights into torch hub's checkpoints when they are nowhere")

    def open(self, device: str = "cpu") -> NetworkExtractor:
        path = self._find()
        data = read_bytes(path, "extractor.weights")
        published = self._check(path, data)
        where = f"extractor.weights: {path}"
        network = _built(tensors_in(data, where), where)
        return NetworkExtractor(
            self.name,
            "Inception" if published else "Inception with other weights",
            LAYERS,
            tuple(map(str, range(1008))),
            digest_of(network.state_dict(), self.name, LAYERS, PREPARATION),
            network.to(device),
            see,
            device=device,
        )

    def _find(self) -> Path:
        if self.weights is not None:
            return Path(self.weights).expanduser()
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        found = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if found is None and self.download:
            found = self._fetched(folder)
        if found is None:
            cure = f"put {FILES[0]} there, give its path as extractor.weights, or allow extractor.download=true"
            raise InputError([f"extractor: the weights of inception are not in {folder}; {cure}"])
        return found

    def _fetched(self, folder: Path) -> Path:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        target = folder / FILES[0]
        try:
            os.makedirs(folder, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(target), hash_prefix=SHA256[:8], progress=False)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            cure = f"put {FILES[0]} into {folder} by hand"
            raise InputError([f"extractor.download: {URL_INCEPTION_V3} could not be fetched ({reason}); {cure}"]) from None
        return target

    def _check(self, path: Path, data: bytes) -> bool:
        found = hashlib.sha256(data).hexdigest()
        if found != SHA256 and not self.trust:
            cure = "the file is damaged or another: fetch it again, or say extractor.trust=true and give up the name FID"
            raise InputError([f"extractor.weights: {path} has the SHA-256 {found[:16]}…, inception's is {SHA256[:16]}…; {cure}"])
        return found == SHA256


def see(network: nn.Module, pixels: Tensor) -> Seen:
    """Features and logits of pixels 0 … 255 `[n, C, H, W]`: the steps of torch-fidelity's forward pass, which takes bytes only."""
    grid = prepared(pixels)
    for name in TRUNK:
        grid = network.get_submodule(name)(grid)
    features = grid.flatten(1)
    weight: Any = network.get_submodule("fc").weight
    return Seen(features, features.mm(weight.T))


def prepared(pixels: Tensor) -> Tensor:
    """What enters the first convolution, `[n, 3, 299, 299]`."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(in_colour(pixels), size=(SIDE, SIDE), align_corners=False)
    return (resized - 128) / 128


def _built(tensors: dict[str, Tensor], where: str) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # Its constructor unpickles what it is given, so it is given what was read as tensors and nothing else.
    checked = io.BytesIO()
    torch.save(tensors, checked)
    checked.seek(0)
    with global_generator_kept(), refused_shapes(where, "inception"):
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", list(LAYERS), feature_extractor_weights_path=checked
        )
    return network
