"""What every metric on features checks before it computes."""

import numpy as np

from kgan.checks import as_array, whole
from kgan.errors import KganError

SEED = whole(0, 2**32 - 1)  # of NumPy's generator whose stream never changes


def as_features(features, name: str) -> np.ndarray:
    """The features in float64.

    Args:
        features: array (images, features) of numbers.
        name: what to call it in an error.

    Returns:
        float64 array (images, features).

    Raises:
        KganError: if it has another number of axes, no features, or values that are not finite.
    """
    expected = "an array of numbers of shape (images, features)"
    features = as_array(name, features, expected)
    if features.ndim != 2 or not features.shape[1]:
        raise KganError(
            f"Expected {name} to be {expected}. Received: shape {features.shape}, dtype "
            f"{features.dtype}"
        )
    features = features.astype(np.float64, copy=False)
    bad = ~np.isfinite(features)
    if bad.any():
        image = int(bad.any(axis=1).argmax())
        raise KganError(
            f"Expected finite features. Received: {np.isnan(features).sum()} NaN and "
            f"{np.isinf(features).sum()} infinite values in {name}, the first in image {image}"
        )
    return features


def as_pair(real, fake, names: tuple[str, str] = ("real", "fake")):
    """Both sets of features in float64, comparable.

    Args:
        real: array (real images, features) of numbers.
        fake: array (fake images, features) of numbers.
        names: what to call them in an error.

    Returns:
        float64 arrays (real images, features), (fake images, features).

    Raises:
        KganError: as `as_features`, or if their numbers of features differ.
    """
    real, fake = as_features(real, names[0]), as_features(fake, names[1])
    check_same_features(real.shape[1], fake.shape[1], names)
    return real, fake


def check_same_features(real: int, fake: int, names: tuple[str, str] = ("real", "fake")) -> None:
    """Raises KganError if two sets have different numbers of features."""
    if real != fake:
        raise KganError(
            "Expected both sets to have the same features. "
            f"Received: {real} in {names[0]}, {fake} in {names[1]}"
        )


def check_images(needed: int, why: str, **images: int) -> None:
    """Raises KganError, with the reason, if a set has fewer images than needed."""
    for name, number in images.items():
        if number < needed:
            raise KganError(f"Expected at least {needed} images {why}. Received: {number} {name}")
