"""Methods with one slip each, as a stranger would write them, and the words that must name it."""

from string import Template

PENALTY = Template("""
import torch

def penalty(discriminator, real, fake):
    n = len(real)
    alpha = $alpha
    fake = $other
    x = ($mixed).detach().requires_grad_()
    scores = discriminator(x)
    (gradient,) = torch.autograd.grad($of, x, create_graph=$graph)
    norm = $norm
    return $value
""")

RIGHT_PENALTY = {
    "alpha": "torch.rand(n, 1, 1, 1)",
    "other": "fake",
    "mixed": "alpha * real + (1 - alpha) * fake",
    "of": "scores.sum()",
    "graph": "True",
    "norm": "gradient.flatten(1).norm(dim=1)",
    "value": "((norm - 1) ** 2).mean()",
}

# What is written in place of the right line, for a one-centred penalty between reals and fakes, and the slip it is.
PENALTY_SLIPS: dict[str, tuple[dict[str, str], str]] = {
    "whole batch": ({"norm": "gradient.norm()"}, "over the whole batch"),
    "channels only": ({"norm": "gradient.norm(2, dim=1)"}, "over channels only (dim=1)"),
    "last axis only": ({"norm": "gradient.norm(dim=-1)"}, "over the last axis only"),
    "no norm": ({"norm": "gradient"}, "there is no norm"),
    "alpha per pixel": ({"alpha": "torch.rand_like(real)"}, "alpha per pixel"),
    "alpha per channel": ({"alpha": "torch.rand(n, 3, 1, 1)"}, "alpha per channel"),
    "alpha of the batch": ({"alpha": "torch.rand(1)"}, "one alpha for the whole batch"),
    "alpha normal": ({"alpha": "3 * torch.randn(n, 1, 1, 1)"}, "alpha leaves [0, 1]"),
    "other pairs": ({"other": "fake.roll(1, 0)"}, "paired with other fakes"),
    "at the reals": ({"mixed": "real"}, "at the reals or the fakes"),
    "mean of the scores": ({"of": "scores.mean()"}, "mean instead of sum: the gradient is that of the mean score"),
    "mean of the pixels": (
        {"norm": "gradient.flatten(1).norm(dim=1) / gradient[0].numel() ** 0.5"},
        "mean instead of sum inside the norm",
    ),
    "sum of the batch": ({"value": "((norm - 1) ** 2).sum()"}, "sum over the batch instead of mean"),
    "one a sample": ({"value": "(norm - 1) ** 2"}, "one number a sample comes back"),
    "of the mean": ({"value": "(norm.mean() - 1) ** 2"}, "the square is of the batch's mean"),
    "no root": ({"norm": "gradient.flatten(1).square().sum(1)"}, "the root is missing"),
    "no square": ({"value": "(norm - 1).abs().mean()"}, "the square is missing"),
    "absolute values": ({"norm": "gradient.abs().flatten(1).sum(1)"}, "sum of absolute values"),
    "centre 0": ({"value": "(norm ** 2).mean()"}, "it is centred at 0"),
    "one-sided": ({"value": "((norm - 1).relu() ** 2).mean()"}, "only norms above the centre cost"),
    "no graph": ({"graph": "False"}, "create_graph=True is missing"),
    "root at zero": ({"norm": "gradient.flatten(1).square().sum(1).sqrt()"}, "the root has no derivative at 0"),
    "weight inside": ({"value": "10 * ((norm - 1) ** 2).mean()"}, "10 times what it should be"),
}

R1_SLIPS: dict[str, tuple[dict[str, str], str]] = {
    "at the fakes": ({"mixed": "fake", "value": "(norm ** 2).mean()"}, "it is taken at the fakes"),
    "between": ({"value": "(norm ** 2).mean()"}, "between reals and fakes"),
    "centre 1": ({"mixed": "real"}, "it is centred at 1"),
    "not squared": ({"mixed": "real", "value": "norm.mean()"}, "the norm is not squared"),
    "gamma inside": ({"mixed": "real", "value": "5 * (norm ** 2).mean()"}, "5 times what it should be"),
}


def penalty(**written: str) -> str:
    """A penalty with some lines written otherwise."""
    return PENALTY.substitute(RIGHT_PENALTY | written)


SDP = """
from saddlepoint.penalties.sdp import SDP

def constant(round, side):
    judged = round.judge(side)
    features = {{name: block.detach() for name, block in judged.features.items()}}
    round._judgements[side] = judged._replace(scores=judged.scores.detach(), features=features)
    return round

def penalty(round):
    return {value}
"""

