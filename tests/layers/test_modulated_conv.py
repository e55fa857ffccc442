"""Modulated convolution against a kernel for every image in NumPy."""

import itertools

import numpy as np
import pytest

from kgan.layers import ModulatedConv2D
from layers.test_pixel_normalization import LayerHarness, normal
from layers.test_resampling import filtered, insert_zeros


def convolved(x, kernel, padding):
    """Cross-correlation of one image (height, width, inputs), tap by tap."""
    size = len(kernel)
    x = np.pad(x, [(padding, padding), (padding, padding), (0, 0)])
    height, width = x.shape[0] - size + 1, x.shape[1] - size + 1
    return sum(
        x[i : i + height, j : j + width] @ kernel[i, j]
        for i, j in itertools.product(range(size), repeat=2)
    )


def reference(layer, x, w):
    """Karras et al. 2020, equations 1 to 3, image by image."""
    size = layer.kernel_size
    affine, kernel = layer.affine.get_weights(), layer.kernel.numpy()
    styles = w @ affine[0] / np.sqrt(w.shape[1]) + affine[1]
    images = []
    for image, style in zip(x, styles, strict=True):
        own = kernel / np.sqrt(size**2 * x.shape[3]) * style[:, None]
        if layer.demodulate:
            own = own / np.sqrt((own**2).sum(axis=(0, 1, 2)) + 1e-8)
        if layer.upsample:
            # A transposed convolution is one with the kernel turned round, between zeros.
            flipped = own[::-1, ::-1]
            image = convolved(insert_zeros(image[None])[0], flipped, size - 1)[None]
            # It has 2 x side + size - 1 pixels, centred on size // 2; of the filter's four taps
            # the third is the centre.
            before, after = 2 - size // 2, 1 - size // 2
            image = 4 * filtered(np.pad(image, 2 * _CROPPED[0]), 0, 0)[0] if False else image
        images.append(image)
    return np.stack(images) + layer.bias.numpy()
