"""TensorFlow Datasets: their names in sources, where they lie, and which examples a split has."""

import os
import socket
import urllib.request
import warnings

from kgan.errors import KganError, KganWarning, one_line
from kgan.files import expanded

_PREFIX = "tfds:"
_HOST = "storage.googleapis.com"  # asked first by TFDS, for every data set


def is_name(source) -> bool:
    """Whether a source is the name of a TFDS data set, rather than a folder."""
    return isinstance(source, str) and source.startswith(_PREFIX)


def split_name(source: str, split: str) -> tuple[str, str]:
    """`"tfds:<name>#<split>"` as name and split; without one in it, the split is `split`."""
    name, _, own = source.removeprefix(_PREFIX).partition("#")
    return name, own or split


def source_and_split(source: str, split: str | None, usual: str) -> tuple[str, str]:
    """`"tfds:<name>"` and the split, whichever way it was said.

    Args:
        source: `"tfds:<name>"` or `"tfds:<name>#<split>"`.
        split: or None.
        usual: the split where none is said.

    Raises:
        KganError: if it is said both ways.
    """
    name, own = split_name(source, "")
    if own and split is not None:
        raise KganError(f"Expected one split. Received: {source} and split={split!r}")
    return f"{_PREFIX}{name}", own or split or usual


def builder(name: str, data_dir: str | os.PathLike | None = None):
    """The `tfds.core.DatasetBuilder` of a data set of images, which need not be prepared yet.

    Args:
        name: as TFDS has it.
        data_dir: see `kgan.data.load`.

    Raises:
        KganError: if there is no such data set, or it has no images.
    """
    import tensorflow_datasets as tfds

    tfds.display_progress_bar(True)
    named = [name for name in ("TFDS_DATA_DIR", "KGAN_DATA_DIR") if os.environ.get(name)]
    root = data_dir or (os.environ[named[0]] if named else None)
    root = None if root is None else expanded(root)
    if root is not None and not data_dir and not root.is_dir():
        warnings.warn(
            f"{named[0]} names {root}, which is not there: it is made", KganWarning, stacklevel=2
        )
    if root is not None and (root / "tensorflow_datasets").is_dir():
        root = root / "tensorflow_datasets"
    try:
        found = tfds.builder(name, data_dir=root)
    except Exception as error:  # of another version, of modules that are missing: anything
        raise KganError(
            f"Expected a TFDS dataset. Received: tfds:{name}: {one_line(str(error))[:400]}"
        ) from None
    features = sorted(found.info.features)
    if "image" not in features:
        raise KganError(
            f"Expected a TFDS dataset with a feature 'image'. Received: tfds:{name} with {features}"
        )
    return found


def prepare(found) -> None:
    """Downloads what a builder's data set lacks.

    Raises:
        KganError: if it is neither there nor can be downloaded.
    """
    try:
        if not found.data_path.exists():
            _check_network()
        found.download_and_prepare()
    # OSErrors of the network, DownloadErrors of a server's answers, and what each data set raises.
    except Exception as error:
        raise KganError(
            f"Expected tfds:{found.name} in {found.data_dir_root} (TFDS_DATA_DIR names another "
            f"place), or to be able to download it. Received: {one_line(str(error))[:400]}"
        ) from None


def _check_network():
    """Raises OSError where there is none: TFDS would try again for three and a half minutes."""
    if os.environ.get("KGAN_OFFLINE", "") not in ("", "0"):
        raise OSError("KGAN_OFFLINE is set")
    if not urllib.request.getproxies():
        socket.getaddrinfo(_HOST, 443)


def ranges(found, split: str) -> list[tuple[str, int, int]]:
    """Which examples of a prepared data set a split has: name of a part, first, and one past last.

    Args:
        found: its builder.
        split: such as `"train"`, `"train[:50000]"` or `"train+test"`.

    Raises:
        KganError: if it has no such split.
    """
    import tensorflow_datasets as tfds

    splits = found.info.splits
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except (AssertionError, ValueError) as error:
        raise KganError(
            f"Expected a split of tfds:{found.name}, which has {', '.join(splits)}. Received: "
            f"{split!r}: {str(error).splitlines()[0]}"
        ) from None
    examples = []
    for part in parts:
        size = splits[part.splitname].num_examples
        examples.append((part.splitname, part.from_ or 0, size if part.to is None else part.to))
    return examples


def files(found, split: str) -> dict[str, str]:
    """The files that a prepared data set has of a split: paths by name, with the set's version.

    Args:
        found: its builder.
        split: see `ranges`.

    Raises:
        KganError: if it has no such split.
    """
    parts = dict.fromkeys(part for part, _, _ in ranges(found, split))
    paths = [os.fspath(path) for part in parts for path in found.info.splits[part].filepaths]
    return {f"{found.info.full_name}/{os.path.basename(path)}": path for path in paths}
