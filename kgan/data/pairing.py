"""Pictures of two kinds, a and b: which belong together. Imports no TensorFlow."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kgan.checks import CHANNELS, PATH, one_of, or_none
from kgan.data import tfds
from kgan.data.folder import MOST_UNREADABLE, look_at
from kgan.data.listing import (
    Listing,
    check_apart,
    class_name,
    find_folder,
    find_images,
    names_in_sources,
    printable,
)
from kgan.data.report import PairReport
from kgan.data.resize import Rule
from kgan.errors import KganError, short
from kgan.images import grid
from kgan.recipe import PAIRED

_COLUMNS = 8  # of a contact sheet, of both kinds together
_NAMED = 5  # files, in one line


class Found(NamedTuple):
    """The files of pairs, before any is opened.

    Attributes:
        source, target: of a and of b, in one order; of halves the same.
        alone: names of files that have no partner, by the folders that they are in.
    """

    source: Listing
    target: Listing
    alone: dict[str, list[str]]


def how_paired(paired: str | None, target: Any) -> str:
    """What `paired` is to mean, by default `"names"` with a target and `"halves"` without.

    Raises:
        KganError: if it is nothing of `PAIRED`, or does not go with what is given.
    """
    or_none(one_of(*PAIRED)).check("paired", paired)
    given = target is not None
    paired = paired or ("names" if given else "halves")
    if given == (paired == "halves"):
        raise KganError(
            "Expected pictures a and b, or with paired='halves' pictures a alone, whose left "
            f"halves are a and whose right ones b. Received: paired={paired!r} and "
            + ("both" if given else "a alone")
        )
    return paired


def rules(
    image_shape: Sequence[int],
    target_channels: int | None,
    resize: str,
    background: str,
    box: Sequence[float] | None,
    paired: str,
) -> tuple[Rule, Rule]:
    """What the pictures of a and those of b become; see `kgan.data.pairs`."""
    or_none(CHANNELS).check("target_channels", target_channels)
    rule = Rule.checked(image_shape, resize, background, box)
    height, width, channels = rule.image_shape
    target = rule._replace(image_shape=(height, width, target_channels or channels))
    if paired == "halves":
        return rule._replace(half=0), target._replace(half=1)
    return rule, target


def find(
    source: str | os.PathLike | list,
    target: str | os.PathLike | list | None = None,
    data_dir: str | os.PathLike | None = None,
    only: Callable[[str], bool] | None = None,
) -> Found:
    """The files of pairs by name, or without a target of pictures of two halves.

    Args:
        source: folder of a, or a list of folders.
        target: folder of b, or as many folders: those of the first belong to the first of a.
        data_dir: see `kgan.data.load`.
        only: says of a file's path in its folder whether it is wanted; of a pair the path of a.

    Raises:
        KganError: if there are no pairs, or a name stands for two pictures of one folder.
    """
    found = _listing(source, data_dir)
    if target is None:
        some = found if only is None else _some_of(found, [f for f in found.files if only(_in(f))])
        if not some.files:
            raise KganError(
                f"Expected images among those wanted. Received: none in {_places(found)}"
            )
        return Found(some, some, {})
    other = _listing(target, data_dir)
    check_apart([*found.folders, *other.folders])
    if len(found.folders) != len(other.folders):
        raise KganError(
            "Expected a folder of b for each folder of a, whose files have the same names. "
            f"Received: {len(found.folders)} and {len(other.folders)}"
        )
    a, b = _by_stem(found), _by_stem(other)
    wanted = (lambda file: True) if only is None else (lambda file: only(_in(file)))
    together = [stem for stem in a if stem in b and wanted(a[stem])]
    alone = {
        _places(listing): [
            printable(_in(mine[s])) for s in mine if s not in its and wanted(mine[s])
        ]
        for listing, mine, its in ((found, a, b), (other, b, a))
    }
    if not together:
        named = " and ".join(
            f"{_some(names)} in {folder}" for folder, names in alone.items() if names
        )
        raise KganError(
            "Expected pictures of the same names, but for their suffixes, in both folders. "
            f"Received: {named or 'none that are wanted'}; paired = 'no' trains a CycleGAN on "
            "pictures that do not belong together"
        )
    return Found(
        _some_of(found, [a[stem] for stem in together]),
        _some_of(other, [b[stem] for stem in together]),
        {folder: names for folder, names in alone.items() if names},
    )


def stem(name: str) -> str:
    """The name by which pictures are paired: without its suffix, composed, as macOS has none."""
    return class_name(os.path.splitext(name)[0])


def _listing(source, data_dir):
    places = source if isinstance(source, list) else [source]
    if not places or not all(map(PATH.fits, places)) or any(map(tfds.is_name, places)):
        raise KganError(
            "Expected pairs of folders, or of uint8 arrays (images, height, width, channels). "
            f"Received: {short(source)}"
        )
    return find_images(*(find_folder(place, data_dir) for place in places))


def _in(file):
    return file.name.replace(os.sep, "/")


def _some_of(found, files):
    return replace(found, files=files)


def _places(found):
    return ", ".join(map(printable, found.folders))


def _by_stem(found):
    files = {}
    for name, file in zip(names_in_sources(found), found.files, strict=True):
        other = files.setdefault(stem(name), file)
        if other is not file:
            raise KganError(
                "Expected one picture of each name, whatever its suffix, to pair it by. Received: "
                f"{printable(other.path)} and {printable(file.path)}"
            )
    return files


def _some(names, between=", "):
    shown = between.join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
    return f"{len(names):,} ({shown})"


def alone_text(alone: dict[str, list[str]]) -> str:
    """What is said of files without a partner, in one line."""
    return " and ".join(f"{_some(names)} in {folder}" for folder, names in alone.items())


def _key(report: PairReport) -> Callable[[str], str]:
    """What the names of both pictures of a pair have in common: halves are of one file."""
    return str if report.paired == "halves" else stem


def unequal(report: PairReport) -> dict[str, str]:
    """Pairs whose pictures cannot be cropped alike: both sizes by the name of a.

    They may be of different sizes, but not of different proportions, unless both are stretched.
    """
    source, target, key = report.source, report.target, _key(report)
    if target.resize == "stretch":
        return {}
    if not (len(source.shapes) == source.images and len(target.shapes) == target.images):
        raise KganError(
            "Expected a cache that tells the sizes of pictures. Received: one of an older kgan, "
            f"{source.cache} or {target.cache}; remove it, and it is made anew"
        )
    sizes = dict(zip(map(key, target.names), target.shapes, strict=True))
    found = {}
    for name, size in zip(source.names, source.shapes, strict=True):
        other = sizes.get(key(name), size)
        if not alike(size, other):
            found[name] = " and ".join(f"{width}x{height}" for width, height in (size, other))
    return found


def check_unequal(report: PairReport) -> None:
    """Raises KganError if there are so many of them that training must not begin."""
    if len(report.unequal) > MOST_UNREADABLE * report.source.files:
        raise KganError(
            "Expected pairs of pictures of the same proportions, to be cropped alike; resize = "
            f"'stretch' makes others equal. Received: {unequal_text(report.unequal)}"
        )


def unequal_text(pairs: dict[str, str]) -> str:
    """What is said of pairs that cannot be cropped alike, in one line."""
    return _some([f"{printable(name)}, {sizes}" for name, sizes in pairs.items()], "; ")


def alike(size: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two sizes have the same proportions.

    A pixel may be lost where one picture was made of the other.
    """
    return abs(size[0] * other[1] - size[1] * other[0]) <= max(*size, *other)


