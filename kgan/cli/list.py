"""`kgan list`."""

import warnings

import click

from kgan import presets
from kgan.errors import KganError, KganWarning


@click.command("list")
def command() -> None:
    """List the pretrained models.

    \b
    Example:
      kgan list
    """
    rows = [("NAME", "MODEL", "SHAPE", "SIZE", "DATA", "LICENCE")]
    for name in presets.names():
        try:
            info = presets.info(name)
        except KganError as error:  # one damaged entry must not hide the others
            warnings.warn(str(error), KganWarning, stacklevel=1)
            continue
        rows.append(
            (
                name,
                info["model"],
                "x".join(map(str, info["image_shape"])),
                f"{info['size_bytes'] / 1e6:.1f} MB",
                info["dataset"] or "",
                info["licence"] or "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
