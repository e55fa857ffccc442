"""Conditional GAN."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers import ConditionalBatchNormalization
from kgan.models import DCGAN, ConditionalGAN
from kgan.models.dcgan import SIDES
from models.harness import SHAPE, CoreHarness, Harness, get_state, set_state


class TestConditionalGAN(Harness):
    kind = ConditionalGAN
    config = {"latent_dim": 8, "width": 8, "num_classes": 3}
    smooth_config = {**config, "augment": "DiffAugment"}
    indifferent = ("logits/bias",)  # while no image is beyond the hinge

    def test_labels_of_any_integers_train_alike(self, eager_model):
        start, states = get_state(eager_model), []
        labels = self.labels(8)
        for same in (
            *(labels.astype(dtype) for dtype in ("uint8", "int32", "int64")),
            labels[:, None],  # (batch, 1)
        ):
            set_state(eager_model, start)
            eager_model.train_on_batch(self.images(8), same)
            states.append(get_state(eager_model))
        set_state(eager_model, start)
        # As TFDS yields them, one by one: uint8 images, int64 labels.
        pairs = tf.data.Dataset.from_tensor_slices((self.images(8), labels.astype("int64")))
        eager_model.fit(pairs.batch(8).prefetch(1), verbose=0)
        for state in (*states, get_state(eager_model)):
            for v, w in zip(states[0], state, strict=True):
                np.testing.assert_array_equal(v, w)


@pytest.mark.slow
class TestConditionalGANWithR1(CoreHarness):
    """An embedding, whose gradient is of rows, beside a penalty that is not always due."""

    kind = ConditionalGAN
    config = {"latent_dim": 8, "width": 8, "num_classes": 3, "r1_gamma": 5.0, "r1_interval": 2}
    indifferent = ("logits/bias",)
    smooth_config = {**config, "loss": "non_saturating"}


@pytest.mark.slow  # the time of the normal tests is short
class TestConcat(CoreHarness):
    kind = ConditionalGAN
    config = {"latent_dim": 8, "width": 8, "num_classes": 3, "conditioning": "concat"}
    run_eagerly = True
    test_two_replicas_equal_one = None  # its layers are DCGAN's


@pytest.fixture(scope="module")
def model():
    return ConditionalGAN(SHAPE, num_classes=3, latent_dim=4, width=4)


@pytest.mark.parametrize("conditioning", ["projection", "concat"])
def test_r1_takes_the_place_of_normalisation(conditioning):
    model = ConditionalGAN(SHAPE, 3, 4, 4, conditioning, r1_gamma=1.0)
    kinds = {type(layer).__name__ for layer in model.discriminator.layers}
    assert not [kind for kind in kinds if "Spectral" in kind or "Normalization" in kind]
    # The features are DCGAN's, on the class too where that is concatenated.
    shapes = [w.shape for w in model.discriminator.weights if len(w.shape) == 4]
    plain = [w.shape for w in DCGAN(SHAPE, 4, 4, 1.0).discriminator.weights if len(w.shape) == 4]
    assert shapes[1:] == plain[1:]
    depth = SHAPE[2] + (3 if conditioning == "concat" else 0)
    assert shapes[0] == (4, 4, depth, 4)


def layers_of(network, kind):
    return [layer for layer in network.layers if type(layer).__name__ == kind]


def test_logits_are_a_linear_map_of_the_features_and_their_product_with_the_class(model):
    """Equation 3 of Miyato & Koyama, in NumPy on the layers' weights."""
    network, rng = model.discriminator, np.random.default_rng(0)
    images = rng.normal(size=(6, *SHAPE)).astype("float32")
    labels = np.array([0, 1, 2, 2, 1, 0])
    features = network.get_layer("features")
    *_, last = layers_of(network, "LeakyReLU")
    phi, maps = keras.Model(network.inputs, [features.output, last.output])([images, labels])
    np.testing.assert_allclose(phi, np.sum(maps, axis=(1, 2)), rtol=1e-5)
    phi = phi.numpy()

    def normalized(layer):
        matrix, *_, vector = (w.numpy().astype("float64") for w in layer.weights)
        return matrix / np.linalg.norm(matrix @ (vector / np.linalg.norm(vector)))

    (linear,), (embedding,) = (layers_of(network, f"Spectral{k}") for k in ("Dense", "Embedding"))
    linear.bias.assign([0.5])
    vectors = normalized(embedding)
    expected = phi @ normalized(linear)[:, 0] + 0.5 + np.sum(phi * vectors[labels], axis=1)
    np.testing.assert_allclose(network([images, labels])[:, 0], expected, rtol=1e-5)
    assert len(np.unique(vectors, axis=0)) == 3


