"""Plain loops: the same networks, batch and optimizer as one would write them in a script of one's own."""

import itertools
import math
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

LATENT = 128
WIDTH = 64
BATCH = 64
SMALL_WIDTH = 32


class DCGANGenerator(nn.Module):
    """32 px, one channel."""

    def __init__(self) -> None:
        super().__init__()
        w = WIDTH
        self.main = nn.Sequential(
            nn.ConvTranspose2d(LATENT, 4 * w, 4, 1, 0, bias=False),
            nn.BatchNorm2d(4 * w),
            nn.ReLU(True),
            nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * w),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False),
            nn.BatchNorm2d(w),
            nn.ReLU(True),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
            nn.Tanh(),
        )
        self.apply(initialise)

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.main(latents[:, :, None, None])
        return images


class DCGANDiscriminator(nn.Module):
    """32 px, one channel; `norm` is a function of the channels and the resolution."""

    def __init__(self, norm: Callable[[int, int], nn.Module] | None) -> None:
        super().__init__()
        w = WIDTH
        layers: list[nn.Module] = [nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2)]
        for channels, size in ((2 * w, 8), (4 * w, 4)):
            layers.append(nn.Conv2d(channels // 2, channels, 4, 2, 1, bias=norm is None))
            if norm is not None:
                layers.append(norm(channels, size))
            layers.append(nn.LeakyReLU(0.2))
        self.main = nn.Sequential(*layers, nn.Conv2d(4 * w, 1, 4, 1, 0))
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.main(image).flatten()
        return scores


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def batches(images: Tensor) -> Iterator[Tensor]:
    """Batches for ever, from a tensor that is already on hand and normalised."""
    loader = DataLoader(TensorDataset(images), batch_size=BATCH, shuffle=True, drop_last=True)
    return (batch[0] for _ in itertools.count() for batch in loader)


class DCGAN:
    """Vanilla DCGAN, one discriminator step an update."""

    def __init__(self, images: Tensor) -> None:
        self.generator = DCGANGenerator()
        self.discriminator = DCGANDiscriminator(lambda channels, _: nn.BatchNorm2d(channels))
        self.batches = batches(images)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.loss = nn.BCEWithLogitsLoss()
        self.ones, self.zeros = torch.ones(BATCH), torch.zeros(BATCH)

    def update(self) -> None:
        real = next(self.batches)
        fake = self.generator(torch.randn(BATCH, LATENT))
        self.optimizer_d.zero_grad()
        loss_d = self.loss(self.discriminator(real), self.ones) + self.loss(self.discriminator(fake.detach()), self.zeros)
        loss_d.backward()
        self.optimizer_d.step()

        self.optimizer_g.zero_grad()
        loss_g = self.loss(self.discriminator(self.generator(torch.randn(BATCH, LATENT))), self.ones)
        loss_g.backward()
        self.optimizer_g.step()


class R1:
    """Vanilla DCGAN without a norm in D, and R1 (gamma 10) in each of its steps."""

    def __init__(self, images: Tensor) -> None:
        self.generator = DCGANGenerator()
        self.discriminator = DCGANDiscriminator(None)
        self.batches = batches(images)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def update(self) -> None:
        real = next(self.batches).requires_grad_()
        with torch.no_grad():
            fake = self.generator(torch.randn(BATCH, LATENT))
        self.optimizer_d.zero_grad()
        scores = self.discriminator(real)
        (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        penalty = 5 * gradient.square().flatten(1).sum(1).mean()
        loss_d = F.softplus(-scores).mean() + F.softplus(self.discriminator(fake)).mean() + penalty
        loss_d.backward()
        self.optimizer_d.step()

        self.optimizer_g.zero_grad()
        loss_g = F.softplus(-self.discriminator(self.generator(torch.randn(BATCH, LATENT)))).mean()
        loss_g.backward()
        self.optimizer_g.step()


class WGANGP:
    """WGAN-GP, five critic steps an update."""

    def __init__(self, images: Tensor) -> None:
        self.generator = DCGANGenerator()
        self.critic = DCGANDiscriminator(lambda channels, size: nn.LayerNorm([channels, size, size]))
        self.batches = batches(images)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=(0.5, 0.9))
        self.optimizer_d = torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.5, 0.9))

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        mix = torch.rand(len(real), 1, 1, 1)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
        return penalty

    def update(self) -> None:
        for _ in range(5):
            real = next(self.batches)
            with torch.no_grad():
                fake = self.generator(torch.randn(BATCH, LATENT))
            self.optimizer_d.zero_grad()
            loss_d = self.critic(fake).mean() - self.critic(real).mean() + 10 * self.penalty(real, fake)
            loss_d.backward()
            self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        loss_g = -self.critic(self.generator(torch.randn(BATCH, LATENT))).mean()
        loss_g.backward()
        self.optimizer_g.step()


