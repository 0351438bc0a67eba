"""Which public libraries have a method, by the file in which it stands: facts as of a commit, which anyone can look up."""

from collections.abc import Mapping
from typing import NamedTuple

LOOKED_AT = "2026-11-24"


class Peer(NamedTuple):
    """A library of many GAN methods, as it was at its newest commit."""

    repository: str
    commit: str
    date: str
    methods: Mapping[str, str]
    """Name of the method here to the file there."""


def _all_in(path: str, *methods: str) -> dict[str, str]:
    return dict.fromkeys(methods, path)


PEERS = (
    Peer(
        "torchgan/torchgan",
        "fe86d7c",
        "2020-09-02",
        _all_in(
            "torchgan/losses/functional.py", "vanilla", "one-sided-label-smoothing", "lsgan", "wasserstein", "wgan-gp", "dragan"
        )
        | {
            "weight-clipping": "torchgan/losses/wasserstein.py",
            "began": "torchgan/losses/boundaryequilibrium.py",
            "feature-matching": "torchgan/losses/featurematching.py",
            "historical-averaging": "torchgan/losses/historical.py",
            "minibatch-discrimination": "torchgan/layers/minibatchdiscrimination.py",
            "self-attention": "torchgan/layers/selfattention.py",
            "spectral": "torchgan/layers/spectralnorm.py",
            "virtual-batch": "torchgan/layers/virtualbatchnorm.py",
            "dcgan": "torchgan/models/dcgan.py",
        },
    ),
    Peer(
        "POSTECH-CVLab/PyTorch-StudioGAN",
        "947b35e",
        "2023-08-06",
        _all_in(
            "src/utils/losses.py",
            "vanilla",
            "lsgan",
            "hinge",
            "wasserstein",
            "wgan-gp",
            "dragan",
            "r1",
            "lecam",
            "feature-matching",
            "path-length",
        )
        | _all_in("src/utils/cr.py", "cr", "bcr", "zcr")
        | _all_in("src/utils/ops.py", "conditional-batch", "self-attention", "spectral")
        | {
            "weight-clipping": "src/config.py",
            "top-k": "src/config.py",
            "diffaugment": "src/utils/diffaug.py",
            "ada-lite": "src/utils/ada_aug.py",
            "minibatch-stddev": "src/models/stylegan2.py",
            "dcgan": "src/models/deep_conv.py",
            "resnet": "src/models/resnet.py",
            "sagan": "src/configs/CIFAR10/SAGAN.yaml",
        },
    ),
    Peer(
        "kwotsin/mimicry",
        "a7fda06",
        "2022-08-07",
        _all_in("torch_mimicry/modules/losses.py", "vanilla", "hinge", "wasserstein")
        | _all_in("torch_mimicry/modules/layers.py", "self-attention", "conditional-batch")
        | {
            "wgan-gp": "torch_mimicry/nets/wgan_gp/wgan_gp_base.py",
            "spectral": "torch_mimicry/modules/spectral_norm.py",
            "dcgan": "torch_mimicry/nets/dcgan/dcgan_base.py",
            "resnet": "torch_mimicry/nets/sngan/sngan_base.py",
            "sagan": "torch_mimicry/nets/sagan/sagan_base.py",
        },
    ),
    Peer(
        "open-mmlab/mmgeneration",
        "ccd1f56",
        "2023-04-14",
        _all_in("mmgen/models/losses/gan_loss.py", "vanilla", "lsgan", "hinge", "wasserstein")
        | _all_in("mmgen/models/losses/disc_auxiliary_loss.py", "drift", "wgan-gp", "r1")
        | {
            "path-length": "mmgen/models/losses/gen_auxiliary_loss.py",
            "pixel": "mmgen/models/architectures/pggan/modules.py",
            "equalized": "mmgen/models/architectures/pggan/modules.py",
            "minibatch-stddev": "mmgen/models/architectures/pggan/modules.py",
            "ada-lite": "mmgen/models/architectures/stylegan/ada/augment.py",
            "self-attention": "mmgen/models/architectures/biggan/modules.py",
            "sagan": "configs/_base_/models/sagan/sagan_128x128.py",
        },
    ),
    Peer(
        "unit8co/vegans",
        "46ceebe",
        "2021-05-25",
        {
            "vanilla": "vegans/models/unconditional/VanillaGAN.py",
            "lsgan": "vegans/models/unconditional/LSGAN.py",
            "wasserstein": "vegans/models/unconditional/WassersteinGAN.py",
            "weight-clipping": "vegans/models/unconditional/WassersteinGAN.py",
            "wgan-gp": "vegans/models/unconditional/WassersteinGANGP.py",
        },
    ),
    Peer(
        "tensorflow/gan",
        "bc369b7",
        "2025-01-16",
        _all_in(
            "tensorflow_gan/python/losses/losses_impl.py",
            "vanilla",
            "one-sided-label-smoothing",
            "lsgan",
            "hinge",
            "wasserstein",
            "wgan-gp",
        )
        | _all_in("tensorflow_gan/examples/progressive_gan/layers.py", "pixel", "minibatch-stddev")
        | {
            "drift": "tensorflow_gan/examples/progressive_gan/train.py",
            "relativistic-average": "tensorflow_gan/examples/esrgan/losses.py",
            "weight-clipping": "tensorflow_gan/python/features/clip_weights.py",
            "spectral": "tensorflow_gan/python/features/spectral_normalization.py",
            "virtual-batch": "tensorflow_gan/python/features/virtual_batchnorm.py",
            "instance": "tensorflow_gan/python/features/normalization.py",
            "conditional-batch": "tensorflow_gan/examples/self_attention_estimator/ops.py",
            "sagan": "tensorflow_gan/examples/self_attention_estimator/discriminator.py",
        },
    ),
)
