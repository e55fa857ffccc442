"""Augmentation against NumPy, and its gradients against finite differences."""

import json
import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan import augment
from kgan.augment import AdaptiveAugment, DiffAugment
from kgan.errors import KganError
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
    with pytest.raises(ValueError) as raised:
        DiffAugment(transforms)
    assert str(raised.value) == (
        f"Expected distinct transforms among {DiffAugment.TRANSFORMS}. Received: {transforms!r}"
    )


def test_config_round_trip():
    layer = DiffAugment(["cutout", "color"])
    again = augment.get(augment.to_config(layer))
    assert again.transforms == layer.transforms == ("color", "cutout")
    assert augment.get(None) is None
    with pytest.raises(ValueError, match="AdaptiveAugment.*DiffAugment.*Received: 'ADA'"):
        augment.get("ADA")
    with pytest.raises(ValueError, match="Expected an augmentation .*DiffAugment.*Received: 5$"):
        augment.get(5)


@pytest.mark.parametrize("sigma", [0.3, 2.0, 100.0])
def test_gaussian_blur(sigma):
    images = IMAGES[:2, :, :12]
    expected = images
    for axis in (1, 2):
        distance = np.subtract.outer(*[np.arange(images.shape[axis])] * 2)
        weights = np.exp(-(distance**2) / (2 * sigma**2))
        weights /= weights.sum(axis=1, keepdims=True)
        expected = np.moveaxis(np.tensordot(weights, expected, (1, axis)), 0, axis)
    blurred = augment.gaussian_blur(tf.constant(images), sigma)
    np.testing.assert_allclose(blurred, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_blur_of_nothing_changes_no_bit(dtype):
    images = tf.cast(IMAGES[:2], dtype)
    result = augment.gaussian_blur(images, 0.0)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, images)


@pytest.mark.parametrize("strength", [0.0, 0.2])
def test_a_strength_that_is_held_does_not_move(strength):
    layer = AdaptiveAugment(strength=strength, ramp_images=1e15, interval=1)
    for _ in range(10):
        layer.adapt(1.0, 2**40)
    assert layer.is_held and layer.strength.numpy() == np.float32(strength)


# AdaptiveAugment: each transform alone, at strength 1, given the parameters that were drawn.


def alone(transforms, images=IMAGES, seed=3, strength=1.0):
    """The parameters of one call as NumPy arrays (batch, 1 or 2), and its result."""
    layer = AdaptiveAugment(transforms, strength=strength)
    height, width = images.shape[1:3]
    drawn = layer._parameters(Draws(seed, 0, len(images)), height, width, images.dtype.name)
    result = layer(tf.constant(images), draws=seed).numpy()
    return {name: value.numpy() for name, value in drawn.items()}, result


def resample(line, scale, shift):
    """A line (side, ...) about its middle, pixel by pixel, from a long run of mirror images."""
    side = len(line)
    run = np.concatenate([line[:: 1 - 2 * (k % 2)] for k in range(-4, 5)])  # begins at -4 * side
    positions = np.arange(-4 * side, 5 * side)
    reach = max(1.0, 1.0 / scale)
    result = []
    for pixel in range(side):
        source = (pixel - (side - 1) / 2 - shift) / scale + (side - 1) / 2
        weights = np.clip(1 - np.abs(positions - source) / reach, 0, None)
        result.append(np.tensordot(weights / weights.sum(), run, 1))
    return np.array(result)


def geometry(image, scale, aspect, shift):
    rows = resample(image, scale / aspect, shift[0])
    return resample(rows.swapaxes(0, 1), scale * aspect, shift[1]).swapaxes(0, 1)


def test_adaptive_translation_mirrors_at_the_border():
    drawn, result = alone("translation")
    for before, after, (dy, dx) in zip(
        IMAGES, result, drawn["translation"].astype(int), strict=True
    ):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), "symmetric")
        np.testing.assert_array_equal(padded[2 - dy : 18 - dy, 2 - dx : 18 - dx], after)
    assert {*drawn["translation"].ravel()} == {-2, -1, 0, 1, 2}


def test_adaptive_flip():
    drawn, result = alone("flip")
    flipped = drawn["flip"][:, 0] == 1
    assert 16 < flipped.sum() < 48
    np.testing.assert_array_equal(result[flipped], IMAGES[flipped, :, ::-1])
    np.testing.assert_array_equal(result[~flipped], IMAGES[~flipped])


