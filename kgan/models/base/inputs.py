"""What models accept as data, and what they say about the rest."""

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import (
    FLAG,
    Below0,
    Bound,
    as_array,
    check_images,
    check_range,
    number,
    one_of,
    or_none,
    whole,
)
from kgan.errors import KganError, short
from kgan.pipelines import steady

FORMS = (
    "images, (images, labels), or batches of them: a tf.data.Dataset, keras.utils.PyDataset, torch "
    "DataLoader or generator"
)


_FOUND = "kgan refuses"  # in the message of an assertion

_COUNT_OR_NONE = or_none(whole(1))
_ARGUMENTS = {  # of Keras' fit, evaluate and the like
    "epochs": whole(1),
    "initial_epoch": whole(0),
    **dict.fromkeys(("batch_size", "validation_batch_size", "steps"), _COUNT_OR_NONE),
    **dict.fromkeys(("steps_per_epoch", "validation_steps"), _COUNT_OR_NONE),
    "shuffle": FLAG,
    "verbose": Bound(
        "'auto', 0, 1 or 2", lambda v: one_of("auto").fits(v) or FLAG.fits(v) or whole(0, 2).fits(v)
    ),
    "validation_split": number(0, 0.999),
    "validation_freq": Bound(
        "an int >= 1, or a list of epochs",
        lambda v: whole(1).fits(v) or (hasattr(v, "__iter__") and all(map(whole(1).fits, v))),
    ),
}


class Rules(Protocol):
    """What is asked of a batch: a model."""

    @property
    def data_shapes(self) -> tuple[tuple[int, int, int], ...]: ...

    def check_batch(self, first, second=None) -> bool: ...


# What `fit` and the like were given.


def named(method: Callable, args: tuple, kwargs: dict) -> dict[str, Any]:
    """The arguments of a call of a model's method by name.

    Raises:
        ValueError: if there are weights of samples or classes among them.
    """
    call = dict(inspect.signature(method).bind(*args, **kwargs).arguments)
    call |= call.pop("kwargs", {})
    for name in ("sample_weight", "class_weight"):
        if call.get(name) is not None:
            raise _no_weights(name)
    for name, bound in _ARGUMENTS.items():
        if name in call:
            bound.check(name, call[name])
    return call


def split(x, y) -> tuple:
    """x and y apart, where both are given as x: (images, labels) as a tuple or a list."""
    if isinstance(x, (tuple, list)) and x and len(getattr(x[0], "shape", ())) == 4:
        if y is not None:
            raise KganError("Expected fit(images, labels). Received: a tuple, and y beside it")
        return parts(x)
    return x, y


def parts(batch) -> tuple:
    """The first two parts of a batch, or of its type, None for those that are not there.

    Raises:
        ValueError: if there are more.
    """
    some = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if len(some) > 3 or any(part is not None for part in some[2:]):
        raise _no_weights("sample_weight, the third part of the data")
    return (*some, None, None)[:2]


def _no_weights(name):
    return KganError(
        f"Expected no {name}: a GAN has no loss for each label to weigh; choose the images "
        f"instead, more of some and fewer of others. Received: {name}"
    )


