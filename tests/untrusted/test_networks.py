"""kgan.untrusted.networks: what an untrusted preset may say of a model."""

import copy
import json

import keras
import numpy as np
import pytest
from keras import layers

import kgan.layers
from kgan.errors import KganError
from kgan.models import DCGAN, GAN, StyleGANLite
from kgan.models.stylegan_lite import scaled_leaky_relu
from kgan.untrusted.networks import LAYERS, check_arguments, check_network, check_values

CODE = {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}}
OWN = {"class_name": "Mine", "module": "mine", "registered_name": "mine>Mine", "config": {}}
FUNCTION = {"module": "builtins", "class_name": "function", "registered_name": "function"}


def serialized(*made) -> dict:
    """A sequential network of layers, as config.json has it."""
    network = keras.Sequential([keras.Input((8, 8, 3)), *made])
    return json.loads(json.dumps(keras.saving.serialize_keras_object(network)))


def functional() -> dict:
    x = keras.Input((4,), name="x")
    y = layers.Dense(4, name="y")(x)
    return json.loads(
        json.dumps(keras.saving.serialize_keras_object(keras.Model(x, layers.Add()([y, y]))))
    )


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", bias_constraint="max_norm"),
        layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.2), kernel_initializer="orthogonal"),
        layers.Conv2D(4, 3, kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out")),
        layers.Conv2D(4, 3, dtype="mixed_bfloat16"),
        layers.SpectralNormalization(layers.Conv2D(4, 3)),
        layers.Rescaling([0.5, 1.0, 2.0]),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ZeroPadding2D(((1, 2), (3, 4))),
        layers.Dropout(0.5, seed=2**40),
        kgan.layers.EqualizedConv2D(4, 3, activation=scaled_leaky_relu),
        kgan.layers.MinibatchStddev(4),
    ],
    ids=lambda layer: layer.name,
)
def test_allowed_layers_come_back(layer):
    network = serialized(layer)
    check_network(network, kgan.layers.__all__, "x")
    assert type(keras.saving.deserialize_keras_object(network).layers[0]) is type(layer)


def test_own_networks_are_allowed():
    model = StyleGANLite((16, 16, 3), 4, 4, 8)
    discriminator = keras.saving.serialize_keras_object(model.discriminator)
    check_network(json.loads(json.dumps(discriminator)), kgan.layers.__all__, "x")


@pytest.mark.parametrize("name", [n for n in dir(keras.layers) if n not in LAYERS and n[0] != "_"])
def test_other_layers_are_refused(name):
    network = serialized(layers.Flatten())
    network["config"]["layers"][1]["class_name"] = name
    with pytest.raises(KganError, match=f"Received: {name} in x"):
        check_network(network, kgan.layers.__all__, "x")


@pytest.mark.parametrize(
    "changes",
    [
        {"registered_name": "mine>Mine"},
        {"module": "mine"},
        {"module": None},
        {"module": "keras.src.layers"},
        {"module": "kgan.layers", "registered_name": "kgan>StyleGANLite"},
        {"class_name": ["Dense"]},
        {"class_name": "Functional", "module": "builtins"},
        {"config": None},
        {"config": []},
        {"build_config": {"input_shape": OWN}},
        {"shared_object_id": OWN},
        {"name": OWN},
        {"extra": 1},
        {"inbound_nodes": 5},
        {"inbound_nodes": {"args": [], "kwargs": {}}},
        {"inbound_nodes": [[["x", 0, 0, {"y": 1}]]]},
        {"inbound_nodes": [{"args": [CODE], "kwargs": {}}]},
        {"inbound_nodes": [{"args": [], "kwargs": {"training": OWN}}]},
        {"inbound_nodes": [{"args": ["mine>Mine"], "kwargs": {}}]},
    ],
    ids=str,
)
def test_odd_descriptions_of_a_layer_are_refused(changes):
    network = serialized(layers.Dense(4))
    network["config"]["layers"][1].update(changes)
    with pytest.raises(KganError, match="Expected networks.*Received: .* in x$"):
        check_network(network, kgan.layers.__all__, "x")


@pytest.mark.parametrize(
    "key, value",
    [
        *((key, value) for key in ("activation", "kernel_initializer") for value in (CODE, OWN)),
        *(
            (key, value)
            for key in ("bias_regularizer", "kernel_constraint")
            for value in (CODE, OWN)
        ),
        *(("dtype", value) for value in (CODE, OWN, "int8_from_float32", "object", 7, [])),
        *(("activation", value) for value in ("mine>Mine", "exec", 7, [], {}, functional())),
        *(("activation", {**FUNCTION, "config": name}) for name in ("mine>f", "exec")),
        ("activation", {**FUNCTION, "config": "get_file", "module": "keras.utils"}),
        ("kernel_initializer", "zeros"),
        ("kernel_initializer", {"module": "keras.initializers", "class_name": "get", "config": {}}),
        (
            "kernel_initializer",
            {"module": "keras.initializers", "class_name": "Constant", "config": {"value": OWN}},
        ),
        (
            "kernel_initializer",
            {
                "module": "keras.initializers",
                "class_name": "Zeros",
                "registered_name": "mine>Mine",
                "config": {},
            },
        ),
        ("units", OWN),
        ("units", 2**21),
        ("units", [1, [2**21]]),
        ("use_bias", "a b; c"),
        ("quantization_config", {"class_name": "Int8QuantizationConfig"}),
        ("layer", {**OWN, "name": "y"}),
        *(("name", value) for value in (OWN, "", "a b", "a/b", "é", "x" * 1000)),
        ("dtype", "int32"),
    ],
    ids=str,
)
def test_odd_values_of_a_layer_are_refused(key, value):
    network = serialized(layers.Dense(4))
    network["config"]["layers"][1]["config"][key] = value
    with pytest.raises(KganError, match="Expected networks.*Received: .* in x$"):
        check_network(network, kgan.layers.__all__, "x")


