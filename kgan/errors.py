"""The errors that kgan raises on purpose."""

import re
import reprlib
from typing import Any


class KganError(ValueError):
    """Something kgan was given cannot be used: a file, a name, a recipe, a directory.

    The message is one or two sentences for the user: what was received and what is expected. The
    command line prints it without a traceback.
    """


class KganWarning(UserWarning):
    """Something that went on, but not quite as asked. The command line prints it in one line."""


def reason(error: OSError) -> str:
    """Why the system refused, in a few words; h5py hides them in a paragraph."""
    hidden = re.search(r"error message = '([^']*)'", str(error))
    return hidden[1] if hidden else error.strerror or str(error)


def short(value: Any) -> str:
    """Like repr, but of no more than 200 characters."""
    text = reprlib.repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"


def printable(text: str) -> str:
    """A stranger's text for one line of a terminal: what it would obey, or cannot show, escaped.

    Example:

    >>> print(printable("a\\x1b[2J"))
    a\\x1b[2J
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