def check_data(x, y, rules: Rules, ahead: bool = False, steps: int | None = None):
    """Checks what `fit` was given, before training begins or at the batch that is wrong.

    Arrays are looked at whole. Of anything else batches are checked as they come, before the step
    that they are for, by what is given back in place of x; where types tell everything, nothing
    needs to be. Whether floats are in [0, 1] shows over many images: the first are looked at now.

    Args:
        x: `FORMS`, as `split` gives it.
        y: what belongs to x, if x is an array.
        rules: the model.
        ahead: whether to look at all batches now, if they can be had again.
        steps: how many of them there are to be.

    Returns:
        `x`, or its equivalent.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        _look(rules, [(some_of(x), y)], ahead=True)
        return x
    if isinstance(x, tf.data.Dataset):
        x = steady(x)
        if int(x.cardinality()) == 0:
            raise no_data(x)
        if rules.check_batch(*_types(x.element_spec)):
            return x
        _look(rules, x, ahead and not _is_endless(x, steps), steps)
        return _checked_dataset(x, rules)
    if isinstance(x, keras.utils.PyDataset):
        _look(rules, x, ahead and not _is_endless(x, steps), steps)
        return _CheckedPyDataset(x, rules)
    if hasattr(x, "__next__"):
        return _checked(_look(rules, x), rules)
    if hasattr(x, "element_spec"):  # already distributed: each step looks at its types
        return x
    if isinstance(x, (dict, tuple, list, str)) or not hasattr(x, "__iter__"):
        hint = ""
        if isinstance(x, dict):
            hint = "; fit(data['image'], data['label'])"
        elif isinstance(x, (tuple, list)):
            hint = "; np.stack makes one array of a list of images"
        received = f"a {type(x).__name__}" if isinstance(x, (dict, tuple, list)) else short(x)
        raise KganError(f"Expected {FORMS}. Received: {received}{hint}")
    _look(rules, x, ahead and not _is_endless(x, steps), steps)
    return _from_iterable(x, rules)


def _is_endless(x, steps):
    """Whether x may have no last batch, and nothing says how many are wanted."""
    if steps is not None:
        return False
    if isinstance(x, tf.data.Dataset):
        return int(x.cardinality()) == tf.data.INFINITE_CARDINALITY
    return getattr(x, "num_batches", 0) is None


def _look(rules, batches, ahead=False, steps=None) -> Iterator:
    """Checks the first batches: all if `ahead`, else as many as tell [-1, 1] from [0, 1].

    Returns:
        All batches, those looked at among them.
    """
    below0 = [Below0() for _ in rules.data_shapes]
    seen, rest = [], _in_turn(batches)
    some = False
    for batch in rest if steps is None else itertools.islice(rest, steps):
        some = True
        if rest is batches:  # an iterator, of which nothing may be lost
            seen.append(batch)
        look(rules, *parts(batch), below0)
        if not ahead and all(part.decided for part in below0):
            break
    if not some:
        raise no_data(batches)
    for part in below0:
        part.decide()
    return itertools.chain(seen, rest)


def _in_turn(batches):
    """An iterator over batches; a PyDataset of Keras 3.10 has none of its own."""
    if isinstance(batches, keras.utils.PyDataset):
        count = batches.num_batches
        return map(batches.__getitem__, itertools.count() if count is None else range(count))
    return iter(batches)


def some_of(x) -> np.ndarray:
    """An array, or what has a shape and a dtype as one, seen to hold something."""
    x = np.asarray(x)
    if 0 in x.shape:
        raise no_data(x)
    return x


def no_data(x) -> KganError:
    """What is said of data that hold nothing."""
    shape = f" of shape {tuple(x.shape)}" if hasattr(x, "shape") else " without a batch"
    return KganError(f"Expected at least one image. Received: {type(x).__name__}{shape}")


def look(rules: Rules, first, second, below0: Iterable[Below0] = ()) -> None:
    """Checks the values of a batch.

    Args:
        rules: the model.
        first, second: parts of the batch, of anything that NumPy makes an array of.
        below0: for each part that is images, what remembers whether it has values below 0.
    """
    values = [part if part is None else _array(part) for part in (first, second)]
    if 0 in getattr(values[0], "shape", ()):
        return
    rules.check_batch(*values)
    first, second = (getattr(part, "shape", ())[:1] for part in values)
    if second and first != second:
        raise KganError(
            f"Expected as many labels, or targets, as images. Received: {second[0]} for {first[0]}"
        )
    for part, images in zip(below0, values, strict=False):
        part.look(images)


def _array(part):
    """Values as NumPy has them; what has no values, which the check will name, as it is."""
    if hasattr(part, "shape") and hasattr(part, "dtype"):
        return np.asarray(part)
    return part


def _types(spec):
    """The first two parts of a data set's type; what has no plain type only by its name."""
    return tuple(
        str(part) if isinstance(part, (tf.RaggedTensorSpec, tf.SparseTensorSpec)) else part
        for part in parts(spec)
    )


