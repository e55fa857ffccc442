"""Networks of users: what trains, what is refused by name, what is said of their last layers."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import kgan
from kgan.errors import KganWarning
from kgan.models import DCGAN, GAN, R3GAN, ConditionalGAN, StyleGANLite

SHAPE = (16, 16, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype="uint8")


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.reshape = layers.Dense(256, "tanh"), layers.Reshape(SHAPE)

    def call(self, x):
        return self.reshape(self.dense(x))


class Functional(keras.Model):
    def __init__(self):
        latents = keras.Input((4,))
        super().__init__(latents, layers.Reshape(SHAPE)(layers.Dense(256, "tanh")(latents)))


class Undescribed(layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def generator(*more):
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(256, "tanh"), *more, layers.Reshape(SHAPE)]
    )


def discriminator(*more):
    return keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(1), *more])


def gan(generator, discriminator=None, **more):
    model = GAN(SHAPE, generator=generator, discriminator=discriminator, **{"width": 5, **more})
    model.compile(run_eagerly=True)
    return model


def wrapped():
    latents = keras.Input((4,))
    return keras.Model(latents, Subclassed()(latents))


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(wrapped, id="a subclass in a functional network"),
        pytest.param(
            Functional,
            id="a functional subclass",
            marks=pytest.mark.skipif(
                keras.__version__.startswith("3.10."), reason="this Keras cannot clone it"
            ),
        ),
        pytest.param(lambda: generator(layers.Lambda(lambda x: 0.5 * x)), id="Lambda"),
    ],
)
def test_what_trains_and_is_saved(network, tmp_path):
    model = gan(network())
    before = model.ema_generator.get_weights()
    model.train_on_batch(IMAGES)
    assert not np.array_equal(model.ema_generator.get_weights()[0], before[0])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(
        tmp_path / "m.keras", custom_objects={"Subclassed": Subclassed}, safe_mode=False
    )
    np.testing.assert_array_equal(again.sample(2, seed=0), model.sample(2, seed=0))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ((Subclassed,), "Expected functional or sequential networks. Received: Subclassed"),
        ((generator, Subclassed), "Received: Subclassed, a subclass .* as discriminator"),
        ((lambda: keras.Sequential([layers.Dense(4)]),), "not built; begin it with keras.Input"),
        ((lambda: layers.Dense(4),), "Expected a keras.Model as generator. Received: Dense"),
        ((lambda: generator(Undescribed(abs)),), "ema_half_life=None.*Received: .*Undescribed"),
    ],
)
def test_what_cannot_be_trained_is_refused_when_it_is_given(networks, message):
    with pytest.raises(ValueError, match=message):
        gan(*[network() for network in networks])


def test_what_cannot_be_saved_is_refused_then(tmp_path):
    model = gan(generator(Undescribed(abs)), ema_half_life=None)
    model.train_on_batch(IMAGES)
    path = tmp_path / "m.keras"
    path.write_text("an earlier one")
    for save in (model.save, model.save_to_preset):
        with pytest.raises(ValueError, match="layers that get_config.*Received: .*Undescribed"):
            save(path if save == model.save else tmp_path / "preset")
    assert path.read_text() == "an earlier one"
    model = gan(generator(layers.Lambda(lambda x: 0.5 * x)))
    with pytest.raises(ValueError, match="Received: Lambda in the model's generator"):
        model.save_to_preset(tmp_path / "preset")


def warned(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [str(w.message) for w in caught if w.category is KganWarning]


class Sigmoid(layers.Layer):
    def call(self, x):
        return keras.ops.sigmoid(x)


# The end of a network in every way to write it.
ENDS = {
    "Dense": lambda name: [layers.Dense(256, name)],
    "Activation": lambda name: [layers.Dense(256), layers.Activation(name)],
    "function": lambda name: [layers.Dense(256, getattr(keras.activations, name))],
    "Sequential": lambda name: [keras.Sequential([layers.Dense(256), layers.Activation(name)])],
    "functional": lambda name: [_functional(name)],
    "reshaped": lambda name: [layers.Dense(256, name), layers.Dropout(0.1), layers.Flatten()],
}


def _functional(name):
    inputs = keras.Input((4,))
    return keras.Model(inputs, getattr(keras.ops, name)(layers.Dense(256)(inputs)))


@pytest.mark.parametrize("end", ENDS)
def test_last_activations(end):
    def ending(name):
        network = [keras.Input((4,)), *ENDS[end](name), layers.Reshape(SHAPE)]
        judge = [keras.Input(SHAPE), layers.Flatten(), layers.Dense(4), *ENDS[end](name)]
        return warned(lambda: gan(keras.Sequential(network), keras.Sequential(judge)))

    for_d, for_g = ending("sigmoid")
    assert "The discriminator ends in sigmoid, where logits" in for_d
    assert "The generator ends in sigmoid, which is never below 0" in for_g
    assert len(ending("softplus")) == 2
    (tanh,) = ending("tanh")  # is right for pictures
    assert "The discriminator ends in tanh" in tanh


def test_layers_that_are_activations_themselves():
    def judged(layer):
        return warned(lambda: gan(generator(), discriminator(layer)))

    assert "ends in relu" in judged(layers.ReLU())[0]
    assert "ends in softmax" in judged(layers.Softmax())[0]
    assert judged(layers.LeakyReLU()) == judged(layers.Rescaling(2.0)) == []


def test_no_false_alarm():
    rescaled = generator(layers.Activation("sigmoid"), layers.Rescaling(2.0, offset=-1.0))
    assert warned(lambda: gan(rescaled, discriminator())) == []
    for kind, config in (
        (GAN, {"width": 5}),
        (DCGAN, {"width": 4, "dtype": "mixed_bfloat16"}),
        (ConditionalGAN, {"width": 4, "num_classes": 3}),
        (StyleGANLite, {"width": 4, "max_channels": 4, "mapping_layers": 1}),
        (R3GAN, {"width": 4}),
    ):
        assert warned(lambda kind=kind, config=config: kind(SHAPE, latent_dim=4, **config)) == []


def test_a_network_keeps_its_precision_aloud():
    (message,) = warned(lambda: gan(generator(), dtype="mixed_float16"))
    assert "The generator computes in float32, as it was made" in message


def test_what_a_layer_counts_is_in_the_average_as_it_is():
    class Counter(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(dtype="int32", trainable=False, initializer="zeros")

        def call(self, x, training=False):
            if training:
                self.count.assign_add(1)
            return x

    layers = [Counter(), keras.layers.Dense(256, "tanh"), keras.layers.Reshape((16, 16, 1))]
    generator = keras.Sequential([keras.Input((4,)), *layers])
    model = kgan.models.GAN((16, 16, 1), latent_dim=4, width=5, generator=generator)
    model.compile()
    model.fit(np.zeros((8, 16, 16, 1), "uint8"), batch_size=4, verbose=0)
    assert model.ema_generator.layers[0].count.numpy() == generator.layers[0].count.numpy() > 0
