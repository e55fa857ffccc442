"""Latents on disk: `.npz` files that say what made them. NumPy alone, and nothing unpickled."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kgan.checks import as_array
from kgan.errors import KganError, printable
from kgan.files import expanded, write
from kgan.untrusted.text import MOST_JSON, parse_json

KINDS = {"latents": 2, "styles": 3}  # and their numbers of axes
PROVENANCE = "kgan.json"
MOST_BYTES = 1 << 28  # of a file, and of all that is in it


def save(
    path: str | os.PathLike,
    provenance: dict[str, Any],
    latents=None,
    styles=None,
    labels=None,
) -> Path:
    """Writes latents or styles for `kgan sample --latents`, whole or not at all.

    Args:
        path: of the file, which ends in `.npz`.
        provenance: what made them, as plain values; see `kgan.images.provenance`.
        latents: float array (n, latent_dim), or
        styles: float array (n, layers, latent_dim).
        labels: the class of each, for a conditional model.

    Raises:
        KganError: for both or neither of them, other shapes or numbers, or another suffix.

    Example:

    >>> save("z.npz", {"seed": 0}, latents=kgan.latents.sample_latents(0, 0, 4, 64))
    """
    path = expanded(path)
    if path.suffix.lower() != ".npz":
        raise KganError(f"Expected a file that ends in .npz. Received: {path}")
    given = {"latents": latents, "styles": styles, "labels": labels}
    arrays = check({name: x for name, x in given.items() if x is not None}, "the arrays")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.writestr(zipfile.ZipInfo(PROVENANCE), json.dumps(provenance))  # of no date
    write(path, file.getvalue())
    return path


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """What `save` wrote, or anyone: a file of NumPy's `savez` with the same names.

    Args:
        path: of the file, from whomever it is.

    Returns:
        `latents` or `styles`, and `labels` if there are any; and the provenance, or None.

    Raises:
        KganError: if it is no such file, is damaged, or holds anything else.

    Example:

    >>> arrays, facts = read("z.npz")
    >>> arrays["latents"].shape, facts["seed"]
    ((4, 64), 0)
    """
    path = expanded(path)
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            content = _members(archive, path)
    except OSError as error:
        raise KganError(
            f"Expected an .npz with latents or styles. Received: {path}: {error.strerror or error}"
        ) from None
    except zipfile.BadZipFile as error:
        raise KganError(
            f"Expected an .npz with latents or styles. Received: {path}: {error}"
        ) from None
    text = content.pop(PROVENANCE, None)
    provenance = None if text is None else parse_json(text, f"{path}: {PROVENANCE}")
    arrays = {name.removesuffix(".npy"): _array(c, name, path) for name, c in content.items()}
    return check(arrays, str(path)), provenance


def _members(archive, path):
    """The content of each file of an archive, which is bounded before it is unpacked."""
    known = {PROVENANCE: MOST_JSON, **{f"{name}.npy": MOST_BYTES for name in (*KINDS, "labels")}}
    members = archive.infolist()
    names = [member.filename for member in members]
    other = sorted(set(names) - known.keys())
    if other or len(set(names)) < len(names):
        what = "a name twice" if not other else ", ".join(map(printable, other[:5]))
        raise KganError(f"Expected {', '.join(known)} and no more. Received: {what} in {path}")
    if any(member.file_size > known[member.filename] for member in members):
        raise KganError(f"Expected at most {MOST_BYTES:,} bytes. Received: more in {path}")
    try:
        return {name: archive.read(name) for name in names}
    except Exception as error:  # of whichever of its decoders, or it is encrypted
        raise KganError(
            f"Expected an .npz that is whole. Received: {path}: {type(error).__name__}: {error}"
        ) from None


def _array(content, name, path):
    try:
        file = io.BytesIO(content)
        return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # whatever a damaged header leads to
        raise KganError(
            f"Expected an array in {name}. Received: {path}: {type(error).__name__}: {error}"
        ) from None


def check(arrays: dict[str, Any], where: str) -> dict[str, np.ndarray]:
    """Latents or styles as float32, finite, and labels as int64, one for each.

    Args:
        arrays: by name.
        where: they are, for errors.

    Raises:
        KganError: if they are others.
    """
    kinds = [name for name in KINDS if name in arrays]
    if len(kinds) != 1:
        raise KganError(
            f"Expected latents or styles, one of them. Received: {' and '.join(kinds) or 'neither'}"
            f" in {where}"
        )
    (kind,) = kinds
    axes = ("n", "layers", "latent_dim")[:: 1 if kind == "styles" else 2]
    expected = f"floats ({', '.join(axes)}) that are finite"
    points = as_array(f"{kind} in {where}", arrays[kind], expected, "f")
    received = f"shape {points.shape}"
    if points.ndim == KINDS[kind] and points.size:
        with np.errstate(over="ignore"):
            points = points.astype(np.float32)
        received = "" if np.isfinite(points).all() else "NaN or infinity"
    if received:
        raise KganError(f"Expected {kind} in {where} to be {expected}. Received: {received}")
    if "labels" not in arrays:
        return {kind: points}
    expected = f"{len(points):,} ints >= 0, one for each of the {kind}"
    labels = as_array(f"labels in {where}", arrays["labels"], expected, "iu")
    if labels.shape != points.shape[:1] or labels.min() < 0 or labels.max() >= 2**63:
        raise KganError(
            f"Expected labels in {where} to be {expected}. Received: {labels.dtype} of shape "
            f"{labels.shape}"
        )
    return {kind: points, "labels": labels.astype(np.int64)}