def test_adaptive_rotate_90():
    drawn, result = alone("rotate_90")
    assert {*drawn["rotate_90"].ravel()} == {0, 1, 2, 3}
    for before, after, turns in zip(IMAGES, result, drawn["rotate_90"][:, 0], strict=True):
        np.testing.assert_array_equal(np.rot90(before, int(turns)), after)
    drawn, result = alone(["rotate_90", "flip"])
    for index, after in enumerate(result):
        turned = np.rot90(IMAGES[index], int(drawn["rotate_90"][index, 0]))
        np.testing.assert_array_equal(turned[:, :: 1 - 2 * int(drawn["flip"][index, 0])], after)
    with pytest.raises(ValueError, match="square.*Received: shape"):
        alone("rotate_90", IMAGES[:, :8])


@pytest.mark.parametrize("shape", [(16, 16), (11, 16)])
@pytest.mark.parametrize("transform", ["scale", "aspect", "fractional_translation"])
def test_adaptive_resampling(transform, shape):
    images = IMAGES[:, : shape[0], : shape[1]]
    drawn, result = alone(transform, images)
    for index, after in enumerate(result):
        scale, aspect = drawn["scale"][index, 0], drawn["aspect"][index, 0]
        shift = drawn["fractional_translation"][index] * shape
        expected = geometry(images[index], scale, aspect, shift)
        np.testing.assert_allclose(after, expected, rtol=0, atol=1e-12)


def test_adaptive_resampling_of_ramps_puts_them_in_place():
    middle = np.arange(32) - 15.5
    ramps = np.broadcast_to(np.stack(np.meshgrid(middle, middle), -1)[None], (64, 32, 32, 2))
    ramps = np.concatenate([ramps, ramps[..., :1]], -1)  # x, y, x
    drawn, result = alone(["scale", "aspect", "fractional_translation"], ramps)
    scale, aspect = drawn["scale"][:, 0], drawn["aspect"][:, 0]
    checked = 0
    for axis, (channel, scales) in enumerate([(1, scale / aspect), (0, scale * aspect)]):
        shift = 32 * drawn["fractional_translation"][:, axis]
        expected = (middle - shift[:, None]) / scales[:, None]  # (batch, 32)
        reach = np.maximum(1, 1 / scales)[:, None]
        inside = np.abs(expected) < 15.5 - reach
        lines = result[..., channel].mean(2 - axis)
        larger = inside & (scales >= 1)[:, None]
        np.testing.assert_allclose(lines[larger], expected[larger], rtol=0, atol=1e-12)
        # A triangle wider than a pixel has its mean a little beside its middle.
        np.testing.assert_allclose(lines[inside], expected[inside], rtol=0, atol=0.1)
        checked += larger.sum()
    assert checked > 32 * 32


def test_adaptive_geometry_is_one_resampling():
    drawn, result = alone(AdaptiveAugment.GEOMETRIC)
    for index, after in enumerate(result):
        scale, aspect = drawn["scale"][index, 0], drawn["aspect"][index, 0]
        shift = drawn["translation"][index] * [scale / aspect, scale * aspect]
        shift += 16 * drawn["fractional_translation"][index]
        turned = np.rot90(IMAGES[index], int(drawn["rotate_90"][index, 0]))
        turned = turned[:, :: 1 - 2 * int(drawn["flip"][index, 0])]
        expected = geometry(turned, scale, aspect, shift)
        np.testing.assert_allclose(after, expected, rtol=0, atol=1e-12)


def chroma(images):
    """Coordinates on two perpendicular axes across that of grays, as complex numbers."""
    red, green, blue = np.moveaxis(images, -1, 0)
    return (2 * red - green - blue) / math.sqrt(6) + 1j * (green - blue) / math.sqrt(2)


def test_adaptive_brightness_and_contrast():
    drawn, result = alone("brightness")
    expected = IMAGES + drawn["brightness"][:, :, None, None]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-15)
    drawn, result = alone("contrast")
    expected = IMAGES * drawn["contrast"][:, :, None, None]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-14)


def test_adaptive_luma_flip_keeps_the_colors():
    drawn, result = alone("luma_flip")
    sign = 1 - 2 * drawn["luma_flip"][:, :, None]
    assert {*sign.ravel()} == {-1, 1}
    np.testing.assert_allclose(result.mean(-1), sign * IMAGES.mean(-1), rtol=0, atol=1e-15)
    np.testing.assert_allclose(chroma(result), chroma(IMAGES), rtol=0, atol=1e-14)


