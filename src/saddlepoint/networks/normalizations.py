"""The normalisations there are, by name."""

from saddlepoint.networks.batch_normalization import BatchNormalization
from saddlepoint.networks.layer_normalization import LayerNormalization
from saddlepoint.networks.normalization import NoNormalization, Normalization
from saddlepoint.networks.spectral_normalization import SpectralNormalization

NORMALIZATIONS: dict[str, type[Normalization]] = {
    "batch": BatchNormalization,
    "layer": LayerNormalization,
    "spectral": SpectralNormalization,
}

CHOICES: dict[str, type[Normalization]] = {**NORMALIZATIONS, "none": NoNormalization}
"""What a recipe may name for a player."""