def _checked_dataset(batches: tf.data.Dataset, rules) -> tf.data.Dataset:
    """The same batches, of known shapes; one that is wrong is an error when its turn comes."""

    def step(*batch):
        flat = [part for part in parts(batch) if isinstance(part, tf.Tensor)]
        with tf.control_dependencies(list(_assertions(flat, rules))):
            flat = [tf.identity(part) for part in flat]
        for part, shape in zip(flat, rules.data_shapes, strict=False):
            part.set_shape((None, *shape))
        if len(batch) == 1 and not isinstance(batches.element_spec, tuple):
            return flat[0]
        return (*flat, *batch[len(flat) : 2])

    return batches.map(step)


def _assertions(flat, rules) -> Iterator[tf.Operation]:
    """What fails at a wrong batch, with the values that `own_errors` tells of.

    Python would check it in fewer lines; but an iterator that is deleted waits for its batch, and
    the batch for Python's lock, which the deletion holds.
    """
    for index, part in enumerate(flat):
        empty = tf.equal(tf.size(part), 0)
        if index >= len(rules.data_shapes):
            if getattr(rules, "num_classes", None) is not None:
                low, high = tf.reduce_min(part), tf.reduce_max(part)
                right = (low >= 0) & (tf.cast(high, tf.int64) < rules.num_classes)
                yield tf.debugging.Assert(empty | right, [_FOUND, "labels", low, high])
            continue
        sides = tf.strings.reduce_join(tf.as_string(tf.shape(part)), separator="x")
        wanted = "x".join(["[0-9]+", *map(str, rules.data_shapes[index])])
        right = tf.strings.regex_full_match(sides, wanted)
        yield tf.debugging.Assert(right, [_FOUND, f"shape {index} {part.dtype.name}", sides])
        if part.dtype.is_floating:
            finite = tf.reduce_all(tf.math.is_finite(part))
            ends = [
                tf.where(finite, end, np.nan) for end in (tf.reduce_min(part), tf.reduce_max(part))
            ]
            right = (ends[0] >= -1.0 - 1e-3) & (ends[1] <= 1.0 + 1e-3)
            yield tf.debugging.Assert(empty | right, [_FOUND, "images", *ends])


def _checked(batches: Iterable, rules) -> Iterator[tuple]:
    """The same batches as tuples, each checked when its turn comes."""
    for batch in batches:
        some = parts(batch)
        look(rules, *some)
        yield some if some[1] is not None else some[:1]


class _CheckedPyDataset(keras.utils.PyDataset):
    """The same batches, each checked when its turn comes."""

    def __init__(self, batches, rules):
        super().__init__(batches.workers, batches.use_multiprocessing, batches.max_queue_size)
        self._batches, self._rules = batches, rules

    @property
    def num_batches(self):
        return self._batches.num_batches

    def __getitem__(self, index):
        return next(_checked([self._batches[index]], self._rules))

    def on_epoch_begin(self):
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()


def _from_iterable(batches, rules) -> tf.data.Dataset:
    """A data set of what can be iterated over again and again, such as a torch DataLoader."""

    def arrays():
        for batch in _checked(batches, rules):
            yield tuple(map(_array, batch))

    first = next(arrays())
    types = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in first)
    dataset = tf.data.Dataset.from_generator(arrays, output_signature=types)
    if hasattr(batches, "__len__"):
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset


@contextmanager
def own_errors(rules: Rules) -> Iterator[None]:
    """Raises an error of `_checked…`, which TensorFlow wraps in one of its own, as it was."""
    try:
        yield
    except tf.errors.OpError as error:
        text = str(error)
        if found := re.search(rf"\[{_FOUND}\] \[(.*?)\] (\[.*\])", text):
            what, *values = found[1].split(" "), *re.findall(r"\[(.*?)\]", found[2])
            _refuse_values(rules, what, values)
        if found := re.search(r"KganError: (.*)", text):
            raise ValueError(found[1]) from None
        raise


