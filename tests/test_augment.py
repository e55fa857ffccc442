"""DiffAugment against NumPy, and its gradients against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from kgan import augment
from kgan.augment import DiffAugment
from kgan.random import Draws

IMAGES = np.random.default_rng(0).uniform(-1, 1, (64, 16, 16, 3))


def test_color_moves_brightness_scales_saturation_then_contrast():
    result = DiffAugment("color")(tf.constant(IMAGES), draws=3)
    draws = Draws(3, 0, 64)
    brightness, saturation, contrast = (
        draws.uniform((1, 1, 1), low, high, "float64").numpy()
        for low, high in ((-0.5, 0.5), (0, 2), (0.5, 1.5))
    )
    expected = IMAGES + brightness
    gray = expected.mean(axis=3, keepdims=True)
    expected = gray + (expected - gray) * saturation
    mean = expected.mean(axis=(1, 2, 3), keepdims=True)
    expected = mean + (expected - mean) * contrast
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def test_color_leaves_gray_images_gray():
    gray = IMAGES[..., :1]
    assert DiffAugment("color")(tf.constant(gray), draws=0).shape == gray.shape


def test_translation_shifts_by_whole_pixels_up_to_an_eighth():
    result = DiffAugment("translation")(tf.constant(IMAGES), draws=1).numpy()
    shifts = set()
    for before, after in zip(IMAGES, result, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        matches = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if np.array_equal(padded[2 - dy : 18 - dy, 2 - dx : 18 - dx], after)
        ]
        assert len(matches) == 1
        shifts.update(matches)
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == {-2, -1, 0, 1, 2}


def test_cutout_blanks_one_square_of_half_the_side():
    result = DiffAugment("cutout")(tf.constant(IMAGES), draws=1).numpy()
    areas = []
    for before, after in zip(IMAGES, result, strict=True):
        cut = (after == 0).all(axis=-1)
        np.testing.assert_array_equal(after[~cut], before[~cut])
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        assert cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 4 <= len(rows) <= 8 and 4 <= len(columns) <= 8
        areas.append(cut.sum())
    assert max(areas) == 64 and min(areas) < 64  # whole squares, and some over the border


@pytest.mark.parametrize("transform", DiffAugment.TRANSFORMS)
def test_gradients_by_finite_differences(transform):
    layer = DiffAugment(transform)
    images = tf.constant(IMAGES[:2, :8, :8])
    weights = tf.constant(np.random.default_rng(1).normal(size=images.shape))

    def value(x):
        return tf.reduce_sum(weights * layer(x, draws=5) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(images)
        y = value(images)
    gradient = tape.gradient(y, images).numpy().ravel()
    step = 1e-6
    for index in range(0, gradient.size, 17):
        nudge = np.zeros(gradient.size)
        nudge[index] = step
        nudge = nudge.reshape(images.shape)
        difference = (value(images + nudge) - value(images - nudge)) / (2 * step)
        np.testing.assert_allclose(gradient[index], difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("transform", DiffAugment.TRANSFORMS)
def test_second_order_gradients_exist(transform):
    layer = DiffAugment(transform)
    images = tf.constant(IMAGES[:2])
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            value = tf.reduce_sum(layer(images, draws=5) ** 3)
        first = inner.gradient(value, images)
        norm = tf.reduce_sum(first**2)
    assert np.abs(outer.gradient(norm, images).numpy()).max() > 0


def test_strength_differs_between_images_and_steps():
    same = tf.ones((4, 8, 8, 3))
    results = DiffAugment("color")(same, draws=Draws(0, 1, 4)).numpy()
    assert len(np.unique(results[:, 0, 0, 0])) == 4
    later = DiffAugment("color")(same, draws=Draws(0, 2, 4)).numpy()
    assert not np.array_equal(later, results)


@pytest.mark.parametrize("transforms", [[], ["colour"], ["color", "color"]])
def test_wrong_transforms_are_named(transforms):
    with pytest.raises(ValueError, match="Expected distinct transforms.*Received"):
        DiffAugment(transforms)


def test_description_round_trip():
    layer = DiffAugment(["cutout", "color"])
    again = augment.get(augment.describe(layer))
    assert again.transforms == layer.transforms == ("color", "cutout")
    assert augment.get(None) is None
    with pytest.raises(ValueError, match="DiffAugment.*Received: 'ADA'"):
        augment.get("ADA")
