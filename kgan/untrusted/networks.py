"""What presets of strangers may say of a model: its arguments, and networks that users brought.

Keras makes objects of whatever a description names: any class or function of its own, anything
that is registered, code in safe mode's absence. So a description is read as a grammar: what is not
known here is refused, before Keras sees it.
"""

import inspect
import math
import re
from typing import Any

import keras

import kgan
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

NETWORKS = ("generator", "discriminator")


def _is_int(low, high):
    return (
        f"an int from {low} to {high:,}",
        lambda v: type(v) is int and low <= v <= high,
    )


def _is_number(low, high):
    return (
        f"a number from {low} to {high:g}",
        lambda v: type(v) in (int, float) and low <= v <= high,
    )


def _or_null(bound):
    expected, fits = bound
    return f"{expected}, or null", lambda v: v is None or fits(v)


def _is_augment(value):
    """A name, or a table with the transforms by name and numbers."""
    table = value if isinstance(value, dict) else {"name": value}
    return isinstance(table.get("name"), str) and all(
        isinstance(item, str)
        or (isinstance(item, list) and all(isinstance(name, str) for name in item))
        if key in ("name", "transforms")
        else key in ("target", "interval", "ramp_images", "strength") and type(item) in (int, float)
        for key, item in table.items()
    )


_NAME = ("a name", lambda v: isinstance(v, str))
_ARGUMENTS = {
    "image_shape": (
        "[height, width, channels]",
        lambda v: (
            isinstance(v, (list, tuple))
            and len(v) == 3
            and all(type(n) is int and 0 < n <= 4096 for n in v)
        ),
    ),
    "latent_dim": _or_null(_is_int(1, 1 << 14)),
    "width": _is_int(1, 1 << 14),
    "discriminator_width": _or_null(_is_int(1, 1 << 14)),
    "max_channels": _is_int(1, 1 << 14),
    "mapping_layers": _is_int(1, 64),
    "num_classes": _or_null(_is_int(1, 100_000)),
    "critic_steps": _is_int(1, 1000),
    "r1_interval": _is_int(1, 1 << 20),
    "seed": _is_int(0, 1 << 53),
    "penalty_weight": _is_number(0, 1e9),
    "r1_gamma": _or_null(_is_number(0, 1e9)),
    "style_mixing": _is_number(0, 1),
    "path_length_weight": _is_number(0, 1e9),
    "ema_half_life": _or_null(_is_number(0, 1e15)),
    "augment": _or_null(("an augmentation's name, or a table of its arguments", _is_augment)),
    "loss": _or_null(_NAME),
    "conditioning": _NAME,
    "initializer": _NAME,
}


def check_arguments(arguments: Any, kind: type, where: str) -> None:
    """Raises KganError unless a class takes the arguments, and they are of a size to be built.

    Those that only a class of the user's own takes may be any plain value.

    Args:
        arguments: of the constructor, as `config.json` has them.
        kind: a GAN.
        where: named in errors.
    """
    if not isinstance(arguments, dict):
        raise KganError(f"Expected a table of arguments. Received: {short(arguments)} in {where}")
    known = {
        name
        for base in kind.__mro__
        if issubclass(base, kgan.models.GAN)
        for name, parameter in inspect.signature(base.__init__).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }
    known |= set(kind.ARGUMENTS) - set(NETWORKS)
    for name, value in arguments.items():
        if name not in known:
            raise KganError(
                f"Expected arguments of {kind.__name__} among {', '.join(sorted(known))}. "
                f"Received: {name[:40]!r} in {where}"
            )
        if name in NETWORKS and value is not None:
            check_network(value, f"{where}'s {name}")
        elif name in _ARGUMENTS:
            expected, fits = _ARGUMENTS[name]
            if not fits(value):
                raise KganError(
                    f"Expected {name} to be {expected}. Received: {short(value)} in {where}"
                )
        else:
            _check_no_object(name, value, where)


def check_network(network: Any, where: str) -> None:
    """Raises KganError unless a serialized network is a graph of allowed layers, not too large.

    How it was compiled by itself is dropped: it says nothing to a GAN.

    Args:
        network: what `keras.saving.serialize_keras_object` gives; changed in place.
        where: named in errors.
    """
    calls = _check_network(network, where, 0)
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


def _check_network(network, where, level):
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
            "Expected networks that are functional or sequential Keras models, which a preset can "
            f"describe without code. Received: {kind} in {where}"
        )
    if level > _MOST_NESTED:
        _refuse(f"at most {_MOST_NESTED} networks in one another", "more", where)
    network.pop("compile_config", None)
    for key, value in config.items():
        if key in ("input_layers", "output_layers"):
            _check_references(value, where)
        elif key != "layers":
            _check_value(key, value, where, level)
    calls = 0
    for layer in layers:
        inner = _check_layer(layer, where, level)
        calls += inner * max(1, _check_calls(layer, where))
    return calls


