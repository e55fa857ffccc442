"""Folders of images."""

import hashlib
import itertools
import os
import stat
import sys
import tempfile
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from PIL import Image, UnidentifiedImageError

from kgan import errors
from kgan._renamed import renamed_argument
from kgan.checks import PATH, check_box, free_memory
from kgan.data import cache as caches
from kgan.data.report import SHEET, Report
from kgan.data.resize import LARGE, Rule, bytes_taken, resize_image, turned_size
from kgan.errors import KganError, KganWarning
from kgan.files import expanded, sha256

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
)
# What such a file may hold. Pillow's other formats stay shut: one of them runs Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000")
# Pictures all the same: by their suffix, or by how a file begins whose suffix says nothing.
_OTHER_PICTURES = (
    *(".heic", ".heif", ".hif", ".jxl", ".jxr", ".qoi", ".tga", ".ico", ".cur", ".icns", ".pbm"),
    *(".pgm", ".ppm", ".pnm", ".pfm", ".pcx", ".psd", ".psb", ".xcf", ".exr", ".hdr", ".dds"),
    *(".svg", ".svgz", ".eps", ".dcm", ".fits", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf"),
    *(".rw2", ".raf", ".pef", ".srw", ".jpm", ".mpo", ".jps"),
)
_BEGINNINGS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
)
# Names of what every run directory holds, sooner or later.
_RUNS = ({"recipe.toml", ".lock"}, {"recipe.toml", "checkpoints"})
_LOOKS = 4  # files of each unknown suffix that are looked into
# More unreadable files than this share mean that something else is wrong.
MOST_UNREADABLE = 0.05
LABELS = ("folders",)


class File(NamedTuple):
    """An image file: its folder, its path in it, and what tells whether it has changed."""

    folder: Path
    name: str
    size: int
    mtime: int  # nanoseconds

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)


@dataclass
class Listing:
    """What is in folders, before any file is opened.

    Attributes:
        folders: paths.
        files: image files, in the order of the images: folder by folder, each by name.
        closed: folders that could not be opened: reasons by name.
        ignored: numbers of other files by suffix.
        unread: those of them that look like pictures.
        inner: names of the folders that are directly in them.
    """

    folders: list[Path]
    files: list[File]
    closed: dict[str, str]
    ignored: dict[str, int]
    unread: dict[str, int]
    inner: set[str]


def find_folder(source: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Path:
    """`source` itself, or if that does not exist, its place in the data directory.

    In both `~` is the home directory, as in a shell.
    """
    path = expanded(PATH.check("a folder of images", source))
    root = data_dir or os.environ.get("KGAN_DATA_DIR")
    if path.exists() or path.is_absolute() or root is None:
        return path
    return expanded(root) / path


def find_images(*folders: Path) -> Listing:
    """The image files in folders and the folders in them, sorted; hidden ones are left out.

    Links to folders are followed, but no folder is entered twice, so that links may go in circles.

    Raises:
        KganError: if one does not exist, is no folder or holds no image files, or lies in another.
    """
    found = [_find_in(folder) for folder in folders]
    if len(found) == 1:
        return found[0]
    check_apart(folders)
    return Listing(
        list(folders),
        [file for listing in found for file in listing.files],
        {
            printable(os.path.join(listing.folders[0], name)): reason
            for listing in found
            for name, reason in listing.closed.items()
        },
        *(
            dict(sum((Counter(getattr(listing, of)) for listing in found), Counter()).most_common())
            for of in ("ignored", "unread")
        ),
        set().union(*(listing.inner for listing in found)),
    )


def check_apart(folders: Sequence[Path]) -> None:
    """Raises KganError if one of some folders lies in another."""
    for one, other in itertools.permutations(folders, 2):
        if one.resolve().is_relative_to(other.resolve()):
            raise KganError(
                "Expected folders that share no images. Received: "
                + " and ".join(map(printable, sorted({one, other})))
                + (" twice" if one == other else "")
            )


def _find_in(folder):
    if not folder.exists():
        raise KganError(
            f"Expected a folder of images. Received: {printable(folder)}, which does not exist "
            "(a relative one is also looked for in --data-dir or KGAN_DATA_DIR)"
        )
    if not folder.is_dir():
        raise KganError(f"Expected a folder of images. Received: the file {printable(folder)}")
    found = Listing([folder], [], {}, Counter(), Counter(), set())
    looked_into, pictures = Counter(), set(_OTHER_PICTURES)

    def look(entry, name):
        suffix = os.path.splitext(name)[1].lower()
        try:
            status = entry.stat()
        except OSError:  # a link to nothing or in a circle: the reader will say so
            if suffix in SUFFIXES:
                found.files.append(File(folder, name, -1, 0))
            return
        if stat.S_ISDIR(status.st_mode):
            if os.sep not in name:
                found.inner.add(class_name(name))
        elif stat.S_ISREG(status.st_mode):  # a pipe would wait for ever
            if suffix in SUFFIXES:
                found.files.append(File(folder, name, status.st_size, status.st_mtime_ns))
            else:
                kind = printable(suffix) or "without suffix"
                found.ignored[kind] += 1
                if suffix not in _OTHER_PICTURES and looked_into[kind] < _LOOKS:
                    looked_into[kind] += 1
                    if _begins_as_picture(entry.path):
                        pictures.add(kind)

    for name, _, entries in _walk(folder):
        if isinstance(entries, OSError):
            found.closed[printable(name) or "."] = _reason(entries)
            continue
        if any(run <= {entry.name for entry in entries} for run in _RUNS):
            raise KganError(
                "Expected images apart from the runs of `kgan train`, whose pictures would be "
                f"among them. Received: {printable(folder)} with the run "
                f"{printable(os.path.join(folder, name))}; move one of them"
            )
        for entry in entries:
            if not entry.name.startswith("."):
                look(entry, os.path.join(name, entry.name))
    found.files.sort(key=lambda file: file.name.split(os.sep))
    found.closed = dict(sorted(found.closed.items()))
    found.ignored = dict(Counter(found.ignored).most_common())
    found.unread = {kind: n for kind, n in found.ignored.items() if kind in pictures}
    if not found.files:
        others = sum(found.ignored.values())
        reasons = "".join(f"; {name}: {reason}" for name, reason in found.closed.items())
        if found.unread:
            reasons = f", among them {unread_text(found.unread)}{reasons}"
        raise KganError(
            f"Expected a folder of images ({', '.join(SUFFIXES)}). Received: "
            f"{printable(folder)}, which "
            + (f"holds {others} other files" if others else "is empty")
            + reasons
        )
    return found


def _walk(folder):
    """Every folder in a folder, itself first, that images are looked for in, each once.

    Yields:
        Its path in the folder, its status (None if there is none) and what is in it, or the
        OSError that keeps it shut.
    """
    # Links come last: a folder is known by its own name rather than by that of a link.
    entered, folders, links = set(), [""], []
    while folders or links:
        name = folders.pop() if folders else links.pop(links.index(min(links)))
        path, status = os.path.join(folder, name), None
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(path))
        except OSError as error:
            yield name, status, error
            continue
        for entry in entries:
            if not entry.name.startswith(".") and _is_folder(entry):
                (links if entry.is_symlink() else folders).append(os.path.join(name, entry.name))
        yield name, status, entries


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:
        return False


