"""Files: their hashes. Imports no TensorFlow."""

import hashlib
import os


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Example:

    >>> sha256("LICENSE")[:8]
    'c71d239d'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
