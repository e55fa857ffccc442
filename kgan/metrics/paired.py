"""How near pictures are to the true ones, pair by pair. They need no network."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kgan.checks import Below0, as_array, check_range
from kgan.errors import KganError

_LEVELS = 255.0
_WINDOW = 11  # pixels
_DEVIATION = 1.5  # pixels
_OF_MEANS, _OF_DEVIATIONS = (0.01 * _LEVELS) ** 2, (0.03 * _LEVELS) ** 2  # C1 and C2
_BLOCK = 64  # images

_GAUSSIAN = np.exp(-0.5 * ((np.arange(_WINDOW) - _WINDOW // 2) / _DEVIATION) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()


def mean_absolute_error(real_images, fake_images) -> float:
    """How far values are from the true ones, on average, in levels: 0 to 255.

    Args:
        real_images: array (images, height, width, channels), uint8 or floats in [-1, 1].
        fake_images: array of the same shape, uint8 or floats in [-1, 1]; the i-th is to be the
            i-th of `real_images`.

    Raises:
        KganError: if the arrays are no such images or of different shapes.

    Example:

    >>> mean_absolute_error(targets, model.translate(images))
    9.31
    """
    return _mean(each_absolute_error, *_as_images(real_images, fake_images))


def psnr(real_images, fake_images) -> float:
    """The peak signal-to-noise ratio in decibels: 10 log10 of 255² / mean squared error.

    Args:
        real_images, fake_images: see `mean_absolute_error`.

    Returns:
        The mean over images, which is infinite if one of them is exactly the true one.

    Raises:
        KganError: see `mean_absolute_error`.

    Example:

    >>> psnr(targets, model.translate(images))
    18.2
    """
    return _mean(each_psnr, *_as_images(real_images, fake_images))


def ssim(real_images, fake_images) -> float:
    """How alike structures are: 1 for the same images, about 0 for unlike ones.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity",
    equation 13 and section III.C: means, deviations and covariance within a Gaussian window of
    11x11 pixels and a deviation of 1.5, K1 = 0.01, K2 = 0.03. Color by color, as
    `tf.image.ssim` has it, and only of windows that lie in the image.

    Args:
        real_images, fake_images: see `mean_absolute_error`; sides of 11 pixels or more.

    Returns:
        The mean over images.

    Raises:
        KganError: see `mean_absolute_error`; if the images are smaller than the window.

    Example:

    >>> ssim(targets, model.translate(images))
    0.83
    """
    real, fake = _as_images(real_images, fake_images)
    if min(real.shape[1:3]) < _WINDOW:
        raise KganError(
            f"Expected images of sides of at least {_WINDOW} pixels, the window of SSIM. Received: "
            f"{real.shape[1]}x{real.shape[2]}"
        )
    return _mean(each_ssim, real, fake)


def bounded_psnr(real_images, fake_images) -> float:
    """The PSNR as published figures have it: finite, for a mean of others to tell something.

    An image that is exactly the true one counts as if one value of it were a level off.
    """

    def each(real, fake):
        return np.minimum(each_psnr(real, fake), 10.0 * np.log10(_LEVELS**2 * real[0].size))

    return _mean(each, *_as_images(real_images, fake_images))


def each_absolute_error(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Of float64 images in levels, the mean absolute error of each: (images,)."""
    return np.abs(real - fake).mean(axis=(1, 2, 3))


def each_psnr(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Of float64 images in levels, the PSNR of each: (images,)."""
    squared = np.square(real - fake).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(_LEVELS**2 / squared)


def each_ssim(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Of float64 images in levels, the SSIM of each: (images,)."""
    mean_x, mean_y = _smooth(real), _smooth(fake)
    means = mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    covariance = _smooth(real * fake) - means
    variances = _smooth(real**2 + fake**2) - squares
    similarity = (2.0 * means + _OF_MEANS) * (2.0 * covariance + _OF_DEVIATIONS)
    similarity /= (squares + _OF_MEANS) * (variances + _OF_DEVIATIONS)
    return similarity.mean(axis=(1, 2, 3))


def in_levels(images: np.ndarray) -> np.ndarray:
    """Images, uint8 or floats in [-1, 1], as float64 from 0 to 255."""
    if images.dtype == np.uint8:
        return images.astype(np.float64)
    return (images.astype(np.float64) + 1.0) * (_LEVELS / 2.0)


def _smooth(images):
    for axis in (1, 2):
        images = sliding_window_view(images, _WINDOW, axis) @ _GAUSSIAN
    return images


def _mean(each, real, fake) -> float:
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(real), _BLOCK))
    values = [each(in_levels(real[block]), in_levels(fake[block])) for block in blocks]
    return float(np.concatenate(values).mean())


def _as_images(real, fake):
    real, fake = (
        _checked(images, name) for images, name in ((real, "real_images"), (fake, "fake_images"))
    )
    if real.shape != fake.shape:
        raise KganError(
            "Expected as many fake images as real ones, of the same shape. "
            f"Received: real {real.shape}, fake {fake.shape}"
        )
    return real, fake


def _checked(images, name):
    expected = "images (images, height, width, channels), uint8 or floats in [-1, 1]"
    images = as_array(name, images, expected)
    is_known = images.dtype == np.uint8 or images.dtype.kind == "f"
    if images.ndim != 4 or 0 in images.shape or not is_known:
        raise KganError(
            f"Expected {name} to be {expected}. Received: shape {images.shape}, dtype "
            f"{images.dtype}"
        )
    if images.dtype != np.uint8:
        check_range(images)
        below0 = Below0()
        below0.look(images)
        below0.decide()
    return images
