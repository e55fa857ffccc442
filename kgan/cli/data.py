"""`kgan data`."""

from pathlib import Path

import click

from kgan import data, images
from kgan.cli.paths import ExpandedPath, in_directory
from kgan.cli.renamed import RenamedCommand
from kgan.cli.train import parse_box
from kgan.data.folder import LABELS, check_skipped
from kgan.data.resize import RESIZES
from kgan.errors import say


@click.group("data")
def command() -> None:
    """Look at images before training on them.

    \b
    Example:
      kgan data check ./photos --size 64 --out sheet.png
    """


@command.command(cls=RenamedCommand)
@click.argument("folder", type=ExpandedPath())
@click.option(
    "--size", type=click.IntRange(1), default=64, show_default=True, help="Side in pixels."
)
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True)
@click.option("--resize", type=click.Choice(RESIZES), default="crop", show_default=True)
@click.option(
    "--box", metavar="L,T,R,B", help="Part to cut out: left, top, right, bottom in fractions of it."
)
@click.option(
    "--background",
    default="white",
    show_default=True,
    help="Color of pad's bars, and under transparency.",
)
@click.option("--labels", type=click.Choice(LABELS), help="Classes from the names of sub-folders.")
@click.option(
    "--out",
    type=ExpandedPath(),
    help="PNG, or directory for data.png: a sheet of 64 images as a model would see them.",
)
def check(
    folder: Path,
    size: int,
    channels: str,
    resize: str,
    box: str | None,
    background: str,
    labels: str | None,
    out: Path | None,
) -> None:
    """Read every image in FOLDER as `kgan train` would, and print what was found.

    More than 5% of files that cannot be read, with which training would not begin, exit with 1.

    \b
    Examples:
      kgan data check ./photos
      kgan data check ./pets --labels folders --size 128 --resize pad --out sheet.png
    """
    if out is not None:
        out = in_directory(out, "data.png", ".png")
    shape = (size, size, int(channels))
    report, some = data.check(
        folder, shape, resize, background, labels, None if box is None else parse_box(box)
    )
    say(report.text())
    if out is not None and len(some):
        out.parent.mkdir(parents=True, exist_ok=True)
        say(f"Sheet:    {images.save_png(images.grid(some), out, None)}")
    check_skipped(report)
