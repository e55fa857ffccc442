"""Precision, recall, density and coverage: what lies in which neighbourhoods.

Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models"
(arXiv:1904.06991); Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative
Models" (arXiv:2002.09797). The manifold of a set is the union of a ball around each of its
images, as wide as the distance to its k-th nearest neighbour in the set.
"""

from collections.abc import Iterator

import numpy as np

from kgan.checks import whole
from kgan.metrics.inputs import as_pair, check_images

_BLOCK = 2**23  # numbers held at once: 64 MiB

# Squared distances come from scalar products, with errors of some 1e-15 of the squared norms.
# Two that differ by less than this share of the norms are a tie, and on the edge is inside.
_TIE = 1e-12


def precision_recall(real, fake, neighbours: int = 3) -> tuple[float, float]:
    """How many fakes look real, and how much of the real set the fakes reach.

    Precision is the share of fake images inside the manifold of the real ones, recall that of
    real images inside the manifold of the fakes: equations 1 to 3 of Kynkäänniemi et al. 2019
    (arXiv:1904.06991).

    Args:
        real: array (real images, features) of numbers.
        fake: array (fake images, features) of numbers.
        neighbours: k, of the radii.

    Returns:
        Precision and recall, in [0, 1]. The order of images does not matter.

    Raises:
        KganError: if an array does not have two axes or holds NaN or infinity, the numbers of
            features differ, or a set has no k-th neighbours.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 2_000, 16))
    >>> kgan.metrics.precision_recall(real, 0.5 * fake)      # sharp, but of little variety
    """
    real, fake = _as_pair(real, fake, neighbours)
    real_radii, fake_radii = _squared_radii(real, neighbours), _squared_radii(fake, neighbours)
    precise = np.zeros(len(fake), bool)
    recalled = np.zeros(len(real), bool)
    for rows, squared in _squared_distances(fake, real):
        precise[rows] = (squared <= real_radii).any(axis=1)
        recalled |= (squared <= fake_radii[rows, None]).any(axis=0)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real, fake, neighbours: int = 5) -> tuple[float, float]:
    """Precision and recall with less weight on outliers: only real images have balls.

    Density is in how many real balls a fake image lies, on average, divided by k; coverage is the
    share of real balls with a fake image in them: equations 3 and 4 of Naeem et al. 2020
    (arXiv:2002.09797).

    Args:
        real: array (real images, features) of numbers.
        fake: array (fake images, features) of numbers.
        neighbours: k, of the radii.

    Returns:
        Density, 0 or more, and coverage, in [0, 1]. For two samples of one distribution density
        is 1 on average; for the real images themselves it is 1 + 1/k, since a ball then holds its
        centre and, on its edge, its k-th neighbour. The order of images does not matter.

    Raises:
        KganError: if an array does not have two axes or holds NaN or infinity, the numbers of
            features differ, or a set has no k-th neighbours.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 2_000, 16))
    >>> kgan.metrics.density_coverage(real, 0.5 * fake)      # dense, but of little coverage
    """
    real, fake = _as_pair(real, fake, neighbours)
    real_radii = _squared_radii(real, neighbours)
    inside = 0
    covered = np.zeros(len(real), bool)
    for _, squared in _squared_distances(fake, real):
        in_ball = squared <= real_radii  # (fakes of the block, real images)
        inside += np.count_nonzero(in_ball)
        covered |= in_ball.any(axis=0)
    return float(inside / (neighbours * len(fake))), float(covered.mean())


def nearest_neighbours(features, reference, neighbours: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The images of a reference set that are most like each image: has a model memorised any?

    Args:
        features: array (images, features) of numbers, of generated images for instance.
        reference: array (reference images, features) of numbers, of training images for instance.
        neighbours: how many to find of each image.

    Returns:
        Euclidean distances, float64 array (images, neighbours), the nearest first, exactly 0 for
        a copy; and their indices in `reference`, int64 array (images, neighbours). An image that
        is in both sets is its own nearest neighbour.

    Raises:
        KganError: if an array does not have two axes or holds NaN or infinity, the numbers of
            features differ, or there are fewer reference images than neighbours.

    Example:

    >>> distances, indices = kgan.metrics.nearest_neighbours(fake, training)
    >>> most_like_a_training_image = distances[:, 0].argsort()[:8]
    """
    _check_neighbours(neighbours)
    names = ("features", "reference")
    features, reference = as_pair(features, reference, names)
    check_images(neighbours, f"for neighbours={neighbours}", reference=len(reference))
    distances = np.empty((len(features), neighbours))
    indices = np.empty((len(features), neighbours), np.int64)
    for rows, squared in _squared_distances(features, reference):
        nearest = np.argpartition(squared, neighbours - 1, axis=1)[:, :neighbours]
        exact = np.stack(  # from differences: 0 for a copy
            [np.linalg.norm(features[rows] - reference[column], axis=1) for column in nearest.T],
            axis=1,
        )
        order = np.argsort(exact, axis=1, kind="stable")
        distances[rows] = np.take_along_axis(exact, order, axis=1)
        indices[rows] = np.take_along_axis(nearest, order, axis=1)
    return distances, indices


def _as_pair(real, fake, neighbours):
    _check_neighbours(neighbours)
    real, fake = as_pair(real, fake)
    check_images(neighbours + 1, f"for neighbours={neighbours}", real=len(real), fake=len(fake))
    return real, fake


def _check_neighbours(neighbours):
    whole(1).check("neighbours", neighbours)


def _squared_radii(features, neighbours):
    """How far the k-th neighbour of each image in its own set is, squared; (images,)."""
    # The nearest of all is the image itself, or a copy of it.
    distances, _ = nearest_neighbours(features, features, neighbours + 1)
    return np.square(distances[:, -1])


def _squared_distances(points, centres) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances, less the rounding that could break a tie, in blocks of points.

    Yields:
        Which points, and their distances (points of the block, centres).
    """
    offset = centres.mean(axis=0)  # far from the origin the scalar products would lose digits
    points, centres = points - offset, centres - offset
    point_norms, centre_norms = ((1 - _TIE) * np.square(x).sum(axis=1) for x in (points, centres))
    size = max(1, _BLOCK // max(centres.shape))
    for start in range(0, len(points), size):
        rows = slice(start, min(start + size, len(points)))
        squared = points[rows] @ (-2 * centres.T)
        squared += point_norms[rows, None]
        squared += centre_norms
        yield rows, squared
