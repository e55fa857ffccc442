"""What models accept as data and networks, and what they say about the rest."""

import itertools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import check_images, check_range
from kgan.errors import KganError


def check_data(x, y, check_batch: Callable[..., bool]):
    """Checks what `fit` was given, before training begins.

    Shapes and dtypes are read off arrays and `tf.data.Dataset`s for free. The first batch is
    looked at only where the types do not tell everything: [-1, 1] from [0, 1], labels that are
    classes.

    Args:
        x: array, `tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches.
        y: what belongs to x, if x is an array.
        check_batch: `AdversarialModel.check_batch`.

    Returns:
        `x`, or for a generator its equivalent with the first batch still in it.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    batch, result = None, x
    if isinstance(x, tf.data.Dataset):
        if check_batch(*_parts(x.element_spec)):
            return x
        batch = next(iter(x.take(1)), None)
    elif isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif hasattr(x, "__next__"):
        batch = next(x, ())
        result = (b for b in itertools.chain([batch], x))  # Keras knows generators by their type
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        batch = (x[:256], y)
    first, second = _parts(batch)
    if hasattr(first, "shape") and 0 not in first.shape:
        check_batch(first, second)
    return result


def _parts(batch):
    """The first two parts of a batch, or of its type, None for those that are not there."""
    parts = batch if isinstance(batch, (tuple, list)) else (batch,)
    return (*parts, None, None)[:2]


def check_image_type(images, image_shape: tuple[int, int, int]) -> bool:
    """Refuses a part of a batch whose type is not that of a model's images.

    Args:
        images: tensor, array, or only its type.
        image_shape: (height, width, channels).

    Returns:
        Whether the type tells everything, as it does of uint8.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    if not hasattr(images, "dtype"):
        raise KganError(
            f"Expected a dataset of images or (images, labels). Received: one of {images}; of "
            "TFDS, as_supervised=True gives (images, labels)"
        )
    dtype = tf.as_dtype(images.dtype)
    shape = tf.TensorShape(images.shape)
    check_images(None if shape.rank is None else tuple(shape), dtype, image_shape)
    return not dtype.is_floating


def check_image_part(images, image_shape: tuple[int, int, int]) -> bool:
    """`check_image_type`, and where there are values of floats, their range."""
    told = check_image_type(images, image_shape)
    if not told and _has_values(images):
        check_range(np.asarray(images))
    return told


def check_labels(labels, num_classes: int) -> None:
    """Raises ValueError unless `labels`, values or only their type, are classes of a model."""
    expected = f"Expected integer labels (batch,) from 0 to {num_classes - 1}"
    if labels is None or not hasattr(labels, "dtype"):
        raise KganError(
            f"{expected}, since the model is conditional: fit(images, labels), or a dataset of "
            f"(images, labels). Received: {'no labels' if labels is None else labels!r}"
        )
    shape = tf.TensorShape(labels.shape)
    shape = (None,) if shape.rank is None else tuple(shape)
    if not tf.as_dtype(labels.dtype).is_integer or (len(shape) != 1 and shape[1:] != (1,)):
        hint = "; of one-hot labels, labels.argmax(1) gives them" if len(shape) == 2 else ""
        raise KganError(
            f"{expected}. Received: {tf.as_dtype(labels.dtype).name} of shape {shape}{hint}"
        )
    if _has_values(labels) and 0 not in shape:
        low, high = int(np.min(labels)), int(np.max(labels))
        if low < 0 or high >= num_classes:
            raise KganError(f"{expected}. Received: labels from {low} to {high}")


def _has_values(part):
    return isinstance(part, np.ndarray) or hasattr(part, "numpy")


def check_network(name: str, network: keras.Model, takes: list[tuple], gives: tuple) -> tuple:
    """Refuses a user's network of other inputs or outputs.

    Args:
        name: of the player, for the error.
        network: functional or subclassed model that knows its shapes.
        takes: a shape for each input without the size of the batch, None where any will do.
        gives: the shape of the output likewise; an ellipsis stands for any number of sides.

    Returns:
        The shapes of all inputs.

    Raises:
        ValueError: if one differs.
    """
    if hasattr(network, "inputs"):
        received = [tuple(x.shape) for x in network.inputs]
    else:  # a subclassed model, which only knows its shapes
        received = [network.input_shape]
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


def check_sample_labels(labels, n: int, num_classes: int | None) -> np.ndarray | None:
    """The labels `sample` was given as an array (n,), or None; raises ValueError."""
    if labels is None:
        return None
    if num_classes is None:
        raise KganError(
            f"Expected no labels: the model is unconditional. Received: labels={labels!r}"
        )
    array = np.asarray(labels)
    if array.ndim == 0:
        array = np.full(n, array)
    if (
        array.shape != (n,)
        or (n and array.dtype.kind not in "iu")
        or (n and not 0 <= array.min() <= array.max() < num_classes)
    ):
        raise KganError(
            f"Expected labels: an int from 0 to {num_classes - 1}, or {n} of them, one for each "
            f"image. Received: labels={labels!r}"
        )
    return array


def check_options(options: dict, known: tuple[str, ...], kind: str) -> dict:
    """The options of `sample` as tensors, without those that are None; raises ValueError."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise KganError(f"Expected no {name}: {kind} has none. Received: {name}={value!r}")
        if not (isinstance(value, (int, float, np.number)) and np.isfinite(value)):
            raise KganError(f"Expected {name} to be a number. Received: {name}={value!r}")
    return {name: tf.constant(float(value), tf.float32) for name, value in given.items()}
