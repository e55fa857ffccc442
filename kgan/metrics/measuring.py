"""Several metrics at once, of images that need not be in memory."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from kgan.checks import one_of
from kgan.errors import KganError, short
from kgan.metrics.extractors import Extractor
from kgan.metrics.frechet import frechet_distance
from kgan.metrics.kernel import kernel_distance
from kgan.metrics.manifold import density_coverage, precision_recall
from kgan.metrics.sliced_wasserstein import SMALLEST, sliced_wasserstein

# Images that the sliced Wasserstein distance looks at: 2^13, as in Karras et al. 2018, section 5.
MOST_SLICED = 8192
# The fewer the images, the more of the Fréchet distance is bias.
FEWEST_FRECHET = 250
# Real and as many generated images; of k neighbours an image is none itself.
FEWEST = {
    "frechet_distance": FEWEST_FRECHET,
    "kernel_distance": 2,
    "precision_recall": 4,
    "density_coverage": 6,
}


class FeatureSet(NamedTuple):
    """What is kept of a set of images.

    Attributes:
        features: float32 array (images, features).
        images: uint8 array, the first `MOST_SLICED` images, or None.
        labels: int array (images,), or None.
    """

    features: np.ndarray
    images: np.ndarray | None = None
    labels: np.ndarray | None = None


def extract_features(
    batches: Iterable[np.ndarray],
    extractor: Extractor,
    keep_images: bool = False,
    labels: np.ndarray | None = None,
) -> FeatureSet:
    """Turns batches of images into features; the images themselves are let go.

    Args:
        batches: uint8 arrays (batch, height, width, channels).
        extractor: of the features.
        keep_images: whether the first images are kept, for `sliced_wasserstein`.
        labels: int array, one for every image in all batches, or None.
    """
    features, kept, left = [], [], MOST_SLICED
    for batch in batches:
        features.append(extractor.features(batch))
        if keep_images and left > 0:
            kept.append(batch[:left])
            left -= len(batch)
    images = np.concatenate(kept) if kept else None
    return FeatureSet(np.concatenate(features), images, labels)


def measure(
    real: FeatureSet, fake: FeatureSet, metrics: Sequence[str]
) -> dict[str, tuple[float, float | None]]:
    """Values of metrics by name, each with its standard deviation where it has one.

    Args:
        real, fake: by the same extractor.
        metrics: among `METRICS`; some have two or more values.

    Raises:
        KganError: if there is no such metric, or there are too few images for one.
    """
    check_metrics(metrics, min(len(real.features), len(fake.features)))
    values = {}
    for name in metrics:
        values.update(METRICS[name](real, fake))
    return values


def check_metrics(
    metrics: Sequence[str], images: int | None = None, image_shape: tuple | None = None
) -> None:
    """Raises KganError unless all are names of metrics, and can be taken of such images.

    Args:
        metrics: names.
        images: int, real or generated ones, whichever are fewer; None if it is not known yet.
        image_shape: (height, width, channels) of each, or None.
    """
    names = metrics if isinstance(metrics, Collection) and not isinstance(metrics, str) else ()
    for name in names or [metrics]:
        if not (names and one_of(*METRICS).fits(name)):
            raise KganError(
                f"Expected metrics among {', '.join(METRICS)}, in a list. Received: {short(name)}"
            )
    for name in metrics:
        if too_few(name, images):
            fewer = "; the kernel_distance takes fewer" if FEWEST[name] > 2 else ""
            raise KganError(
                f"Expected at least {FEWEST[name]} real and as many generated images for the "
                f"{name}{fewer}. Received: {images}"
            )
        if misshapen(name, image_shape):
            raise KganError(
                f"Expected square images for the {name}, of {SMALLEST} pixels or more. Received: "
                f"{image_shape[0]}x{image_shape[1]}"
            )


def too_few(metric: str, images: int | None) -> bool:
    """Whether a metric takes more real and generated images than so many."""
    return images is not None and images < FEWEST.get(metric, 1)


def misshapen(metric: str, image_shape: tuple | None) -> bool:
    """Whether a metric takes no images of that shape."""
    if metric != "sliced_wasserstein" or image_shape is None:
        return False
    height, width, _ = image_shape
    return height != width or height < SMALLEST


def _frechet(real, fake):
    return {"frechet_distance": (frechet_distance(real.features, fake.features), None)}


def _kernel(real, fake):
    # Of few images halves, since subsets of all would be the same.
    size = max(2, min(1000, len(real.features) // 2, len(fake.features) // 2))
    return {"kernel_distance": kernel_distance(real.features, fake.features, subset_size=size)}


def _precision_recall(real, fake):
    precision, recall = precision_recall(real.features, fake.features)
    return {"precision": (precision, None), "recall": (recall, None)}


def _density_coverage(real, fake):
    density, coverage = density_coverage(real.features, fake.features)
    return {"density": (density, None), "coverage": (coverage, None)}


def _sliced_wasserstein(real, fake):
    number = min(len(real.images), len(fake.images))
    distances = sliced_wasserstein(real.images[:number], fake.images[:number])
    return {f"sliced_wasserstein_{side}": (value, None) for side, value in distances.items()}


METRICS = {
    "frechet_distance": _frechet,
    "kernel_distance": _kernel,
    "precision_recall": _precision_recall,
    "density_coverage": _density_coverage,
    "sliced_wasserstein": _sliced_wasserstein,
}
