"""Pictures of files: decoded, one or all of a listing, and what there is to say of them."""

import hashlib
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from PIL import Image, UnidentifiedImageError

from kgan import errors
from kgan.checks import check_box, free_memory
from kgan.data.listing import (
    SUFFIXES,
    Listing,
    base_of,
    find_images,
    listed,
    names_in_sources,
    printable,
)
from kgan.data.report import Report
from kgan.data.resize import LARGE, Rule, bytes_taken, resize_image, turned_size
from kgan.errors import KganError
from kgan.files import sha256

# What such a file may hold. Pillow's other formats stay shut: one of them runs Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000")


def read_picture(path: str | os.PathLike, rule: Rule) -> np.ndarray:
    """One picture, read as those of a folder are.

    Raises:
        KganError: if it is none that can be read.
    """
    with _opened(path) as picture:
        return resize_image(picture, rule)


def picture_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of a picture, turned as `read_picture` turns it.

    Raises:
        KganError: if it is none that can be read.
    """
    with _opened(path) as picture:
        return turned_size(picture, picture.size)


@contextmanager
def _opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about harmless oddities in files
        try:
            with open(path, "rb") as file, Image.open(file, formats=_formats()) as picture:
                yield picture
        except Exception as error:  # Pillow raises almost anything on a broken file
            raise KganError(
                f"Expected a picture ({', '.join(SUFFIXES[:5])}, …). Received: {printable(path)}: "
                f"{_reason(error)}"
            ) from None


def shape_of_pictures(folder: Path, side: int | None = None) -> tuple[int, int, int]:
    """The shape of images that a folder's pictures are, or become if a side is given.

    Only the beginnings of the files are read.

    Raises:
        KganError: without a side, unless all pictures that can be opened are of one size.
    """
    sizes, gray = set(), True
    for file in find_images(folder).files:
        try:
            with Image.open(file.path, formats=_formats()) as picture:
                sizes.add(turned_size(picture, picture.size))
                gray = gray and picture.mode in ("1", "L", "LA", "I", "I;16", "I;16B", "F")
        except Exception:  # the reader will say so
            continue
    channels = 1 if gray else 3
    if side is not None:
        return side, side, channels
    if len(sizes) != 1:
        some = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:5])
        raise KganError(
            f"Expected pictures of one size in {printable(folder)}, or --size N for what all are "
            f"to become. Received: {len(sizes)} sizes, {some}"
        )
    ((width, height),) = sizes
    return height, width, channels


def _formats():
    """Those of `FORMATS` that this Pillow reads."""
    Image.init()  # not for two threads at once
    return [name for name in FORMATS if name in Image.OPEN]


def read_files(
    found: Listing,
    rule: Rule,
    keep: Callable[[np.ndarray, list[int]], None],
) -> tuple[Report, list[int]]:
    """Decodes every file, in parallel, with a progress bar on a terminal.

    Args:
        found: the files.
        rule: what the images become.
        keep: is given the images in their order, some at a time, with their indices.

    Returns:
        A report, and the indices of the files that were skipped.
    """
    n, workers = len(found.files), os.cpu_count() or 1
    image_shape = rule.image_shape
    at_once = max(workers, min(1024, (1 << 25) // int(np.prod(image_shape))))
    images = np.empty((min(n, at_once), *image_shape), np.uint8)
    sizes, taken = np.zeros((n, 2), np.int64), np.zeros(n, np.int64)
    kinds, contents, sums = [""] * n, np.zeros(n, np.int64), [""] * n
    formats = _formats()

    def read(index):
        """Fills in what there is to know of a file; raises whatever Pillow raises."""
        file = found.files[index]
        # What is summed up is what is decoded: one file, opened once, and read from the disk once.
        with open(file.path, "rb") as opened:
            digest = hashlib.sha256()
            while block := opened.read(1 << 16):  # more takes longer, for small files
                digest.update(block)
            sums[index] = digest.hexdigest()
            opened.seek(0)
            if file.size == 0:
                raise KganError("empty file")
            with Image.open(opened, formats=formats) as picture:
                kinds[index] = picture.format, picture.mode
                whole = picture.size
                image = resize_image(picture, rule)
                sizes[index] = turned_size(picture, whole)
                # Of a draft, less than of all.
                taken[index] = bytes_taken(picture, whole, image_shape)
        images[index % at_once] = image
        contents[index] = hash(image.tobytes())

    def read_some(indices):
        reasons = {}
        for index in indices:
            try:
                read(index)
            except Exception as error:  # Pillow raises almost anything on a broken file
                reasons[index] = _reason(error)
        return reasons

    reasons = {}
    pool = ThreadPoolExecutor(workers)
    try:
        with (
            warnings.catch_warnings(),  # of the process: not for a thread to change
            click.progressbar(
                length=n, label="Reading images", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar,
        ):
            warnings.simplefilter("ignore")  # Pillow's, about harmless oddities in files
            for start in range(0, n, at_once):
                indices = range(start, min(start + at_once, n))
                groups = [indices[i : i + 8] for i in range(0, len(indices), 8)]
                for group, more in zip(groups, pool.map(read_some, groups), strict=True):
                    reasons.update(more)
                    bar.update(len(group))
                good = [index for index in indices if index not in reasons]
                if len(good) < len(indices):
                    images[: len(good)] = images[[index % at_once for index in good]]
                keep(images[: len(good)], good)
    finally:
        pool.shutdown(cancel_futures=True)

    read_well = np.array([index not in reasons for index in range(n)])
    several = len(found.folders) > 1
    skipped = {
        printable(file.path if several else file.name): reasons[index]
        for index, file in enumerate(found.files)
        if index in reasons
    }
    report = Report(
        listed(found.folders),
        image_shape,
        rule.resize,
        rule.background,
        base=base_of(found.folders),
        box=rule.box,
        files=n + len(found.closed),
        formats=_count(kinds[i][0] for i in np.flatnonzero(read_well)),
        modes=_count(kinds[i][1] for i in np.flatnonzero(read_well)),
        copies=int(read_well.sum() - len(np.unique(contents[read_well]))),
        skipped={**found.closed, **skipped},
        ignored=found.ignored,
        unread=found.unread,
        sums=dict(zip(names_in_sources(found), sums, strict=True)),
        shapes=sizes[read_well].tolist(),
    )
    sizes, taken = sizes[read_well], np.sort(taken[read_well])
    if len(sizes):
        order = np.argsort(sizes.prod(axis=1), kind="stable")
        report.sizes = sizes[order[[0, len(order) // 2, -1]]].tolist()
        left, top, right, bottom = check_box(rule.box)
        parts = sizes * [(right - left) * (1 if rule.half is None else 0.5), bottom - top]
        report.enlarged = int((parts < image_shape[1::-1]).any(axis=1).sum())
        # Of the large ones there is but one at a time.
        small, large = taken[taken <= LARGE], taken[taken > LARGE][-1:]
        at_a_time = np.concatenate([small, large])[-workers:]
        report.reading = images.nbytes + int(at_a_time.sum())
    return report, sorted(reasons)


def _count(values):
    return dict(Counter(values).most_common())


def _reason(error):
    """Why a file was skipped, in one printable line."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture, or of an unknown format"
    if isinstance(error, KganError):
        return str(error)
    text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return errors.one_line(text)[:200]


