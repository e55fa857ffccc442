"""What models accept as networks, and what they say about the rest."""

import warnings

import keras
from keras import layers

from kgan.errors import KganError, KganWarning

# What lies between the last activation and a network's output, and leaves the values as they are.
_SHAPING = (
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.Identity, layers.Dropout),
    *(layers.Cropping2D, layers.UpSampling2D, layers.GlobalMaxPooling2D, layers.MaxPooling2D),
)
_NEVER_BELOW_0 = {
    *("sigmoid", "hard_sigmoid", "softmax", "relu", "relu6", "softplus", "squareplus"),
    "exponential",
}
_NO_LOGITS = {*_NEVER_BELOW_0, "log_sigmoid", "log_softmax", "tanh", "hard_tanh", "softsign"}


def check_network(name: str, network: keras.Model, takes: list[tuple], gives: tuple) -> list[tuple]:
    """Refuses a user's network of another kind, or of other inputs or outputs.

    Args:
        name: of the player, for the error.
        network: functional or sequential model; a subclass that has `input_shape` and
            `output_shape`, if it needs no copy for an average.
        takes: a shape for each input without the size of the batch, None where any will do.
        gives: the shape of the output likewise; an ellipsis stands for any number of sides.

    Returns:
        The shapes of all inputs.

    Raises:
        ValueError: if one differs.
    """
    kind = type(network).__name__
    if not isinstance(network, keras.Model):
        raise KganError(f"Expected a keras.Model as {name}. Received: {kind}")
    if isinstance(network, keras.Sequential) and not network.built:
        raise KganError(
            f"Expected a {name} that knows its shapes. Received: a Sequential that is not built; "
            "begin it with keras.Input(shape)"
        )
    if hasattr(network, "inputs"):
        received = [tuple(x.shape) for x in network.inputs]
    elif hasattr(network, "input_shape") and hasattr(network, "output_shape"):
        received = [network.input_shape]
    else:
        raise _no_graph(name, network)
    fits = len(received) == len(takes) and all(
        _fits(shape[1:], expected) for shape, expected in zip(received, takes, strict=True)
    )
    if not (fits and _fits(network.output_shape[1:], gives)):
        expected = " and ".join(map(_shown, takes))
        raise KganError(
            f"Expected a {name} from {expected} to {_shown(gives)}. Received: one from "
            f"{' and '.join(map(str, received))} to {network.output_shape}"
        )
    return received


def _no_graph(name, network):
    return KganError(
        f"Expected functional or sequential networks. Received: {type(network).__name__}, a "
        f"subclass of keras.Model, as {name}; keras.Model(inputs, network(inputs)) of inputs = "
        "keras.Input(shape) is functional"
    )


def _fits(shape, expected):
    if expected == (...,):
        return True
    return len(shape) == len(expected) and all(
        want in (None, got) for got, want in zip(shape, expected, strict=True)
    )


def _shown(shape):
    if shape == (...,):
        return "(batch, …)"
    return f"({', '.join(['batch', *('any' if n is None else str(n) for n in shape)])})"


def copied(name: str, network: keras.Model) -> keras.Model:
    """A network of the same layers, with weights of its own.

    Args:
        name: of the player, for the error.
        network: functional or sequential model.

    Raises:
        ValueError: if a layer cannot be made again from its configuration.
    """
    if not hasattr(network, "inputs"):
        raise _no_graph(name, network)
    # A Lambda has no weights, and its function is not to be read from a configuration.
    has_lambda = any(isinstance(layer, layers.Lambda) for layer in network._flatten_layers())
    try:
        return keras.models.clone_model(
            network, clone_function=_copied_layer if has_lambda else None, recursive=has_lambda
        )
    except Exception as error:  # whatever a user's layer raises
        raise KganError(
            f"Expected a {name} of layers that can be made again from get_config(), for its moving "
            f"average; ema_half_life=None keeps none. Received: {_in_a_line(error)}"
        ) from error


def described(name: str, network: keras.Model) -> dict:
    """What `keras.saving` makes of a network; of a user's kind of functional model its graph.

    Raises:
        ValueError: if a layer has no description.
    """
    if hasattr(network, "inputs") and not type(network).__module__.startswith("keras."):
        network = keras.Model(network.inputs, network.outputs, name=network.name)
    try:
        return keras.saving.serialize_keras_object(network)
    except Exception as error:  # whatever a user's layer raises
        raise KganError(
            f"Expected a {name} of layers that get_config() describes, to be saved. Received: "
            f"{_in_a_line(error)}"
        ) from error


def _copied_layer(layer):
    if isinstance(layer, layers.Lambda):
        return layer
    return type(layer).from_config(layer.get_config())


def _in_a_line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def check_precision(name: str, network: keras.Model, policy: str) -> None:
    """Warns of a network that computes otherwise than its model is asked to."""
    policies = {layer.dtype_policy.name for layer in network._flatten_layers() if layer.weights}
    if policies and policy not in policies:
        warnings.warn(
            f"The {name} computes in {', '.join(sorted(policies))}, as it was made: the model's "
            f"dtype, {policy}, does not change it.",
            KganWarning,
            stacklevel=2,
        )


def check_logits(name: str, network: keras.Model) -> None:
    """Warns if a discriminator ends in an activation, where losses want logits."""
    _warn_of_end(
        name,
        network,
        _NO_LOGITS,
        "where logits of any size are expected: losses apply what they need themselves. Its last "
        "layer should have no activation",
    )


def check_pictures(name: str, network: keras.Model) -> None:
    """Warns if a generator ends in an activation whose values are no pictures in [-1, 1]."""
    _warn_of_end(
        name,
        network,
        _NEVER_BELOW_0,
        "which is never below 0, and pictures are in [-1, 1]: the dark half of all values is out "
        "of its reach. tanh is usual",
    )


def _warn_of_end(name, network, activations, why):
    found = last_activation(network)
    if found in activations:
        warnings.warn(f"The {name} ends in {found}, {why}.", KganWarning, stacklevel=4)


def last_activation(network: keras.Model) -> str | None:
    """The name of the activation that a network's output comes from; None if it is another layer.

    Layers that only change the shape are passed over, networks within are looked into.
    """
    if not hasattr(network, "outputs"):  # a subclass, whose layers have no order
        return None
    tensor = network.outputs[0]
    while True:
        operation, node, _ = tensor._keras_history
        if isinstance(operation, _SHAPING):
            tensor = operation._inbound_nodes[node].input_tensors[0]
        elif getattr(operation, "outputs", None):
            tensor = operation.outputs[0]
        else:
            break
    activation = getattr(operation, "activation", None)
    if activation is None:  # layers and operations that are one themselves
        return _snake_case(type(operation).__name__)
    return getattr(activation, "__name__", _snake_case(type(activation).__name__))


def _snake_case(name):
    return {"ReLU": "relu", "LogSigmoid": "log_sigmoid"}.get(name) or "".join(
        f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name)
    )