def _check_layer(layer, where, level):
    kind = _class_name(layer)
    if kind in _MODELS:
        calls = _check_network(layer, where, level + 1)
    elif not isinstance(layer, dict) or not _allowed(layer):
        raise KganError(
            "Expected networks of kgan.layers and of the Keras layers "
            f"{', '.join(sorted(LAYERS))}. Received: {kind} in {where}"
        )
    else:
        calls = 1
        for key, value in _table(layer.get("config"), where).items():
            if key == "layer":  # of a wrapper
                calls += _check_layer(value, where, level + 1)
            elif key == "dtype" and kind == "InputLayer":
                _check_dtype(value, _DTYPES, where)
            else:
                _check_value(key, value, where, level)
    for key, value in layer.items():
        if key == "build_config":
            _check_shapes(value, where)
        elif key == "name":
            _check_name(value, where)
        elif key == "shared_object_id":
            _check_plain(key, value, where)
        elif key not in ("module", "class_name", "registered_name", "config", "inbound_nodes"):
            _refuse("a layer's description", key, where)
    return calls


def _allowed(layer):
    name = _class_name(layer)
    if layer.get("module") == "keras.layers":
        # Keras looks a registered name up before any module.
        return name in LAYERS and layer.get("registered_name") is None
    return name in kgan.layers.__all__ and layer.get("registered_name") == f"kgan>{name}"


def _check_value(key, value, where, level):
    """Checks a value of a layer's configuration."""
    kind = key.rpartition("_")[2]
    if key == "name":
        _check_name(value, where)
    elif key == "dtype":
        _check_dtype(value, _POLICIES, where)
    elif kind == "activation" and isinstance(value, dict):
        if value.get("class_name") == "function" and value.get("config") == _OWN_ACTIVATION:
            return
        if _class_name(value) in _MODELS:
            _refuse("an activation of Keras", _class_name(value), where)
        _check_layer(value, where, level)
    elif kind == "activation":
        if value is not None and not (isinstance(value, str) and value in _ACTIVATIONS):
            _refuse("an activation of Keras", value, where)
    elif kind in _OBJECTS and value is not None:
        value = _table(value, where)
        name = value.get("class_name")
        if not (
            isinstance(name, str)
            and name in _OBJECTS[kind]
            and value.get("module") == f"keras.{kind}s"
            and value.get("registered_name") is None
            and value.keys() <= {"module", "class_name", "registered_name", "config"}
        ):
            _refuse(f"a {kind} of Keras", name, where)
        for inner, item in _table(value.get("config"), where).items():
            _check_plain(inner, item, where)
    else:
        _check_plain(key, value, where)


def _check_name(value, where):
    """Checks a name that is to be one of a scope in TensorFlow."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.>-]{1,200}", value, re.ASCII):
        _refuse("names of letters, digits, '_', '.', '-' and '>'", value, where)


def _check_dtype(value, known, where):
    name = value
    if isinstance(value, dict):
        policy = {"module": "keras", "class_name": "DTypePolicy", "registered_name": None}
        config = _table(value.get("config"), where)
        name = config.get("name")
        if value != {**policy, "config": {"name": name}}:
            _refuse("a dtype or its policy", value.get("class_name"), where)
    if not isinstance(name, str) or name not in known:
        _refuse("a dtype or its policy", name, where)


def _check_plain(key, value, where):
    """Checks a value that Keras makes nothing else of."""
    if isinstance(value, list):
        for item in value:
            _check_plain(key, item, where)
    elif isinstance(value, str):
        if not re.fullmatch(r"\w{0,40}", value, re.ASCII):
            _refuse(f"{key[:40]} in a word", value, where)
    elif isinstance(value, dict):
        _refuse(f"{key[:40]} without objects", value.get("class_name", value), where)
    elif type(value) is int and abs(value) > _MOST_NUMBER and key != "seed":
        _refuse(f"{key[:40]} of at most {_MOST_NUMBER:,}", value, where)


def _check_shapes(value, where):
    """Checks shapes in tables and lists."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_shapes(item, where)
    elif not (value is None or type(value) is int):
        _refuse("shapes", value, where)


def _check_references(value, where):
    """Checks lists of what a network begins or ends with: a layer's name, and two counts."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            _check_references(item, where)
        elif not (isinstance(item, str) or (type(item) is int and item >= 0)):
            _refuse("names of layers and counts", item, where)


def _check_calls(layer, where):
    """Checks with what a layer is called; returns how many times."""
    calls = layer.get("inbound_nodes", [])
    if not isinstance(calls, list):
        _refuse("a list of calls", calls, where)
    for call in calls:
        if not isinstance(call, dict) or call.keys() != {"args", "kwargs"}:
            _refuse("calls with args and kwargs", call, where)
        _check_argument(call["args"], where)
        _check_argument(list(_table(call["kwargs"], where).values()), where)
    return len(calls)


def _check_argument(value, where):
    if isinstance(value, list):
        for item in value:
            _check_argument(item, where)
    elif isinstance(value, dict):
        tensor = _table(value.get("config"), where)
        if value.get("class_name") != "__keras_tensor__":
            _refuse("calls on tensors", value.get("class_name"), where)
        _check_shapes(tensor.get("shape"), where)
        _check_dtype(tensor.get("dtype"), _DTYPES, where)
        _check_references(tensor.get("keras_history"), where)
    elif isinstance(value, str):
        _refuse("calls on tensors", value, where)


def _table(value, where):
    if not isinstance(value, dict):
        _refuse("a table", value, where)
    return value


def _refuse(expected, received, where):
    raise KganError(
        f"Expected networks that a preset can describe, here {expected}. Received: "
        f"{short(received)} in {where}"
    )


def _class_name(serialized):
    name = serialized.get("class_name") if isinstance(serialized, dict) else type(serialized)
    return name if isinstance(name, str) and len(name) <= 100 else short(name)
