"""What a GAN accepts as data, and what it says about the rest."""

import itertools

import keras
import numpy as np
import tensorflow as tf


def check_int(name: str, value, low: int) -> None:
    """Raises ValueError unless `value` is an int of at least `low`, and of at most 64 bits."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not (whole and low <= value < 2**64):
        raise ValueError(f"Expected {name} to be an int >= {low}. Received: {value!r}")


def check_image_shape(image_shape, sides: tuple[int, ...] | None = None) -> tuple[int, int, int]:
    """Returns `image_shape` as a tuple (height, width, channels), or raises ValueError."""
    shape = tuple(image_shape) if isinstance(image_shape, (tuple, list)) else ()
    if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            f"Expected image_shape=(height, width, channels). Received: {image_shape!r}"
        )
    if shape[2] not in (1, 3):
        raise ValueError(f"Expected 1 or 3 channels. Received: image_shape={image_shape!r}")
    if sides and (shape[0] != shape[1] or shape[0] not in sides):
        raise ValueError(
            f"Expected square images with a side among {sides}. Received: "
            f"image_shape={image_shape!r}"
        )
    return shape


def check_static(shape, dtype, image_shape: tuple[int, int, int]) -> None:
    """Raises ValueError unless batches of this shape and dtype can be trained on."""
    dtype = tf.as_dtype(dtype)
    expected = "(batch, " + ", ".join(map(str, image_shape)) + ")"
    rank_known = shape is not None and getattr(shape, "rank", len(shape)) is not None
    if rank_known and (
        len(shape) != 4
        or any(got not in (None, want) for got, want in zip(shape[1:], image_shape, strict=True))
    ):
        raise ValueError(
            f"Expected images of shape {expected}, as the model was built. Received: shape "
            f"{tuple(shape)}. kgan.data.dataset(..., image_shape={image_shape}) crops and resizes "
            "folders, arrays and TFDS datasets; a tf.data.Dataset must be batched."
        )
    if dtype != tf.uint8 and not dtype.is_floating:
        raise ValueError(
            "Expected images of dtype uint8 in [0, 255] or floats in [-1, 1]. Received: dtype "
            f"{dtype.name}; images.astype('uint8') converts values in [0, 255]."
        )


def check_floats(images: np.ndarray) -> None:
    """Raises ValueError unless float images look as if scaled to [-1, 1]."""
    low, high = float(np.min(images)), float(np.max(images))
    if not (low >= -1.0 - 1e-3 and high <= 1.0 + 1e-3):
        hint = "clip them, or scale by the data set's own range"
        if not np.isfinite([low, high]).all():
            hint = "some are not finite"
        elif high > 2:
            hint = "images / 127.5 - 1 converts"
    elif low >= 0.0:
        hint = "for images in [0, 1], images * 2 - 1 converts; uint8 is taken as it is"
    else:
        return
    raise ValueError(
        f"Expected float images in [-1, 1], some of them below 0. Received: a batch in "
        f"[{low:.4g}, {high:.4g}]; {hint}."
    )


def check_data(x, image_shape: tuple[int, int, int], y=None, num_classes: int | None = None):
    """Checks what `fit` was given, before training begins.

    Shapes and dtypes are read off arrays and `tf.data.Dataset`s for free. Of float images the
    first batch is looked at, since only their values tell [-1, 1] from [0, 1] and [0, 255]; and
    so are the labels of conditional models.

    Args:
        x: array, `tf.data.Dataset`, `keras.utils.PyDataset` or generator of `images` or
            `(images, ...)`.
        image_shape: (height, width, channels).
        y: labels, if x is an array.
        num_classes: int, of a conditional model.

    Returns:
        `x`, or for a generator its equivalent with the first batch still in it.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    batch, result = None, x
    if isinstance(x, tf.data.Dataset):
        spec = _first(x.element_spec)
        if not hasattr(spec, "dtype"):
            raise ValueError(
                "Expected a dataset of images or (images, labels). Received: one of "
                f"{x.element_spec}; of TFDS, as_supervised=True gives (images, labels)"
            )
        check_static(spec.shape, spec.dtype, image_shape)
        if num_classes is not None:
            check_labels(_second(x.element_spec), num_classes)
        elif not spec.dtype.is_floating:
            return x
        batch = next(iter(x.take(1)), None)
    elif isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif hasattr(x, "__next__"):
        batch = next(x, ())
        result = (b for b in itertools.chain([batch], x))  # Keras knows generators by their type
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_static(x.shape, x.dtype, image_shape)
        batch = (x[:256], y)
    images = _first(batch)
    if images is None or not hasattr(images, "shape") or 0 in images.shape:
        return result
    check_static(images.shape, images.dtype, image_shape)
    if tf.as_dtype(images.dtype).is_floating:
        check_floats(np.asarray(images))
    if num_classes is not None:
        check_labels(_second(batch), num_classes)
    return result


