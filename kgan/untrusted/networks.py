"""What an untrusted preset may say of a model: its arguments, and networks that users brought.

Keras makes objects of whatever a description names: any class or function of its own, anything
that is registered, code in safe mode's absence. So a description is read as a grammar: what is not
known here is refused, before Keras sees it.
"""

import inspect
import math
import re
from collections.abc import Collection
from typing import Any

import keras

from kgan.errors import KganError, short

# They compute, and do nothing else.
LAYERS = {
    *("InputLayer", "Dense", "Conv1D", "Conv2D", "Conv2DTranspose", "SeparableConv2D"),
    *("DepthwiseConv2D", "Embedding", "Flatten", "Reshape", "Permute", "Activation", "ReLU"),
    *("LeakyReLU", "PReLU", "ELU", "Softmax", "BatchNormalization", "LayerNormalization"),
    *("GroupNormalization", "UnitNormalization", "RMSNormalization", "SpectralNormalization"),
    *("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Identity", "Rescaling"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
    *("UpSampling2D", "ZeroPadding2D", "Cropping2D", "MaxPooling1D", "MaxPooling2D"),
    *("AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
}
_MODELS = {"Functional": ("keras.src.models.functional", "keras.models"), "Sequential": ("keras",)}
_OBJECTS = {
    "initializer": {
        *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity"),
        *("LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform"),
        *("TruncatedNormal", "VarianceScaling", "Zeros"),
        *("IdentityInitializer", "OrthogonalInitializer"),
    },
    "regularizer": {"L1", "L2", "L1L2", "OrthogonalRegularizer"},
    "constraint": {"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"},
}
_ACTIVATIONS = {
    *("celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh"),
    *("leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "softmax", "softplus", "softsign", "squareplus", "swish", "tanh"),
}
_OWN_ACTIVATION = "kgan>scaled_leaky_relu"
_FLOATS = {"float16", "bfloat16", "float32", "float64"}
_POLICIES = _FLOATS | {"mixed_float16", "mixed_bfloat16"}
_DTYPES = _POLICIES | {"bool", "uint8", "int8", "int16", "int32", "int64"}

_MOST_NUMBER = 1 << 20  # units, filters, sides, ...
_MOST_NESTED = 4  # networks in networks
_MOST_CALLS = 500  # of layers, those in networks counted every time that these are called
_MOST_VALUES = 1 << 23  # that a layer puts out for one image


def check_arguments(arguments: Any, kind: type, layers: Collection[str], where: str) -> None:
    """Raises KganError unless a class takes the arguments, and they are of a size to be built.

    Those with the name of a player are networks. Those that only a class outside kgan takes may be
    any plain value.

    Args:
        arguments: of the constructor, as `config.json` has them.
        kind: class of models, with their bounds in `ARGUMENTS` and their networks in `PLAYERS`.
        layers: names of kgan's own layers.
        where: named in errors.
    """
    if not isinstance(arguments, dict):
        raise KganError(f"Expected a table of arguments. Received: {short(arguments)} in {where}")
    players = {player for names in kind.PLAYERS.values() for player in names}
    known = players | kind.ARGUMENTS.keys() | _arguments_of_users(kind)
    for name, value in arguments.items():
        if name not in known:
            raise KganError(
                f"Expected arguments of {kind.__name__} among {', '.join(sorted(known))}. "
                f"Received: {name[:40]!r} in {where}"
            )
        if name in players:
            if value is not None:
                check_network(value, layers, f"{where}'s {name}")
        elif name in kind.ARGUMENTS:
            kind.ARGUMENTS[name].check(name, value, where)
        else:
            _check_no_object(name, value, where)


def _arguments_of_users(kind):
    """The arguments of the constructors that a class has from outside kgan."""
    return {
        name
        for base in kind.__mro__
        if hasattr(base, "ARGUMENTS") and not base.__module__.startswith("kgan.")
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if name != "self"
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def check_network(network: Any, layers: Collection[str], where: str) -> None:
    """Raises KganError unless a serialized network is a graph of allowed layers, not too large.

    How it was compiled by itself is dropped: it says nothing to a GAN.

    Args:
        network: what `keras.saving.serialize_keras_object` gives; changed in place.
        layers: names of kgan's own layers.
        where: named in errors.
    """
    calls = _Grammar(layers, where).network(network, 0)
    if calls > _MOST_CALLS:
        raise KganError(
            f"Expected networks of at most {_MOST_CALLS} calls of layers. Received: {calls} in "
            f"{where}"
        )


def check_values(network: keras.Model, where: str) -> None:
    """Raises KganError if a layer puts out more than fits in memory for a few images."""
    for layer in network._flatten_layers():
        for node in layer._inbound_nodes:
            for tensor in node.output_tensors:
                if math.prod(n or 1 for n in tensor.shape) > _MOST_VALUES:
                    raise KganError(
                        f"Expected layers of at most {_MOST_VALUES:,} values for an image. "
                        f"Received: {layer.name} of shape {tuple(tensor.shape)} in {where}"
                    )


def _check_no_object(name, value, where):
    if isinstance(value, dict) and "class_name" in value:
        raise KganError(
            f"Expected plain values for {name}. Received: {short(value['class_name'])} in {where}"
        )
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _check_no_object(name, item, where)


class _Grammar:
    """Checks of a description; each method raises KganError for what is not known here."""

    def __init__(self, layers, where):
        self.layers = layers
        self.where = where

    def network(self, network, level):
        """Checks a network; returns how many layers it calls, those of networks in it included."""
        kind = _class_name(network)
        config = network.get("config") if isinstance(network, dict) else None
        layers = config.get("layers") if isinstance(config, dict) else None
        if not (
            kind in _MODELS
            and network.get("module") in _MODELS[kind]
            and network.get("registered_name") in (None, kind)
            and isinstance(layers, list)
        ):
            raise KganError(
                "Expected networks that are functional or sequential Keras models, which a preset "
                f"can describe without code. Received: {kind} in {self.where}"
            )
        if level > _MOST_NESTED:
            self.refuse(f"at most {_MOST_NESTED} networks in one another", "more")
        network.pop("compile_config", None)
        for key, value in config.items():
            if key in ("input_layers", "output_layers"):
                self.references(value)
            elif key != "layers":
                self.value(key, value, level)
        calls = 0
        for layer in layers:
            inner = self.layer(layer, level)
            calls += inner * max(1, self.calls(layer))
        return calls

    def layer(self, layer, level):
        kind = _class_name(layer)
        if kind in _MODELS:
            calls = self.network(layer, level + 1)
        elif not isinstance(layer, dict) or not self.is_allowed(layer):
            raise KganError(
                "Expected networks of kgan.layers and of the Keras layers "
                f"{', '.join(sorted(LAYERS))}. Received: {kind} in {self.where}"
            )
        else:
            calls = 1
            for key, value in self.table(layer.get("config")).items():
                if key == "groups" and "Conv" in kind and type(value) is int and value > 1:
                    # One operation each, or compiled by XLA, which takes as long as many calls.
                    calls += value // 16 if kind == "GroupedConv2D" else 8
                if key == "layer":  # of a wrapper
                    calls += self.layer(value, level + 1)
                elif key == "dtype" and kind == "InputLayer":
                    self.dtype(value, _DTYPES)
                else:
                    self.value(key, value, level)
        for key, value in layer.items():
            if key == "build_config":
                self.shapes(value)
            elif key == "name":
                self.name(value)
            elif key == "shared_object_id":
                self.plain(key, value)
            elif key not in ("module", "class_name", "registered_name", "config", "inbound_nodes"):
                self.refuse("a layer's description", key)
        return calls

    def is_allowed(self, layer):
        name = _class_name(layer)
        if layer.get("module") == "keras.layers":
            # Keras looks a registered name up before any module.
            return name in LAYERS and layer.get("registered_name") is None
        return name in self.layers and layer.get("registered_name") == f"kgan>{name}"

    def value(self, key, value, level):
        """Checks a value of a layer's configuration."""
        kind = key.rpartition("_")[2]
        if key == "name":
            self.name(value)
        elif key == "dtype":
            self.dtype(value, _POLICIES)
        elif kind == "activation" and isinstance(value, dict):
            if value.get("class_name") == "function" and value.get("config") == _OWN_ACTIVATION:
                return
            if _class_name(value) in _MODELS:
                self.refuse("an activation of Keras", _class_name(value))
            self.layer(value, level)
        elif kind == "activation":
            if value is not None and not (isinstance(value, str) and value in _ACTIVATIONS):
                self.refuse("an activation of Keras", value)
        elif kind in _OBJECTS and value is not None:
            value = self.table(value)
            name = value.get("class_name")
            if not (
                isinstance(name, str)
                and name in _OBJECTS[kind]
                and value.get("module") == f"keras.{kind}s"
                and value.get("registered_name") is None
                and value.keys() <= {"module", "class_name", "registered_name", "config"}
            ):
                self.refuse(f"a {kind} of Keras", name)
            for inner, item in self.table(value.get("config")).items():
                self.plain(inner, item)
        else:
            self.plain(key, value)

    def name(self, value):
        """Checks a name that is to be one of a scope in TensorFlow."""
        if not isinstance(value, str) or not re.fullmatch(r"[\w.>-]{1,200}", value, re.ASCII):
            self.refuse("names of letters, digits, '_', '.', '-' and '>'", value)

    def dtype(self, value, known):
        name = value
        if isinstance(value, dict):
            policy = {"module": "keras", "class_name": "DTypePolicy", "registered_name": None}
            config = self.table(value.get("config"))
            name = config.get("name")
            if value != {**policy, "config": {"name": name}}:
                self.refuse("a dtype or its policy", value.get("class_name"))
        if not isinstance(name, str) or name not in known:
            self.refuse("a dtype or its policy", name)

    def plain(self, key, value):
        """Checks a value that Keras makes nothing else of."""
        if isinstance(value, list):
            for item in value:
                self.plain(key, item)
        elif isinstance(value, str):
            if not re.fullmatch(r"\w{0,40}", value, re.ASCII):
                self.refuse(f"{key[:40]} in a word", value)
        elif isinstance(value, dict):
            self.refuse(f"{key[:40]} without objects", value.get("class_name", value))
        elif type(value) is int and abs(value) > _MOST_NUMBER and key != "seed":
            self.refuse(f"{key[:40]} of at most {_MOST_NUMBER:,}", value)

    def shapes(self, value):
        """Checks shapes in tables and lists."""
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                self.shapes(item)
        elif not (value is None or type(value) is int):
            self.refuse("shapes", value)

    def references(self, value):
        """Checks lists of what a network begins or ends with: a layer's name, and two counts."""
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, list):
                self.references(item)
            elif not (isinstance(item, str) or (type(item) is int and item >= 0)):
                self.refuse("names of layers and counts", item)

    def calls(self, layer):
        """Checks with what a layer is called; returns how many times."""
        calls = layer.get("inbound_nodes", [])
        if not isinstance(calls, list):
            self.refuse("a list of calls", calls)
        for call in calls:
            if not isinstance(call, dict) or call.keys() != {"args", "kwargs"}:
                self.refuse("calls with args and kwargs", call)
            if not isinstance(call["args"], list):
                self.refuse("a list of arguments", call["args"])
            named = self.table(call["kwargs"])
            for key, value in [*((None, value) for value in call["args"]), *named.items()]:
                is_flag = type(value) is bool and key in (None, "training")
                if value is not None and not is_flag:
                    self.argument(value)
        return len(calls)

    def argument(self, value):
        """Checks a tensor, or a list of tensors, that a layer is called on."""
        if isinstance(value, list) and value:
            for item in value:
                self.argument(item)
        elif isinstance(value, dict):
            tensor = self.table(value.get("config"))
            if value.get("class_name") != "__keras_tensor__":
                self.refuse("calls on tensors", value.get("class_name"))
            self.shapes(tensor.get("shape"))
            self.dtype(tensor.get("dtype"), _DTYPES)
            self.references(tensor.get("keras_history"))
        else:
            self.refuse("calls on tensors", value)

    def table(self, value):
        if not isinstance(value, dict):
            self.refuse("a table", value)
        return value

    def refuse(self, expected, received):
        raise KganError(
            f"Expected networks that a preset can describe, here {expected}. Received: "
            f"{short(received)} in {self.where}"
        )


def _class_name(serialized):
    name = serialized.get("class_name") if isinstance(serialized, dict) else type(serialized)
    return name if isinstance(name, str) and len(name) <= 100 else short(name)
