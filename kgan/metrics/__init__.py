"""How good generated images are: distances between two sets of images, or of their features.

Features are arrays of shape (images, features) that a network, an `extractor`, made of images;
which network decides what a metric sees. All functions take the real set first, compute in float64,
and need NumPy only; extractors are imported on first use, since they need TensorFlow.
"""

from kgan.metrics.frechet import Statistics, frechet_distance
from kgan.metrics.kernel import kernel_distance
from kgan.metrics.manifold import density_coverage, nearest_neighbours, precision_recall
from kgan.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = [
    "METRICS",
    "Extractor",
    "Statistics",
    "density_coverage",
    "extractor",
    "frechet_distance",
    "kernel_distance",
    "nearest_neighbours",
    "precision_recall",
    "sliced_wasserstein",
]


def __getattr__(name: str):
    if name in ("Extractor", "extractor"):
        from kgan.metrics import extractors

        return getattr(extractors, name)
    if name == "METRICS":
        from kgan.metrics.measuring import METRICS

        return METRICS
    raise AttributeError(f"module 'kgan.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
