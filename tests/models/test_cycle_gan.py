"""CycleGAN: the class harness, the paper's networks, its losses by hand, and the pool of fakes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kgan.models import CycleGAN
from kgan.untrusted import memory
from models.harness import floats
from models.translation_harness import SHAPE, TranslationHarness, pairs


class TestCycleGAN(TranslationHarness):
    kind = CycleGAN
    config = {"width": 2, "residual_blocks": 1, "pool_size": 6, "augment": "AdaptiveAugment"}
    smooth_config = {"augment": "DiffAugment"}


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


@pytest.mark.parametrize(("side", "blocks"), [(64, 6), (128, 6), (256, 9)])
def test_networks_are_the_papers(side, blocks):
    """Section 7.2: c7s1-64, d128, d256, R256 …, u128, u64, c7s1-3."""
    model = CycleGAN((side, side, 3), ema_half_life=None, pool_size=0)
    network = model.generator_ab
    plain = [x for x in layers_of(network, layers.Conv2D) if type(x) is layers.Conv2D]
    assert [x.filters for x in plain] == [64, 128, 256, *[256] * 2 * blocks, 3]
    assert [x.kernel_size[0] for x in plain] == [7, 3, 3, *[3] * 2 * blocks, 7]
    assert [x.filters for x in layers_of(network, layers.Conv2DTranspose)] == [128, 64]
    assert len(layers_of(network, layers.Add)) == blocks
    assert network.count_params() == model.generator_ba.count_params()


def test_other_sides_than_in_training():
    """The networks are convolutions: what lies far from the border does not depend on the rest."""
    model = CycleGAN((32, 32, 3), width=2, residual_blocks=0, ema_half_life=None)
    assert model.generator_ab.input_shape == (None, None, None, 3)
    images = np.random.default_rng(0).normal(size=(2, 48, 72, 3)).astype("float32")
    assert model.generator_ab(images).shape == (2, 48, 72, 3)


def test_what_is_translated_is_tried_out_at_the_size_that_it_is_used_at():
    """A stranger's preset says that size: its memory is looked at before any is taken."""
    model = CycleGAN((20, 24, 3), 1, width=2, residual_blocks=0, translate_size=50, pool_size=0)
    passes = model.passes()
    assert [tuple(p.example[0].shape) for p in passes] == [(4, 52, 60, 3), (4, 52, 60, 1)]
    assert [p.shape for p in passes] == [(4, 52, 60, 1), (4, 52, 60, 3)]
    for p in passes:
        assert memory.cost(p.function.graph).known and p.function(*p.example).shape == p.shape
    assert CycleGAN.from_config(model.get_config()).translate_size == 50


def test_memory_of_a_pixel_is_about_that_of_two_layers_next_to_the_image():
    model = CycleGAN((32, 32, 3), width=32, residual_blocks=0, ema_half_life=None, pool_size=0)
    assert 2 * 32 * 4 < model.bytes_a_pixel("a_to_b") < 5 * 32 * 4


class Linear(CycleGAN):
    """G(a) = w·a + c, F(b) = k·b + m, D(x) = u·x + t, whose gradients are found by hand."""

    def build_generator(self, name, takes, gives):
        images = keras.Input(takes)
        return keras.Model(images, layers.Conv2D(1, 1)(images))

    def build_discriminator(self, name, shape):
        images = keras.Input(shape)
        return keras.Model(images, layers.Conv2D(1, 1)(images))


