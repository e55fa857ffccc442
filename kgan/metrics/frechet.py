"""The Fréchet distance, and the statistics that it needs of a set of images.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium" (arXiv:1706.08500), equation 6; FID where the features are those of Inception.
"""

import warnings

import numpy as np

from kgan.errors import KganError, KganWarning
from kgan.metrics.inputs import as_features, check_images, check_same_features

_BLOCK = 1024  # images


class Statistics:
    """Mean and covariance of features that arrive in batches and are not kept.

    Blocks of 1,024 images are merged as in Chan et al. 1979, "Updating Formulae and a Pairwise
    Algorithm for Computing Sample Variances": from their own means, so that a common offset
    costs no digits. Batches are cut or joined into these blocks first; the result is therefore
    the same to the last digit whatever the sizes of the batches.

    Example:

    >>> statistics = kgan.metrics.Statistics()
    >>> for features in batches:                       # each (images, features)
    ...     statistics.update(features)
    >>> statistics.count, statistics.mean.shape, statistics.covariance.shape
    (50000, (2048,), (2048, 2048))
    """

    def __init__(self):
        # Of whole blocks: how many images, their mean, and the sum of (x - mean)(x - mean)ᵀ.
        self._merged = (0, 0.0, 0.0)
        self._rest = None  # (fewer than a block, features)

    @property
    def count(self) -> int:
        """How many images were given."""
        return self._merged[0] + (0 if self._rest is None else len(self._rest))

    @property
    def mean(self) -> np.ndarray:
        """float64 array (features,).

        Raises:
            KganError: if no image was given.
        """
        check_images(1, "for a mean", given=self.count)
        return _merge(self._merged, self._rest)[1]

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased: divided by images - 1; float64 array (features, features).

        Raises:
            KganError: if fewer than two images were given.
        """
        check_images(2, "for a covariance", given=self.count)
        return _merge(self._merged, self._rest)[2] / (self.count - 1)

    def update(self, features) -> None:
        """Adds a batch.

        Args:
            features: array (images, features) of numbers; any number of images.

        Raises:
            KganError: if it is no such array, holds NaN or infinity, or has another number of
                features than the batches before.
        """
        features = as_features(features, "features")
        if self._rest is None:
            self._rest = features[:0]
        if features.shape[1] != self._rest.shape[1]:
            raise KganError(
                f"Expected batches of {self._rest.shape[1]} features, as before. "
                f"Received: {features.shape[1]}"
            )
        features = np.concatenate([self._rest, features])
        whole = len(features) - len(features) % _BLOCK
        for start in range(0, whole, _BLOCK):
            self._merged = _merge(self._merged, features[start : start + _BLOCK])
        self._rest = features[whole:].copy()  # a view would keep the whole batch


def _merge(merged, block):
    """The statistics (count, mean, scatter) of a set and a block together."""
    if not len(block):
        return merged
    count, mean, scatter = merged
    block_mean = block.mean(axis=0)
    centred = block - block_mean
    total = count + len(block)
    shift = block_mean - mean
    return (
        total,
        mean + shift * (len(block) / total),
        scatter + centred.T @ centred + np.outer(shift, shift) * (count * len(block) / total),
    )


def frechet_distance(real, fake) -> float:
    """How far apart two sets of images are, each taken for a Gaussian in feature space.

    |μ - μ'|² + Tr(Σ + Σ' - 2 (Σ Σ')^½): Heusel et al. 2017 (arXiv:1706.08500), equation 6, a
    squared distance. It is biased upwards, the more so the fewer the images: only distances of
    the same numbers of images compare.

    Args:
        real: array (real images, features) of numbers, or the `Statistics` of one.
        fake: array (fake images, features) of numbers, or the `Statistics` of one.

    Returns:
        The distance, 0 or more, in squared units of the features. Another order of the images
        moves it by rounding only.

    Raises:
        KganError: if an array does not have two axes or holds NaN or infinity, the numbers of
            features differ, or a set has fewer than two images.

    Warns:
        KganWarning: if a set has no more images than features, so that its covariance is singular
            by its size alone. The distance is then still that of the two covariances.

    Example:

    >>> real, fake = np.random.default_rng(0).normal(size=(2, 10_000, 8))
    >>> kgan.metrics.frechet_distance(real, fake + 1)      # 8, and a little for the bias
    """
    real, fake = _statistics(real, "real"), _statistics(fake, "fake")
    check_images(2, "for a covariance", real=real.count, fake=fake.count)
    features = len(real.mean)
    check_same_features(features, len(fake.mean))
    for name, images in {"real": real.count, "fake": fake.count}.items():
        if images <= features:
            warnings.warn(
                "Expected more images than features, or the covariance is singular and the "
                f"Fréchet distance biased. Received: {images} {name} images of {features} features",
                KganWarning,
                stacklevel=2,
            )
    difference = real.mean - fake.mean
    covariances = (real.covariance, fake.covariance)
    # With Σ = A Aᵀ and Σ' = B Bᵀ, the eigenvalues of the symmetric product Σ^½ Σ' Σ^½ are the
    # squared singular values of Aᵀ B. To take these, not the eigenvalues, saves half the digits
    # where a covariance is singular: there, the root of a rounding error is no longer small.
    real_factor, fake_factor = (_factor(covariance) for covariance in covariances)
    trace_of_root = np.linalg.svd(real_factor.T @ fake_factor, compute_uv=False).sum()
    traces = sum(np.trace(covariance) for covariance in covariances)
    # Rounding may take the distance of a set to itself below 0.
    return max(float(difference @ difference + traces - 2 * trace_of_root), 0.0)


def _statistics(features, name) -> Statistics:
    if isinstance(features, Statistics):
        return features
    statistics = Statistics()
    statistics.update(as_features(features, name))
    return statistics


def _factor(covariance):
    """A with A Aᵀ = covariance; (features, rank)."""
    values, vectors = np.linalg.eigh(covariance)
    # Below this an eigenvalue is rounding, of either sign.
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])