def check_labels(labels, num_classes: int) -> None:
    """Raises ValueError unless `labels`, values or only their type, are classes of a model."""
    expected = f"Expected integer labels (batch,) from 0 to {num_classes - 1}"
    if labels is None or not hasattr(labels, "dtype"):
        raise ValueError(
            f"{expected}, since the model is conditional: fit(images, labels), or a dataset of "
            f"(images, labels). Received: {'no labels' if labels is None else labels!r}"
        )
    shape = tf.TensorShape(labels.shape)
    shape = (None,) if shape.rank is None else tuple(shape)
    if not tf.as_dtype(labels.dtype).is_integer or (len(shape) != 1 and shape[1:] != (1,)):
        hint = "; of one-hot labels, labels.argmax(1) gives them" if len(shape) == 2 else ""
        raise ValueError(
            f"{expected}. Received: {tf.as_dtype(labels.dtype).name} of shape {shape}{hint}"
        )
    known = isinstance(labels, np.ndarray) or hasattr(labels, "numpy")
    if known and 0 not in shape:
        low, high = int(np.min(labels)), int(np.max(labels))
        if low < 0 or high >= num_classes:
            raise ValueError(f"{expected}. Received: labels from {low} to {high}")


def check_generator(generator, latent_dim, image_shape, num_classes) -> int:
    """The latent_dim of a user's generator; raises ValueError if it does not fit."""
    received, also = _shapes(generator, num_classes)
    latents = received[0][0]
    if not received[0][1:] == also or len(latents) != 2 or received[1][1:] != image_shape:
        raise ValueError(
            f"Expected a generator from (batch, latent_dim){_and(also)} to (batch, "
            f"*{image_shape}). Received: one from {received[0]} to {received[1]}"
        )
    if latent_dim not in (None, latents[1]):
        raise ValueError(
            f"Expected latent_dim={latents[1]}, as the generator has it. Received: "
            f"latent_dim={latent_dim}"
        )
    return latents[1]


def check_discriminator(discriminator, image_shape, num_classes) -> None:
    """Raises ValueError if a user's discriminator does not fit."""
    received, also = _shapes(discriminator, num_classes)
    images = received[0][0]
    if not received[0][1:] == also or images[1:] != image_shape or received[1][1:] != (1,):
        raise ValueError(
            f"Expected a discriminator from (batch, *{image_shape}){_and(also)} to logits "
            f"(batch, 1). Received: one from {received[0]} to {received[1]}"
        )


def _shapes(network, num_classes):
    """Shapes of inputs and output, and of the inputs that are to come after the first."""
    labels = [] if num_classes is None else [(None,)]
    if hasattr(network, "inputs"):
        received = [tuple(x.shape) for x in network.inputs]
    else:  # a subclassed model, which only knows its shapes
        received = [network.input_shape]
    return (received, network.output_shape), labels


def _and(labels):
    return " and labels (batch,)" if labels else ""


def check_sample_labels(labels, n: int, num_classes: int | None) -> np.ndarray | None:
    """The labels `sample` was given as an array (n,), or None; raises ValueError."""
    if labels is None:
        return None
    if num_classes is None:
        raise ValueError(
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
        raise ValueError(
            f"Expected labels: an int from 0 to {num_classes - 1}, or {n} of them, one for each "
            f"image. Received: labels={labels!r}"
        )
    return array


def check_options(options: dict, known: tuple[str, ...], kind: str) -> dict:
    """The options of `sample` as tensors, without those that are None; raises ValueError."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"Expected no {name}: {kind} has none. Received: {name}={value!r}")
        if not (isinstance(value, (int, float, np.number)) and np.isfinite(value)):
            raise ValueError(f"Expected {name} to be a number. Received: {name}={value!r}")
    return {name: tf.constant(float(value), tf.float32) for name, value in given.items()}


def _second(batch):
    return batch[1] if isinstance(batch, (tuple, list)) and len(batch) > 1 else None


def _first(batch):
    return batch[0] if isinstance(batch, (tuple, list)) and len(batch) else batch