def test_adaptive_hue_turns_colors_and_keeps_luma():
    drawn, result = alone("hue")
    np.testing.assert_allclose(result.mean(-1), IMAGES.mean(-1), rtol=0, atol=1e-15)
    turned = chroma(IMAGES) * np.exp(1j * drawn["hue"][:, :, None])
    np.testing.assert_allclose(chroma(result), turned, rtol=0, atol=1e-14)
    np.testing.assert_allclose((result**2).sum(-1), (IMAGES**2).sum(-1), rtol=1e-12)


def test_adaptive_saturation_keeps_luma_and_gray_stays_gray():
    drawn, result = alone("saturation")
    np.testing.assert_allclose(result.mean(-1), IMAGES.mean(-1), rtol=0, atol=1e-15)
    expected = chroma(IMAGES) * drawn["saturation"][:, :, None]
    np.testing.assert_allclose(chroma(result), expected, rtol=0, atol=1e-13)
    gray = np.repeat(IMAGES[..., :1], 3, axis=3)
    np.testing.assert_allclose(alone(["saturation", "hue"], gray)[1], gray, rtol=0, atol=1e-14)


def test_adaptive_color_is_the_sequence_of_its_parts():
    drawn, result = alone(AdaptiveAugment.COLOR)
    drawn = {name: value[:, :, None] for name, value in drawn.items()}  # (batch, 1, 1)
    luma = (
        (IMAGES.mean(-1) + drawn["brightness"]) * drawn["contrast"] * (1 - 2 * drawn["luma_flip"])
    )
    rest = chroma(IMAGES) * drawn["contrast"] * np.exp(1j * drawn["hue"]) * drawn["saturation"]
    np.testing.assert_allclose(result.mean(-1), luma, rtol=0, atol=1e-13)
    np.testing.assert_allclose(chroma(result), rest, rtol=0, atol=1e-13)


def test_adaptive_color_of_gray_images():
    gray = IMAGES[..., :1]
    drawn, result = alone(AdaptiveAugment.COLOR, gray)
    drawn = {name: value[:, :, None, None] for name, value in drawn.items()}
    expected = (gray + drawn["brightness"]) * drawn["contrast"] * (1 - 2 * drawn["luma_flip"])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(alone(["hue", "saturation"], gray)[1], gray)
    with pytest.raises(ValueError, match="1 or 3 channels.*Received: shape"):
        alone("contrast", IMAGES[..., :2])


def test_adaptive_magnitudes_are_the_papers():
    layer = AdaptiveAugment(AdaptiveAugment.TRANSFORMS, strength=1.0)
    drawn = layer._parameters(Draws(0, 0, 40_000), 64, 32, "float64")
    drawn = {name: value.numpy() for name, value in drawn.items()}
    deviations = {
        "scale": 0.2 * math.log(2),
        "aspect": 0.2 * math.log(2),
        "contrast": 0.5 * math.log(2),
        "saturation": 1.0 * math.log(2),
        "brightness": 0.2,
        "fractional_translation": 1 / 8,
    }
    for name, deviation in deviations.items():
        lognormal = name not in ("brightness", "fractional_translation")
        values = np.log(drawn[name]) if lognormal else drawn[name]
        assert abs(values.mean()) < 0.03 * deviation
        assert abs(values.std() / deviation - 1) < 0.02
    assert np.abs(drawn["translation"]).max(0).tolist() == [8, 4]
    assert abs(drawn["hue"].std() / (math.pi / math.sqrt(3)) - 1) < 0.02
    for name, count in (("flip", 2), ("luma_flip", 2), ("rotate_90", 4)):
        shares = np.bincount(drawn[name].ravel().astype(int)) / 40_000
        np.testing.assert_allclose(shares, np.full(count, 1 / count), atol=0.02)


def test_strength_0_is_the_identity():
    for shape, dtype in (
        ((28, 28, 1), "float32"),
        ((27, 64, 3), "float32"),
        ((9, 9, 3), "float64"),
    ):
        images = np.random.default_rng(0).uniform(-1, 1, (8, *shape)).astype(dtype)
        names = [n for n in AdaptiveAugment.TRANSFORMS if n != "rotate_90" or shape[0] == shape[1]]
        result = AdaptiveAugment(names)(tf.constant(images), draws=0)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, images)


def test_strength_is_the_share_of_images_changed_by_each_transform():
    images = np.random.default_rng(0).uniform(-1, 1, (4000, 4, 4, 3)).astype("float32")
    drawn, result = alone("contrast", images, strength=0.3)
    changed = (result != images).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.3) < 0.03
    np.testing.assert_array_equal(changed, drawn["contrast"][:, 0] != 1)
    drawn, result = alone(["contrast", "scale"], images, strength=0.3)
    both = (drawn["contrast"] != 1) & (drawn["scale"] != 1)
    assert abs(both.mean() - 0.09) < 0.02
    changed = (result != images).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.51) < 0.03


