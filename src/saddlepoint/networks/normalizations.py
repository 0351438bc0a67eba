"""The normalisations there are, by name."""

from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.instance_normalization import InstanceNormalization
from saddlepoint.networks.layer_normalization import LayerNormalization
from saddlepoint.networks.normalization import NoNormalization, Normalization
from saddlepoint.networks.pixel_normalization import EqualizedLearningRate, PixelNormalization
from saddlepoint.networks.spectral_normalization import SpectralNormalization
from saddlepoint.networks.virtual_batch_normalization import VirtualBatchNormalization
from saddlepoint.networks.weight_normalization import AffineWeightNormalization, WeightNormalization

NORMALIZATIONS: dict[str, type[Normalization]] = {
    "batch": BatchNormalization,
    "layer": LayerNormalization,
    "spectral": SpectralNormalization,
    "weight": WeightNormalization,
    "weight-affine": AffineWeightNormalization,
    "virtual-batch": VirtualBatchNormalization,
    "instance": InstanceNormalization,
    "pixel": PixelNormalization,
    "equalized": EqualizedLearningRate,
}

CHOICES: dict[str, type[Normalization]] = {**NORMALIZATIONS, "none": NoNormalization}
"""What a recipe may name for a player."""