class Points:
    """The WeGAN paper's game: 8 Gaussians, networks 2-32-32-2 and 2-32-32-1, the non-saturating loss."""

    def __init__(self, batch: int = BATCH) -> None:
        self.batch = batch
        self.generator = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
        angles = torch.arange(8) * torch.pi / 4
        self.means = 3 * torch.stack([angles.cos(), angles.sin()], 1)

    def update(self) -> None:
        real = self.means[torch.randint(8, (self.batch,))] + torch.randn(self.batch, 2)
        fake = self.generator(torch.randn(self.batch, 2))
        self.optimizer_d.zero_grad()
        self.loss_d(real, fake.detach()).backward()
        self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        self.loss_g(self.discriminator(self.generator(torch.randn(self.batch, 2)))).backward()
        self.optimizer_g.step()

    def loss_d(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean()

    def loss_g(self, scores: Tensor) -> Tensor:
        return F.softplus(-scores).mean()


class WeGAN(Points):
    """The same with the paper's saturating loss and its weights, eta = .01."""

    def loss_g(self, scores: Tensor) -> Tensor:
        judged = scores.detach().sigmoid().squeeze(1)
        weights = torch.softmax(-math.log(0.01) * judged, 0)
        return (weights * -F.softplus(scores.squeeze(1))).sum()


class PointsWGANGP(Points):
    """The Wasserstein losses with a gradient penalty, one critic step an update."""

    def loss_d(self, real: Tensor, fake: Tensor) -> Tensor:
        mix = torch.rand(len(real), 1)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        loss: Tensor = self.discriminator(fake).mean() - self.discriminator(real).mean() + 10 * penalty
        return loss

    def loss_g(self, scores: Tensor) -> Tensor:
        return -scores.mean()


class SmallDCGAN:
    """Digits at 16 px: two stages of width 32 and 64, batch norm in both, the non-saturating loss."""

    def __init__(self, images: Tensor) -> None:
        w = SMALL_WIDTH
        self.images = images
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(LATENT, 2 * w, 4, 1, 0, bias=False),
            nn.BatchNorm2d(2 * w),
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False),
            nn.BatchNorm2d(w),
            nn.ReLU(True),
            nn.ConvTranspose2d(w, 1, 4, 2, 1),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, w, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * w),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * w, 1, 4, 1, 0),
            nn.Flatten(0),
        )
        for network in (self.generator, self.discriminator):
            network.apply(initialise)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def update(self) -> None:
        real = self.images[torch.randint(len(self.images), (BATCH,))]
        fake = self.generator(torch.randn(BATCH, LATENT, 1, 1))
        self.optimizer_d.zero_grad()
        loss_d = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake.detach())).mean()
        loss_d.backward()
        self.optimizer_d.step()
        self.optimizer_g.zero_grad()
        F.softplus(-self.discriminator(self.generator(torch.randn(BATCH, LATENT, 1, 1)))).mean().backward()
        self.optimizer_g.step()


def digits() -> Tensor:
    """scikit-learn's digits, each pixel twice, in [-1, 1], `[1797, 1, 16, 16]`."""
    images: Tensor = torch.from_numpy(load_digits().images).float().div(8).sub(1)
    return images.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None]


def seconds(update: Callable[[], None], updates: int) -> float:
    """Of that many updates."""
    start = time.perf_counter()
    for _ in range(updates):
        update()
    return time.perf_counter() - start