def whole(report: PairReport) -> tuple[list[int], list[int], list[str]]:
    """Which images of a and of b are of whole pairs, in one order, and the names of a."""
    key = _key(report)
    places = {key(name): i for i, name in enumerate(report.target.names)}
    first = [
        i
        for i, name in enumerate(report.source.names)
        if key(name) in places and name not in report.unequal
    ]
    names = [report.source.names[i] for i in first]
    return first, [places[key(name)] for name in names], names


def check_pairs(
    a: str | os.PathLike,
    b: str | os.PathLike | None = None,
    *,
    image_shape: tuple[int, int, int],
    target_channels: int | None = None,
    paired: str | None = None,
    resize: str = "crop",
    background: str = "white",
    box: Sequence[float] | None = None,
) -> tuple[PairReport, np.ndarray | None]:
    """Reads every image of two folders, or of one of halves, keeps none of them, and reports.

    Args:
        a, b: paths; those that do not exist here are looked for in `KGAN_DATA_DIR`.
        image_shape, target_channels, paired, resize, background, box: see `kgan.data.pairs`, and
            for `paired="no"` `kgan.data.domains`.

    Returns:
        A `kgan.data.PairReport`, and a sheet of some images as a model would see them: pairs side
        by side; of pictures that are not paired those of a on the left, those of b on the right.

    Raises:
        ValueError: if there are no images, or no pairs. Any number of files may be unreadable.

    Example:

    ```python
    report, sheet = kgan.data.check_pairs("outlines", "pictures", image_shape=(64, 64, 3))
    print(report.text())
    ```
    """
    paired = how_paired(paired, b)
    both = rules(image_shape, target_channels, resize, background, box, paired)
    if paired == "no":
        found = Found(_listing(a, None), _listing(b, None), {})
        check_apart([*found.source.folders, *found.target.folders])
    else:
        found = find(a, b)
    (source, some), (target, others) = map(look_at, found[:2], both)
    report = PairReport(paired, source, target, alone=found.alone)
    if paired == "no":
        return report, sheet(list(some.values()), list(others.values()), paired)
    report.unequal = unequal(report)
    report.pairs = len(whole(report)[0])
    names = names_in_sources(found.source)
    there = [i for i in some if i in others and names[i] not in report.unequal]
    return report, sheet([some[i] for i in there], [others[i] for i in there], paired)


def sheet(a: Sequence[np.ndarray], b: Sequence[np.ndarray], paired: str) -> np.ndarray | None:
    """Images of both kinds in one picture: pairs side by side, else all of a beside all of b.

    Args:
        a, b: uint8 images (height, width, channels) of one size; of pairs as many.
        paired: one of `PAIRED`.

    Returns:
        uint8 array (height, width, 3); None if there are none of a kind.
    """
    block = 1 if paired != "no" else _COLUMNS // 2
    most = _COLUMNS * _COLUMNS // 2
    sides = []
    for images in (a, b):
        images = images[:: max(1, -(-len(images) // most))]
        images = [np.broadcast_to(x, (*x.shape[:2], 3)) for x in images]
        blank = [np.full_like(images[0], 255)] * (-len(images) % block) if images else []
        sides.append([*images, *blank])
    length = min(map(len, sides))
    if not length:
        return None
    rows = [x for i in range(0, length, block) for side in sides for x in side[i : i + block]]
    return grid(np.stack(rows), _COLUMNS)
