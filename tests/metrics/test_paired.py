"""Metrics of pairs of images: against TensorFlow's, and against the formulas written out."""

import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import KganError
from kgan.metrics import mean_absolute_error, psnr, ssim

METRICS = (mean_absolute_error, psnr, ssim)


def _pair(images=3, height=24, width=19, channels=3):
    """Gradients, and the same with noise of another strength in each image."""
    rng = np.random.RandomState(0)
    shape = (images, height, width, channels)
    real = np.add.outer(np.arange(height) * 6, np.arange(width) * 5)[None, :, :, None]
    real = real + rng.randint(0, 40, shape)
    noise = rng.normal(size=shape) * np.arange(5, 5 + 10 * images, 10)[:, None, None, None]
    return tuple(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (real, real + noise))


def _ssim(x, y):
    """Of one window of 11x11 pixels in one channel, as equations 13 to 16 say."""
    i = np.arange(-5, 6)
    weights = np.exp(-np.add.outer(i**2, i**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    variance_x, variance_y = ((weights * (z - m) ** 2).sum() for z, m in ((x, mean_x), (y, mean_y)))
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return above / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


@pytest.mark.parametrize("channels", [1, 3])
def test_they_equal_tensorflow(channels):
    # Which computes in float32.
    real, fake = _pair(70, 16, 16, channels)  # more than a block
    assert psnr(real, fake) == pytest.approx(np.mean(tf.image.psnr(real, fake, 255)), rel=1e-5)
    assert ssim(real, fake) == pytest.approx(np.mean(tf.image.ssim(real, fake, 255)), rel=1e-5)


def test_they_equal_the_formulas():
    real, fake = _pair()
    x, y = real.astype(float), fake.astype(float)
    windows = [
        _ssim(x[i, top : top + 11, left : left + 11, c], y[i, top : top + 11, left : left + 11, c])
        for i, top, left, c in np.ndindex(3, 14, 9, 3)
    ]
    assert ssim(real, fake) == pytest.approx(np.mean(windows), rel=1e-10)
    ratios = [10 * np.log10(255**2 / np.mean((a - b) ** 2)) for a, b in zip(x, y, strict=True)]
    assert psnr(real, fake) == pytest.approx(np.mean(ratios), rel=1e-12)
    assert mean_absolute_error(real, fake) == pytest.approx(np.mean(np.abs(x - y)), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_floats_are_taken_as_levels(metric):
    real, fake = _pair()
    scaled = fake / 127.5 - 1
    assert metric(real, scaled) == pytest.approx(metric(real, fake), rel=1e-9)
    assert metric(real / 127.5 - 1, fake) == pytest.approx(metric(real, fake), rel=1e-9)


def test_the_same_images_and_opposite_ones():
    real, _ = _pair()
    assert [metric(real, real) for metric in METRICS] == [0, np.inf, pytest.approx(1)]
    black, white = np.zeros_like(real), np.full_like(real, 255)
    assert [metric(black, white) for metric in METRICS] == [255, 0, pytest.approx(0, abs=1e-3)]


def test_they_are_symmetric_and_the_order_of_pairs_does_not_matter():
    real, fake = _pair(5)
    for metric in METRICS:
        assert metric(fake, real) == pytest.approx(metric(real, fake), rel=1e-12)
        assert metric(real[::-1], fake[::-1]) == pytest.approx(metric(real, fake), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_other_images_are_refused(metric):
    real, fake = _pair()
    for wrong in (fake[:2], fake[..., :1], fake[:, :20], fake.astype(int), fake / 255):
        with pytest.raises(KganError, match="Expected .* Received: "):
            metric(real, wrong)


def test_ssim_wants_a_window():
    with pytest.raises(KganError, match="at least 11 pixels.*Received: 10x19"):
        ssim(*(images[:, :10] for images in _pair()))
