"""WGAN-GP."""

import re
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kgan.errors import KganWarning
from kgan.models import WGANGP
from kgan.random import Draws
from models.harness import SHAPE, Harness
from models.test_gan import assert_step_is, users


class TestWGANGP(Harness):
    kind = WGANGP
    config = {"latent_dim": 8, "width": 8, "critic_steps": 2}
    smooth_config = config
    smallest_batch = 2  # an image for every update
    last_batch = 7  # cut into 4 and 3
    indifferent = ("logits/bias",)  # it cancels in D(x) - D(G(z))

    def test_distance_is_the_negative_loss_before_the_penalty(self, trained_model):
        data = self.dataset(16)
        logs = trained_model.fit(data, validation_data=data, verbose=0).history
        for prefix in ("", "val_"):
            assert logs[f"{prefix}wasserstein"] == [-v for v in logs[f"{prefix}d_loss"]]
        assert logs["gradient_penalty"][0] > 0


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), dtype="uint8")


def critic(critic_steps, kind=WGANGP, run_eagerly=False, **kwargs):
    model = kind(SHAPE, **users(**kwargs), **kwargs, critic_steps=critic_steps)
    model.compile(run_eagerly=run_eagerly)
    return model


def test_step_is_algorithm_1_written_out_by_hand():
    """Two updates of the critic on five images each, then one of the generator."""

    def by_hand(game, real):
        draws, d_losses, penalties = Draws(2 * 4, 0, 10), [], []
        for step in range(2):
            rows, draws_of_step = draws.part(step, 2)
            x = real[rows]
            fake = game.generate(draws_of_step.normal((6,)))
            mix = tf.reshape(draws_of_step.uniform((1, 1, 1), dtype="float64"), (5, 1))

            def loss(x=x, fake=fake, mix=mix):
                between = mix * x + (1 - mix) * fake
                with tf.GradientTape() as tape:
                    tape.watch(between)
                    scores = game.discriminate(between)
                slope = tf.norm(tape.gradient(scores, between), axis=1)
                penalties.append(tf.reduce_mean((slope - 1) ** 2))
                d_losses.append(tf.reduce_mean(game.discriminate(fake) - game.discriminate(x)))
                return d_losses[-1] + 10 * penalties[-1]

            game.descend("d", loss)
        z = draws_of_step.normal((6,))
        d_loss = sum(d_losses) / 2
        return {
            "d_loss": d_loss,
            "wasserstein": -d_loss,
            "gradient_penalty": sum(penalties) / 2,
            "g_loss": game.descend(
                "g", lambda: -tf.reduce_mean(game.discriminate(game.generate(z)))
            ),
        }

    assert_step_is(by_hand, WGANGP, seed=4, critic_steps=2)


def test_every_update_has_images_labels_and_fakes_of_its_own():
    class Recording(WGANGP):
        seen = []

        def update_discriminator(self, real, fakes, draws):
            Recording.seen.append((real, fakes.images))
            np.testing.assert_array_equal(fakes.labels, real.labels)  # between which is mixed
            super().update_discriminator(real, fakes, draws)

    model = critic(3, Recording, run_eagerly=True, num_classes=11)
    numbered = np.broadcast_to(np.arange(11, dtype="uint8")[:, None, None, None], (11, *SHAPE))
    with pytest.warns(KganWarning, match="takes 3 of a batch of 11 images; 2 are left over"):
        model.train_on_batch(numbered, np.arange(11))
    assert len(Recording.seen) == 3
    dealt = [np.rint((real.images[:, 0, 0, 0] + 1) * 127.5) for real, _ in Recording.seen]
    assert sorted(np.concatenate(dealt)) == list(range(9))  # all but 11 % 3, each once
    for numbers, (real, fakes) in zip(dealt, Recording.seen, strict=True):
        assert len(numbers) == len(fakes) == 3
        np.testing.assert_array_equal(real.labels, numbers)
    assert not np.isclose(Recording.seen[0][1], Recording.seen[1][1]).all()


