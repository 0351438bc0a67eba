"""Probes of gradient penalties: critics whose input gradient is known, and what each slip makes of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.penalties.gradient import Gradient
from saddlepoint.streams import Streams
from saddlepoint.verification.probe import Numbers, Probe, Slip, numbers

# All numbers differ, so that an axis taken for another one shows.
SHAPE = (3, 4, 2)
N = 6
STEP = 1e-4


class Maker:
    """A linear generator made by hand: `n` latents of 4 numbers, and `matrix` `[4, …]`."""

    def __init__(self, n: int, matrix: Tensor) -> None:
        self.latents = drawn("latents", n, 4)
        self.matrix = matrix.clone().requires_grad_()

    def __call__(self, latents: Tensor) -> Tensor:
        images: Tensor = torch.tensordot(latents, self.matrix, 1)
        return images


class Critic(nn.Module):
    """A critic made by hand, of `weight`; it keeps what it was shown. Where fakes come from is asked of its `maker`.

    Args:
        score: from the weight and images `[n, …]` to scores `[n]`.
        weight: its parameter.
        column: whether scores are `[n, 1]`, as some penalties want them.
    """

    def __init__(self, score: Callable[[Tensor, Tensor], Tensor], weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.score = score
        self.column = False
        self.maker: Maker | None = None
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image.detach().clone())
        scores = self.score(self.weight, image)
        return scores[:, None] if self.column else scores

    def matrix(self) -> Tensor:
        """Its weight as that of one layer: a row is what leads to a channel."""
        return self.weight.flatten(1)

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """Two blocks: one over space, one without."""
        seen = self.weight * image
        return {"first": seen, "second": seen.flatten(1)[:, :4]}


Ask = Callable[[Critic, Tensor, Tensor], Tensor]
Shape = tuple[int, ...]


def linear(weight: Tensor, image: Tensor) -> Tensor:
    """`<w, x>`: the gradient is w everywhere."""
    return (weight * image).flatten(1).sum(1)


def drawn(name: str, *shape: int) -> Tensor:
    """Generic numbers, the same each time, float64."""
    return Streams(0, dtype=torch.float64).normal(f"verification {name}", *shape)


def direction(shape: Shape) -> Tensor:
    """A fixed `w` of norm 1, no two entries alike."""
    weight = drawn("direction", *shape)
    unit: Tensor = weight / weight.norm()
    return unit


@dataclass(frozen=True)
class Slipped:
    """The penalty of gradients `[n, …]` of the summed scores, right and wrong."""

    centre: float
    one_sided: bool

    def excess(self, norms: Tensor) -> Tensor:
        return (norms - self.centre).relu() if self.one_sided and self.centre else norms - self.centre

    def value(self, norms: Tensor) -> float:
        return float(self.excess(norms).square().mean())

    def right(self, gradient: Tensor) -> float:
        return self.value(gradient.flatten(1).norm(dim=1))

    def wrong(self, gradient: Tensor) -> Iterator[tuple[str, Numbers]]:
        """Slip by slip, what it gives."""
        flat = gradient.flatten(1)
        norms, (n, d) = flat.norm(dim=1), flat.shape
        excess = self.excess(norms)
        yield "the norm is taken over the whole batch, not sample by sample", (self.value(gradient.norm()[None]),)
        if gradient.ndim > 2:
            channels, last = gradient.norm(dim=1).flatten(), gradient.norm(dim=-1).flatten()
            yield "the norm is taken over channels only (dim=1), not over all of a sample", (self.value(channels),)
            yield "the norm is taken over the last axis only, not over all of a sample", (self.value(last),)
        yield "there is no norm: each entry of the gradient is compared by itself", (self.value(flat.flatten()),)
        yield "mean instead of sum: the gradient is that of the mean score, and so n times too small", (self.value(norms / n),)
        yield "mean instead of sum inside the norm: it is divided by the number of pixels", (self.value(norms / d**0.5),)
        yield "the norm is the sum of absolute values, not the Euclidean one", (self.value(flat.abs().sum(1)),)
        yield "the square is of the batch's mean, not of each sample", (float(excess.mean().square()),)
        yield "sum over the batch instead of mean", (n * self.value(norms),)
        yield "the mean over the batch is missing: one number a sample comes back", numbers(excess.square())
        if self.centre:
            yield "the root is missing: the squared norm is compared with the centre", (self.value(norms.square()),)
            yield "the square is missing around the difference", (float(excess.abs().mean()),)
            yield "it is centred at 0", (float(norms.square().mean()),)
            other = Slipped(self.centre, not self.one_sided)
            sides = "norms below the centre cost too" if self.one_sided else "only norms above the centre cost (one-sided)"
            yield sides, (other.value(norms),)
        else:
            yield "the norm is not squared", (float(norms.mean()),)
            yield "it is centred at 1", (Slipped(1.0, False).value(norms),)

    def slips(self, gradient: Tensor) -> tuple[Slip, ...]:
        return tuple(Slip(what, gives) for what, gives in self.wrong(gradient))


def gradient_probes(ask: Ask, like: Gradient, shape: Shape = SHAPE) -> list[Probe]:
    """The probes of a gradient penalty with the centre, the place and the form of `like`."""
    formula = Slipped(like.centre, like.form == "one-sided")
    if like.at == "around":
        place = _around(ask, shape, normal="normal" in like.key)
    else:
        place = _segment(ask, shape) if like.at == "interpolates" else _place(ask, formula, like.at, shape)
    norms = [_of_norm(ask, formula, norm, shape) for norm in (1.0, 3.0, 0.5)]
    # Near the reals no critic's gradient is known sample by sample: the points are drawn.
    graded = [] if like.at == "around" else [_graded(ask, formula, shape)]
    return [*norms, *graded, place, _reaches(ask, formula, shape), _constant(ask, formula, shape)]


def _of_norm(ask: Ask, formula: Slipped, norm: float, shape: Shape) -> Probe:
    weight = norm * direction(shape)
    gradient = weight.expand(N, *shape)
    real, fake = drawn("real", N, *shape), drawn("fake", N, *shape)
    return Probe(
        f"gradient of norm {norm:g}",
        f"a linear critic whose input gradient has norm exactly {norm:g} everywhere; {N} images {list(shape)} a side",
        (formula.right(gradient),),
        lambda: numbers(ask(Critic(linear, weight), real, fake)),
        formula.slips(gradient),
        scales=True,
    )


def _graded(ask: Ask, formula: Slipped, shape: Shape) -> Probe:
    """`D(x) = x_0 <v, x>`, with `v_0 = 0` and `<v, x> = 0` on both sides: the gradient on segment i is `x_0[i] v`."""
    slopes = torch.tensor([0.25, 0.5, 1.0, 1.5, 2.0, 4.0], dtype=torch.float64)
    v = direction(shape).flatten()
    v[0] = 0
    v = v / v.norm()

    def side(name: str) -> Tensor:
        points = drawn(name, N, len(v))
        points -= (points @ v)[:, None] * v
        points[:, 0] = slopes
        return points.reshape(N, *shape)

    def score(weight: Tensor, image: Tensor) -> Tensor:
        flat = image.flatten(1)
        scores: Tensor = flat[:, 0] * (flat @ weight.flatten())
        return scores

    gradient = (slopes[:, None] * v).reshape(N, *shape)
    return Probe(
        "norms that differ by sample",
        f"a critic whose input gradient has the norms {', '.join(f'{slope:g}' for slope in slopes.tolist())} at the {N} samples",
        (formula.right(gradient),),
        lambda: numbers(ask(Critic(score, v.reshape(shape)), side("graded real"), side("graded fake"))),
        formula.slips(gradient),
        scales=True,
    )


def _place(ask: Ask, formula: Slipped, at: str, shape: Shape) -> Probe:
    """`D(x) = |x|^2 / 2` has the gradient x; the fakes are three times the reals."""
    points = drawn("place", N, *shape)
    sides = {"real": points, "fake": 3 * points}
    here, there = (formula.right(sides[side]) for side in ((at, "fake") if at == "real" else (at, "real")))
    low, high = sorted((here, there))

    def score(weight: Tensor, image: Tensor) -> Tensor:
        scores: Tensor = weight * image.flatten(1).square().sum(1) / 2
        return scores

    return Probe(
        "where it is taken",
        "a critic |x|^2 / 2, whose gradient is x, and fakes three times the reals",
        (here,),
        lambda: numbers(ask(Critic(score, torch.ones((), dtype=torch.float64)), points, 3 * points)),
        (
            Slip(f"it is taken at the {'fakes' if at == 'real' else 'reals'}", (there,)),
            Slip("it is taken between reals and fakes", lambda came: len(came) == 1 and low < came[0] < high),
            *formula.slips(sides[at]),
        ),
        scales=True,
    )


def _segment(ask: Ask, shape: Shape) -> Probe:
    n = 32
    real, fake = drawn("segment real", n, *shape), drawn("segment fake", n, *shape)

    def seen() -> Numbers:
        critic = Critic(linear, direction(shape))
        ask(critic, real, fake)
        shown = [image.double() for image in critic.seen if image.shape == real.shape]
        between = [image for image in shown if not torch.equal(image, real) and not torch.equal(image, fake)]
        return _alphas((between or shown or [torch.full_like(real, torch.nan)])[-1], real, fake)

    def slip(what: str, holds: Callable[[float, float, float, float, float], bool]) -> Slip:
        return Slip(what, lambda came: len(came) == 6 and holds(*came[:5]))

    return Probe(
        "one point between each real and its fake",
        f"{n} pairs; the images the critic is shown are written as alpha real + (1 - alpha) fake. The numbers: how far alpha "
        "varies inside a channel, inside a sample; how many alphas there are; how many are outside [0, 1]; how many are 0 or 1; "
        "how many quarters of [0, 1] hold one",
        (0.0, 0.0, float(n), 0.0, 0.0, 4.0),
        seen,
        (
            slip(
                "alpha per pixel: each pixel has its own, so the point is on no segment",
                lambda p, _c, _k, o, _e: p > 1e-3 and o < 3,
            ),
            slip("alpha per channel: each channel has its own", lambda p, c, _k, _o, _e: p < 1e-3 < c),
            slip("one alpha for the whole batch", lambda p, c, k, _o, e: max(p, c) < 1e-3 and k == 1 and e == 0),
            slip("it is taken at the reals or the fakes, not between them", lambda p, c, k, _o, e: k == 1 and e == n),
            slip("alpha leaves [0, 1]: draw it uniformly", lambda p, c, _k, o, _e: max(p, c) < 1e-3 and o > 0),
            Slip(
                "alpha keeps to a part of the segment: draw it uniformly from [0, 1]",
                lambda came: len(came) == 6 and max(came[:2]) < 1e-3 and came[2] > 1 and came[3] == 0 and came[5] < 4,
            ),
            slip("reals are paired with other fakes than their own", lambda p, _c, _k, o, _e: p > 1e-3 and o >= 3),
        ),
        tolerance=1e-4,
    )


def _around(ask: Ask, shape: Shape, *, normal: bool) -> Probe:
    """Half of the reals are a twentieth as far apart as the others, so that a deviation of each sample's own shows."""
    n = 512
    real = drawn("around", n, *shape)
    real[: n // 2] *= 0.05
    square = 1 / 3 if normal else 1 / 9  # the mean of (a u)^2

    def seen() -> Numbers:
        critic = Critic(linear, direction(shape))
        ask(critic, real, 5 + real)
        shown = [image.double() for image in critic.seen if image.shape == real.shape and not torch.equal(image, 5 + real)]
        moved = [image for image in shown if not torch.equal(image, real)] or [real]
        steps = ((moved[-1] - real) / (0.5 * real.std(correction=0))).flatten(1)
        near, far = (part.square().mean() / square for part in steps.split(n // 2))
        alike = (steps.amax(1) - steps.amin(1) < 1e-9).sum()
        return float(near), float(far), round(2 * float((steps < 0).double().mean())) / 2, float(alike)

    def slip(what: str, holds: Callable[[float, float, float, float], bool]) -> Slip:
        return Slip(what, lambda came: len(came) == 4 and holds(*came))

    both = "its noise has both signs: it is normal, not uniform" if not normal else "its noise is uniform, not normal"
    return Probe(
        "one point near each real",
        f"{n} reals, half of them near 0; the images the critic is shown are written as real + (s / 2) t, s the batch's deviation. "
        "The numbers: the mean of t^2 near 0 and elsewhere, as a multiple of what a u gives; the share of negative t, 0 or 0.5; "
        "how many samples have one t in all pixels",
        (1.0, 1.0, 0.5 if normal else 0.0, 0.0),
        seen,
        (
            slip("it is taken at the reals themselves", lambda near, far, sign, alike: near == far == 0),
            slip("it is taken between reals and fakes, or at the fakes", lambda near, far, sign, alike: near > 9),
            slip("the deviation is that of each sample, not of the batch", lambda near, far, sign, alike: 0 < near < 0.1 < far),
            slip("the noise is one number a sample, not one a pixel", lambda near, far, sign, alike: alike == n and near > 0),
            slip(both, lambda near, far, sign, alike: sign == (0.0 if normal else 0.5)),
            slip("the step a of each sample is missing", lambda near, far, sign, alike: 2.5 < near < 3.5 and alike == 0),
            slip("the half is missing", lambda near, far, sign, alike: 3.5 < near < 4.5 and alike == 0),
        ),
        tolerance=0.3,
    )


def _alphas(points: Tensor, real: Tensor, fake: Tensor) -> Numbers:
    """How alpha of `points = alpha real + (1 - alpha) fake` varies; read where the sides are far enough apart."""
    gap = real - fake
    alpha = torch.where(gap.abs() > 0.05, (points - fake) / gap, torch.nan)

    def spread(values: Tensor) -> float:
        known = values.isfinite()
        high, low = (torch.where(known, values, sign * torch.inf) for sign in (-1, 1))
        return float((high.amax(-1) - low.amin(-1)).amax())

    each = alpha.flatten(1).nanmedian(1).values
    outside = ((each < -1e-6) | (each > 1 + 1e-6)).sum()
    inside = alpha.flatten(1)
    stray = ((inside < -1e-3) | (inside > 1 + 1e-3)).any(1).sum() if spread(inside) > 1e-3 else outside
    ends = ((each.abs() < 1e-9) | ((each - 1).abs() < 1e-9)).sum()
    distinct = len({round(value, 6) for value in each.tolist()})
    channels = alpha.flatten(2) if alpha.ndim > 2 else alpha
    quarters = {int(4 * value) for value in each.tolist() if 0 <= value < 1}
    return spread(channels), spread(inside), float(distinct), float(stray), float(ends), float(len(quarters))


def _reaches(ask: Ask, formula: Slipped, shape: Shape) -> Probe:
    """Along the weight's own direction the derivative is that of the formula in the norm."""
    norm, unit = 3.0, direction(shape)
    real, fake = drawn("real", N, *shape), drawn("fake", N, *shape)

    def derivative() -> Numbers:
        critic = Critic(linear, norm * unit)
        value = ask(critic, real, fake)
        if not isinstance(value, Tensor) or not value.requires_grad:
            return (0.0,)
        (found,) = torch.autograd.grad(value.sum(), critic.weight, allow_unused=True, materialize_grads=True)
        return (float((found * unit).sum()),)

    ahead, behind = ((norm + step) * unit.expand(N, *shape) for step in (STEP, -STEP))
    by_slip = dict(formula.wrong(behind))
    slips = [Slip(what, ((sum(gives) - sum(by_slip[what])) / (2 * STEP),)) for what, gives in formula.wrong(ahead)]
    return Probe(
        "its gradient reaches the critic's weights",
        f"a linear critic of norm {norm:g}: the derivative of the penalty when the weight grows along itself",
        ((formula.right(ahead) - formula.right(behind)) / (2 * STEP),),
        derivative,
        (
            Slip("no gradient reaches the weights: create_graph=True is missing, or the gradient was detached", (0.0,)),
            *slips,
        ),
        tolerance=1e-5,
        scales=True,
    )


def _constant(ask: Ask, formula: Slipped, shape: Shape) -> Probe:
    real, fake = drawn("real", N, *shape), drawn("fake", N, *shape)

    def at_zero() -> Numbers:
        critic = Critic(linear, torch.zeros(shape, dtype=torch.float64))
        value = ask(critic, real, fake)
        if not value.requires_grad:
            return (*numbers(value), 0.0)
        (found,) = torch.autograd.grad(value.sum(), critic.weight, allow_unused=True, materialize_grads=True)
        return (*numbers(value), float(found.abs().amax()))

    zero = torch.zeros(N, *shape, dtype=torch.float64)
    right = formula.right(zero)
    known = [Slip(what, (*gives, 0.0)) for what, gives in formula.wrong(zero)]
    root = "the root has no derivative at 0: use torch.linalg.vector_norm, or a small number under the root"
    return Probe(
        "a critic that is constant",
        "a linear critic of weight 0: the penalty, and the largest entry of its gradient for the weights",
        (right, 0.0),
        at_zero,
        (Slip(root, lambda came: len(came) == 2 and came[1] != came[1]), *known),
        tolerance=1e-3,
    )