def sums_of(paths: Sequence[str | os.PathLike]) -> list[str]:
    """The SHA-256 of files, with a progress bar on a terminal; "" of those that are shut."""
    pool = ThreadPoolExecutor()
    try:
        with click.progressbar(
            pool.map(_sum, paths),
            length=len(paths),
            label="Reading files",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            return list(bar)
    finally:
        pool.shutdown(cancel_futures=True)


def _sum(path):
    try:
        return sha256(path)
    except OSError:  # the reader will say so
        return ""


def allocate(shape: tuple[int, ...]) -> np.ndarray:
    """An empty uint8 array: in memory if it fits in half of what is free, else in a file.

    Raises:
        KganError: if there is no room for that file.
    """
    size = int(np.prod(shape))
    if size <= free_memory() // 2:
        return np.empty(shape, np.uint8)
    # Deleted by the operating system when the array is gone.
    try:
        with tempfile.TemporaryFile(prefix="kgan-") as file:
            if hasattr(os, "posix_fallocate"):  # else a full disk would end the process later on
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, np.uint8, "w+", shape=shape)
    except OSError as error:
        raise KganError(
            f"Expected {size:,} bytes of memory, or in {tempfile.gettempdir()}, for the images. "
            f"Received: {errors.reason(error)}; TMPDIR names another folder"
        ) from None