SDP_SLIPS = {
    "unit": ("SDP(normalization='unit')(round)", "the features are a / |a|"),
    "raw": ("SDP(normalization='none')(round)", "the features are raw"),
    "mean over space": ("SDP(aggregator='mean')(round)", "the mean is taken over space"),
    "score alone": ("SDP(terms='score')(round)", "the score term stands alone"),
    "reals detached": ("SDP()(constant(round, 'real'))", "the reals' scores and features are constants"),
    "fakes detached": ("SDP()(constant(round, 'fake'))", "the fakes' scores and features are constants"),
    "summed": ("5 * SDP()(round)", "sum over the pairs instead of mean"),
}

OBJECTIVE = Template("""
import torch
import torch.nn.functional as F

class Mine:
    def discriminator(self, real, fake):
        return $real, $fake

    def generator(self, fake):
        return $generator
""")
RIGHT_OBJECTIVE = {"real": "F.softplus(-real)", "fake": "F.softplus(fake)", "generator": "F.softplus(-fake)"}

OBJECTIVE_SLIPS: dict[str, tuple[str, dict[str, str], str]] = {
    "sides swapped": ("vanilla", {"real": "F.softplus(real)", "fake": "F.softplus(-fake)"}, "the sides are swapped"),
    "generator flipped": ("vanilla", {"generator": "-F.softplus(-fake)"}, "the generator's sign is flipped"),
    "generator is the discriminator": ("vanilla", {"generator": "F.softplus(fake)"}, "it is the discriminator's loss of fakes"),
    "saturating": ("vanilla", {"generator": "-F.softplus(fake)"}, "the saturating form"),
    "averaged": ("vanilla", {"real": "F.softplus(-real).mean()", "fake": "F.softplus(fake).mean()"}, "averaged"),
    "sigmoid in the network": (
        "vanilla",
        {"real": "F.softplus(-real.sigmoid())", "fake": "F.softplus(fake.sigmoid())", "generator": "F.softplus(-fake.sigmoid())"},
        "a sigmoid is taken of the scores first",
    ),
    "read as probabilities": (
        "vanilla",
        {"real": "-real.log()", "fake": "-(1 - fake).log()", "generator": "-fake.log()"},
        "the scores are read as probabilities",
    ),
    "log of sigmoid": ("vanilla", {"real": "-real.sigmoid().log()"}, "the logarithm of a sigmoid that has rounded to 0"),
    "clamped": (
        "vanilla",
        {"real": "F.binary_cross_entropy(real.sigmoid(), torch.ones_like(real), reduction='none')"},
        "clamped at -100",
    ),
    "detached": ("vanilla", {"generator": "F.softplus(-fake.detach())"}, "a loss does not move with its scores"),
    "hinge without stop": ("hinge", {"real": "1 - real", "fake": "1 + fake", "generator": "-fake"}, "does not stop at 0"),
    "hinge without margin": (
        "hinge",
        {"real": "F.relu(-real)", "fake": "F.relu(fake)", "generator": "-fake"},
        "the margin of the hinge",
    ),
    "hinge for the generator": (
        "hinge",
        {"real": "F.relu(1 - real)", "fake": "F.relu(1 + fake)", "generator": "F.relu(1 - fake)"},
        "it is the discriminator's loss of reals",
    ),
    "squares without the half": (
        "lsgan",
        {"real": "(real - 1) ** 2", "fake": "fake ** 2", "generator": "(fake - 1) ** 2"},
        "2 times what it should be",
    ),
}


def objective(**written: str) -> str:
    """A vanilla objective with some losses written otherwise."""
    return OBJECTIVE.substitute(RIGHT_OBJECTIVE | written)


WEIGHTING = """
import math
import torch

ETA = 0.01

def weights(scores):
    judged = scores.detach().sigmoid()
    powers = ETA ** (1 - judged)
    return {value}
"""
RIGHT_WEIGHTING = "powers / powers.mean(-1, keepdim=True)"

WEIGHTING_SLIPS = {
    "sum 1": ("powers / powers.sum(-1, keepdim=True)", "the weights sum to 1"),
    "attached": ("(p := ETA ** (1 - scores.sigmoid())) / p.mean(-1, keepdim=True)", "the weights are attached"),
    "first axis": ("powers / powers.mean(0)", "over the wrong axis"),
    "all axes": ("powers / powers.mean()", "over all axes at once"),
    "direction": ("(p := ETA ** judged) / p.mean(-1, keepdim=True)", "the direction is wrong"),
    "maximum": ("powers / powers.amax(-1, keepdim=True)", "the largest weight is 1"),
    "no rate": ("(p := judged.exp()) / p.mean(-1, keepdim=True)", "the rate ln(1/eta)"),
    "no squash": ("(p := scores.detach().exp()) / p.mean(-1, keepdim=True)", "softmax of the raw score"),
    "by place": ("(powers / powers.mean(-1, keepdim=True)).sort(-1).values", "depends on its place"),
}

MEASURE = """
import numpy as np
import scipy.linalg
import torch

def measure(real, fake):
    x, y = real.double(), fake.double()
    n, m = len(x), len(y)
{body}
"""

