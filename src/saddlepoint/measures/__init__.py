"""What a generator learned, in numbers. Measures are pure: they know features, never a recipe."""

from saddlepoint.measures.class_conditional_frechet_distance import (
    ClassConditionalFrechetDistance,
    class_conditional_frechet_distance,
)
from saddlepoint.measures.classifier_score import ClassifierScore, classifier_score
from saddlepoint.measures.density_coverage import DensityAndCoverage, density_coverage, expected_coverage
from saddlepoint.measures.frechet_distance import FrechetDistance, Moments, frechet_distance
from saddlepoint.measures.frechet_distance_infinity import FrechetDistanceInfinity, frechet_distance_infinity
from saddlepoint.measures.kernel_distance import KernelDistance, kernel_distance, kernel_distance_over_subsets
from saddlepoint.measures.maximum_mean_discrepancy import (
    ExactMaximumMeanDiscrepancy,
    MaximumMeanDiscrepancy,
    exact_maximum_mean_discrepancy,
    maximum_mean_discrepancy,
    permutation_test,
)
from saddlepoint.measures.measure import Measure
from saddlepoint.measures.memorisation import Memorisation
from saddlepoint.measures.precision_recall import ImprovedPrecisionRecall, precision_recall

__all__ = [
    "MEASURES",
    "Moments",
    "class_conditional_frechet_distance",
    "classifier_score",
    "density_coverage",
    "exact_maximum_mean_discrepancy",
    "expected_coverage",
    "frechet_distance",
    "frechet_distance_infinity",
    "kernel_distance",
    "kernel_distance_over_subsets",
    "maximum_mean_discrepancy",
    "permutation_test",
    "precision_recall",
]

MEASURES: dict[str, type[Measure]] = {
    "frechet-distance": FrechetDistance,
    "class-conditional-frechet-distance": ClassConditionalFrechetDistance,
    "frechet-distance-infinity": FrechetDistanceInfinity,
    "kernel-distance": KernelDistance,
    "classifier-score": ClassifierScore,
    "maximum-mean-discrepancy": MaximumMeanDiscrepancy,
    "exact-maximum-mean-discrepancy": ExactMaximumMeanDiscrepancy,
    "precision-recall": ImprovedPrecisionRecall,
    "density-coverage": DensityAndCoverage,
    "memorisation": Memorisation,
}
