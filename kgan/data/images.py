"""A set of images in memory."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field

import numpy as np
import tensorflow as tf
from PIL import Image

from kgan._renamed import renamed_argument
from kgan.checks import (
    FUNCTION,
    PATH,
    TEXT,
    Below0,
    as_array,
    check_images,
    check_range,
    one_of,
    or_none,
    shape_of_images,
)
from kgan.data import tfds
from kgan.data.batches import Batched, check_order
from kgan.data.cache import Stored
from kgan.data.folder import LABELS, load_folder, sample
from kgan.data.listing import find_folder
from kgan.data.reading import allocate, sums_of
from kgan.data.report import Report
from kgan.data.resize import Rule, resize_image
from kgan.errors import KganError, short
from kgan.images import grid
from kgan.pipelines import steady


@plain_dataclass
class ImageSet(Batched):
    """Images of one shape, with labels if they have them.

    Attributes:
        images: uint8 array (images, height, width, channels); of a cache, one that is read from
            the file as it is indexed.
        labels: int64 array (images,), or None.
        class_names: list of str, or None.
        report: of a folder, what was found in it.
        own_classes: the class names that the source itself has, where `class_names` has more.
        sums: SHA-256 of each file that the images were read from, by its name in the source; see
            `kgan.data.Report`. None of arrays.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    report: Report | None = None
    own_classes: list[str] | None = None
    sums: dict[str, str] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def number_classes(self, names: Sequence[str]) -> None:
        """Gives classes the numbers that they have in `names`; those that are not there come after.

        Labels without names keep their numbers, which are all that is known of them.
        """
        if self.labels is None or self.class_names is None:
            return
        self.own_classes = self.own_classes or self.class_names
        kept = dict.fromkeys([*names, *self.class_names])
        places = {name: number for number, name in enumerate(kept)}
        numbers = np.array([places[name] for name in self.class_names], np.int64)
        self.labels, self.class_names = numbers[self.labels], list(kept)

    def sheet(self) -> np.ndarray:
        """A picture of up to 64 of the images, evenly spaced."""
        return grid(self.images[sample(len(self))])

    def parts(self) -> list[tuple[np.ndarray | Stored, int]]:
        return [(part, 0) for part in (self.images, self.labels) if part is not None]


@renamed_argument(fit="resize")
def load(
    source,
    image_shape: tuple[int, int, int],
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    resize: str = "crop",
    background: str = "white",
    labels: str | None = None,
    cache: str | os.PathLike | None = None,
    box: Sequence[float] | None = None,
    only: Callable[[str], bool] | None = None,
) -> ImageSet:
    """Reads images of any size and kind into memory, as images of one shape.

    Args:
        source: `"tfds:<name>"` or `"tfds:<name>#<split>"`, a folder of images (searched
            recursively), an array of uint8 images (images, height, width[, channels]), or a tuple
            of such an array and labels. A list of data sets and folders gives the images of all of
            them, one after the other. A folder that does not exist here is looked for in the data
            directory.
        image_shape: (height, width, channels), 1 or 3 channels. Images of another size are
            resized with antialiasing.
        split: TFDS split, such as `"train"`, `"test"` or `"train[:50000]"`.
        data_dir: the data directory. By default `KGAN_DATA_DIR`; for TFDS, before that,
            `TFDS_DATA_DIR`, and after it TFDS's own default. A folder `tensorflow_datasets` in
            it is taken for TFDS. TFDS downloads what is not there.
        resize: how images become `image_shape`: `"crop"` to its proportions at the center, `"pad"`
            with bars, or `"stretch"`.
        background: a color such as `"white"` or `"#ff8000"`, of the bars and of what is
            transparent in a picture.
        labels: `"folders"` for folders whose sub-folders are named after their classes, which
            are numbered in the order of their names.
        cache: path of a file for the decoded images of folders, instead of memory: for sets that
            are larger, and to decode once only. It is made if need be, and made anew if it is torn
            or damaged, or if files or options have changed.
        box: [left, top, right, bottom] of the part of each picture that is taken before it is
            resized, in fractions of its width and height. None for all of it.
        only: of folders: says of a file's path in its folder whether it is wanted. Labels are
            numbered as if all were.

    Raises:
        ValueError: if there are no images, or what is there is something else, or a TFDS data set
            is neither there nor can be downloaded.

    Example:

    ```python
    faces = kgan.data.load(["faces/2023", "faces/2024"], (64, 64, 3), box=[0.1, 0.2, 0.9, 0.9])
    ```
    """
    rule = Rule.checked(image_shape, resize, background, box)
    TEXT.check("split", split)
    for name, value, bound in (
        ("data_dir", data_dir, PATH),
        ("labels", labels, one_of(*LABELS)),
        ("cache", cache, PATH),
        ("only", only, FUNCTION),
    ):
        or_none(bound).check(name, value)
    check_source(source)
    places = source if isinstance(source, list) else [source]
    if not all(map(PATH.fits, places)):
        for name, value in (("labels", labels), ("cache", cache), ("only", only)):
            if value is not None:
                raise _folders_only(name, value, type(source).__name__)
        return from_memory(source, rule)
    parts = []
    for is_tfds, group in itertools.groupby(places, key=tfds.is_name):
        if not is_tfds:
            folders = [find_folder(place, data_dir) for place in group]
            images, numbers, report = load_folder(folders, rule, labels, cache, only)
            names = None if report.classes is None else list(report.classes)
            parts.append(ImageSet(images, numbers, names, report, sums=report.sums))
            continue
        for place in group:
            for name, value in (("labels", labels), ("cache", cache), ("only", only)):
                if value is not None:
                    raise _folders_only(name, value, place)
            parts.append(_from_tfds(*tfds.split_name(place, split), rule, data_dir))
    return parts[0] if len(parts) == 1 else _joined(parts)


