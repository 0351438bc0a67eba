"""What `make demo` draws are digits: a classifier of the real ones says so."""

from pathlib import Path

import pytest

from saddlepoint.recipe import load
from saddlepoint.run import Run
from saddlepoint.streams import Streams
from saddlepoint.training import loop
from tests.digits_classifier import accuracy, class_shares, confident_share, everything, not_digits, trained_classifier


@pytest.mark.slow
def test_the_default_recipe_draws_digits_of_every_class(tmp_path: Path) -> None:
    recipe = load("r1")
    source = recipe.data.open()
    classifier = trained_classifier(source)
    held_out, _ = everything(source, "held-out")
    assert accuracy(classifier, source) >= 0.97
    assert confident_share(classifier, held_out) >= 0.9
    assert confident_share(classifier, not_digits(held_out, Streams(99))) <= 0.25

    run = Run(loop.train(recipe, tmp_path / "run"))
    samples = run.sample(1000, seed=1)
    share, shares = confident_share(classifier, samples), class_shares(classifier, samples)
    print(f"{share:.3f} of 1,000 samples above .9; class shares {[round(value, 3) for value in shares.tolist()]}")
    assert share >= 0.6
    assert float(shares.min()) >= 0.02
