"""Generators and discriminators, by family, and the layers they are made of."""

from saddlepoint.networks.attention import SelfAttention
from saddlepoint.networks.autoencoder import Autoencoder
from saddlepoint.networks.conditional_batch_normalization import ConditionalBatch
from saddlepoint.networks.dcgan import Dcgan
from saddlepoint.networks.dirac import Dirac
from saddlepoint.networks.layer import Layer
from saddlepoint.networks.minibatch import MINIBATCH
from saddlepoint.networks.mlp import Mlp
from saddlepoint.networks.mlp_autoencoder import MlpAutoencoder
from saddlepoint.networks.network import Networks
from saddlepoint.networks.resnet import Resnet
from saddlepoint.networks.robustness import Robustness
from saddlepoint.networks.sagan import Sagan
from saddlepoint.networks.sn_cnn import SnCnn

NETWORKS: dict[str, type[Networks]] = {
    "mlp": Mlp,
    "dcgan": Dcgan,
    "resnet": Resnet,
    "sn-cnn": SnCnn,
    "robustness": Robustness,
    "sagan": Sagan,
    "dirac": Dirac,
    "autoencoder": Autoencoder,
    "mlp-autoencoder": MlpAutoencoder,
}

LAYERS: dict[str, type[Layer]] = {**MINIBATCH, "self-attention": SelfAttention, "conditional-batch": ConditionalBatch}
"""Layers that a family may be given, which are no normalisations."""
