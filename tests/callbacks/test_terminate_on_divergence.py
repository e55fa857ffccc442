"""Trainings that have become meaningless end, and leave the last good state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan.callbacks import Checkpoint, TerminateOnDivergence
from kgan.models import DCGAN, GAN, WGANGP, ConditionalGAN, StyleGANLite

SHAPE = (16, 16, 1)
CONFIGS = [
    (GAN, {"width": 20}),
    (DCGAN, {"width": 4}),
    (WGANGP, {"width": 4, "critic_steps": 2}),
    (ConditionalGAN, {"width": 4, "num_classes": 3}),
    (StyleGANLite, {"width": 4, "max_channels": 8, "mapping_layers": 1}),
]


class Poison(keras.callbacks.Callback):
    """Makes a weight of the discriminator NaN before the fourth step."""

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 3:
            weight = self.model.discriminator.trainable_variables[0]
            weight.assign(np.full(weight.shape, np.nan))


@pytest.mark.parametrize("kind, config", CONFIGS)
def test_a_poisoned_weight_is_caught_at_its_step(kind, config, tmp_path):
    model = kind(SHAPE, latent_dim=4, **config)
    model.compile(run_eagerly=kind is not DCGAN)  # tracing all would take long
    images = np.random.default_rng(0).uniform(-1, 1, (40, *SHAPE)).astype("float32")
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(model, 0)
    with pytest.raises(
        ValueError, match=r"the discriminator, first after 32 images \(epoch 1, step 4\)"
    ):
        data = tf.data.Dataset.from_tensor_slices((images, np.zeros(40, "int32"))).batch(8)
        callbacks = [Poison(), TerminateOnDivergence(), checkpoint]
        model.fit(data, verbose=0, callbacks=callbacks)
    checkpoint.restore(model)
    assert int(model.images_seen) == 0 and np.isfinite(model.sample(4, seed=0)).all()
    assert not model.diverged.numpy().any()


class Steps(keras.callbacks.Callback):
    """Of every step, whether each network was finite after it."""

    def __init__(self):
        super().__init__()
        self.finite = []

    def on_train_batch_end(self, batch, logs=None):
        networks = self.model.generator, self.model.discriminator
        self.finite.append([all(np.isfinite(w).all() for w in n.get_weights()) for n in networks])


@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("kind, config", CONFIGS)
def test_an_exploding_learning_rate_is_caught_at_its_step(kind, config, player):
    model = kind(SHAPE, latent_dim=4, **config)
    optimizers = {name: keras.optimizers.SGD(0.0) for name in ("g_optimizer", "d_optimizer")}
    model.compile(**optimizers, run_eagerly=True)
    getattr(model, f"{player[0]}_optimizer").learning_rate = 3e38
    images = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype="uint8")
    steps = Steps()
    with pytest.raises(
        ValueError, match=f"in the {player}, first after .* learning rate"
    ) as caught:
        callbacks = [steps, TerminateOnDivergence()]
        model.fit(images, np.zeros(40, "int32"), batch_size=8, verbose=0, callbacks=callbacks)
    assert f"step {len(steps.finite)})" in str(caught.value)
    assert np.all(steps.finite[:-1])


def test_a_step_that_was_traced_before_is_watched_too():
    model = DCGAN(SHAPE, latent_dim=4, width=4)
    model.compile(d_optimizer=keras.optimizers.SGD(0.0))
    images = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype="uint8")
    model.fit(images, batch_size=8, verbose=0)
    model.d_optimizer.learning_rate = np.inf
    with pytest.raises(ValueError, match="the discriminator, first after 16 images"):
        model.fit(images, batch_size=8, verbose=0, callbacks=[TerminateOnDivergence()])


@pytest.mark.parametrize("frozen", ["discriminator", "generator"])
def test_a_frozen_network_is_no_divergence(frozen):
    model = DCGAN(SHAPE, latent_dim=4, width=4, r1_gamma=1.0, r1_interval=2)
    getattr(model, frozen).trainable = False
    model.compile(run_eagerly=True)
    before = [w.numpy() for w in getattr(model, frozen).weights if "moving" not in w.path]
    images = np.random.default_rng(0).integers(0, 256, (24, *SHAPE), dtype="uint8")
    model.fit(images, batch_size=8, verbose=0, callbacks=[TerminateOnDivergence()])
    after = [w for w in getattr(model, frozen).weights if "moving" not in w.path]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_healthy_training_goes_on():
    model = DCGAN(SHAPE, latent_dim=4, width=4)
    model.compile()
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype="uint8")
    model.fit(images, batch_size=8, verbose=0, callbacks=[kgan.callbacks.TerminateOnDivergence()])
    assert int(model.images_seen) == 16
