"""Names of before, which still work in this version, each with a warning that says the new one.

The warnings are `KganWarning`s: Python hides a DeprecationWarning unless the user's own script
raises it, and the command line prints nothing else.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from kgan.errors import KganError, KganWarning

_P = ParamSpec("_P")
_R = TypeVar("_R")


def renamed_argument(**names: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorates a function to take keywords by their old names too.

    Args:
        **names: new names by old ones.

    Example:

    ```python
    @renamed_argument(fit="resize")
    def load(source, resize="crop"): ...
    ```
    """

    def decorate(function):
        @functools.wraps(function)
        def renamed(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise KganError(f"Expected {new}=. Received: {new}= and its old name {old}=")
                warn(f"{old}=", f"{new}=", stacklevel=3)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renamed

    return decorate


def renamed_attribute(old: str, new: str) -> property:
    """A property that gives the value of `new` by its old name."""

    def value(self):
        warn(f".{old}", f".{new}", stacklevel=3)
        return getattr(self, new)

    return property(value)


def moved_names(module: str, to: str, *names: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module, some names of which now stand in another.

    Args:
        module: where they stood.
        to: where they stand.
        *names: of them.
    """

    def getattr_(name):
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(f"{module}.{name}", f"{to}.{name}", stacklevel=3)
        return getattr(importlib.import_module(to), name)

    return getattr_


def renamed_option(args: list[str], old: str, new: str) -> list[str]:
    """Arguments of the command line with an option's new name in place of its old one."""
    if not any(arg == old or arg.startswith(f"{old}=") for arg in args):
        return args
    warn(old, new, stacklevel=2)
    return [
        new + arg[len(old) :] if arg == old or arg.startswith(f"{old}=") else arg for arg in args
    ]


def warn(old: str, new: str, stacklevel: int) -> None:
    """Warns once of an old name."""
    message = f"{old} is now {new}; the old name goes in the next version"
    warnings.warn(message, KganWarning, stacklevel=stacklevel)
