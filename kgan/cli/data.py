"""`kgan data`."""

from pathlib import Path

import click

from kgan import data, images
from kgan.cli.paths import ExpandedPath, in_directory
from kgan.cli.renamed import RenamedCommand
from kgan.cli.train import parse_box
from kgan.data.folder import LABELS, check_skipped
from kgan.data.listing import find_folder
from kgan.data.pairing import check_unequal
from kgan.data.resize import RESIZES
from kgan.errors import say
from kgan.recipe import PAIRED


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
    "--target",
    type=ExpandedPath(),
    help="Folder of what those in FOLDER are to become: pictures of the same names belong "
    "together.",
)
@click.option(
    "--paired",
    type=click.Choice(PAIRED),
    help="How pictures belong together. [default: names, with --target]",
)
@click.option(
    "--size", type=click.IntRange(1), default=64, show_default=True, help="Side in pixels."
)
@click.option("--channels", type=click.Choice(["1", "3"]), default="3", show_default=True)
@click.option("--target-channels", type=click.Choice(["1", "3"]), help="[default: as --channels]")
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
    target: Path | None,
    paired: str | None,
    size: int,
    channels: str,
    target_channels: str | None,
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
      kgan data check ./outlines --target ./pictures --out sheet.png
      kgan data check ./horses --target ./zebras --paired no --out sheet.png
      kgan data check ./facades --paired halves --out sheet.png
    """
    if out is not None:
        out = in_directory(out, "data.png", ".png")
        for place in (folder, *([target] if target is not None else [])):
            _check_outside(out, place)
    shape = (size, size, int(channels))
    part = None if box is None else parse_box(box)
    if target is None and paired is None:
        if target_channels is not None:
            raise click.UsageError("Expected --target-channels beside --target. Received: none.")
        report, some = data.check(folder, shape, resize, background, labels, part)
        sheet, sides = images.grid(some) if len(some) else None, [report]
    else:
        if labels is not None:
            raise click.UsageError("Expected no --labels beside --target or --paired.")
        report, sheet = data.check_pairs(
            folder,
            target,
            image_shape=shape,
            target_channels=None if target_channels is None else int(target_channels),
            paired=paired,
            resize=resize,
            background=background,
            box=part,
        )
        sides = [report.source, report.target]
    say(report.text())
    if out is not None and sheet is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        say(f"Sheet:    {images.save_png(sheet, out, None)}")
    for side in sides:
        check_skipped(side)
    if isinstance(report, data.PairReport):
        check_unequal(report)


def _check_outside(out, folder):
    """Raises UsageError if the sheet would be one of the images the next time."""
    if out.resolve().is_relative_to(find_folder(folder).resolve()):
        raise click.UsageError(
            "Expected --out with a place apart from the images, or the sheet would be among them. "
            f"Received: {out}"
        )
