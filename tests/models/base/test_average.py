"""The moving average early in training: `pytest -m slow tests/models/test_average.py`."""

import keras
import numpy as np
import pytest

from kgan.data import load
from kgan.latents import sample_latents
from kgan.models import DCGAN, GAN, WGANGP, ConditionalGAN, StyleGANLite

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def photographs(data_dir):
    return load("celeba/train", (32, 32, 3), data_dir=data_dir).images[:2000]


def deviation(network, inputs):
    """The standard deviation over images, averaged over pixels."""
    return np.std(keras.ops.convert_to_numpy(network(inputs, training=False)), axis=0).mean()


@pytest.mark.parametrize(
    "kind, arguments, batch_size",
    [
        (GAN, {"width": 200}, 64),
        (DCGAN, {"width": 32}, 64),
        (DCGAN, {"width": 32, "r1_gamma": 0.5, "r1_interval": 4}, 64),
        (WGANGP, {"width": 32}, 320),
        (ConditionalGAN, {"width": 32, "num_classes": 4}, 64),
        (ConditionalGAN, {"width": 32, "num_classes": 4, "conditioning": "concat"}, 64),
        (StyleGANLite, {"width": 16, "max_channels": 64}, 32),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_after_one_epoch_it_shows_what_the_generator_has_learnt(
    photographs, kind, arguments, batch_size
):
    """Within 20% of the generator's own variety, on 2,000 photographs."""
    model = kind(image_shape=(32, 32, 3), latent_dim=64, **arguments)
    model.compile()
    labels = np.arange(2000) % 4 if model.num_classes else None
    model.fit(photographs, labels, batch_size=batch_size, verbose=0)
    inputs = sample_latents(0, 0, 256, 64)
    if model.num_classes:
        inputs = [inputs, np.arange(256, dtype="int32") % 4]
    average, own = (
        deviation(network, inputs) for network in (model.ema_generator, model.generator)
    )
    print(f"{kind.__name__} {arguments}: average {average:.4f}, generator {own:.4f}")
    assert 0.8 < average / own < 1.2
