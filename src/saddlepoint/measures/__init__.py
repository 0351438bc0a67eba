"""What a generator learned, in numbers. Measures are pure: they know features, never a recipe."""

from saddlepoint.measures.birthday import arora_zhang_bound, birthday_estimate, effective_size
from saddlepoint.measures.class_conditional_frechet_distance import (
    ClassConditionalFrechetDistance,
    class_conditional_frechet_distance,
)
from saddlepoint.measures.class_modes import ClassModesCounted, class_modes
from saddlepoint.measures.classifier_accuracy_score import ClassifierAccuracyScore, classifier_accuracy_score
from saddlepoint.measures.classifier_score import ClassifierScore, classifier_score
from saddlepoint.measures.density_coverage import DensityAndCoverage, density_coverage, expected_coverage
from saddlepoint.measures.discriminator_overfitting import DiscriminatorOverfitting, overfitting_ratio
from saddlepoint.measures.frechet_distance import FrechetDistance, Moments, frechet_distance
from saddlepoint.measures.frechet_distance_infinity import FrechetDistanceInfinity, frechet_distance_infinity
from saddlepoint.measures.generalisation_gap import GeneralisationGap, frechet_gap, net_distance
from saddlepoint.measures.kernel_distance import KernelDistance, kernel_distance, kernel_distance_over_subsets
from saddlepoint.measures.lpips import Lpips, PerceptualDistance
from saddlepoint.measures.maximum_mean_discrepancy import (
    ExactMaximumMeanDiscrepancy,
    MaximumMeanDiscrepancy,
    exact_maximum_mean_discrepancy,
    maximum_mean_discrepancy,
    permutation_test,
)
from saddlepoint.measures.measure import Measure
from saddlepoint.measures.memorisation import Memorisation, mann_whitney
from saddlepoint.measures.modes import ModesCounted, modes
from saddlepoint.measures.ms_ssim import MsSsim, ms_ssim
from saddlepoint.measures.nearest_neighbour_accuracy import NearestNeighbourAccuracy, nearest_neighbour_accuracy
from saddlepoint.measures.perceptual_path_length import PerceptualPathLength, path_lengths, smoothness
from saddlepoint.measures.precision_recall import ImprovedPrecisionRecall, precision_recall
from saddlepoint.measures.pyramid_sliced_wasserstein import PyramidSlicedWasserstein, pyramid_sliced_wasserstein
from saddlepoint.measures.reconstruction import Reconstruction, reconstruction_errors
from saddlepoint.measures.sliced_wasserstein_distance import SlicedWassersteinDistance, sliced_wasserstein_distance
from saddlepoint.measures.support_size import SupportSize
from saddlepoint.measures.vendi_score import VendiScore, vendi_score
from saddlepoint.measures.wasserstein_distance import WassersteinDistance, wasserstein_distance

__all__ = [
    "MEASURES",
    "Moments",
    "PerceptualDistance",
    "arora_zhang_bound",
    "birthday_estimate",
    "class_conditional_frechet_distance",
    "class_modes",
    "classifier_accuracy_score",
    "classifier_score",
    "density_coverage",
    "effective_size",
    "exact_maximum_mean_discrepancy",
    "expected_coverage",
    "frechet_distance",
    "frechet_distance_infinity",
    "frechet_gap",
    "kernel_distance",
    "kernel_distance_over_subsets",
    "mann_whitney",
    "maximum_mean_discrepancy",
    "modes",
    "ms_ssim",
    "nearest_neighbour_accuracy",
    "net_distance",
    "overfitting_ratio",
    "path_lengths",
    "permutation_test",
    "precision_recall",
    "pyramid_sliced_wasserstein",
    "reconstruction_errors",
    "sliced_wasserstein_distance",
    "smoothness",
    "vendi_score",
    "wasserstein_distance",
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
    "wasserstein-distance": WassersteinDistance,
    "sliced-wasserstein-distance": SlicedWassersteinDistance,
    "pyramid-sliced-wasserstein": PyramidSlicedWasserstein,
    "modes": ModesCounted,
    "class-modes": ClassModesCounted,
    "classifier-accuracy-score": ClassifierAccuracyScore,
    "discriminator-overfitting": DiscriminatorOverfitting,
    "generalisation-gap": GeneralisationGap,
    "perceptual-path-length": PerceptualPathLength,
    "reconstruction": Reconstruction,
    "nearest-neighbour-accuracy": NearestNeighbourAccuracy,
    "support-size": SupportSize,
    "ms-ssim": MsSsim,
    "lpips": Lpips,
    "vendi-score": VendiScore,
}
