"""How good generated images are: distances between two sets of images, or of their features.

Of pairs, `mean_absolute_error`, `psnr` and `ssim` say how near images are to the true ones.

Features are arrays of shape (images, features) that a network, an `extractor`, made of images;
which network decides what a metric sees. All functions take the real set first, but for
`nearest_neighbours`, which looks from generated images to real ones; they compute in float64, and
need NumPy only. Extractors are imported on first use, since they need TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from kgan.metrics.frechet import Statistics, frechet_distance
from kgan.metrics.kernel import kernel_distance
from kgan.metrics.manifold import density_coverage, nearest_neighbours, precision_recall
from kgan.metrics.paired import mean_absolute_error, psnr, ssim
from kgan.metrics.sliced_wasserstein import sliced_wasserstein

if TYPE_CHECKING:
    from kgan.metrics.extractors import Extractor, extractor
    from kgan.metrics.measuring import METRICS

__all__ = [
    "METRICS",
    "Extractor",
    "Statistics",
    "density_coverage",
    "extractor",
    "frechet_distance",
    "kernel_distance",
    "mean_absolute_error",
    "nearest_neighbours",
    "precision_recall",
    "psnr",
    "sliced_wasserstein",
    "ssim",
]

if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in ("Extractor", "extractor"):
            from kgan.metrics import extractors

            return getattr(extractors, name)
        if name == "METRICS":
            from kgan.metrics.measuring import METRICS

            return METRICS
        raise AttributeError(f"module 'kgan.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
