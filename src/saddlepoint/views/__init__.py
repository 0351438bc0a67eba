"""What is done to every image before the discriminator sees it."""

from saddlepoint.views.ada_lite import AdaLite
from saddlepoint.views.diffaugment import DiffAugment
from saddlepoint.views.instance_noise import AdaptiveInstanceNoise, InstanceNoise
from saddlepoint.views.view import View

VIEWS: dict[str, type[View]] = {
    "diffaugment": DiffAugment,
    "ada-lite": AdaLite,
    "instance-noise": InstanceNoise,
    "adaptive-instance-noise": AdaptiveInstanceNoise,
}