def test_what_one_image_undergoes_does_not_depend_on_other_transforms_or_images():
    few, many = (alone(t)[0]["contrast"] for t in ("contrast", AdaptiveAugment.TRANSFORMS))
    np.testing.assert_array_equal(few, many)
    layer = AdaptiveAugment(strength=0.7)
    whole = layer(tf.constant(IMAGES), draws=Draws(1, 5, 64)).numpy()
    part = layer(tf.constant(IMAGES[24:40]), draws=Draws(1, 5, 16, 64, 24)).numpy()
    np.testing.assert_allclose(part, whole[24:40], rtol=0, atol=1e-14)


def test_half_precision_colors_are_of_as_many_pixels_as_there_are():
    """Their sum is beyond float16; a NumPy int is an int."""
    images = tf.fill((2, 256, 256, 3), tf.constant(0.9, tf.float16))
    result = DiffAugment("color")(images, draws=np.int64(3))
    assert result.dtype == tf.float16 and np.isfinite(result).all()
    exact = DiffAugment("color")(tf.cast(images, tf.float32), draws=3)
    np.testing.assert_allclose(tf.cast(result, tf.float32), exact, atol=2e-3)


def test_half_precision_images_keep_their_dtype():
    images = np.zeros((2, 300, 300, 1), "float16")
    images[:, 149:, 7] = 1
    result = AdaptiveAugment()(tf.constant(images), draws=0)
    assert result.dtype == "float16"
    np.testing.assert_array_equal(result, images)


# Its gradients. `direction` and `weights` are any images of the same shape.

SMALL = tf.constant(IMAGES[:6, :8, :8])
EVERY = [*AdaptiveAugment.TRANSFORMS, AdaptiveAugment.TRANSFORMS]
direction, weights = (
    tf.constant(np.random.default_rng(n).normal(size=SMALL.shape)) for n in (1, 2)
)


def dot(x, y):
    return tf.reduce_sum(x * y).numpy()


@pytest.mark.parametrize("transforms", EVERY)
def test_adaptive_gradient_is_the_adjoint_and_the_slope(transforms):
    layer = AdaptiveAugment(transforms, strength=1.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(SMALL)
        result = layer(SMALL, draws=5)
        loss = tf.reduce_sum(weights * tf.sin(result))
    # The transforms are affine: a difference is the Jacobian's product, without a small step.
    forward = layer(SMALL + direction, draws=5) - result
    backward = tape.gradient(result, SMALL, weights)
    np.testing.assert_allclose(dot(forward, weights), dot(direction, backward), rtol=1e-11)

    def value(step):
        return tf.reduce_sum(weights * tf.sin(layer(SMALL + step * direction, draws=5))).numpy()

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(dot(tape.gradient(loss, SMALL), direction), slope, rtol=1e-6)


@pytest.mark.parametrize("transforms", EVERY)
def test_adaptive_second_order_gradient(transforms):
    layer = AdaptiveAugment(transforms, strength=1.0)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(layer(x, draws=5)))
        return tape.gradient(loss, x)

    with tf.GradientTape() as tape:
        tape.watch(SMALL)
        penalty = tf.reduce_sum(gradient(SMALL) ** 2)  # as R1 has it
    second = tape.gradient(penalty, SMALL)
    assert second is not None

    def value(step):
        return tf.reduce_sum(gradient(SMALL + step * direction) ** 2).numpy()

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(dot(second, direction), slope, rtol=1e-6)


# How its strength moves.


def adapting(layer):
    """`layer.adapt` in a graph: returns the strength after each of some steps."""

    @tf.function
    def step(mean_sign, images):
        layer.adapt(mean_sign, images)
        return tf.convert_to_tensor(layer.strength)

    def steps(*signs, images=64):
        return [step(tf.constant(s), tf.constant(images)).numpy() for s in signs]

    return steps


