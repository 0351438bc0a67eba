"""The bottleneck block of the WGAN-GP paper's 101-layer networks."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.activations import relu
from saddlepoint.networks.layers import Layers

RESIDUAL = 0.3


class Bottleneck(nn.Module):
    """`shortcut(x) + .3 norm(conv1(ReLU(conv3(ReLU(conv1(ReLU(x)))))))`, of half the width inside; perhaps half or twice the side.

    The 3x3 convolution changes the side: of stride 2 down, transposed up. The shortcut is then a 1x1 convolution, of stride 2 or to
    four times the channels that are laid out as twice the side; else it is the identity.

    Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", appendix; the authors' code.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int, way: Literal["down", "up"] | None = None) -> None:
        super().__init__()
        self.up = way == "up"
        self.convolution1 = layers.convolution(inputs, inputs // 2, 1)
        self.convolution2: nn.Module
        if self.up:
            self.convolution2 = layers.transposed_convolution(inputs // 2, outputs // 2, 3, stride=2, padding=1, output_padding=1)
        else:
            self.convolution2 = layers.convolution(inputs // 2, outputs // 2, 3, stride=2 if way == "down" else 1, padding=1)
        self.convolution3 = layers.convolution(outputs // 2, outputs, 1, bias=False)
        self.normalization = layers.normalization(outputs)
        self.activation1 = layers.activation(inputs, relu)
        self.activation2 = layers.activation(inputs // 2, relu)
        self.activation3 = layers.activation(outputs // 2, relu)
        if way is None:
            self.shortcut: nn.Module = nn.Identity()
        elif self.up:
            self.shortcut = layers.convolution(inputs, 4 * outputs, 1)
        else:
            self.shortcut = layers.convolution(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor, twice: bool = False) -> Tensor:
        h = self.convolution1(self.activation1(x, twice=twice))
        h = self.convolution2(self.activation2(h, twice=twice))
        h = self.normalization(self.convolution3(self.activation3(h, twice=twice)))
        side: Tensor = self.shortcut(x)
        total: Tensor = (F.pixel_shuffle(side, 2) if self.up else side) + RESIDUAL * h
        return total
