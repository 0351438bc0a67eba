"""Measuring the networks of a run: their samples and scores as evidence, and the measures taken while it trains."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.data.source import Source
from saddlepoint.errors import InputError
from saddlepoint.evaluation.card import Value
from saddlepoint.evaluation.defaults import default_extractor, default_measures
from saddlepoint.evaluation.engine import Evaluation, Reference, evaluate, refer, see_fakes
from saddlepoint.evaluation.naming import qualified
from saddlepoint.evaluation.reals import Pictures, as_bytes, reals_of_source
from saddlepoint.evaluation.request import refuse_early, what_is_there
from saddlepoint.evaluation.subject import Judge, Subject
from saddlepoint.evaluation.watching import Once, Unwatched, Watch
from saddlepoint.extractors.extractor import FeatureExtractor
from saddlepoint.measures.evidence import Sample
from saddlepoint.measures.measure import Measure
from saddlepoint.networks.network import Discriminator, Generator
from saddlepoint.processes import ALONE, Processes
from saddlepoint.recipe import Recipe
from saddlepoint.streams import ROWS, Streams
from saddlepoint.training.assembly import DTYPES, build_networks, choose_device, latents_of
from saddlepoint.training.samples import generate, sample_blocks
from saddlepoint.training.session import Session

MOST_WHILE_TRAINING = 1000
Weights = Literal["average", "raw"]


class Drawing:
    """A run's generator for an evaluation. Latent i depends on (seed, i) only, as `saddlepoint sample` draws it."""

    def __init__(self, recipe: Recipe, generator: Generator, seed: int) -> None:
        self._generator = generator
        self._latents = latents_of(recipe)
        self._streams = Streams(seed, device=choose_device(recipe.device), dtype=DTYPES[recipe.precision])

    @property
    def latent(self) -> int:
        return self._latents.size

    @property
    def latent_distribution(self) -> str:
        return "uniform" if self._latents.uniform else "normal"

    def latents(self, start: int, stop: int) -> Tensor:
        return self._latents.rows(self._streams, start, stop)

    def generate(self, latents: Tensor) -> Tensor:
        return generate(self._generator, latents.to(self._streams.device, self._streams.dtype))

    def samples(self, n: int, watch: Watch, first: int = 0) -> Pictures:
        """Samples `first` to `n - 1`, as bytes."""
        watch.stage(f"drawing {n - first} samples", n - first)
        blocks = []
        for start in range(first, n, ROWS):
            drawn = sample_blocks(self._generator, self._latents, self._streams, start, min(n, start + ROWS))
            blocks += [as_bytes(_finite(block)) for block in drawn]
            watch.advanced(min(ROWS, n - start))
        return Pictures(torch.cat(blocks))


def _finite(samples: Tensor) -> Tensor:
    if not bool(torch.isfinite(samples).all()):
        raise InputError(["the generator's samples are not finite; choose a checkpoint from before it diverged"])
    return samples


@dataclass(frozen=True)
class Networks:
    """The networks of a run as who is judged, in eval mode.

    Args:
        generator: gives its samples.
        discriminator: called when a measure asks for scores.
        checkpoint: the rule that chose it.
        weights: what the generator's are.
        provenance: run and update.
    """

    recipe: Recipe
    shape: tuple[int, ...]
    generator: Generator
    discriminator: Callable[[], Discriminator]
    checkpoint: str
    weights: Weights
    provenance: Mapping[str, Any]
    name: str = "the run"
    count: int | None = None
    # Its samples have no labels.
    offers: frozenset[str] = frozenset({"train", "held-out", "scores", "generator"})

    def subject(self, n: int, seed: int, uses: frozenset[str], watch: Watch, first: int = 0) -> Subject:
        """Samples `first` to n - 1 of a seed, with the discriminator where scores are used."""
        drawing = Drawing(self.recipe, self.generator, seed)
        return Subject(
            fakes=drawing.samples(n, watch, first),
            protocol={"weights": self.weights, "batch_norm": batch_norm_of(self.recipe), "checkpoint": self.checkpoint},
            provenance=self.provenance,
            drawing=drawing,
            judge=self._judge(self.discriminator()) if "scores" in uses else None,
            boundary=self.recipe.objective.boundary,
        )

    def _judge(self, discriminator: Discriminator) -> Judge:
        return lambda images: scores_of(discriminator, images, self.recipe)


