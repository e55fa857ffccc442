"""What `kgan inspect --detect` prints."""

from collections.abc import Sequence
from pathlib import Path

import click

from kgan.cli.names import PresetName
from kgan.cli.quiet import import_tensorflow
from kgan.errors import say

detect_option = click.option(
    "--detect",
    "judge",
    metavar="NAME",
    type=PresetName(),
    help="How two detectors take the pictures: for real ones, or for samples of the preset NAME; "
    "and how often they are wrong.",
)


def detect(source: str, paths: Sequence[Path]) -> int:
    """Prints how the detectors of a preset take pictures; returns the exit code.

    Args:
        source: of the preset.
        paths: of the pictures.

    Raises:
        KganError: if the preset has no detectors.
    """
    import_tensorflow()
    from kgan.zoo import detecting  # late: it imports TensorFlow

    found = detecting.detect(source, paths)
    if text := "\n".join(detecting.lines(found)):
        say(text)
    problems = [file.problem for file in found.files if file.problem is not None]
    for problem in problems:
        say(f"Error: {problem}", err=True)
    return 1 if problems else 0
