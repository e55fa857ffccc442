"""The sliced Wasserstein distance between patches of images, at every scale.

Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation"
(arXiv:1710.10196), section 5. It needs no network.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kgan.checks import as_array, whole
from kgan.errors import KganError
from kgan.metrics.inputs import SEED, check_images

SMALLEST = 14  # pixels: 16, the smallest side in the paper, or 14 of images of side 28, 56, 112
_PATCH = 7  # pixels
_PATCHES_PER_IMAGE = 128
_MOST_PATCHES = 2**18  # of each set and level: at most 310 MB in RGB
_BLOCK = 256  # images
_DIRECTIONS = 8  # at a time

# Burt & Adelson 1983, "The Laplacian Pyramid as a Compact Image Code", with a = 3/8.
_KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0


def sliced_wasserstein(
    real_images, fake_images, projections: int = 512, seed: int = 0
) -> dict[int, float]:
    """How differently two sets of images look, patch by patch, at every scale.

    Section 5 of Karras et al. 2018 (arXiv:1710.10196). From each level of the Laplacian pyramid
    of each image it takes patches of 7x7 pixels at random places, normalises every channel of
    them to mean 0 and deviation 1 over the whole set, projects them on random directions, and
    averages the one-dimensional Wasserstein distances. The finest level shows sharpness and noise,
    the coarsest large structures. It sees neither brightness and contrast, which the
    normalisation takes away, nor how patches are put together.

    Args:
        real_images: uint8 array (images, side, side, channels).
        fake_images: uint8 array of the same shape.
        projections: random directions at each level.
        seed: int, of the places of patches and the directions. Places are drawn by an image's
            place in its array, the same in both sets: another order gives other patches, unless
            both sets are reordered alike.

    Returns:
        The distance by the side of the level, the finest first: 64, 32 and 16 pixels for images
        of side 64; 28 and 14 for those of 28. The paper prints it times 1,000. 128 patches an
        image, as in the paper, but of more than 2,048 images fewer, so that there are at most
        2^18; distances of the same number of images compare.

    Raises:
        KganError: if the arrays are not uint8 images of one square shape and of equal number, or
            smaller than 14 pixels.

    Example:

    >>> kgan.metrics.sliced_wasserstein(real_images, fake_images)
    {28: 0.0121, 14: 0.0093}
    """
    real_images, fake_images = _as_images(real_images, "real"), _as_images(fake_images, "fake")
    if real_images.shape != fake_images.shape:
        raise KganError(
            "Expected as many fake images as real ones, of the same shape. "
            f"Received: real {real_images.shape}, fake {fake_images.shape}"
        )
    check_images(1, "of each kind", real=len(real_images), fake=len(fake_images))
    whole(1).check("projections", projections)
    SEED.check("seed", seed)
    sides = [real_images.shape[1]]
    while sides[-1] % 2 == 0 and sides[-1] // 2 >= SMALLEST:
        sides.append(sides[-1] // 2)
    generator = np.random.RandomState(seed)  # of a stream that NumPy has promised not to change
    distances = {}
    for level, side in enumerate(sides):
        patches = min(_PATCHES_PER_IMAGE, max(1, _MOST_PATCHES // len(real_images)))
        places = generator.randint(side - _PATCH + 1, size=(2, len(real_images), patches))
        real, fake = (
            _patches(images, level, len(sides), places) for images in (real_images, fake_images)
        )
        directions = generator.normal(size=(projections, real.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        distances[side] = float(
            np.mean(
                [
                    wasserstein(block @ real.T, block @ fake.T)
                    for block in np.split(directions, range(_DIRECTIONS, projections, _DIRECTIONS))
                ]
            )
        )
    return distances


def wasserstein(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Earth mover's distance in one dimension, between two samples of one size.

    In one dimension the cheapest transport keeps the order: Rabin et al. 2011, "Wasserstein
    Barycenter and Its Application to Texture Mixing", section 2.

    Args:
        real: array (..., numbers).
        fake: array of the same shape.

    Returns:
        Array (...).
    """
    return np.abs(np.sort(real, axis=-1) - np.sort(fake, axis=-1)).mean(axis=-1)


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """What each halving of the size takes away, and at last what is left.

    Args:
        images: float64 array (images, height, width, channels), of sides that can be halved
            `levels - 1` times.
        levels: how many images to make of each.

    Returns:
        `levels` arrays (images, height / 2^i, width / 2^i, channels).
    """
    pyramid = [images]
    for _ in range(levels - 1):
        smaller = _blur(pyramid[-1])[:, ::2, ::2]
        pyramid[-1] = pyramid[-1] - _enlarge(smaller)
        pyramid.append(smaller)
    return pyramid


def _enlarge(images):
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels))
    spread[:, ::2, ::2] = 4.0 * images  # of four pixels three stay empty
    return _blur(spread)


def _blur(images):
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (2, 2)
        padded = np.pad(images, padding, mode="reflect")
        images = sliding_window_view(padded, len(_KERNEL), axis) @ _KERNEL
    return images


def _patches(images, level, levels, places):
    """Normalised patches of one level of the pyramid; (patches, channels * 7 * 7)."""
    rows, columns = places  # each (images, patches per image)
    patches = np.empty((*rows.shape, images.shape[-1], _PATCH, _PATCH))
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        pyramid = laplacian_pyramid(images[block].astype(np.float64), levels)
        # (images, rows, columns, channels, 7, 7), a view
        windows = sliding_window_view(pyramid[level], (_PATCH, _PATCH), axis=(1, 2))
        image = np.arange(len(windows))[:, None]
        patches[block] = windows[image, rows[block], columns[block]]
    for channel in range(images.shape[-1]):  # one at a time, for memory's sake
        values = patches[:, :, channel]
        values -= values.mean()
        values /= values.std() or 1.0  # images of a single color have no patches to tell apart
    return patches.reshape(-1, images.shape[-1] * _PATCH**2)


def _as_images(images, name):
    expected = f"uint8 images of shape (images, side, side, channels), the side {SMALLEST} or more"
    images = as_array(name, images, expected)
    square = images.ndim == 4 and images.shape[1] == images.shape[2] >= SMALLEST
    if images.dtype != np.uint8 or not square:
        raise KganError(
            f"Expected {name} to be {expected}. Received: shape {images.shape}, dtype "
            f"{images.dtype}"
        )
    return images
