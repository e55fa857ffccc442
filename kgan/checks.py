"""Checks of values, each written once, and what bounds depend on. Imports no TensorFlow."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kgan.errors import KganError, short

WHOLE = (0.0, 0.0, 1.0, 1.0)  # the box that is all of a picture
MOST_SIDE = 4096  # pixels


class Bound(NamedTuple):
    """What a value may be: of an argument, an option or a field of a file.

    Attributes:
        expected: the words for it in errors, such as "an int from 1 to 64".
        fits: whether a value, of any type, is such a one.

    Example:

    >>> whole(1, 64).check("width", 16)
    16
    """

    expected: str
    fits: Callable[[Any], bool]

    def check(self, name: str, value: Any, where: str = "") -> Any:
        """Returns the value; an int of NumPy's, which not everything takes, as one of Python's.

        Args:
            name: of the value, for the error.
            value: to be checked.
            where: the file that it stands in, for the error.

        Raises:
            KganError: if it does not fit.
        """
        if self.fits(value):
            return int(value) if isinstance(value, np.integer) else value
        raise KganError(
            f"Expected {name} to be {self.expected}. Received: {name}={short(value)}"
            + (f" in {where}" if where else "")
        )


def whole(low: int, high: int = 2**64 - 1) -> Bound:
    """Whole numbers from `low` to `high`, Python's or NumPy's."""
    expected = f"an int >= {low}" if high == 2**64 - 1 else f"an int from {low:,} to {high:,}"
    return Bound(
        expected,
        lambda v: isinstance(v, Integral) and not isinstance(v, bool) and low <= v <= high,
    )


def number(low: float, high: float) -> Bound:
    """Numbers from `low` to `high`."""
    return Bound(
        f"a number from {low:g} to {high:g}",
        lambda v: isinstance(v, Real) and not isinstance(v, bool) and low <= v <= high,
    )


def one_of(*names: str) -> Bound:
    """One of some texts."""
    expected = f"one of {', '.join(map(repr, names))}"
    return Bound(expected, lambda v: isinstance(v, str) and v in names)


def or_none(bound: Bound) -> Bound:
    """What fits a bound, or None (null in JSON)."""
    return Bound(f"{bound.expected}, or None", lambda v: v is None or bound.fits(v))


FLAG = Bound("True or False", lambda v: isinstance(v, bool | np.bool_))
SEED = whole(0)  # what keys NumPy's counter-based generator
CHANNELS = Bound("1 or 3", lambda v: type(v) is int and v in (1, 3))
TEXT = Bound("text", lambda v: isinstance(v, str))
FUNCTION = Bound("a function", callable)
PATH = Bound("the path of a file or directory", lambda v: _is_path(v))
SHA256 = Bound(
    "a SHA-256", lambda v: isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) is not None
)
TRUNCATION = number(0, 2)  # 1 for none; beyond 2 there is nothing but noise


def list_of(bound: Bound, most: int = 1000) -> Bound:
    """Lists or tuples of 1 to `most` values that fit a bound."""
    return Bound(
        f"a list of 1 to {most:,}, each {bound.expected}",
        lambda v: isinstance(v, list | tuple) and 0 < len(v) <= most and all(map(bound.fits, v)),
    )


def as_array(name: str, values: Any, expected: str, kinds: str = "fiu") -> np.ndarray:
    """What NumPy makes of values.

    Args:
        name: of the values, for the error.
        values: numbers, nested lists of them, or what else NumPy takes, such as a tensor.
        expected: the words for them.
        kinds: of the array's dtype, as NumPy has them.

    Raises:
        KganError: if it makes no array of such numbers of them.
    """
    try:
        array = np.asarray(values)
    except Exception as error:  # ragged lists, tensors without values, whatever else there is
        why = f"{short(values)}: {error}"
    else:
        if array.dtype.name == "bfloat16" and "f" in kinds:  # of no kind of NumPy's
            array = array.astype(np.float32)
        if array.dtype.kind in kinds:
            return array
        why = short(values) if array.ndim == 0 else f"shape {array.shape}, dtype {array.dtype}"
    raise KganError(f"Expected {name} to be {expected}. Received: {why}")


def shape_of_images(sides: tuple[int, ...] | None = None) -> Bound:
    """Shapes (height, width, channels) of images with 1 or 3 channels.

    Args:
        sides: int, those that square images may have; None for images of any shape.
    """

    def fits(value):
        return (
            isinstance(value, (tuple, list))
            and len(value) == 3
            and all(whole(1, MOST_SIDE).fits(n) for n in value)
            and value[2] in (1, 3)
            and (sides is None or (value[0] == value[1] and value[0] in sides))
        )

    of_sides = "" if sides is None else f", square, of a side among {', '.join(map(str, sides))}"
    return Bound(f"(height, width, channels) with 1 or 3 channels{of_sides}", fits)


def float_images(name: str, images: Any, convert: Callable[[Any], Any]) -> Any:
    """Images as a tensor of floats, (batch, height, width, channels).

    Args:
        name: of the images, for the error.
        images: of whatever `convert` takes.
        convert: makes a tensor of them.

    Raises:
        KganError: if it does not, or the tensor is another.
    """
    try:
        tensor = convert(images)
        received = f"{tensor.dtype.name} of shape {tuple(tensor.shape)}"
        if tensor.dtype.is_floating and len(tensor.shape) == 4:
            return tensor
    except Exception:  # TensorFlow's own errors say nothing of the argument
        received = short(images)
    raise KganError(
        f"Expected {name} to be floats (batch, height, width, channels). Received: {received}"
    )


def _is_path(value):
    if not isinstance(value, str | os.PathLike):
        return False
    text = os.fspath(value)
    return isinstance(text, str) and text != "" and "\0" not in text


def check_images(shape: Sequence[int | None] | None, dtype, image_shape: Sequence[int]) -> None:
    """Raises KganError unless batches of this shape and dtype are images of a model.

    Args:
        shape: of the batch, None where it is not known.
        dtype: of NumPy or TensorFlow.
        image_shape: (height, width, channels) of the model.
    """
    expected = "(batch, " + ", ".join(map(str, image_shape)) + ")"
    if shape is not None and (
        len(shape) != 4
        or any(got not in (None, want) for got, want in zip(shape[1:], image_shape, strict=True))
    ):
        hint = (
            f"kgan.data.dataset(..., image_shape={tuple(image_shape)}) crops and resizes folders, "
            "arrays and TFDS datasets; a tf.data.Dataset must be batched."
        )
        height, width, channels = image_shape
        if tuple(shape[1:]) == (channels, height, width):
            hint = "np.moveaxis(images, 1, -1) puts the channels last."
        raise KganError(
            f"Expected images of shape {expected}, as the model was built. Received: shape "
            f"{tuple(shape)}. {hint}"
        )
    name = getattr(dtype, "name", str(dtype))
    if name != "uint8" and "float" not in name:
        raise KganError(
            "Expected images of dtype uint8 in [0, 255] or floats in [-1, 1]. Received: dtype "
            f"{name}; images.astype('uint8') converts values in [0, 255]."
        )


def check_range(images: np.ndarray) -> None:
    """Raises KganError unless all values of float images are finite and in [-1, 1]."""
    low, high = float(np.min(images)), float(np.max(images))
    if low >= -1.0 - 1e-3 and high <= 1.0 + 1e-3:
        return
    raise _wrong_range(low, high, _how_to_scale(low, high))


class Below0:
    """Whether float images hold any value below 0, as images in [0, 1] never do.

    A white background alone holds none either: the first 256 images decide.

    Example:

    ```python
    below0 = Below0()
    for images in batches:
        below0.look(images)  # raises at the 256th image
    below0.decide()          # of fewer: raises if no value was below 0
    ```
    """

    ENOUGH = 256

    def __init__(self):
        self.decided = False
        self._left = self.ENOUGH
        self._low = self._high = 0.0

    def look(self, images: np.ndarray) -> None:
        """Looks at a batch; raises KganError if these are enough, and none is below 0."""
        images = images[: self._left]
        if self.decided or not len(images):
            return
        if images.dtype == np.uint8:
            self.decided = True
            return
        low, high = float(np.min(images)), float(np.max(images))
        self.decided = low < 0
        self._low = low if self._left == self.ENOUGH else min(low, self._low)
        self._high = max(high, self._high)
        self._left -= len(images)
        if not self._left:
            self.decide()

    def decide(self) -> None:
        """Raises KganError if no value of the images looked at was below 0."""
        if not self.decided and self._left < self.ENOUGH:
            hint = "for images in [0, 1], images * 2 - 1 converts; uint8 is taken as it is"
            raise _wrong_range(self._low, self._high, hint)


def _wrong_range(low, high, hint):
    return KganError(
        "Expected float images in [-1, 1], some of them below 0. Received: a batch in "
        f"[{low:.4g}, {high:.4g}]; {hint}."
    )


def _how_to_scale(low, high):
    """What makes floats of another range floats in [-1, 1]: as far as their range tells."""
    if not np.isfinite([low, high]).all():
        return "some are not finite"
    if low >= 0:
        if high <= 1.5:
            return "for images in [0, 1] with some above, np.clip(images, 0, 1) * 2 - 1 converts"
        if high <= 255.5:
            return "images / 127.5 - 1 converts"
        if high <= 65535.5:
            return "for images of 16 bits, images / 32767.5 - 1 converts"
        return "scale by the data set's own range"
    if high > 16:
        if low < -64:
            return "for images in [0, 255] less their mean, (images + mean) / 127.5 - 1 converts"
        return "for images in [0, 255] with some outside, np.clip(images, 0, 255) / 127.5 - 1"
    if low >= -1.25 and high <= 1.25:
        return "for images in [-1, 1] with some outside, np.clip(images, -1, 1) converts"
    # As for networks that were trained on ImageNet.
    return (
        "these look as if normalised by a mean and a deviation: with both of your data set, "
        "(images * std + mean) * 2 - 1 converts if those are of images in [0, 1]"
    )


CONTROL_GROUPS = "/sys/fs/cgroup"


def free_memory() -> int:
    """Bytes that can be had without swapping; 4 GB where the system does not tell.

    In a container these are what its limit leaves, of which the system itself does not speak.
    """
    try:
        available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        free = int(available[1]) * 1024
    except (OSError, TypeError):
        free = 4 << 30
    return min([free, *_left_by_limits()])


# Of control groups 2 and 1: files of limit and use, and what in memory.stat can be given back.
_GROUPS = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _left_by_limits() -> Iterator[int]:
    """Bytes that each control group which this process is in may still take (Linux)."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in _GROUPS:
            continue
        limit, usage, inactive = _GROUPS[controllers]
        place = Path(CONTROL_GROUPS, controllers, path.lstrip("/"))
        for group in (place, *place.parents):  # in a container some of these are hidden
            try:
                most = int((group / limit).read_text())  # "max" is none
                stat = (group / "memory.stat").read_text()
                caches = int(re.search(rf"^{inactive} (\d+)", stat, re.MULTILINE)[1])
                yield max(0, most - int((group / usage).read_text()) + caches)
            except (OSError, TypeError, ValueError):
                continue


def cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_box(box: Sequence[float] | None) -> tuple[float, float, float, float]:
    """Returns a box of a picture as (left, top, right, bottom); all of it if there is none.

    Args:
        box: four numbers in fractions of the width and height, or None.

    Raises:
        KganError: unless the box has an inside, which lies in the picture.

    Example:

    >>> check_box([0.25, 0, 0.75, 1])
    (0.25, 0.0, 0.75, 1.0)
    """
    if box is None:
        return WHOLE
    are_numbers = (
        isinstance(box, list | tuple)
        and len(box) == 4
        and all(isinstance(number, Real) and type(number) is not bool for number in box)
    )
    if are_numbers and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1:
        return tuple(map(float, box))
    hint = "; divide pixels by the width and height" if are_numbers and max(box) > 1 else ""
    raise KganError(
        "Expected box = [left, top, right, bottom] in fractions of the picture, from 0 to 1, left "
        f"before right and top before bottom. Received: {short(box)}{hint}"
    )