def test_losses_and_gradients_are_those_found_by_hand():
    """Equations 1 to 3 as least squares, the identity loss, half of the discriminators' loss."""
    a, b = (x[..., :1] / 127.5 - 1.0 for x in pairs(6))
    (w, c), (k, m), (ua, ta), (ub, tb) = (0.7, 0.1), (-0.4, 0.2), (0.5, 0.3), (-0.8, 0.1)
    with floats("float64"):
        model = Linear((32, 32, 1), ema_half_life=None, cycle_weight=3.0, identity_weight=0.25)
        model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0), run_eagerly=True)
        given = ((w, c), (k, m), (ua, ta), (ub, tb))
        for network, (scale, shift) in zip(model.networks.values(), given, strict=True):
            network.set_weights([np.full((1, 1, 1, 1), scale), np.array([shift])])
        logs = model.train_on_batch(a, b, return_dict=True)
        after = [[x.item() for x in n.get_weights()] for n in model.networks.values()]
    fake_b, fake_a = w * a + c, k * b + m
    back_a, back_b = k * fake_b + m, w * fake_a + c
    same_a, same_b = k * a + m, w * b + c
    cycle_a, cycle_b = np.sign(back_a - a), np.sign(back_b - b)
    np.testing.assert_allclose(
        logs["cycle_loss"], np.abs(back_a - a).mean() + np.abs(back_b - b).mean(), atol=1e-6
    )
    np.testing.assert_allclose(
        logs["identity_loss"], np.abs(same_a - a).mean() + np.abs(same_b - b).mean(), atol=1e-6
    )
    on_b, on_a = ub * fake_b + tb - 1, ua * fake_a + ta - 1  # D(G(a)) - 1, D(F(b)) - 1
    np.testing.assert_allclose(logs["g_loss_ab"], np.square(on_b).mean(), atol=1e-6)
    np.testing.assert_allclose(logs["g_loss_ba"], np.square(on_a).mean(), atol=1e-6)
    # G makes fakes of a, turns fakes of b back, and leaves b as it is; F likewise.
    g = 2 * on_b * ub + 3 * cycle_a * k, 3 * cycle_b, 0.75 * np.sign(same_b - b)
    f = 2 * on_a * ua + 3 * cycle_b * w, 3 * cycle_a, 0.75 * np.sign(same_a - a)
    expected = [
        (w - sum(np.mean(d * x) for d, x in zip(g, (a, fake_a, b), strict=True)), c - _means(g)),
        (k - sum(np.mean(d * x) for d, x in zip(f, (b, fake_b, a), strict=True)), m - _means(f)),
    ]
    for scale, shift, real, fake in ((ua, ta, a, fake_a), (ub, tb, b, fake_b)):
        by_real, by_fake = scale * real + shift - 1, scale * fake + shift  # of half of the loss
        expected.append(
            (
                scale - np.mean(by_real * real + by_fake * fake),
                shift - np.mean(by_real + by_fake),
            )
        )
    np.testing.assert_allclose(after, expected, rtol=1e-10)


def _means(gradients):
    return sum(np.mean(gradient) for gradient in gradients)


class TestPool:
    SIZE, BATCH = 10, 4

    def steps(self, number, size=SIZE):
        """Shows fakes that are numbers, in turn; yields them, what is shown and the pool."""
        model = CycleGAN((20, 20, 1), width=1, residual_blocks=0, pool_size=size)
        function = tf.function(self.exchange)
        for step in range(number):
            fakes = np.arange(step * self.BATCH, (step + 1) * self.BATCH) + 1.0
            images = tf.constant(np.tile(fakes[:, None, None, None], (20, 20, 1)), "float32")
            before = self.numbers(model.pool_a)
            shown = self.numbers(function(model, images))
            yield fakes, shown, before, self.numbers(model.pool_a)

    def exchange(self, model, images):
        draws = model.draws(images, model.images_seen)
        shown, _ = model.exchange(images, -images, draws)
        model.images_seen.assign_add(self.BATCH)
        return shown

    @staticmethod
    def numbers(images):
        return np.asarray(images)[:, 0, 0, 0]

    def test_it_is_filled_with_the_first_fakes_which_are_shown_as_they_are(self):
        for step, (fakes, shown, _, after) in enumerate(self.steps(3)):
            np.testing.assert_array_equal(shown, fakes)
            filled = min((step + 1) * self.BATCH, self.SIZE)
            np.testing.assert_array_equal(after[:filled], np.arange(filled) + 1)
            assert not after[filled:].any()

    def test_half_of_the_time_a_past_fake_is_shown_whose_place_the_new_one_takes(self):
        past = total = 0
        places = np.zeros(self.SIZE)
        for fakes, shown, before, after in list(self.steps(300))[3:]:
            exchanged = shown != fakes
            assert np.isin(shown[exchanged], before).all()
            assert not np.isin(fakes[~exchanged], after).any()
            changed = before != after
            places += changed
            assert np.isin(after[changed], fakes[exchanged]).all()
            assert set(before[changed]) == set(shown[exchanged])
            past, total = past + exchanged.sum(), total + len(fakes)
        assert abs(past / total - 0.5) < 4 * 0.5 / np.sqrt(total)
        assert places.min() > 0.6 * places.mean()

    def test_none(self):
        for fakes, shown, _, _ in self.steps_without():
            np.testing.assert_array_equal(shown, fakes)

    def steps_without(self):
        model = CycleGAN((20, 20, 1), width=1, residual_blocks=0, pool_size=0)
        images = tf.ones((4, 20, 20, 1))
        yield self.numbers(images), self.numbers(self.exchange(model, images)), None, None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (30, 32, 3)}, "sides a multiple of 4.*30"),
        ({"image_shape": (16, 16, 3)}, "from 20 on.*16"),
        ({"image_shape": SHAPE, "target_channels": 1, "identity_weight": 0.5}, "differ in channel"),
        ({"pool_size": -1}, "pool_size"),
        ({"residual_blocks": 1.5}, "residual_blocks"),
    ],
)
def test_arguments_out_of_their_bounds(arguments, message):
    with pytest.raises(ValueError, match=message):
        CycleGAN(**arguments)