def test_every_kernel_of_the_discriminator_is_spectrally_normalised(model):
    kinds = {type(layer).__name__ for layer in model.discriminator.layers if layer.weights}
    assert kinds == {"SpectralConv2D", "SpectralDense", "SpectralEmbedding"}


def test_every_normalisation_of_the_generator_is_conditional(model):
    plain = layers_of(DCGAN(SHAPE, latent_dim=4, width=4).generator, "BatchNormalization")
    conditional = layers_of(model.generator, "ConditionalBatchNormalization")
    assert len(conditional) == len(plain) == 2
    assert not layers_of(model.generator, "BatchNormalization")
    for layer in conditional:
        assert isinstance(layer, ConditionalBatchNormalization) and layer.num_classes == 3
        layer.offsets.assign(np.random.default_rng(0).normal(size=layer.offsets.shape))
    latents = np.zeros((3, 4), "float32")
    images = model.generator([latents, np.arange(3)]).numpy()
    assert min(np.ptp(images, axis=0).max() for images in (images[:2], images[1:])) > 0.01


@pytest.mark.parametrize(
    ("conditioning", "loss", "beta_1"),
    [("projection", "hinge", 0), ("concat", "non_saturating", 0.5)],
)
def test_defaults(conditioning, loss, beta_1):
    model = ConditionalGAN((16, 16, 1), 3, latent_dim=4, width=2, conditioning=conditioning)
    assert model.loss_name == loss
    for optimizer in model.default_optimizers():
        assert optimizer.beta_1 == beta_1
        np.testing.assert_allclose(float(optimizer.learning_rate), 2e-4, rtol=1e-6)
    other = ConditionalGAN((16, 16, 1), 3, 4, 2, conditioning, loss="least_squares")
    assert other.loss_name == "least_squares"


def test_concat_shows_the_discriminator_a_plane_for_every_class():
    network = ConditionalGAN(SHAPE, 3, latent_dim=4, width=2, conditioning="concat").discriminator
    joined = keras.Model(network.inputs, layers_of(network, "Concatenate")[0].output)
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    labels = np.array([2, 0, 1, 2])
    planes = np.broadcast_to(np.eye(3)[labels][:, None, None], (4, 16, 16, 3))
    np.testing.assert_array_equal(
        joined([images, labels]), np.concatenate([images, planes], axis=3).astype("float32")
    )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("channels", "conditioning"), [(1, "projection"), (3, "projection"), (3, "concat")]
)
def test_every_side(side, channels, conditioning):
    shape = (side, side, channels)
    model = ConditionalGAN(shape, 2, 4, width=2, conditioning=conditioning, ema_half_life=None)
    labels = tf.ones(1, "int32")
    images = model(tf.zeros((1, 4)), labels)
    assert images.shape == (1, *shape)
    assert model.discriminate(images, labels).shape == (1, 1)


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("image_shape", (48, 48, 3), "square, of a side among 16, 28"),
        ("num_classes", 0, "an int from 1 to 100,000"),
        ("num_classes", None, "an int from 1 to 100,000"),
        ("conditioning", "projector", "one of 'projection', 'concat'"),
    ],
)
def test_refused(name, wrong, expected):
    received = re.escape(f"Received: {name}={wrong!r}")
    with pytest.raises(ValueError, match=f"Expected {name} to be .*{expected}.*{received}"):
        ConditionalGAN(**{"image_shape": SHAPE, name: wrong})