def check_source(source) -> None:
    """Raises KganError unless `source` is of a kind that `load` reads; nothing is opened."""
    places = source if isinstance(source, list) else [source]
    if (places and all(map(PATH.fits, places))) or isinstance(source, np.ndarray):
        return
    if not (isinstance(source, tuple) and len(source) == 2):
        raise KganError(
            "Expected 'tfds:<name>', a folder of images, a list of these, a tuple of an array and "
            f"labels, or a uint8 array. Received: {type(source).__name__}"
            + (f" of {len(source)} items" if isinstance(source, list) else f" {short(source)}")
        )


def _folders_only(name, value, source):
    return KganError(
        f"Expected {name} with a folder of images only. Received: {name}={str(value)!r} with "
        f"{source}"
    )


def _joined(parts):
    """Several sets as one; it has labels if all have labels, of named classes or all of numbers."""
    images = allocate((sum(map(len, parts)), *parts[0].images.shape[1:]))
    starts = itertools.accumulate(map(len, parts), initial=0)
    for start, part in zip(starts, parts, strict=False):
        for i in range(0, len(part), 1024):  # of a cache no more is to be in memory
            some = part.images[i : i + 1024]
            images[start + i : start + i + len(some)] = some
    sums = {f"{i}/{k}": v for i, part in enumerate(parts, 1) for k, v in (part.sums or {}).items()}
    named = {part.class_names is not None for part in parts}
    if any(part.labels is None for part in parts) or len(named) > 1:
        return ImageSet(images, sums=sums)
    names = None
    if named == {True}:  # a class is a name: its number is that of the first set that has it
        names = list(dict.fromkeys(name for part in parts for name in part.class_names))
        for part in parts:
            part.number_classes(names)
    return ImageSet(images, np.concatenate([part.labels for part in parts]), names, sums=sums)


def from_memory(source, rule: Rule) -> ImageSet:
    """The images of an array, or of an array and labels."""
    if isinstance(source, tuple) and len(source) == 2:
        data = _from_array(source[0], rule)
        data.labels = _labels(as_array("labels", source[1], "integers (images,)", "biufcUSO"))
        if len(data.labels) != len(data):
            raise KganError(
                f"Expected a label for each image. Received: {len(data.labels)} labels and "
                f"{len(data)} images"
            )
        return data
    return _from_array(source, rule)


def _labels(array):
    """Labels (images,) as int64; raises KganError for what is no class's number."""
    hint = ""
    if array.ndim == 2 and array.shape[1] > 1:
        hint = "; of one-hot labels, labels.argmax(1) gives them"
    elif array.dtype.kind in "USO":
        hint = "; of names, np.unique(labels, return_inverse=True)[1] gives them"
    elif array.dtype.kind in "biu" and (array.ndim == 1 or array.shape[1:] == (1,)):
        if array.size == 0 or 0 <= int(array.min()) <= int(array.max()) < 2**63:
            return array.astype(np.int64).reshape(-1)
        hint = f", the least of which is {array.min()}"
    raise KganError(
        f"Expected integer labels (images,) from 0 on. Received: {array.dtype} of shape "
        f"{array.shape}{hint}"
    )


