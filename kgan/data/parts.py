"""The parts of a recipe's data: what is trained on, and what is held out."""

import fnmatch
import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from kgan.data import pairing, tfds
from kgan.data.images import ImageSet, load
from kgan.data.listing import (
    File,
    class_name,
    find_folder,
    find_images,
    in_class_folders,
    printable,
    reaches,
)
from kgan.data.pair_set import PairSet, load_pairs
from kgan.errors import KganError, KganWarning, short
from kgan.recipe import Data


def load_training(
    data: Data,
    image_shape: tuple[int, int, int],
    data_dir: str | os.PathLike | None = None,
    cache: str | os.PathLike | None = None,
    target_channels: int | None = None,
) -> ImageSet | PairSet:
    """The images that a recipe trains on, in the order of their names or of the data set.

    Args:
        data: of the recipe. If it says how images are `paired`, they are of two kinds.
        image_shape, data_dir, cache: see `kgan.data.load`.
        target_channels: see `kgan.data.load_pairs`.

    Raises:
        KganError: before any image is decoded, for what `check` refuses; and for what
            `kgan.data.load` does.
    """
    check(data, data_dir)
    is_held_out = _rule(data)
    only = is_held_out and (lambda path: not is_held_out(path))
    options = {"split": data.split, "cache": cache, "only": only}
    if data.paired:
        options["target_channels"] = target_channels
        return _load_pairs(data, data.sources(), data.targets(), image_shape, data_dir, **options)
    labels = data.labels or None
    return _load(data, data.sources(), image_shape, data_dir, labels=labels, **options)


def check(data: Data, data_dir: str | os.PathLike | None = None) -> None:
    """Looks, without decoding, whether a recipe's data are there and apart.

    Raises:
        KganError: if the held-out part is absent, everything or nothing, or shares pictures with
            what is trained on, or if a class has no folder.
    """
    _check_classes(data, data_dir)
    _check_apart(data, data_dir)


def check_outside(data: Data, directory: Path, data_dir: str | os.PathLike | None = None) -> None:
    """Looks whether a directory, which pictures are written into, is apart from a recipe's data.

    Raises:
        KganError: if not.
    """
    sources = data.places()
    if not data.held_out and not any(map(tfds.is_name, sources)):
        for held_out in (held_out_sources(data, data_dir), held_out_targets(data, data_dir)):
            sources = [*sources, *(held_out or [])]
    for source in sources:
        folder = None if tfds.is_name(source) else find_folder(source, data_dir)
        if folder is not None and folder.is_dir() and reaches(folder, directory):
            raise KganError(
                "Expected a run directory apart from the images, or the run's own pictures would "
                f"be among them. Received: {printable(directory)} and {printable(folder)}, one of "
                "which reaches into the other; --out names another place, and a run can be moved"
            )


def load_held_out(
    data: Data,
    image_shape: tuple[int, int, int],
    data_dir: str | os.PathLike | None = None,
    target_channels: int | None = None,
) -> ImageSet | PairSet | None:
    """The images that a recipe never trains on, or None if its data has no such part.

    Args:
        data, target_channels: see `load_training`.
        image_shape, data_dir: see `kgan.data.load`.

    Raises:
        KganError: if the recipe names a part that is not there, and for what `kgan.data.load`
            refuses.
    """
    labels, only = data.labels or None, _rule(data)
    sources = data.sources() if only else held_out_sources(data, data_dir)
    if sources is None:
        return None
    if data.paired:
        targets = data.targets() if only else held_out_targets(data, data_dir)
        options = {"only": only, "target_channels": target_channels}
        return _load_pairs(data, sources, targets, image_shape, data_dir, split="test", **options)
    if only:
        return _load(data, sources, image_shape, data_dir, labels=labels, only=only)
    folders = [find_folder(source, data_dir) for source in sources if not tfds.is_name(source)]
    # Data sets of TFDS have labels of their own, or none, as have folders without sub-folders.
    if not folders or not all(map(in_class_folders, folders)):
        labels = None
    return _load(data, sources, image_shape, data_dir, split="test", labels=labels)


def held_out_sources(data: Data, data_dir: str | os.PathLike | None = None) -> list[str] | None:
    """The data sets and folders that a recipe holds out; None if there are none of their own.

    A recipe that says nothing holds out a data set's split `test`, or the folder `test` beside a
    folder `train`, if there is one and it is not trained on.
    """
    if isinstance(data.held_out, dict):
        return None
    if data.held_out:
        return data.held_out if isinstance(data.held_out, list) else [data.held_out]
    found = _tests_beside(data, data_dir)
    return None if found is None else found[:1]


def held_out_targets(data: Data, data_dir: str | os.PathLike | None = None) -> list[str] | None:
    """The same of images b; None if there are none of their own, or they are halves of a."""
    if data.held_out_target:
        target = data.held_out_target
        return target if isinstance(target, list) else [target]
    found = None if data.held_out else _tests_beside(data, data_dir)
    return None if found is None else found[1:]


