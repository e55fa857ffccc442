"""Which code ran: what runs, presets and cards say of it."""

import functools
import os
import subprocess
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import tensorflow as tf

import kgan


def versions() -> dict[str, str]:
    """The versions of kgan, Keras and TensorFlow, and `commit` if kgan is imported from a checkout.

    Example:

    >>> versions()
    {'kgan': '0.2.0', 'keras': '3.15.1', 'tensorflow': '2.21.0'}
    """
    found = {
        "kgan": kgan.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    return found if commit() is None else {**found, "commit": commit()}


@functools.cache
def commit() -> str | None:
    """The git commit of the checkout that kgan is imported from; None if it is installed.

    Returns:
        40 hexadecimal digits, followed by `-dirty` if tracked files differ from the commit.
    """
    root = Path(kgan.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    # Variables such as GIT_DIR, which hooks set, name another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    describe = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            [*describe, "--dirty"], capture_output=True, text=True, check=True, env=environment
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or a repository of another user
        return None
    return done.stdout.strip()
