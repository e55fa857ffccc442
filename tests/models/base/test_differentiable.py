"""Which critics are refused since TensorFlow cannot differentiate them twice."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layers.harness import check_gradients, normal

import kgan
from kgan import losses
from kgan.errors import KganWarning
from kgan.models import GAN, WGANGP
from models.harness import TWO_REPLICAS

SHAPE = (8, 8, 1)
X = normal(3, *SHAPE)
REFUSAL = "Expected a discriminator that TensorFlow can differentiate twice.*Received: "


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def network(*stack):
    """A critic with these layers in the middle, between smooth ones."""
    keras.utils.set_random_seed(0)
    images = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", bias_initializer="normal")(images)
    for layer in stack:
        x = layer(x)
    x = layers.Dense(3, activation="tanh", bias_initializer="normal")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(1)(x))


def model_of(critic, kind=WGANGP):
    latents = keras.Input((4,))
    x = layers.Reshape(SHAPE)(layers.Dense(int(np.prod(SHAPE)), "tanh")(latents))
    model = kind(SHAPE, generator=keras.Model(latents, x), discriminator=critic)
    model.compile()
    return model


ACCEPTED = {
    "Conv2D and Dense": lambda: [layers.Conv2D(3, 3, 2), layers.Flatten(), layers.Dense(5)],
    "DepthwiseConv2D": lambda: [layers.DepthwiseConv2D(3), layers.SeparableConv2D(3, 3)],
    "Conv2DTranspose": lambda: [layers.Conv2DTranspose(3, 3, 2)],
    "RMSNormalization": lambda: [layers.RMSNormalization()],
    "UnitNormalization": lambda: [layers.UnitNormalization()],
    "MaxPooling2D": lambda: [layers.MaxPooling2D()],
    "AveragePooling2D": lambda: [layers.AveragePooling2D(2), layers.GlobalAveragePooling2D()],
    "Dropout": lambda: [layers.Dropout(0.5, seed=0), layers.SpatialDropout2D(0.5, seed=1)],
    "nearest UpSampling2D": lambda: [layers.UpSampling2D()],
    "padding and cropping": lambda: [layers.ZeroPadding2D(), layers.Cropping2D(2)],
    "SpectralConv2D": lambda: [kgan.layers.SpectralConv2D(3, 3), kgan.layers.SpectralDense(3)],
    "EqualizedConv2D": lambda: [kgan.layers.EqualizedConv2D(3, 3)],
    "MinibatchStddev": lambda: [kgan.layers.MinibatchStddev(2)],
    "Upsample2D": lambda: [kgan.layers.Upsample2D()],
    "Downsample2D": lambda: [kgan.layers.Downsample2D(), kgan.layers.Blur2D()],
    **{
        name: lambda name=name: [layers.Conv2D(3, 3, activation=name)]
        for name in ("relu", "leaky_relu", "elu", "gelu", "selu", "silu", "softplus", "softmax")
    },
}


def check_penalty(critic, training=False):
    """R1's gradient for every weight, by finite differences; no kink lies within 1e-6 here."""
    states = [(w, w.numpy()) for w in critic.non_trainable_variables]

    def penalty():
        for variable, value in states:  # the same dropout each time
            variable.assign(value)
        return tf.reduce_sum(losses.r1(lambda x: critic(x, training=training), X))

    weights = [v.value for v in critic.trainable_variables]
    with tf.GradientTape() as tape:
        value = penalty()
    assert value > 0
    pairs = zip(weights, tape.gradient(value, weights), strict=True)
    without = [w.name for w, g in pairs if g is None]
    assert without == [weights[-1].name]  # the last bias
    check_gradients(penalty, weights[:-1], step=1e-6)


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_critics_have_the_right_gradient_of_the_penalty(name, float64):
    check_penalty(model_of(network(*ACCEPTED[name]())).discriminator, training=name == "Dropout")


@pytest.mark.parametrize("layer", [layers.LayerNormalization, lambda: layers.GroupNormalization(2)])
def test_normalizations_that_are_only_nearly_right_are_warned_of(layer, float64):
    """tf.nn.moments stops the gradient at the mean: right for the first order only."""
    with pytest.warns(KganWarning, match="RMSNormalization is exact"):
        model = model_of(network(layer()))
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_penalty(model.discriminator)


REFUSED = {
    "UpSampling2D": lambda: layers.UpSampling2D(interpolation="bilinear"),
    "bicubic UpSampling2D": lambda: layers.UpSampling2D(interpolation="bicubic"),
    "Resizing": lambda: layers.Resizing(4, 4),
    "nearest Resizing": lambda: layers.Resizing(4, 4, interpolation="nearest"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_critics_without_a_second_gradient_are_refused(name):
    with pytest.raises(ValueError, match=REFUSAL):
        model_of(network(REFUSED[name]()))


def test_linear_critic_is_accepted_though_its_biases_get_no_second_gradient():
    images = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, bias_initializer="normal")(images)
    critic = keras.Model(images, layers.Dense(1)(layers.Flatten()(x)))
    model = model_of(critic)
    with tf.GradientTape() as tape:
        penalty = losses.r1(model.discriminate, tf.constant(X, "float32"))
    gradients = tape.gradient(penalty, [v.value for v in critic.trainable_variables])
    assert [g is None for g in gradients] == [False, True, False, True]


def test_resizing_of_the_images_themselves_is_refused():
    images = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Resizing(4, 4)(images))
    with pytest.raises(ValueError, match=REFUSAL):
        model_of(keras.Model(images, layers.Dense(1)(x)))


def test_labels_are_passed_on():
    images, labels = keras.Input(SHAPE), keras.Input((), dtype="int32")
    x = layers.Dense(4, "gelu")(layers.Flatten()(images))
    scores = layers.Dot(1)([x, kgan.layers.SpectralEmbedding(3, 4)(labels)])
    latents, classes = keras.Input((4,)), keras.Input((), dtype="int32")
    y = layers.Add()([latents, layers.Embedding(3, 4)(classes)])
    y = layers.Reshape(SHAPE)(layers.Dense(64, "tanh")(y))
    model = WGANGP(
        SHAPE,
        generator=keras.Model([latents, classes], y),
        discriminator=keras.Model([images, labels], scores),
        num_classes=3,
    )
    model.compile()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_on_replicas(interpolation):
    with TWO_REPLICAS.scope():
        critic = network(layers.UpSampling2D(interpolation=interpolation))
        if interpolation == "nearest":
            model_of(critic)
        else:
            with pytest.raises(ValueError, match=REFUSAL):
                model_of(critic)


def test_frozen_critic_has_nothing_to_check():
    critic = network()
    critic.trainable = False
    model_of(critic)


def test_batch_normalization_is_refused_before():
    with pytest.raises(ValueError, match="without batch normalisation.*Received: the_layer"):
        model_of(network(layers.BatchNormalization(name="the_layer")))


def test_batch_normalization_under_r1_is_warned_of():
    """In training, where it has a variance of its own: in inference it is a constant."""
    latents = keras.Input((4,))
    x = layers.Reshape(SHAPE)(layers.Dense(int(np.prod(SHAPE)), "tanh")(latents))
    model = GAN(
        SHAPE,
        generator=keras.Model(latents, x),
        discriminator=network(layers.BatchNormalization()),
        r1_gamma=1.0,
    )
    with pytest.warns(KganWarning, match="tf.nn.moments"):
        model.compile()


def test_models_without_penalty_take_any_discriminator():
    model_of(network(layers.UpSampling2D(interpolation="bilinear")), kind=GAN)