def _tests_beside(data, data_dir):
    """What a recipe holds out that says nothing, of a and if there is one of b; or None."""
    named = [data.source, *([data.target] if data.target else [])]
    found = [_test_beside(source, data.split, data_dir) for source in named]
    return None if None in found else found


def _test_beside(source, split, data_dir):
    if isinstance(source, list) or not source:
        return None
    if tfds.is_name(source):
        name, split = tfds.split_name(source, split)
        builder = tfds.builder(name, data_dir)
        tfds.prepare(builder)
        if "test" not in builder.info.splits:
            return None
        shared = _shared_examples(tfds.ranges(builder, split), tfds.ranges(builder, "test"))
        return None if shared else f"tfds:{name}#test"
    folder = Path(source)
    if folder.name != "train":
        return None
    beside = folder.with_name("test")
    try:
        _files([beside], data_dir)
    except KganError:  # there is none, or none with pictures
        return None
    return str(beside)


def _load_pairs(data, sources, targets, image_shape, data_dir, **more) -> PairSet:
    return load_pairs(
        sources,
        targets or None,
        image_shape=image_shape,
        paired=data.paired,
        data_dir=data_dir,
        resize=data.resize,
        background=data.background,
        box=data.box or None,
        **more,
    )


def _load(data, sources, image_shape, data_dir, **more) -> ImageSet:
    images = load(
        sources if len(sources) > 1 else sources[0],
        image_shape,
        data_dir=data_dir,
        resize=data.resize,
        background=data.background,
        box=data.box or None,
        **more,
    )
    name_classes(images, data)
    return images


def name_classes(images: ImageSet, data: Data) -> None:
    """Gives classes the names that a recipe shows them by, and the numbers that it has for them.

    Those that it does not know are numbered after those that it does.

    Raises:
        KganError: if two classes would have one name.
    """
    if images.class_names is None:
        return
    names = _shown(data, map(class_name, images.class_names))
    double = [name for name, number in Counter(names).items() if number > 1]
    if double:
        raise KganError(
            "Expected another name for each class. Received: two folders whose class is "
            f"{_some(double)}, by [data.classes]"
        )
    images.class_names = names
    images.number_classes([class_name(name) for name in data.class_names])


def _shown(data, folders):
    """The classes of folders, as a recipe shows them."""
    names = {class_name(folder): class_name(name) for folder, name in data.classes.items()}
    return [names.get(folder, folder) for folder in folders]


def check_classes(data: Data, images: ImageSet) -> None:
    """Looks whether a recipe can be trained on the classes that there are, since these are names.

    Args:
        data: of the recipe, with the names of its classes.
        images: what `load_training` has found.

    Raises:
        KganError: if there is a class that the recipe does not know, or one of its classes has no
            pictures: of TFDS, if the data set does not know it.
    """
    if images.class_names is None:  # numbers are all that is known of them
        return
    known = [class_name(name) for name in data.class_names]
    unknown = [name for name in images.class_names if name not in known]
    there = set(images.own_classes)
    if images.report is not None:  # of folders; of TFDS a split may lack what the data set has
        broken = there.intersection(_shown(data, images.report.empty))  # which was warned of
        there = broken | {images.class_names[number] for number in np.unique(images.labels)}
    absent = [name for name in known if name not in there]
    if unknown or absent:
        said = [
            f"no pictures of {_some(absent)}" if absent else "",
            f"pictures of {_some(unknown)}, which the recipe does not know" if unknown else "",
        ]
        raise KganError(
            f"Expected pictures of the recipe's classes, {_some(known)}, and of no others. "
            f"Received: {' and '.join(filter(None, said))}. A folder that is called otherwise now "
            "is named in [data.classes]; without class_names in the recipe the classes are those "
            "that there are, for a model that begins anew"
        )


def _rule(data: Data) -> Callable[[str], bool] | None:
    """Whether the file of a path is held out, where that is said of the files of the source."""
    if not isinstance(data.held_out, dict):
        return None
    if "names" in data.held_out:
        pattern = data.held_out["names"]
        return lambda path: fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)
    share, in_classes = data.held_out["share"], bool(data.labels)

    def chosen(path):
        if in_classes:  # so that what is called the same in several classes stays together
            path = path.partition("/")[2]
        digest = hashlib.sha256(os.fsencode(path)).digest()
        return int.from_bytes(digest[:8]) < share * 2**64

    return chosen


def _check_classes(data, data_dir):
    """Raises KganError if a class of `[data.classes]` has no folder."""
    if not data.classes:
        return
    if any(map(tfds.is_name, data.sources())):
        raise KganError(
            f"Expected folders to take [data.classes] from. Received: source = {short(data.source)}"
        )
    files = _files(data.sources(), data_dir)
    folders = {class_name(file.name.split(os.sep)[0]) for file in files if os.sep in file.name}
    absent = [name for name in data.classes if class_name(name) not in folders]
    if absent:
        raise KganError(
            f"Expected classes among the sub-folders of the source: {_some(sorted(folders))}. "
            f"Received: {_some(absent)} in [data.classes]"
        )


