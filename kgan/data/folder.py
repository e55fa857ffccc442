"""Folders of images: pictures, labels, and a report of what is there."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kgan._renamed import renamed_argument
from kgan.data import cache as caches
from kgan.data.listing import (
    Listing,
    base_of,
    class_name,
    find_folder,
    find_images,
    listed,
    names_in_sources,
    printable,
    unread_text,
)
from kgan.data.reading import allocate, read_files, sums_of
from kgan.data.report import SHEET, Report
from kgan.data.resize import Rule
from kgan.errors import KganError, KganWarning
from kgan.files import expanded

# More unreadable files than this share mean that something else is wrong.
MOST_UNREADABLE = 0.05
LABELS = ("folders",)


def load_folder(
    folder: Path | Sequence[Path] | Listing,
    rule: Rule,
    labels: str | None = None,
    cache: str | os.PathLike | None = None,
    only: Callable[[str], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray | None, Report]:
    """Decodes the images of a folder, in parallel, with a progress bar on a terminal.

    Files that cannot be decoded are skipped with a warning that names some of them.

    Args:
        folder: path, or several; or what was found there, of which the files are read in their
            order.
        rule: what the images become.
        labels: `"folders"` for labels from the names of the folders in the folder.
        cache: path of a file to keep the images in instead of memory. One that is there is read
            if it was made from the same files in the same way, and else made anew.
        only: says of a file's path in its folder, with slashes, whether it is wanted. Labels are
            numbered as if all were.

    Returns:
        uint8 images (images, height, width, channels), in the order of the sorted paths, folder by
        folder; int64 labels (images,) or None; and a report, whose `classes` are named in the
        labels' order.

    Raises:
        KganError: if there are none, or more than 5% of them cannot be decoded.
    """
    if isinstance(folder, Listing):
        found = folder
    else:
        found = find_images(*([folder] if isinstance(folder, os.PathLike) else folder))
    classes = _classes(found, labels)
    if found.unread:
        warnings.warn(f"Left out: {unread_text(found.unread)}", KganWarning, stacklevel=2)
    if only is not None:
        found.files = [file for file in found.files if only(file.name.replace(os.sep, "/"))]
        if not found.files:
            raise KganError(
                f"Expected images among those wanted. Received: none in {listed(found.folders)}"
            )
    if cache is None:
        images, report, skipped = _load(found, rule)
    else:
        images, report, skipped = _load_cached(found, rule, expanded(cache))
    check_skipped(report)
    if report.skipped:
        warnings.warn(f"Skipped: {_summary(report)}", KganWarning, stacklevel=2)
    report.names = names_in_sources(found, skipped)
    numbers = _label(found, classes, skipped, report)
    if report.empty:
        warnings.warn(
            f"No picture that can be read in the folders of {', '.join(report.empty)}",
            KganWarning,
            stacklevel=2,
        )
    return images, numbers, report


@renamed_argument(fit="resize")
def check(
    folder: str | os.PathLike,
    image_shape: tuple[int, int, int],
    resize: str = "crop",
    background: str = "white",
    labels: str | None = None,
    box: Sequence[float] | None = None,
) -> tuple[Report, np.ndarray]:
    """Reads every image of a folder, keeps none of them, and reports.

    Args:
        folder: path; one that does not exist here is looked for in `KGAN_DATA_DIR`.
        image_shape, resize, background, labels, box: see `kgan.data.load`.

    Returns:
        A `kgan.data.Report`, and up to 64 images as a model would see them, uint8.

    Raises:
        ValueError: if there are no images. Any number of files may be unreadable.

    Example:

    ```python
    report, images = kgan.data.check("photos", image_shape=(64, 64, 3))
    print(report.text())
    ```
    """
    rule = Rule.checked(image_shape, resize, background, box)
    report, sheet = look_at(find_images(find_folder(folder)), rule, labels)
    return report, np.array(list(sheet.values()), np.uint8).reshape(-1, *image_shape)


def look_at(
    found: Listing, rule: Rule, labels: str | None = None
) -> tuple[Report, dict[int, np.ndarray]]:
    """Reads every image of folders and keeps those for a contact sheet: by their index among files.

    Args:
        found: which files to read.
        rule, labels: see `load_folder`.
    """
    classes = _classes(found, labels)
    wanted, sheet = set(sample(len(found.files))), {}

    def keep(images, indices):
        sheet.update({i: x.copy() for x, i in zip(images, indices, strict=True) if i in wanted})

    report, skipped = read_files(found, rule, keep)
    report.memory = report.images * int(np.prod(rule.image_shape))
    report.names = names_in_sources(found, skipped)
    _label(found, classes, skipped, report)
    return report, sheet


def check_skipped(report: Report) -> None:
    """Raises KganError if so many files were skipped that training must not begin."""
    if len(report.skipped) > MOST_UNREADABLE * report.files:
        raise KganError(
            f"Expected at most {MOST_UNREADABLE:.0%} unreadable files. Received: {_summary(report)}"
        )


def sample(images: int) -> np.ndarray:
    """Indices of the images that a contact sheet shows, evenly spaced."""
    return np.unique(np.linspace(0, images - 1, min(images, SHEET)).round().astype(int))


def _summary(report):
    shown = [f"{Path(report.base, name)} ({why})" for name, why in report.skipped.items()][:5]
    return (
        f"{len(report.skipped)} of {report.files} image files cannot be decoded: "
        + "; ".join(shown)
        + ("; …" if len(report.skipped) > len(shown) else "")
    )


def _classes(found, labels):
    """The names of the first folders of a listing, sorted, or None without labels."""
    if labels is None:
        return None
    if labels not in LABELS:
        raise KganError(f"Expected labels to be None or one of {LABELS}. Received: {labels!r}")
    outside = [file.path for file in found.files if os.sep not in file.name]
    if outside:
        raise KganError(
            "Expected every image in a sub-folder named after its class. Received: "
            f"{printable(outside[0])}"
            + (f" and {len(outside) - 1} more in no sub-folder" if outside[1:] else "")
        )
    return sorted({class_name(file.name.split(os.sep)[0]) for file in found.files})


def _label(found, classes, skipped, report):
    """The labels of the images that were not skipped; the report is told how many each has."""
    if classes is None:
        return None
    numbers = {name: number for number, name in enumerate(classes)}
    wanted = [numbers[class_name(file.name.split(os.sep)[0])] for file in found.files]
    labels = np.delete(np.array(wanted, np.int64), skipped)
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    report.classes = dict(zip(classes, counts, strict=True))
    broken = {classes[number] for number in set(wanted) - set(labels.tolist())}
    report.empty = sorted(broken | (found.inner - set(classes)))
    return labels


def _load(found, rule):
    """The images in memory, or in a temporary file if there is too little."""
    images, end = allocate((len(found.files), *rule.image_shape)), 0

    def keep(some, indices):
        nonlocal end
        images[end : end + len(some)] = some
        end += len(some)

    report, skipped = read_files(found, rule, keep)
    if isinstance(images, np.memmap):
        report.file = images.nbytes
    else:
        report.memory = images.nbytes
    return images[:end], report, skipped


def _load_cached(found, rule, path):
    """The images mapped from a cache, which is written first if need be."""
    digest = hashlib.sha256()
    for folder, name, size, mtime in found.files:
        number = found.folders.index(folder)
        name = os.fsencode(name) if number == 0 else f"{number}\0".encode() + os.fsencode(name)
        digest.update(name + f"\0{size}\0{mtime}\0".encode())
    box = None if rule.box is None else list(rule.box)
    key = {
        "image_shape": list(rule.image_shape),
        "resize": rule.resize,
        "background": list(rule.color),
        "box": box if rule.half is None else [rule.half, box],
        "list of files": digest.hexdigest(),
    }
    try:
        images, facts = caches.read(path, key)
        kept = facts["report"]  # whose names are those of kgan 0.1
        report = Report(resize=kept.pop("fit"), **kept)
        # What is not the files' own: it may have changed since.
        report.folder, report.background = listed(found.folders), rule.background
        report.base, report.box = base_of(found.folders), rule.box
        report.image_shape = rule.image_shape
        report.ignored, report.unread, report.reading = found.ignored, found.unread, 0
        report.shapes = facts.get("shapes", [])
        # Of the files that were decoded. kgan 0.1 kept none.
        sums = facts["sums"] if "sums" in facts else sums_of([file.path for file in found.files])
        report.sums = dict(zip(names_in_sources(found), sums, strict=True))
    except (FileNotFoundError, caches.Stale) as error:
        if isinstance(error, caches.Stale):
            warnings.warn(f"Making the cache {path} anew: {error}", KganWarning, stacklevel=5)
        with caches.writing(path, rule.image_shape, len(found.files)) as writer:
            report, skipped = read_files(found, rule, lambda some, _: writer.append(some))
            check_skipped(report)
            kept = {**vars(report), "fit": report.resize}
            # Which kgan 0.1 did not know.
            for name in ("resize", "unread", "empty", "sums", "names", "shapes"):
                del kept[name]
            facts = {"report": kept, "skipped": skipped, "sums": list(report.sums.values())}
            facts["shapes"] = report.shapes
            writer.finish(key, facts)
        images, _ = caches.read(path, key)
    report.file, report.cache = path.stat().st_size, printable(path)
    return images, report, facts["skipped"]
