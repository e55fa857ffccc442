"""Which critics are refused since TensorFlow cannot differentiate them twice."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kgan
from kgan import losses
from kgan.models import GAN, WGANGP
from layers.test_pixel_normalization import check_gradients, normal
from models.harness import TWO_REPLICAS

SHAPE = (8, 8, 1)
X = normal(3, *SHAPE)


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def network(*stack):
    """A critic with these layers in the middle, between smooth ones."""
    images = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", bias_initializer="normal")(images)
    for layer in stack:
        x = layer(x)
    x = layers.Dense(3, activation="tanh", bias_initializer="normal")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(1)(x))


def model_of(critic, **kwargs):
    latents = keras.Input((4,))
    x = layers.Reshape(SHAPE)(layers.Dense(int(np.prod(SHAPE)), "tanh")(latents))
    model = WGANGP(SHAPE, generator=keras.Model(latents, x), discriminator=critic, **kwargs)
    model.compile()
    return model


ACCEPTED = {
    "Conv2D and Dense": lambda: [layers.Conv2D(3, 3, 2), layers.Flatten(), layers.Dense(5)],
    "DepthwiseConv2D": lambda: [layers.DepthwiseConv2D(3), layers.SeparableConv2D(3, 3)],
    "Conv2DTranspose": lambda: [layers.Conv2DTranspose(3, 3, 2)],
    "LayerNormalization": lambda: [layers.LayerNormalization()],
    "GroupNormalization": lambda: [layers.GroupNormalization(2)],
    "UnitNormalization": lambda: [layers.UnitNormalization()],
    "MaxPooling2D": lambda: [layers.MaxPooling2D()],
    "AveragePooling2D": lambda: [layers.AveragePooling2D()],
    "GlobalAveragePooling2D": lambda: [layers.GlobalAveragePooling2D()],
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


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_critics_have_the_right_gradient_of_the_penalty(name, float64):
    """Along a random direction for every weight; no kink lies within its 1e-5."""
    critic = model_of(network(*ACCEPTED[name]())).discriminator
    states = [(w, w.numpy()) for w in critic.non_trainable_variables]

    def penalty():
        for variable, value in states:  # the same dropout each time
            variable.assign(value)
        training = name == "Dropout"
        return tf.reduce_sum(losses.r1(lambda x: critic(x, training=training), X))

    variables = critic.trainable_variables
    with tf.GradientTape() as tape:
        value = penalty()
    gradients = tape.gradient(value, [v.value for v in variables])
    depended = [v for v, g in zip(variables, gradients, strict=True) if g is not None]
    assert value > 0 and {v.path for v in variables} - {v.path for v in depended} <= {
        variables[-1].path  # the last bias
    }
    check_gradients(penalty, [v.value for v in depended])


REFUSED = {
    "UpSampling2D": lambda: layers.UpSampling2D(interpolation="bilinear"),
    "bicubic UpSampling2D": lambda: layers.UpSampling2D(interpolation="bicubic"),
    "Resizing": lambda: layers.Resizing(4, 4),
    "nearest Resizing": lambda: layers.Resizing(4, 4, interpolation="nearest"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_critics_without_a_second_gradient_are_refused(name):
    expected = "Expected a discriminator that TensorFlow can differentiate twice.*Received"
    with pytest.raises(ValueError, match=expected):
        model_of(network(REFUSED[name]()))
