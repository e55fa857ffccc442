"""How good generated images are: distances between two sets of images, or of their features.

Features are arrays of shape (images, features) that some network made of images; which network
decides what a metric sees. All functions take the real set first, compute in float64, and need
NumPy only.
"""

from kgan.metrics.frechet import Statistics, frechet_distance
from kgan.metrics.kernel import kernel_distance
from kgan.metrics.manifold import density_coverage, nearest_neighbours, precision_recall
from kgan.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = [
    "Statistics",
    "density_coverage",
    "frechet_distance",
    "kernel_distance",
    "nearest_neighbours",
    "precision_recall",
    "sliced_wasserstein",
]