def reaches(folder: Path, directory: Path) -> bool:
    """Whether images that are written into a directory are found among those of a folder.

    Also through links; and whether images are taken from the directory.

    Args:
        folder: of images.
        directory: which need not exist yet.
    """
    place = there = directory.resolve()
    while not there.exists():
        there = there.parent
    status = there.stat()
    hidden = any(part.startswith(".") for part in place.relative_to(there).parts)
    for name, own, _ in _walk(folder):
        if own is not None and os.path.samestat(own, status) and not hidden:
            return True
        if there == place and Path(os.path.realpath(folder / name)).is_relative_to(place):
            return True
    return False


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
                f"Expected images among those wanted. Received: none in {_names(found.folders)}"
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

    report, skipped = _read(found, rule, keep)
    report.memory = report.images * int(np.prod(rule.image_shape))
    report.names = names_in_sources(found, skipped)
    _label(found, classes, skipped, report)
    return report, sheet


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


def in_class_folders(folder: Path) -> bool:
    """Whether every image file in a folder is in a folder of its own class."""
    return all(os.sep in file.name for file in find_images(folder).files)


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


def check_skipped(report: Report) -> None:
    """Raises KganError if so many files were skipped that training must not begin."""
    if len(report.skipped) > MOST_UNREADABLE * report.files:
        raise KganError(
            f"Expected at most {MOST_UNREADABLE:.0%} unreadable files. Received: {_summary(report)}"
        )


def sample(images: int) -> np.ndarray:
    """Indices of the images that a contact sheet shows, evenly spaced."""
    return np.unique(np.linspace(0, images - 1, min(images, SHEET)).round().astype(int))


def printable(name: str | os.PathLike) -> str:
    """A path as text that can be written anywhere, whatever is in it."""
    return errors.printable(_decoded(name))


def _decoded(name):
    """A path as text, also if it is no valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def class_name(folder: str | os.PathLike) -> str:
    """The class that a folder is of: its name, composed, since macOS writes it in parts."""
    return unicodedata.normalize("NFC", _decoded(folder))


def unread_text(unread: dict[str, int]) -> str:
    """What is said of files that look like pictures and are not read, by numbers of suffixes."""
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in list(unread.items())[:10])
    return (
        f"{sum(unread.values()):,} files that look like pictures ({kinds}); converted to .png or "
        ".jpg they are read"
    )


def _begins_as_picture(path):
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return (
        head.startswith(_BEGINNINGS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1")
    )


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


def _names(folders):
    return ", ".join(map(printable, folders))


def _load(found, rule):
    """The images in memory, or in a temporary file if there is too little."""
    images, end = allocate((len(found.files), *rule.image_shape)), 0

    def keep(some, indices):
        nonlocal end
        images[end : end + len(some)] = some
        end += len(some)

    report, skipped = _read(found, rule, keep)
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
        report.folder, report.background = _names(found.folders), rule.background
        report.base, report.box = _base(found.folders), rule.box
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
            report, skipped = _read(found, rule, lambda some, _: writer.append(some))
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


def names_in_sources(found: Listing, skipped: Collection[int] = ()) -> list[str]:
    """The names of files, with slashes, whatever the folders are called and wherever they are.

    Args:
        found: the files.
        skipped: indices of those that are left out.
    """
    several = len(found.folders) > 1
    numbers = {folder: f"{i}/" if several else "" for i, folder in enumerate(found.folders, 1)}
    left_out = set(skipped)
    return [
        numbers[file.folder] + file.name.replace(os.sep, "/")
        for i, file in enumerate(found.files)
        if i not in left_out
    ]


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


def _base(folders):
    """What the names of files in a report are relative to."""
    return printable(folders[0]) if len(folders) == 1 else ""


def _read(
    found: Listing,
    rule: Rule,
    keep: Callable[[np.ndarray, list[int]], None],
) -> tuple[Report, list[int]]:
    """Decodes every file; `keep` gets the images in their order, some at a time, with indices.

    Returns a report, and the indices of the files that were skipped.
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
        _names(found.folders),
        image_shape,
        rule.resize,
        rule.background,
        base=_base(found.folders),
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
            f"Received: {error.strerror or error}; TMPDIR names another folder"
        ) from None
