"""Paths on the command line."""

import os
import tempfile
from pathlib import Path

import click
from PIL import Image

from kgan.errors import say
from kgan.files import is_stream

# Beside Pillow's: whoever writes such an ending has a file in mind, of a format not written here.
_FORMATS = (
    *(".npz", ".npy", ".h5", ".hdf5", ".zip", ".tar", ".gz", ".7z", ".json", ".csv", ".txt", ".md"),
    *(".svg", ".pdf", ".html", ".mp4", ".avi", ".mov", ".webm", ".mkv", ".heic", ".jxl", ".onnx"),
    *(".tflite", ".keras", ".pb"),
)


class ExpandedPath(click.Path):
    """A path, as `pathlib.Path`, in which `~` is the home directory even where no shell saw it."""

    def __init__(self, **options):
        super().__init__(path_type=Path, **options)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        return super().convert(os.path.expanduser(value), param, ctx)


def in_directory(out: Path, name: str, *suffixes: str) -> Path:
    """The file to write to: `out` if it ends in one of the suffixes, else `name` in it.

    A directory may have a dot in its name: what is there is a directory, and so is what ends in
    nothing that a format is called, as v1.0 does.

    Args:
        out: of an option `--out`; /dev/stdout and its like are written to as they are.
        name: of the file, with its suffix.
        suffixes: those of files that can be written, in small letters.

    Raises:
        UsageError: if `out` is called like a file of another format.
    """
    if out.is_dir():
        return out / name
    if out.suffix.lower() in suffixes or is_stream(out):
        return out
    if is_called_a_file(out):
        raise click.UsageError(
            f"Expected --out with {' or '.join(suffixes)}. Received: --out {out}"
        )
    return out / name


def is_called_a_file(out: Path) -> bool:
    """Whether a path that is not there looks like that of a file rather than of a directory."""
    ending = out.suffix.lower()
    return not out.is_dir() and (ending in _FORMATS or ending in Image.registered_extensions())


def check_other(out: Path, given: Path, what: str) -> None:
    """Raises UsageError if what is written would take the place of what it is made of.

    Args:
        out, given: files; that of `given` is there.
        what: is given, in words: `"the picture"`.
    """
    if out.resolve() == given.resolve():
        raise click.UsageError(f"Expected --out with another file. Received: {what}, {out}")


def check_writable(out: Path, option: str = "--out") -> None:
    """Makes the directory of a file; raises ClickException if the file cannot be written."""
    if is_stream(out):
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out if out.is_dir() else out.parent):
            pass
    except OSError as error:
        raise click.ClickException(
            f"Expected an output path that can be written. Received: {option} {out}: "
            f"{error.strerror}"
        ) from None


def say_written(path: Path) -> None:
    """Prints where something was written, for scripts; what is on stdout already needs no place."""
    if not is_stream(path):
        say(path)
