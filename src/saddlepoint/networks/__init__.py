"""Generators and discriminators, by family, and the layers they are made of."""

from saddlepoint.networks.dcgan import Dcgan
from saddlepoint.networks.dirac import Dirac
from saddlepoint.networks.mlp import Mlp
from saddlepoint.networks.network import Networks
from saddlepoint.networks.resnet import Resnet

NETWORKS: dict[str, type[Networks]] = {"mlp": Mlp, "dcgan": Dcgan, "resnet": Resnet, "dirac": Dirac}