def _refuse_values(rules, what, values):
    """Raises what the eager checks say of values that an assertion has found."""
    try:
        if what[0] == "labels":
            check_labels(np.array(values, np.int64), rules.num_classes)
        elif what[0] == "images":
            check_range(np.array(values, np.float64))
        else:
            shape = tuple(map(int, values[0].split("x")))
            check_images(shape, tf.as_dtype(what[2]), rules.data_shapes[int(what[1])])
    except KganError as refused:
        raise ValueError(str(refused)) from None


def check_image_type(images, image_shape: tuple[int, int, int]) -> bool:
    """Refuses a part of a batch whose type is not that of a model's images.

    Args:
        images: tensor, array, or only its type.
        image_shape: (height, width, channels).

    Returns:
        Whether the type tells everything, as it does of uint8 of a known shape.

    Raises:
        ValueError: saying what was received, what is expected and how to convert.
    """
    if not hasattr(images, "dtype"):
        hint = "; of TFDS, as_supervised=True gives (images, labels)"
        raise KganError(
            "Expected a dataset of images or (images, labels), all of one size. Received: one of "
            f"{short(images)}{hint if isinstance(images, dict) else ''}"
        )
    shape = tf.TensorShape(images.shape)
    check_images(None if shape.rank is None else tuple(shape), images.dtype, image_shape)
    return not _is_floating(images) and shape[1:].is_fully_defined()


def check_image_part(images, image_shape: tuple[int, int, int]) -> bool:
    """`check_image_type`, and where there are values of floats, their range."""
    told = check_image_type(images, image_shape)
    if _has_values(images) and _is_floating(images):
        check_range(np.asarray(images))
    return told


def floats_of(images, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Given images as float32 in [-1, 1], (n, height, width, channels).

    Args:
        images: array, or what else NumPy takes: uint8, or floats in [-1, 1].
        image_shape: (height, width, channels) of the model.

    Raises:
        KganError: for images of another shape, dtype or range.
    """
    images = as_array("images", images, "an array (n, height, width, channels)", "biufcUSO")
    check_images(images.shape, images.dtype, image_shape)
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 127.5 - 1.0
    if len(images):
        check_range(images)
        below0 = Below0()
        below0.look(images)
        below0.decide()
    return images.astype(np.float32, copy=False)


def check_labels(labels, num_classes: int) -> None:
    """Raises ValueError unless `labels`, values or only their type, are classes of a model."""
    expected = f"Expected integer labels (batch,) from 0 to {num_classes - 1}"
    if labels is None or not hasattr(labels, "dtype"):
        raise KganError(
            f"{expected}, since the model is conditional: fit(images, labels), or a dataset of "
            f"(images, labels). Received: {'no labels' if labels is None else short(labels)}"
        )
    dtype = getattr(labels.dtype, "name", str(labels.dtype))
    shape = tf.TensorShape(labels.shape)
    shape = (None,) if shape.rank is None else tuple(shape)
    if "int" not in dtype or (len(shape) != 1 and shape[1:] not in ((1,), (None,))):
        hint = "; of one-hot labels, labels.argmax(1) gives them" if len(shape) == 2 else ""
        raise KganError(f"{expected}. Received: {dtype} of shape {shape}{hint}")
    if _has_values(labels) and 0 not in shape:
        low, high = int(np.min(labels)), int(np.max(labels))
        if low < 0 or high >= num_classes:
            raise KganError(f"{expected}. Received: labels from {low} to {high}")


def _has_values(part):
    return isinstance(part, np.ndarray) or hasattr(part, "numpy")


def _is_floating(part):
    return "float" in getattr(part.dtype, "name", str(part.dtype))