def _check_apart(data, data_dir):
    """Raises KganError unless what a recipe holds out is there, and apart from what it trains on.

    Of TFDS no example may be in both, of folders no file and no file's content. Of what nobody has
    named, a folder `test` beside `train`, that is a warning.
    """
    if not data.held_out:
        _warn_of_same(data, data_dir)
        return
    sides = [(data.sources(), held_out_sources), (data.targets(), held_out_targets)]
    for sources, held_out_of in sides[: 2 if data.target else 1]:
        if is_held_out := _rule(data):
            training, held_out = _divided(data, sources, is_held_out, data_dir)
        else:
            named = held_out_of(data, data_dir)
            _check_examples_apart(sources, data.split, named, data_dir)
            training, held_out = _files(sources, data_dir), _files(named, data_dir)
        _refuse_same(training, held_out)


def _warn_of_same(data, data_dir):
    if any(map(tfds.is_name, data.sources() + data.targets())):  # whose splits share nothing
        return
    found = _tests_beside(data, data_dir) or []
    for source, test in zip((data.sources(), data.targets()), found, strict=False):
        training, held_out = _files(source, data_dir), _files([test], data_dir)
        try:
            _refuse_same(training, held_out)
        except KganError as error:
            warnings.warn(
                f"{error}. It is held out for its folder {printable(test)}; figures of such "
                "pictures say little",
                KganWarning,
                stacklevel=4,
            )


def _divided(data, sources, is_held_out, data_dir):
    """The files of sources to train on, and those that are held out."""
    named = short(sources[0] if len(sources) == 1 else sources)
    if any(map(tfds.is_name, sources)):
        raise KganError(
            f"Expected folders to hold out {short(data.held_out)} of. Received: source = {named}"
        )
    if data.paired == "names":  # a pair is where its a is
        found = pairing.find(data.sources(), data.targets(), data_dir)
        files = (found.source if sources == data.sources() else found.target).files
        chosen = [is_held_out(file.name.replace(os.sep, "/")) for file in found.source.files]
    else:
        files = _files(sources, data_dir)
        chosen = [is_held_out(file.name.replace(os.sep, "/")) for file in files]
    training = [file for file, held_out in zip(files, chosen, strict=True) if not held_out]
    held_out = [file for file, held_out in zip(files, chosen, strict=True) if held_out]
    if not (training and held_out):
        raise KganError(
            f"Expected held_out = {short(data.held_out)} to take some of the files of "
            f"{named}. Received: {'none' if training else 'all'} of {len(files):,}"
        )
    return training, held_out


def _refuse_same(training, held_out):
    """Raises KganError if files of both parts have one content."""
    pairs = _same(held_out, training)
    if pairs:
        (one, other), more = pairs[0], len(pairs) - 1
        raise KganError(
            "Expected held-out pictures that are not trained on. Received: "
            f"{printable(one.path)}, held out, and {printable(other.path)}, trained on, are the "
            f"same" + (f", and {more:,} more pairs" if more else "")
        )


def _check_examples_apart(sources, split, held_out, data_dir):
    """The same of data sets of TFDS."""
    for one in filter(tfds.is_name, held_out):
        name, own = tfds.split_name(one, "test")
        builder = tfds.builder(name, data_dir)
        tfds.prepare(builder)
        examples = tfds.ranges(builder, own)
        for other in filter(tfds.is_name, sources):
            other_name, other_split = tfds.split_name(other, split)
            if other_name == name:
                shared = _shared_examples(examples, tfds.ranges(builder, other_split))
                if shared:
                    raise KganError(
                        "Expected held-out pictures that are not trained on. Received: "
                        f"tfds:{name}#{own}, held out, and tfds:{name}#{other_split}, trained on, "
                        f"which share {shared:,}"
                    )


def _shared_examples(some, others):
    """How many examples two lists of `tfds.ranges` share."""
    return sum(
        max(0, min(stop, other_stop) - max(start, other_start))
        for part, start, stop in some
        for other_part, other_start, other_stop in others
        if part == other_part
    )


def _files(sources, data_dir) -> list[File]:
    folders = [find_folder(source, data_dir) for source in sources if not tfds.is_name(source)]
    return find_images(*folders).files if folders else []


def _same(some: list[File], others: list[File]) -> list[tuple[File, File]]:
    """Pairs of files of the same content.

    Few files are read whole: those that have the size and the middle of another. Empty ones are no
    pictures.
    """
    some = [file for file in some if file.size]
    looks = (lambda file: file.size, _middle, _content)
    for look in looks:
        wanted = {look(file) for file in some}
        others = [file for file in others if look(file) in wanted]
        left = {look(file) for file in others}
        some = [file for file in some if look(file) in left]
    first = {_content(file): file for file in reversed(others)}
    return [(file, first[_content(file)]) for file in some]


def _middle(file):
    try:
        with open(file.path, "rb") as opened:
            opened.seek(max(0, file.size - 4096) // 2)
            return file.size, opened.read(4096)
    except OSError:  # the reader will say so
        return file.path


def _content(file):
    try:
        with open(file.path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return file.path


def _some(names: Iterable[str]) -> str:
    names = [printable(name) for name in names]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
