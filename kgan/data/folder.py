"""Folders of images."""

import os
import re
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageOps

from kgan.data.fit import fit_image
from kgan.errors import KganError, KganWarning

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# More unreadable files than this share mean that something else is wrong.
MOST_UNREADABLE = 0.05


def find_images(folder: Path) -> list[Path]:
    """The image files in a folder and the folders in it, sorted.

    Raises:
        KganError: if it does not exist, is no folder or holds no image files.
    """
    if not folder.exists():
        raise KganError(
            f"Expected a folder of images. Received: {folder}, which does not exist "
            "(a relative one is also looked for in --data-dir or KGAN_DATA_DIR)"
        )
    if not folder.is_dir():
        raise KganError(f"Expected a folder of images. Received: the file {folder}")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        others = sum(path.is_file() for path in folder.rglob("*"))
        raise KganError(
            f"Expected a folder of images ({', '.join(SUFFIXES)}). Received: {folder}, which "
            + (f"holds {others} other files" if others else "is empty")
        )
    return files


def load_folder(folder: Path, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Decodes the images of a folder, in parallel, with a progress bar on a terminal.

    Files that cannot be decoded are skipped with a warning that names them.

    Args:
        folder: path.
        image_shape: (height, width, channels) to crop and resize to.

    Returns:
        uint8 array (images, height, width, channels), in the order of the sorted paths.

    Raises:
        KganError: if there are none, or more than 5% of them cannot be decoded.
    """
    files = find_images(folder)
    images = allocate((len(files), *image_shape))
    unreadable = []

    def decode(index):
        try:
            with Image.open(files[index]) as picture:
                images[index] = fit_image(ImageOps.exif_transpose(picture), image_shape)
        except Exception as error:  # Pillow raises almost anything on a broken file
            unreadable.append((index, f"{type(error).__name__}: {error}"))

    workers = os.cpu_count() or 1
    with (
        warnings.catch_warnings(),  # of the process: not for a thread to change
        ThreadPoolExecutor(workers) as pool,
        click.progressbar(
            length=len(files),
            label="Reading images",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar,
    ):
        warnings.simplefilter("ignore")  # Pillow's, about harmless oddities in files
        for start in range(0, len(files), 256):
            stop = min(start + 256, len(files))
            list(pool.map(decode, range(start, stop)))
            bar.update(stop - start)

    if unreadable:
        unreadable.sort()
        shown = "; ".join(f"{files[i]} ({why})" for i, why in unreadable[:5])
        summary = f"{len(unreadable)} of {len(files)} image files cannot be decoded: {shown}"
        if len(unreadable) > MOST_UNREADABLE * len(files):
            raise KganError(
                f"Expected at most {MOST_UNREADABLE:.0%} unreadable files. Received: {summary}"
            )
        warnings.warn(f"Skipped: {summary}", KganWarning, stacklevel=2)
        images = np.delete(images, [i for i, _ in unreadable], axis=0)
    return images


def allocate(shape: tuple[int, ...]) -> np.ndarray:
    """An empty uint8 array: in memory if it fits in half of what is free, else in a file."""
    if int(np.prod(shape)) <= _free_memory() // 2:
        return np.empty(shape, np.uint8)
    # Deleted by the operating system when the array is gone.
    return np.memmap(tempfile.TemporaryFile(prefix="kgan-"), np.uint8, "w+", shape=shape)


def _free_memory() -> int:
    """Bytes that can be had without swapping; 4 GB where the system does not tell."""
    try:
        available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        return int(available[1]) * 1024
    except (OSError, TypeError):
        return 4 << 30
