"""What is in folders of images, before any picture is decoded."""

import itertools
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kgan import errors
from kgan.checks import PATH
from kgan.errors import KganError
from kgan.files import expanded

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
)
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
            found.closed[printable(name) or "."] = errors.reason(entries)
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


def in_class_folders(folder: Path) -> bool:
    """Whether every image file in a folder is in a folder of its own class."""
    return all(os.sep in file.name for file in find_images(folder).files)


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


def listed(folders: Sequence[Path]) -> str:
    """Folders in a sentence."""
    return ", ".join(map(printable, folders))


def base_of(folders: Sequence[Path]) -> str:
    """What the names of files in a report are relative to."""
    return printable(folders[0]) if len(folders) == 1 else ""


def unread_text(unread: dict[str, int]) -> str:
    """What is said of files that look like pictures and are not read, by numbers of suffixes."""
    kinds = ", ".join(f"{kind} {number:,}" for kind, number in list(unread.items())[:10])
    return (
        f"{sum(unread.values()):,} files that look like pictures ({kinds}); converted to .png or "
        ".jpg they are read"
    )


def class_name(folder: str | os.PathLike) -> str:
    """The class that a folder is of: its name, composed, since macOS writes it in parts."""
    return unicodedata.normalize("NFC", _decoded(folder))


def printable(name: str | os.PathLike) -> str:
    """A path as text that can be written anywhere, whatever is in it."""
    return errors.printable(_decoded(name))


def _decoded(name):
    """A path as text, also if it is no valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
