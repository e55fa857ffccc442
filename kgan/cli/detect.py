"""What `kgan inspect --detect` prints."""

from collections.abc import Sequence
from pathlib import Path

import click

from kgan.cli import provenance
from kgan.cli.names import PresetName
from kgan.cli.quiet import import_tensorflow
from kgan.errors import KganError, say

detect_option = click.option(
    "--detect",
    "judge",
    metavar="NAME",
    type=PresetName(),
    help="How two detectors take pictures, each by itself: for real ones, or for samples of the "
    "preset NAME; and how often they are wrong.",
)


def detect(source: str, paths: Sequence[Path]) -> int:
    """Prints how the detectors of a preset take pictures; returns the exit code.

    Args:
        source: of the preset.
        paths: of the pictures.

    Raises:
        KganError: if the preset has no detectors.
    """
    sheets = dict.fromkeys(path for path in paths if _is_sheet(path))
    import_tensorflow()
    from kgan.zoo import detecting  # late: it imports TensorFlow

    found = detecting.detect(source, [path for path in paths if path not in sheets])
    if text := "\n".join(detecting.lines(found)):
        say(text)
    problems = [file.problem for file in found.files if file.problem is not None]
    problems += [
        "Expected a picture by itself, as kgan sample --separate writes them. Received: "
        f"{path}, a sheet of kgan's"
        for path in sheets
    ]
    for problem in problems:
        say(f"Error: {problem}", err=True)
    return 1 if problems else 0


def _is_sheet(path: Path) -> bool:
    """Whether kgan says in a picture that it is several in a grid, or one in a frame."""
    try:
        facts = provenance.read(path).facts or {}
    except KganError:  # the reader will say so
        return False
    if "index" in facts or ("frame" in facts and facts.get("n") == 1):
        return False
    return bool(facts.keys() & {"n", "rows", "side_by_side"}) or facts.get("verb") == "project"
