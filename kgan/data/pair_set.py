"""Images of two kinds, a and b, in memory: pairs, or two domains that are not paired."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field

import numpy as np
import tensorflow as tf

from kgan.checks import PATH, TEXT, or_none
from kgan.data import pairing, tfds
from kgan.data.batches import Batched, check_order
from kgan.data.cache import Stored
from kgan.data.folder import load_folder, sample
from kgan.data.images import from_memory, load
from kgan.data.listing import check_apart, find_folder
from kgan.data.reading import allocate
from kgan.data.report import PairReport, sums_of_both
from kgan.errors import KganError, KganWarning, short


@plain_dataclass
class PairSet(Batched):
    """Images of two kinds, a and b.

    Attributes:
        images: uint8 array (images, height, width, channels) of a.
        targets: uint8 array of b; of pairs as many as images, in their order.
        paired: `"names"`, `"halves"` or `"no"`.
        names: of folders, the file names of `images`.
        target_names: of those that are not paired, the file names of `targets`.
        report: of folders, what was found in them.
        sums: SHA-256 of each file that the images were read from, as in `report`; None of arrays.
    """

    images: np.ndarray
    targets: np.ndarray
    paired: str = "names"
    names: list[str] | None = field(default=None, repr=False)
    target_names: list[str] | None = field(default=None, repr=False)
    report: PairReport | None = None
    sums: dict[str, str] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """The length of an epoch: the number of pairs, or of the longer of two domains."""
        return max(len(self.images), len(self.targets))

    def parts(self) -> list[tuple[np.ndarray | Stored, int]]:
        return [(self.images, 0), (self.targets, 1 if self.paired == "no" else 0)]

    def sheet(self) -> np.ndarray:
        """A picture of some images of both kinds; see `kgan.data.check_pairs`."""
        a, b = (list(side[sample(len(side))]) for side in (self.images, self.targets))
        return pairing.sheet(a, b, self.paired)


def load_pairs(
    a,
    b=None,
    *,
    image_shape: tuple[int, int, int],
    target_channels: int | None = None,
    paired: str | None = None,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    resize: str = "crop",
    background: str = "white",
    cache: str | os.PathLike | None = None,
    box: Sequence[float] | None = None,
    only: Callable[[str], bool] | None = None,
) -> PairSet:
    """Reads images of two kinds into memory: pairs, or with `paired="no"` two domains.

    Args:
        a, b, image_shape, target_channels, paired, data_dir, resize, background, cache, box, only:
            see `pairs` and `domains`.
        split: see `domains`.

    Raises:
        ValueError: if there are no pairs, or a kind has no images, or what is there is something
            else.

    Example:

    ```python
    data = kgan.data.load_pairs("outlines", "pictures", image_shape=(64, 64, 3))
    data.images, data.targets, data.names       # (n, 64, 64, 3), (n, 64, 64, 3), n names
    ```
    """
    paired = pairing.how_paired(paired, b)
    both = pairing.rules(image_shape, target_channels, resize, background, box, paired)
    or_none(PATH).check("cache", cache)
    TEXT.check("split", split)
    caches = (None, None) if cache is None else (os.fspath(cache), f"{os.fspath(cache)}.b")
    if paired == "no":
        return _domains((a, b), both, caches, split, data_dir, only)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        for name, value in (("cache", cache), ("only", only)):
            if value is not None:
                raise KganError(f"Expected {name} with folders of images only. Received: arrays")
        return _of_arrays(a, b, both, paired)
    found = pairing.find(a, b, data_dir, only)
    if found.alone:
        said = pairing.alone_text(found.alone)
        _warn(f"Left out, for there is no picture of the same name: {said}")
    images, _, source = load_folder(found.source, both[0], cache=caches[0])
    with warnings.catch_warnings():
        if paired == "halves":  # which were warned of
            warnings.simplefilter("ignore", KganWarning)
        targets, _, target = load_folder(found.target, both[1], cache=caches[1])
    report = PairReport(paired, source, target, alone=found.alone)
    report.unequal = pairing.unequal(report)
    pairing.check_unequal(report)
    if report.unequal:
        said = pairing.unequal_text(report.unequal)
        _warn(f"Left out, for their pictures are of different proportions: {said}")
    first, second, names = pairing.whole(report)
    report.pairs = len(names)
    if not names:
        raise KganError(
            "Expected pairs of pictures. Received: none that can be read, in "
            f"{source.folder} and {target.folder}"
        )
    images, targets = _taken(images, first), _taken(targets, second)
    return PairSet(images, targets, paired, names, None, report, report.sums)


def _warn(text):
    warnings.warn(text, KganWarning, stacklevel=3)


def _domains(sources, both, caches, split, data_dir, only):
    check_apart(
        [
            find_folder(place, data_dir)
            for source in sources
            for place in (source if isinstance(source, list) else [source])
            if PATH.fits(place) and not tfds.is_name(place)
        ]
    )
    sets = [
        load(
            source,
            rule.image_shape,
            split,
            data_dir,
            rule.resize,
            rule.background,
            None,
            cache,
            rule.box,
            only,
        )
        for source, rule, cache in zip(sources, both, caches, strict=True)
    ]
    a, b = sets
    reports = [one.report for one in sets]
    report = None if None in reports else PairReport("no", *reports)
    names = [None if one is None else one.names for one in reports]
    sums = None
    if None not in (a.sums, b.sums):
        sums = sums_of_both(a.sums, b.sums)
    return PairSet(a.images, b.images, "no", *names, report, sums)


def _of_arrays(a, b, both, paired):
    if paired == "halves":
        if not isinstance(a, np.ndarray) or a.ndim < 3 or a.shape[2] % 2:
            raise KganError(
                "Expected an array of pictures of two halves, of an even width. Received: "
                f"{short(getattr(a, 'shape', a))}"
            )
        middle = a.shape[2] // 2
        a, b = a[:, :, :middle], a[:, :, middle:]
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        raise KganError("Expected two folders or two arrays. Received: one of each")
    images, targets = (
        from_memory(side, rule).images for side, rule in zip((a, b), both, strict=True)
    )
    if len(images) != len(targets):
        raise KganError(
            f"Expected as many images of a as of b, which belong together one by one. Received: "
            f"{len(images)} and {len(targets)}"
        )
    if both[0].resize != "stretch" and not pairing.alike(a.shape[1:3], b.shape[1:3]):
        raise KganError(
            "Expected pictures of a and b of the same proportions, to be cropped alike; resize = "
            f"'stretch' makes others equal. Received: {a.shape} and {b.shape}"
        )
    return PairSet(images, targets, paired)


def _taken(images, places):
    """Those of some images that are in whole pairs; the array itself if all are."""
    if places == list(range(len(images))):
        return images
    taken = allocate((len(places), *images.shape[1:]))
    for i in range(0, len(places), 1024):  # of a cache no more is to be in memory
        taken[i : i + 1024] = images[places[i : i + 1024]]
    return taken


def pairs(
    a,
    b=None,
    *,
    image_shape: tuple[int, int, int],
    target_channels: int | None = None,
    paired: str | None = None,
    batch_size: int = 16,
    data_dir: str | os.PathLike | None = None,
    shuffle: bool = True,
    flip: bool = False,
    seed: int = 0,
    resize: str = "crop",
    background: str = "white",
    cache: str | os.PathLike | None = None,
    box: Sequence[float] | None = None,
    only: Callable[[str], bool] | None = None,
) -> tf.data.Dataset:
    """Batches of pairs (a, b) for `fit`, which are cropped, resized and mirrored together.

    Args:
        a: a folder of pictures, searched recursively, or a list of folders; or a uint8 array
            (images, height, width, channels).
        b: the same. Of folders pictures belong together whose names are equal, sub-folders among
            them and suffixes not; what has no partner is left out with a warning. They may differ
            in size, but with `resize` other than `"stretch"` not in proportions: such pairs are
            left out with a warning, and more than 5% of them refused. Of arrays the images belong
            together one by one.
        image_shape: (height, width, channels) of a.
        target_channels: 1 or 3, channels of b. None for those of a.
        paired: `"names"`; or, without b, `"halves"`: of each picture in a the left half is a, the
            right half b.
        batch_size, shuffle, flip, seed: see `kgan.data.ImageSet.dataset`.
        data_dir, resize, background: see `kgan.data.load`.
        cache: path of a file for the decoded images of a instead of memory; those of b lie beside
            it, with `.b` behind its name. See `kgan.data.load`.
        box: of each picture, or half; see `kgan.data.load`.
        only: says of a file's path in its folder whether it is wanted, with its partner: the path
            of a.

    Returns:
        `tf.data.Dataset` of (a, b): uint8 (batch, height, width, channels).

    Raises:
        ValueError: if there are no pairs, or what is there is something else.

    Example:

    ```python
    dataset = kgan.data.pairs("outlines", "pictures", image_shape=(64, 64, 1), target_channels=3)
    model = kgan.models.Pix2Pix((64, 64, 1), target_channels=3)
    model.compile()
    model.fit(dataset, epochs=20)
    ```
    """
    if paired == "no":
        raise KganError("Expected paired='names' or 'halves'; domains(a, b) are not paired")
    check_order(batch_size, shuffle, flip, seed)
    data = load_pairs(
        a,
        b,
        image_shape=image_shape,
        target_channels=target_channels,
        paired=paired,
        data_dir=data_dir,
        resize=resize,
        background=background,
        cache=cache,
        box=box,
        only=only,
    )
    return data.dataset(batch_size, shuffle, flip, seed)


def domains(
    a,
    b,
    *,
    image_shape: tuple[int, int, int],
    target_channels: int | None = None,
    batch_size: int = 4,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    shuffle: bool = True,
    flip: bool = False,
    seed: int = 0,
    resize: str = "crop",
    background: str = "white",
    cache: str | os.PathLike | None = None,
    box: Sequence[float] | None = None,
    only: Callable[[str], bool] | None = None,
) -> tf.data.Dataset:
    """Batches of images (a, b) of two kinds for `fit`, each shuffled and mirrored by itself.

    An epoch is as long as the longer of the two; the shorter goes round again in another order.

    Args:
        a, b: what `kgan.data.load` reads: folders, TFDS data sets, lists of these, arrays.
        split: of TFDS data sets.
        image_shape, target_channels, cache: see `pairs`.
        batch_size, shuffle, flip, seed: see `kgan.data.ImageSet.dataset`.
        data_dir, resize, background, box, only: see `kgan.data.load`.

    Returns:
        `tf.data.Dataset` of (a, b): uint8 (batch, height, width, channels).

    Raises:
        ValueError: if one of them has no images, or fewer than a batch.

    Example:

    ```python
    dataset = kgan.data.domains("horses", "zebras", image_shape=(64, 64, 3), flip=True)
    model = kgan.models.CycleGAN((64, 64, 3))
    model.compile()
    model.fit(dataset, epochs=20)
    ```
    """
    check_order(batch_size, shuffle, flip, seed)
    data = load_pairs(
        a,
        b,
        image_shape=image_shape,
        target_channels=target_channels,
        paired="no",
        split=split,
        data_dir=data_dir,
        resize=resize,
        background=background,
        cache=cache,
        box=box,
        only=only,
    )
    return data.dataset(batch_size, shuffle, flip, seed)
