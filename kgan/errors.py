"""The errors that kgan raises on purpose."""

import os
import re
import reprlib
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

_NO_BYTES = re.compile("[^\udca0-\udcff]+")  # bytes of a path, but for those of controls
_JOINERS = "\u200c\u200d"  # in the spelling of Persian and Indic words, and in emoji


class _OfOneLine(Exception):
    """What says its message on one line that a terminal can show, whatever texts went into it."""

    def __init__(self, message: object = "", *more: object):
        super().__init__(one_line(str(message)), *more)


class KganError(_OfOneLine, ValueError):
    """Something kgan was given cannot be used: a file, a name, a recipe, a directory.

    The message is one or two sentences for the user: what was received and what is expected. The
    command line prints it without a traceback.
    """


class KganWarning(_OfOneLine, UserWarning):
    """Something that went on, but not quite as asked. The command line prints it in one line."""


def reason(error: OSError) -> str:
    """Why the system refused, in a few words; h5py hides them in a paragraph."""
    hidden = re.search(r"error message = '([^']*)'", str(error))
    return hidden[1] if hidden else error.strerror or str(error)


def short(value: Any) -> str:
    """Like repr, but of no more than 200 characters."""
    text = one_line(reprlib.repr(value))
    return text if len(text) <= 200 else f"{text[:199]}…"


def printable(text: str) -> str:
    """A stranger's text for one line of a terminal: what it would obey, or cannot show, escaped.

    Spaces of other scripts and joiners, which belong to the spelling of names, stay.

    Example:

    >>> print(printable("a\\x1b[2J"))
    a\\x1b[2J
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else repr(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Like `printable`, with spaces for the ends of lines."""
    lines = [line.strip() for line in text.split("\n")]
    return printable(" ".join(filter(None, lines)))


def say(text: object, err: bool = False) -> None:
    """Prints lines for a person: the one way on which any text reaches the terminal.

    Args:
        text: one line or more; what a terminal would obey in it is escaped. Of a path that is no
            text the bytes stay, for scripts to find it by.
        err: whether to print to stderr.
    """
    lines = [_NO_BYTES.sub(lambda some: printable(some[0]), line) for line in str(text).split("\n")]
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # where there is no terminal
        print("\n".join(lines), file=stream, flush=True)


@contextmanager
def silent_stderr() -> Iterator[IO[bytes]]:
    """Sets the file descriptor of stderr aside: C++ writes to it whatever Python thinks of it.

    Yields:
        What has been written to it instead.
    """
    try:
        aside = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    except OSError:  # what is said is lost, which is better than to say it in every case
        aside = open(os.devnull, "rb+")  # noqa: SIM115  (closed below)
    if sys.stderr is not None:
        sys.stderr.flush()
    with aside:
        try:
            kept = os.dup(2)
        except OSError:  # there is none
            yield aside
            return
        os.dup2(aside.fileno(), 2)
        try:
            yield aside
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _is_shown(character):
    return (
        character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
    )