def test_adapt_moves_the_strength_every_interval_by_images_over_ramp():
    steps = adapting(AdaptiveAugment(interval=4, ramp_images=1024))
    np.testing.assert_array_equal(steps(0.9, 0.9, 0.9, 0.9), [0, 0, 0, 0.25])
    np.testing.assert_array_equal(steps(1.0, 1.0, 1.0, 0.0), [0.25, 0.25, 0.25, 0.5])  # mean 0.75
    np.testing.assert_array_equal(steps(1.0, 1.0, 0.0, 0.0), [0.5, 0.5, 0.5, 0.25])  # mean 0.5
    np.testing.assert_array_equal(steps(*[1.0] * 4, images=128)[-1], 0.75)
    np.testing.assert_array_equal(steps(*[-1.0] * 16)[-1], 0)  # clipped: 0.5, 0.25, 0, 0
    np.testing.assert_array_equal(steps(*[1.0] * 24)[-1], 1)


def test_adapt_holds_at_the_target_and_by_default_takes_500_000_images():
    steps = adapting(AdaptiveAugment(target=0.5, interval=1, strength=0.5))
    assert steps(0.5) == [0.5]
    np.testing.assert_allclose(steps(0.6, images=5000), [0.51], rtol=1e-6)


def test_adapt_is_the_same_on_two_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = AdaptiveAugment(interval=2, ramp_images=512, strength=0.5)

    @tf.function
    def step():
        strategy.run(lambda: layer.adapt(tf.constant(1.0), tf.constant(64)))

    strengths = []
    for _ in range(4):
        step()
        strengths.append(layer.strength.numpy())
    assert strengths == [0.5, 0.75, 0.75, 1.0]


class Holder(keras.Model):
    def __init__(self):
        super().__init__()
        self.augment = AdaptiveAugment(interval=3, ramp_images=1000)
        self.built = True


def test_state_is_saved_between_adjustments(tmp_path):
    first, second = Holder(), Holder()
    adapting(first.augment)(1.0, 1.0, 1.0, 0.9, 0.2)
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    assert len(first.augment.non_trainable_variables) == 4 and not first.trainable_variables
    assert adapting(second.augment)(0.8) == adapting(first.augment)(0.8)
    assert [v.numpy() for v in first.weights] == [v.numpy() for v in second.weights]
    assert 0.38 < float(first.augment.strength) < 0.39  # 2 * 3 * 64 / 1000


@keras.saving.register_keras_serializable("tests")
class Stronger(DiffAugment):
    """One of a user's own, with an argument."""

    def __init__(self, transforms=("color",), by=1.0):
        super().__init__(transforms)
        self.by = by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


@pytest.mark.parametrize("way", ["file", "preset", "clone"])
def test_one_of_the_users_own_is_kept(way, tmp_path):
    model = kgan.models.DCGAN((16, 16, 1), latent_dim=2, width=2, augment=Stronger(by=2.0))
    model.compile()
    if way == "file":
        model.save(tmp_path / "m.keras")
        again = keras.saving.load_model(tmp_path / "m.keras")
    elif way == "preset":
        model.save_to_preset(tmp_path / "p")
        again = kgan.zoo.load(tmp_path / "p")
    else:
        again = keras.models.clone_model(model)
    assert type(again.augment) is Stronger and again.augment.by == 2.0


@pytest.mark.parametrize("name", ["keras>Dense", "tests>Unknown", "builtins>eval", ["a>b"]])
def test_one_that_is_none_is_refused(name):
    with pytest.raises(KganError, match="augment"):
        kgan.models.DCGAN((16, 16, 1), latent_dim=2, width=2, augment={"name": name})


def test_adaptive_config_round_trip():
    layer = AdaptiveAugment(["hue", "scale"], 0.5, np.int64(2), 1e5, np.float32(0.25))
    config = json.loads(json.dumps(augment.to_config(layer)))
    assert config == {
        "name": "AdaptiveAugment",
        "transforms": ["scale", "hue"],
        "target": 0.5,
        "interval": 2,
        "ramp_images": 1e5,
        "strength": 0.25,
    }
    again = augment.get(config)
    assert augment.to_config(again) == config and float(again.strength) == 0.25
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert augment.to_config(again) == config
    assert augment.get(layer) is layer
    assert augment.get("AdaptiveAugment").transforms == AdaptiveAugment.DEFAULT


@pytest.mark.parametrize(
    "wrong",
    [
        {"transforms": ["rotate"]},
        {"target": 1.5},
        {"interval": 0},
        {"interval": 2.5},
        {"ramp_images": 0},
        {"ramp_images": math.inf},
        {"strength": -0.1},
        {"strength": math.nan},
        {"strength": "0.5"},
    ],
)
def test_wrong_arguments_are_named(wrong):
    (value,) = wrong.values()
    with pytest.raises(ValueError, match=rf"Expected.*Received: (\w+=)?{re.escape(repr(value))}$"):
        AdaptiveAugment(**wrong)
