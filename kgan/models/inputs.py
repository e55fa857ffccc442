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
        hint = (
            "images / 127.5 - 1 converts"
            if high > 2
            else "clip them, or scale by the data set's own range"
        )
    elif low >= 0.0:
        hint = "for images in [0, 1], images * 2 - 1 converts; uint8 is taken as it is"
    else:
        return
    raise ValueError(
        f"Expected float images in [-1, 1], some of them below 0. Received: a batch in "
        f"[{low:.4g}, {high:.4g}]; {hint}."
    )


def check_data(x, image_shape: tuple[int, int, int]):
    """Checks what `fit` was given, before training begins.

    Shapes and dtypes are read off arrays and `tf.data.Dataset`s for free. Of float images the
    first batch is looked at, since only their values tell [-1, 1] from [0, 1] and [0, 255].

    Args:
        x: array, `tf.data.Dataset`, `keras.utils.PyDataset` or generator of `images` or
            `(images, ...)`.
        image_shape: (height, width, channels).

    Returns:
        `x`, or for a generator its equivalent with the first batch still in it.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    images, result = None, x
    if isinstance(x, tf.data.Dataset):
        spec = _first(x.element_spec)
        if not hasattr(spec, "dtype"):
            raise ValueError(
                "Expected a dataset of images or (images, labels). Received: one of "
                f"{x.element_spec}; of TFDS, as_supervised=True gives (images, labels)"
            )
        check_static(spec.shape, spec.dtype, image_shape)
        if not spec.dtype.is_floating:
            return x
        images = _first(next(iter(x.take(1)), ()))
    elif isinstance(x, keras.utils.PyDataset):
        images = _first(x[0])
    elif hasattr(x, "__next__"):
        batch = next(x, ())
        images = _first(batch)
        result = (b for b in itertools.chain([batch], x))  # Keras knows generators by their type
    elif hasattr(x, "shape") and hasattr(x, "dtype"):
        check_static(x.shape, x.dtype, image_shape)
        images = x[:256]
    if images is None or not hasattr(images, "shape") or 0 in images.shape:
        return result
    check_static(images.shape, images.dtype, image_shape)
    if tf.as_dtype(images.dtype).is_floating:
        check_floats(np.asarray(images))
    return result


def _first(batch):
    return batch[0] if isinstance(batch, (tuple, list)) and len(batch) else batch