def test_how_a_network_was_compiled_is_dropped():
    network = functional()
    network["compile_config"] = {"optimizer": OWN}
    check_network(network, kgan.layers.__all__, "x")
    assert "compile_config" not in network


def test_networks_may_be_in_networks_but_not_for_ever():
    network = functional()
    for _ in range(4):
        network = {**functional(), "config": {**functional()["config"], "layers": [network]}}
    check_network(network, kgan.layers.__all__, "x")
    with pytest.raises(KganError, match="at most 4 networks in one another"):
        check_network(
            {**functional(), "config": {**network["config"], "layers": [network]}},
            kgan.layers.__all__,
            "x",
        )


def test_calls_are_counted_as_often_as_they_happen():
    network = functional()
    for _ in range(3):  # each called 9 times by the next
        call = network["config"]["layers"][1]["inbound_nodes"][0]
        inner = {**copy.deepcopy(network), "inbound_nodes": [call] * 9, "name": "y"}
        network["config"]["layers"][1] = inner
    with pytest.raises(KganError, match="at most 500 calls of layers. Received: 2[0-9]{3}"):
        check_network(network, kgan.layers.__all__, "x")


@pytest.mark.parametrize("network", [None, 7, [], {}, OWN, {"class_name": "Functional"}])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(KganError, match="functional or sequential Keras models"):
        check_network(network, kgan.layers.__all__, "x")


@pytest.mark.parametrize(
    "arguments",
    [
        *({"width": v} for v in (0, -5, 2**20, 10**30, 5.0, "5", None, True, [5])),
        *({"latent_dim": v} for v in (0, 2**40, "8", {})),
        *({"image_shape": v} for v in ("16", [16], [16, 16, 3, 1], [2**40, 16, 3], [16.0, 16, 3])),
        *({"num_classes": v} for v in (0, 2**40, "x")),
        *({"seed": v} for v in (-1, 2**64, "0", None)),
        *({"ema_half_life": v} for v in (-1, "x", [], True)),
        *({"loss": v} for v in (OWN, 7, ["hinge"])),
        *({"augment": v} for v in (7, ["DiffAugment"], {"transforms": ["color"]}, OWN)),
        *({"augment": {"name": "DiffAugment", "dtype": v}} for v in ("float32", OWN)),
        {"augment": {"name": "DiffAugment", "transforms": [OWN]}},
        {"augment": {"name": "AdaptiveAugment", "strength": "1"}},
        *({key: OWN} for key in ("dtype", "name", "trainable", "self", "kwargs", "critic_steps")),
        *([], None, "x"),
    ],
    ids=str,
)
def test_odd_arguments_are_refused(arguments):
    with pytest.raises(KganError, match="Expected.*Received: .* in x$"):
        check_arguments(arguments, GAN, kgan.layers.__all__, "x")


def test_arguments_are_those_of_the_class():
    check_arguments(
        {"width": 8, "seed": 3, "augment": "DiffAugment"}, DCGAN, kgan.layers.__all__, "x"
    )
    with pytest.raises(KganError, match="arguments of DCGAN among .*Received: 'style_mixing' in x"):
        check_arguments({"style_mixing": 1.0}, DCGAN, kgan.layers.__all__, "x")


def test_arguments_of_a_users_class_are_any_plain_values():
    class Mine(GAN):
        def __init__(self, colors=(), **kwargs):
            super().__init__(**kwargs)

    check_arguments(
        {"colors": {"red": [1, "a/b c", None]}, "width": 5}, Mine, kgan.layers.__all__, "x"
    )
    with pytest.raises(KganError, match="plain values for colors. Received: 'Mine' in x"):
        check_arguments({"colors": [[OWN]]}, Mine, kgan.layers.__all__, "x")


def test_a_layer_may_put_out_only_so_much():
    small, large = (
        keras.Sequential([keras.Input((8, 8, 3)), layers.UpSampling2D(n), layers.Flatten()])
        for n in (64, 1024)
    )
    check_values(small, "x")
    with pytest.raises(KganError, match=r"8,388,608 values for an image. Received: up_sampling2d"):
        check_values(large, "x")


def test_filters_of_resampling_take_no_memory_of_their_own():
    """Before a network is known to be small, it is only described."""
    network = keras.Sequential([keras.Input((1, 1, 1)), layers.UpSampling2D((1, 1 << 20))])
    network.add(layers.Reshape((1, 1, 1 << 20)))
    network.add(kgan.layers.Blur2D(2))
    assert network.output_shape == (None, 2, 2, 1 << 20)
    x = np.zeros((1, 4, 4, 2), "float32")
    assert kgan.layers.Blur2D(2)(x).shape == (1, 5, 5, 2)
