"""Signs that one player has won."""

import warnings

import numpy as np
import pytest

from kgan.callbacks import CollapseWarning
from kgan.errors import KganWarning
from kgan.models import DCGAN, WGANGP, ConditionalGAN


def watched(model, **options):
    callback = CollapseWarning(**options)
    callback.set_model(model)
    callback.on_train_begin()
    return callback


def spread(model, factor):
    """Scales what the generator's first layer gives, and with it how much images differ."""
    weights = model.generator.trainable_variables
    for weight in weights:
        if weight.name == "kernel":
            weight.assign(np.random.default_rng(0).normal(size=weight.shape) * factor)


@pytest.mark.parametrize("kind, config", [(DCGAN, {}), (ConditionalGAN, {"num_classes": 2})])
def test_collapse_is_named_with_its_evidence(kind, config):
    model = kind((16, 16, 1), latent_dim=4, width=4, **config)
    callback = watched(model)
    spread(model, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.act(0)  # an untrained generator gives one gray: that is no collapse
        spread(model, 1.0)
        callback.act(64)
    spread(model, 0.0)
    with pytest.warns(KganWarning, match=r"After 128 images .* differ by 0.00 of 255 levels"):
        callback.act(128)


def test_saturation_is_named_after_patience():
    model = DCGAN((16, 16, 1), latent_dim=4, width=4)
    callback = watched(model, patience=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in (0.005, 0.5, 0.005):
            callback.on_train_batch_end(0, {"d_loss": loss})
            callback.act(1)
    with pytest.warns(KganWarning, match="always right: d_loss 0.005, under 0.01 in 2 looks"):
        callback.act(2)


def test_a_wasserstein_loss_does_not_saturate():
    callback = watched(WGANGP((16, 16, 1), latent_dim=4, width=4), patience=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_train_batch_end(0, {"d_loss": -20.0})
        callback.act(1)


def test_a_model_without_an_adversarial_loss_is_looked_at_for_collapse_alone():
    """Such as one of the user's, straight from `LatentModel`."""
    model = DCGAN((16, 16, 1), latent_dim=4, width=4)
    del model.adversarial_loss
    callback = watched(model, patience=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_train_batch_end(0, {"d_loss": 0.0})
        callback.act(1)