@pytest.mark.parametrize("form", ["array", "dataset"])
def test_images_left_over_are_warned_of_once(form):
    model, data = critic(2, run_eagerly=form == "array"), images(10)
    if form == "dataset":
        data = tf.data.Dataset.from_tensor_slices(data).batch(5, drop_remainder=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.fit(data, batch_size=5 if form == "array" else None, epochs=2, verbose=0)
    caught = [w for w in caught if w.category is KganWarning]
    assert [str(w.message)[:60] for w in caught] == [
        "Each of the 2 critic updates takes 2 of a batch of 5 images;"
    ]


def test_batches_without_an_image_for_every_update():
    model = critic(5)
    for arguments in (
        {"x": images(8), "batch_size": 4},
        {"x": images(4)},
        {"x": tf.data.Dataset.from_tensor_slices(images(8)).batch(4, drop_remainder=True)},
    ):
        with pytest.raises(ValueError, match="at least critic_steps=5 images.*Received: batch"):
            model.fit(**arguments, verbose=0)
    with pytest.raises(ValueError, match="at least critic_steps=5 images.*Received: batch"):
        model.train_on_batch(images(4))


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_a_last_batch_too_small_for_every_update_is_left_out(form):
    class Recording(WGANGP):
        def end_step(self, draws, fakes):
            tf.debugging.assert_equal(tf.shape(fakes.images)[0], 2)
            return super().end_step(draws, fakes)

    model = critic(5, Recording)
    arguments = {"x": images(13), "batch_size": 10}
    if form == "dataset":
        arguments = {"x": tf.data.Dataset.from_tensor_slices(images(13)).batch(10)}
    model.fit(**arguments, epochs=2, verbose=0)
    assert int(model.images_seen) == 2 * 10
    assert all(np.isfinite(w).all() for w in model.get_weights())
    with pytest.raises(ValueError, match="Expected"):
        model.fit(tf.data.Dataset.from_tensor_slices(images(8)).batch(4), verbose=0)


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_batch_that_is_enough_has_an_image_for_every_update_on_every_device(devices, steps):
    model = SimpleNamespace(
        critic_steps=steps, distribute_strategy=SimpleNamespace(num_replicas_in_sync=devices)
    )
    some = 0
    for size in range(1, 64):
        if WGANGP.is_enough(model, size):
            some += 1
            for rows in np.array_split(np.arange(size), devices):
                used = rows[rows < size - size % steps]
                assert set(used % steps) == set(range(steps))
        else:
            assert size < devices * 2 * steps
    assert some


def test_a_generator_that_ends_in_half_precision():
    latents = keras.Input((6,))
    x = layers.Dense(int(np.prod(SHAPE)), "tanh", dtype="mixed_bfloat16")(latents)
    model = WGANGP(SHAPE, generator=keras.Model(latents, layers.Reshape(SHAPE)(x)), width=2)
    model.compile(run_eagerly=True)
    assert np.isfinite(list(model.train_on_batch(images(5), return_dict=True).values())).all()
    assert np.isfinite(list(model.test_on_batch(images(5), return_dict=True).values())).all()


def test_critic_judges_every_image_by_itself():
    model = WGANGP((28, 28, 1), latent_dim=4, width=4)
    kinds = [type(layer).__name__ for layer in model.discriminator.layers]
    assert "BatchNormalization" not in kinds and kinds.count("LeakyReLU") == 3
    x = np.random.default_rng(0).normal(size=(3, 28, 28, 1)).astype("float32")
    alone = np.concatenate([model.discriminator(x[i : i + 1], training=True) for i in range(3)])
    np.testing.assert_allclose(model.discriminator(x, training=True), alone, atol=1e-5)


def test_critic_with_batch_normalisation_is_refused():
    x = keras.Input(SHAPE)
    inner = keras.Sequential([layers.Input(SHAPE), layers.BatchNormalization(name="mine")])
    network = keras.Model(x, layers.Dense(1)(layers.Flatten()(inner(x))))
    with pytest.raises(ValueError, match="without batch normalisation.*Received: mine"):
        WGANGP(SHAPE, discriminator=network)


def test_defaults_are_the_papers():
    model = WGANGP((16, 16, 1), latent_dim=4, width=2)
    assert (model.penalty_weight, model.critic_steps, model.loss_name) == (10, 5, "wasserstein")
    for optimizer in model.default_optimizers():
        config = optimizer.get_config()
        assert type(optimizer) is keras.optimizers.Adam
        assert (config["beta_1"], config["beta_2"]) == (0.0, 0.9)
        np.testing.assert_allclose(config["learning_rate"], 1e-4, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("loss", "hinge", "no loss beside WGANGP's own"),
        ("r1_interval", 4, "r1_interval=16 of a WGANGP"),
        ("critic_steps", 0, "an int from 1 to 1,000"),
        ("critic_steps", 1.5, "an int from 1 to 1,000"),
        ("penalty_weight", -1, "a number from 0"),
        ("num_classes", 3, "two networks that take labels"),
        ("r1_gamma", 1.0, "r1_gamma=0 of a WGANGP"),
        ("image_shape", (48, 48, 1), "a side among 16, 28"),
    ],
)
def test_refused(name, wrong, expected):
    received = re.escape(f"Received: {name}={wrong!r}")
    with pytest.raises(ValueError, match=f"Expected .*{expected}.*{received}"):
        WGANGP(**{"image_shape": (16, 16, 1), name: wrong})