@renamed_argument(fit="resize")
def dataset(
    source,
    image_shape: tuple[int, int, int],
    batch_size: int = 64,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    shuffle: bool = True,
    flip: bool = False,
    seed: int = 0,
    resize: str = "crop",
    background: str = "white",
    labels: str | None = None,
    cache: str | os.PathLike | None = None,
    box: Sequence[float] | None = None,
    only: Callable[[str], bool] | None = None,
) -> tf.data.Dataset:
    """Batches for `fit` from anything `load` reads.

    Args:
        source, image_shape, split, data_dir, resize, background, labels, cache, box, only: see
            `kgan.data.load`. A `tf.data.Dataset` is returned as it is, once its batches are seen
            to have this shape.
        batch_size, shuffle, flip, seed: see `kgan.data.ImageSet.dataset`.

    Returns:
        `tf.data.Dataset` of uint8 images (batch, height, width, channels), with labels if the
        source has them.

    Example:

    ```python
    dataset = kgan.data.dataset("photos", image_shape=(64, 64, 3), flip=True)
    model.fit(dataset, epochs=20)
    ```
    """
    check_order(batch_size, shuffle, flip, seed)
    if isinstance(source, tf.data.Dataset):
        _check_ready(source, shape_of_images().check("image_shape", image_shape))
        return source
    data = load(source, image_shape, split, data_dir, resize, background, labels, cache, box, only)
    return data.dataset(batch_size, shuffle, flip, seed)


def _check_ready(batches, image_shape):
    """Raises ValueError unless a dataset has batches of images of a shape, with or without labels.

    Only values tell floats in [-1, 1] from others: of these the first images are looked at.
    """
    spec = _first(batches.element_spec)
    if not hasattr(spec, "dtype"):
        raise KganError(
            "Expected a dataset of images or (images, labels). Received: one of "
            f"{batches.element_spec}; of TFDS, as_supervised=True gives (images, labels)"
        )
    shape = None if spec.shape.rank is None else tuple(spec.shape)
    check_images(shape, spec.dtype, image_shape)
    if spec.dtype.is_floating:
        below0 = Below0()
        for images in map(_first, steady(batches)):
            check_images(images.shape, images.dtype, image_shape)
            if 0 not in images.shape:
                check_range(images.numpy())
                below0.look(images.numpy())
            if below0.decided:
                return
        below0.decide()


def _first(batch):
    return batch[0] if isinstance(batch, tuple | list) and batch else batch


def _from_array(array, rule):
    array = as_array("images", array, "(images, height, width, channels)", "biufcUSO")
    if array.ndim == 3:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise KganError(
            "Expected a uint8 array of shape (images, height, width, channels) with 1 or 3 "
            f"channels. Received: {array.dtype} of shape {array.shape}{_to_uint8(array)}"
        )
    if not array.size:
        raise KganError(f"Expected at least one image. Received: none, of shape {array.shape}")
    if array.shape[1:] == rule.image_shape and rule.box is None:
        return ImageSet(array)
    images = allocate((len(array), *rule.image_shape))
    for i, image in enumerate(array):
        images[i] = resize_image(_picture(image), rule)
    return ImageSet(images)


def _to_uint8(array):
    """What makes floats uint8, as far as their range tells."""
    if array.dtype.kind != "f" or not array.size:
        return ""
    low, high = float(array.min()), float(array.max())
    if low >= -0.5 and 1.001 < high <= 255.5:
        levels = "images"
    elif low >= 0 and high <= 1.001:
        levels = "(images * 255)"
    elif low >= -1.001 and high <= 1.001:
        levels = "((images + 1) * 127.5)"
    else:  # normalised otherwise, or not finite
        return f" in [{low:.4g}, {high:.4g}]; undo what they were scaled by"
    return f"; {levels}.round().astype('uint8') converts"


def _picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _from_tfds(name, split, rule, data_dir):
    from tensorflow_datasets import ReadConfig

    builder = tfds.builder(name, data_dir)
    tfds.prepare(builder)
    parts = tfds.ranges(builder, split)  # which says what is wrong with it in one line
    if not any(stop > start for _, start, stop in parts):
        raise KganError(f"Expected a split with images. Received: tfds:{name}#{split}, of none")
    files = tfds.files(builder, split)
    sums = dict(zip(files, sums_of(files.values()), strict=True))
    read = ReadConfig(try_autocache=False)
    examples = builder.as_dataset(split=split, shuffle_files=False, read_config=read)
    images = allocate((len(examples), *rule.image_shape))
    labels = np.empty(len(examples), np.int64)
    for i, example in enumerate(steady(examples.prefetch(16)).as_numpy_iterator()):
        image = example["image"]
        if image.shape != rule.image_shape or rule.box is not None:
            image = resize_image(_picture(image), rule)
        images[i] = image
        labels[i] = example.get("label", 0)
    features = builder.info.features
    if "label" not in features:
        return ImageSet(images, sums=sums)
    return ImageSet(images, labels, getattr(features["label"], "names", None), sums=sums)
