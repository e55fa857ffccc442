"""DCGAN."""

import re

import keras
import numpy as np
import pytest

from kgan.losses import LOSSES
from kgan.models import DCGAN
from kgan.models.dcgan import SIDES
from models.harness import SHAPE, CoreHarness, Harness


class TestDCGAN(Harness):
    kind = DCGAN
    config = {"latent_dim": 8, "width": 8}
    # Without DiffAugment's jumps a float64 run can be compared; with it too, so it is on.
    smooth_config = {"latent_dim": 8, "width": 8, "augment": "DiffAugment"}


@pytest.mark.slow
class TestDCGANWithR1(CoreHarness):
    kind = DCGAN
    config = {"latent_dim": 8, "width": 8, "r1_gamma": 5.0, "r1_interval": 2}
    smooth_config = config

    def test_its_discriminator_has_no_batch_normalisation(self, eager_model):
        kinds = {type(layer).__name__ for layer in eager_model.discriminator.layers}
        assert "BatchNormalization" not in kinds
        logs = eager_model.train_on_batch(*self.data(8), return_dict=True)
        assert logs["gradient_penalty"] > 0


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side(side, channels):
    model = DCGAN((side, side, channels), latent_dim=4, width=2, ema_half_life=None)
    assert model(np.zeros((1, 4), "float32")).shape == (1, side, side, channels)
    bottom = 7 if side % 7 == 0 else 4
    assert model.generator.layers[2].output.shape[1] == bottom
    flat = [layer for layer in model.discriminator.layers if layer.name.startswith("flatten")]
    assert flat[0].input.shape[1] == 4


@pytest.mark.parametrize("shape", [(48, 48, 3), (64, 32, 3), (256, 256, 3), (64, 64, 4)])
def test_other_shapes_are_refused(shape):
    received = re.escape(f"Received: image_shape={shape}")
    with pytest.raises(ValueError, match=f"a side among 16, 28, .* 128. {received}"):
        DCGAN(shape)


def test_the_papers_choices():
    model = DCGAN((64, 64, 3), latent_dim=100, width=16)
    kinds = [type(layer).__name__ for layer in model.generator.layers]
    assert kinds.count("BatchNormalization") == 4 and kinds.count("ReLU") == 4
    assert kinds[-1] == "Conv2DTranspose"
    kinds = [type(layer).__name__ for layer in model.discriminator.layers]
    assert kinds.count("BatchNormalization") == 3 and kinds.count("LeakyReLU") == 4
    for network in (model.generator, model.discriminator):
        kernels = np.concatenate(
            [w.numpy().ravel() for w in network.trainable_weights if w.name == "kernel"]
        )
        assert abs(kernels.std() - 0.02) < 2e-4 and abs(kernels.mean()) < 2e-4
    optimizer = model.default_optimizers()[0]
    assert isinstance(optimizer, keras.optimizers.Adam) and optimizer.beta_1 == 0.5
    np.testing.assert_allclose(float(optimizer.learning_rate), 2e-4, rtol=1e-6)


def test_initial_weights_of_he_keep_signals_their_size():
    """Equation 10 of He et al. 2015: the variance of every kernel of D is 2 / inputs."""
    model = DCGAN((64, 64, 3), latent_dim=100, width=16, r1_gamma=1.0, initializer="he")
    for weight in model.discriminator.trainable_weights:
        if weight.name == "kernel":
            kernel = weight.numpy()
            expected = np.sqrt(2 / np.prod(kernel.shape[:-1]))
            assert abs(kernel.std() / expected - 1) < 4 / np.sqrt(2 * kernel.size), weight.path
    assert abs(model.generator.layers[1].kernel.numpy().std() - 0.02) < 1e-3
    images = np.random.default_rng(0).uniform(-1, 1, (8, 64, 64, 3)).astype("float32")
    deviations = [
        np.std(network.discriminator(images))
        for network in (model, DCGAN((64, 64, 3), latent_dim=100, width=16, r1_gamma=1.0))
    ]
    assert deviations[0] > 100 * deviations[1]


def test_initializer_is_kept_and_checked():
    model = DCGAN((16, 16, 1), latent_dim=4, width=2, initializer="he")
    assert DCGAN.from_config(model.get_config()).initializer == "he"
    assert DCGAN((16, 16, 1), latent_dim=4, width=2).get_config()["initializer"] == "dcgan"
    with pytest.raises(ValueError, match="one of 'dcgan', 'he'. Received: initializer='xavier'"):
        DCGAN((16, 16, 1), initializer="xavier")


def test_parameters_of_the_zoo_budget():
    """11.3 MB in float32 for 64 pixels at width 40, 4.8 MB for 28 pixels at width 64."""
    for shape, latents, width, megabytes in (
        ((64, 64, 3), 128, 40, 11.3),
        ((28, 28, 1), 64, 64, 4.8),
    ):
        model = DCGAN(shape, latents, width)
        parameters = model.generator.count_params() + model.discriminator.count_params()
        assert abs(parameters * 4 / 1e6 - megabytes) < 0.1


def test_seed_decides_the_initial_weights():
    a, b, c = (DCGAN((16, 16, 1), width=4, seed=seed) for seed in (1, 1, 2))
    for v, w, other in zip(a.weights, b.weights, c.weights, strict=True):
        np.testing.assert_array_equal(v, w)
        if v.name == "kernel":
            assert not np.array_equal(v, other)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_trains(loss):
    model = DCGAN(SHAPE, latent_dim=4, width=2, loss=loss)
    model.compile(run_eagerly=True)
    before = [v.numpy() for v in model.trainable_variables]
    logs = model.fit(TestDCGAN().dataset(16), verbose=0).history
    assert all(np.isfinite(v).all() for v in logs.values())
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(new).all() and (
            new.path == "logits/bias" or not np.array_equal(old, new)
        ), new.path


def test_classes_are_refused():
    with pytest.raises(ValueError, match="see kgan.models.ConditionalGAN. Received: num_classes=3"):
        DCGAN(SHAPE, num_classes=3)