FRECHET = """
    s, t = np.cov(x.T, ddof={ddof}), np.cov(y.T, ddof={ddof})
    root = {root}
    gap = float((x.mean(0) - y.mean(0)).square().sum())
    return {value}
"""
RIGHT_FRECHET = {"ddof": "1", "root": "scipy.linalg.sqrtm(s @ t).real", "value": "gap + np.trace(s + t - 2 * root)"}

KERNEL = """
    d = x.shape[1]
    k = lambda a, b: {kernel}
    xx, yy, xy = k(x, x), k(y, y), k(x, y)
    reals = (xx.sum() - {own} * xx.trace()) / (n * (n - {own}))
    fakes = (yy.sum() - {own} * yy.trace()) / (m * (m - {own}))
    return float(reals + fakes - {twice} * xy.mean())
"""
RIGHT_KERNEL = {"kernel": "(a @ b.T / d + 1) ** 3", "own": "1", "twice": "2"}

NEIGHBOURS = """
    k = {k}
    inner = lambda a: torch.cdist(a, a).sort(1).values[:, k]
    across = torch.cdist(x, y)
    precision = (across {closed} inner(x)[:, None]).any(0).double().mean()
    recall = (across {closed} inner(y)[None, :]).any(1).double().mean()
    return {value}
"""
RIGHT_NEIGHBOURS = {"k": "3", "closed": "<=", "value": "precision, recall"}

TRANSPORT = """
    from scipy.optimize import linear_sum_assignment
    cost = torch.cdist(x, y, p={norm}) ** {power}
    rows, columns = linear_sum_assignment(cost)
    return {value}
"""
RIGHT_TRANSPORT = {"norm": "2", "power": "1", "value": "float(cost[rows, columns].mean())"}

BODIES = {
    "frechet-distance": (FRECHET, RIGHT_FRECHET),
    "kernel-distance": (KERNEL, RIGHT_KERNEL),
    "precision-recall": (NEIGHBOURS, RIGHT_NEIGHBOURS),
    "wasserstein-distance": (TRANSPORT, RIGHT_TRANSPORT),
}

MEASURE_SLIPS: dict[str, tuple[str, dict[str, str], str]] = {
    "over n": ("frechet-distance", {"ddof": "0"}, "covariances are over n, not n - 1"),
    "root of the whole": (
        "frechet-distance",
        {"value": "(gap + np.trace(s + t - 2 * root)) ** 0.5"},
        "the square root of the whole",
    ),
    "root once": ("frechet-distance", {"value": "gap + np.trace(s + t - root)"}, "taken off once, not twice"),
    "root by entry": ("frechet-distance", {"root": "np.sqrt(np.abs(s @ t))"}, "entry by entry"),
    "no root": ("frechet-distance", {"root": "s @ t"}, "the root is missing from the product"),
    "gap not squared": (
        "frechet-distance",
        {"value": "gap ** 0.5 + np.trace(s + t - 2 * root)"},
        "the gap of the means is not squared",
    ),
    "means alone": ("frechet-distance", {"value": "gap"}, "the covariances are left out"),
    "with itself": ("kernel-distance", {"own": "0"}, "each sample is paired with itself"),
    "cross once": ("kernel-distance", {"twice": "1"}, "the cross term is taken off once"),
    "not over d": ("kernel-distance", {"kernel": "(a @ b.T + 1) ** 3"}, "x . y is not divided by d"),
    "degree 2": ("kernel-distance", {"kernel": "(a @ b.T / d + 1) ** 2"}, "the kernel is of degree 2"),
    "swapped": ("precision-recall", {"value": "recall, precision"}, "precision and recall are exchanged"),
    "own neighbour": ("precision-recall", {"k": "2"}, "a sample counts as its own neighbour"),
    "open balls": ("precision-recall", {"closed": "<"}, "balls are open"),
    "squared": ("wasserstein-distance", {"power": "2", "value": "float(cost[rows, columns].mean()) ** 0.5"}, "it is W_2, not W_1"),
    "taxicab": ("wasserstein-distance", {"norm": "1"}, "sums of absolute differences"),
    "summed": ("wasserstein-distance", {"value": "float(cost[rows, columns].sum())"}, "sum over the samples"),
    "all pairs": ("wasserstein-distance", {"value": "float(cost.mean())"}, "nothing is transported"),
    "in place": ("wasserstein-distance", {"value": "float(real.mul_(2).sum() * 0 + cost[rows, columns].mean())"}, "in place"),
    "global generator": (
        "wasserstein-distance",
        {"value": "float(cost[rows, columns].mean()) * (1 + 1e-9 * float(torch.rand(())))"},
        "it draws from the global generator",
    ),
}


def measure(name: str, **written: str) -> str:
    """A measure with some of its lines written otherwise."""
    body, right = BODIES[name]
    return MEASURE.format(body=body.format(**(right | written)))
