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
    (GAN, {"width": 5}),
    (DCGAN, {"width": 4}),
    (WGANGP, {"width": 4, "critic_steps": 2}),
    (ConditionalGAN, {"width": 4, "num_classes": 3}),
    (StyleGANLite, {"width": 4, "max_channels": 8, "mapping_layers": 1}),
]


@pytest.mark.parametrize("kind, config", CONFIGS)
def test_a_poisoned_batch_is_caught_at_its_step(kind, config, tmp_path):
    model = kind(SHAPE, latent_dim=4, **config)
    model.compile()
    images = np.random.default_rng(0).uniform(-1, 1, (40, *SHAPE)).astype("float32")
    images[25] = np.nan  # of the fourth batch of 8
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(model, 0)
    with pytest.raises(ValueError, match=r"the discriminator, first after 32 images \(step 4 of"):
        data = tf.data.Dataset.from_tensor_slices((images, np.zeros(40, "int32"))).batch(8)
        model.fit(data, verbose=0, callbacks=[TerminateOnDivergence(), checkpoint])
    checkpoint.restore(model)
    assert int(model.images_seen) == 0 and np.isfinite(model.sample(4, seed=0)).all()
    assert not model.diverged.numpy().any()


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_an_exploding_learning_rate_is_caught_and_its_network_named(player):
    model = DCGAN(SHAPE, latent_dim=4, width=4)
    rates = {"g_optimizer": 0.0, "d_optimizer": 0.0, f"{player[0]}_optimizer": 3e38}
    model.compile(**{name: keras.optimizers.SGD(rate) for name, rate in rates.items()})
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype="uint8")
    with pytest.raises(ValueError, match=f"in the {player}, first after .* learning rate"):
        model.fit(images, batch_size=8, verbose=0, callbacks=[TerminateOnDivergence()])


def test_healthy_training_goes_on():
    model = DCGAN(SHAPE, latent_dim=4, width=4)
    model.compile()
    images = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype="uint8")
    model.fit(images, batch_size=8, verbose=0, callbacks=[kgan.callbacks.TerminateOnDivergence()])
    assert int(model.images_seen) == 16