@torch.no_grad()
def scores_of(discriminator: Discriminator, images: Tensor, recipe: Recipe) -> Tensor:
    """Scores `[n]` in eval mode; the discriminator's mode is put back.

    One that looks at the batch judges as many at a time as in training, the last of them filled up with the first ones.
    """
    training, n = discriminator.training, len(images)
    images = images.to(choose_device(recipe.device), DTYPES[recipe.precision])
    discriminator.eval()
    try:
        if recipe.networks.minibatch is None:
            scores: Tensor = discriminator(images)
            return scores
        rows = torch.arange(-(-n // recipe.schedule.batch) * recipe.schedule.batch) % n
        return torch.cat([discriminator(images[part]) for part in rows.split(recipe.schedule.batch)])[:n]
    finally:
        discriminator.train(training)


def batch_norm_of(recipe: Recipe) -> str:
    """What batch norm's statistics are when a recipe's generator is sampled, as cards say it."""
    batches = recipe.average.standing_batches
    return "running statistics" if batches is None else f"standing statistics of {batches} batches"


def weights_kept(recipe: Recipe, wanted: Weights) -> Weights:
    """What weights there are: a recipe that keeps no average has the raw ones only."""
    return "average" if wanted == "average" and recipe.averaged else "raw"


@dataclass(frozen=True)
class Best:
    """The best value of a quantity so far, and where it was."""

    quantity: str
    value: float
    update: int

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> "Best | None":
        """As a checkpoint's state holds it."""
        return None if stored is None else cls(str(stored["quantity"]), float(stored["value"]), int(stored["update"]))


class Measuring:
    """The measures of a recipe while it trains: fixed latents against held-out data, in streams of their own.

    Nothing of it is in a checkpoint but the best value: what it draws is a function of the recipe's seed, and the networks are left
    as they were.

    Raises:
        InputError: a measure cannot be taken on this data, or the held-out split is smaller than `n`.
    """

    def __init__(self, recipe: Recipe, source: Source, watch: Watch | None = None, processes: Processes = ALONE) -> None:
        section, points = recipe.measures, len(source.shape) == 1
        self._recipe, self._shape, self.best_by = recipe, source.shape, section.best
        record = section.extractor or default_extractor(source.name, points)[0]
        self._extractor: FeatureExtractor = record.open()
        there = what_is_there(Networks.offers, source, self._extractor)
        self.measures: tuple[Measure, ...] = section.names or default_measures(points, there)
        held_out = source.held_out_size
        self._n: int = section.n or (MOST_WHILE_TRAINING if held_out is None else min(MOST_WHILE_TRAINING, held_out))
        refuse_early(self.measures, there, self._n, bool(section.names))
        if section.best is not None:
            higher_is_better(section.best, self.measures)
        self._uses = frozenset(use for measure in self.measures for use in measure.uses)
        self._watch = watch = Once(watch or Unwatched())
        self._reference: Reference | None = None
        if processes.first:
            reals = reals_of_source(source, self._n, split="held-out", seed=recipe.seed, uses=self._uses, floor=False, watch=watch)
            self._reference = refer(reals, self._extractor, watch, self.measures)

    def at(self, session: Session) -> list[Evaluation]:
        """The measures of the session's networks as they are; of many replicas one each, empty for one that diverged.

        Several processes draw and see a share of the samples each; what comes of them the first one computes, and gets alone.
        """
        if session.frozen is None:
            return [self._of(session, session.sampled, lambda: session.game.discriminator)]
        stacked = (session.sampled, session.game.discriminator)
        lone = build_networks(self._recipe.part(0, 1), self._shape, session.device)
        ended = session.frozen.ended
        return [Evaluation(()) if row in ended else self._of(session, *_one(stacked, lone, row)) for row in range(session.replicas)]

    def _of(self, session: Session, generator: Generator, discriminator: Callable[[], Discriminator]) -> Evaluation:
        networks = Networks(
            recipe=self._recipe,
            shape=self._shape,
            generator=generator,
            discriminator=discriminator,
            checkpoint=f"every {self._recipe.measures.every} updates",
            weights=weights_kept(self._recipe, "average"),
            provenance={"seed": self._recipe.seed, "update": session.trainer.updates},
        )
        seed, processes = self._recipe.seed, session.streams.processes
        first, stop = share_of(self._n, processes)
        # Who has no share draws a block all the same, and gives none of it: its features have a shape to be told.
        drawn = (stop, first) if first < stop else (min(ROWS, self._n), 0)
        subject = networks.subject(drawn[0], seed, self._uses, self._watch, drawn[1])
        own = see_fakes(self._extractor, subject.fakes, self._watch).rows(slice(0, stop - first))
        seen = seen_together(own, processes)
        if self._reference is None:
            return Evaluation(())
        asked = (replace(subject, fakes=Pictures(seen.images)), self._reference, self.measures, self._extractor)
        return evaluate(*asked, seed=seed, named=False, floors=False, watch=self._watch, seen=seen)

    def better(self, best: Best | None, evaluation: Evaluation, update: int) -> Best | None:
        """The best of what there was and this; a value that is not better, or no number, changes nothing."""
        if self.best_by is None:
            return best
        mean = next((value.mean for value in evaluation.values if value.name == self.best_by), float("nan"))
        sign = 1 if higher_is_better(self.best_by, self.measures) else -1
        if not math.isfinite(mean) or (best is not None and not sign * mean > sign * best.value):
            return best
        return Best(self.best_by, mean, update)


def share_of(n: int, processes: Processes) -> tuple[int, int]:
    """The first of a process's samples and the one after its last: whole blocks, so that no bit depends on who draws.

    >>> [share_of(200, Processes(rank, 3)) for rank in range(3)]
    [(0, 64), (64, 128), (128, 200)]
    """
    blocks = -(-n // ROWS)
    first, stop = (rank * blocks // processes.world * ROWS for rank in (processes.rank, processes.rank + 1))
    return first, min(stop, n)


def seen_together(own: Sample, processes: Processes) -> Sample:
    """The samples that all processes saw, in the order of their shares."""
    if processes.world == 1:
        return own
    images, features = (torch.cat(processes.each(rows)) for rows in (own.images, own.features))
    return Sample(images, features, None if own.logits is None else torch.cat(processes.each(own.logits)))


def _one(
    stacked: tuple[Generator, Discriminator], lone: tuple[Generator, Discriminator], row: int
) -> tuple[Generator, Callable[[], Discriminator]]:
    """The lone networks with the weights and buffers of one replica."""
    for many, one in zip(stacked, lone, strict=True):
        rows = {name: tensor[row] for name, tensor in many.state_dict().items()}
        one.load_state_dict(rows)
        one.eval()
    return lone[0], lambda: lone[1]


def higher_is_better(name: str, measures: Iterable[Measure]) -> bool:
    """The direction of the quantity `name` among the measures'.

    Raises:
        InputError: there is none of that name, or neither of its directions is better.
    """
    quantities = {qualified(m, key): quantity for m in measures for key, quantity in m.quantities.items()}
    judged = {key: quantity.higher_is_better for key, quantity in quantities.items() if quantity.higher_is_better is not None}
    if name not in judged:
        why = "neither direction of it is better" if name in quantities else "is not among what is measured"
        raise InputError([f"measures.best: {name}: {why}; one of {', '.join(judged) or 'none'}"])
    return judged[name]


def told_together(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, Any]]:
    """Values as a line of the log holds them: of many replicas a list in place of a number."""
    if len(evaluations) == 1:
        return told(evaluations[0].values)
    by_replica = [told(evaluation.values) for evaluation in evaluations]
    names = dict.fromkeys(name for values in by_replica for name in values)
    together: dict[str, dict[str, Any]] = {}
    for name in names:
        found = [values.get(name) for values in by_replica]
        first = next(value for value in found if value is not None)
        lists = {key: [math.nan if value is None else value[key] for value in found] for key in ("mean", "error")}
        together[name] = {**first, **lists}
    return together


def told(values: Iterable[Value]) -> dict[str, dict[str, Any]]:
    """Values as a line of the log holds them, by name."""
    directions = {True: "higher", False: "lower", None: None}
    return {
        value.name: {
            "title": value.title,
            "mean": value.mean,
            "error": value.error,
            "n": value.n,
            "better": directions[value.higher_is_better],
        }
        for value in values
    }
