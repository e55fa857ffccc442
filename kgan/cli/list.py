"""`kgan list`."""

import warnings

import click

import kgan
from kgan.errors import KganError, KganWarning
from kgan.zoo import results

_FIGURES = {
    "FRECHET": "frechet_distance",
    "PRECISION": "precision",
    "RECALL": "recall",
    "LABELS": "label_accuracy",
}


@click.command("list")
def command() -> None:
    """List the pretrained models, with their Fréchet distance, precision and recall,
    and of conditional models how many samples are of the class that was asked for.

    Beside each figure, in brackets, is the floor: that of real images in place of samples. Only
    models of the same data can be compared; `kgan info NAME` has more figures.

    \b
    Example:
      kgan list
    """
    rows = [("NAME", "MODEL", "SHAPE", "SIZE", *_FIGURES, "DATA", "LICENCE")]
    for name in kgan.zoo.names():
        try:
            info = kgan.zoo.info(name)
        except KganError as error:  # one damaged entry must not hide the others
            warnings.warn(str(error), KganWarning, stacklevel=1)
            continue
        rows.append(
            (
                name,
                info["model"],
                "x".join(map(str, info["image_shape"])),
                f"{info['size_bytes'] / 1e6:.1f} MB",
                *_figures(info["metrics"] or []),
                info["dataset"] or "",
                info["licence"] or "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _figures(metrics):
    """The cells of a preset: each figure with its floor in brackets, if there are such."""
    summary = results.summary(metrics)
    for name in _FIGURES.values():
        value, floor = summary.get(name, (None, None))
        shown = "" if value is None else f"{value:.2f}"
        yield shown if floor is None else f"{shown} ({floor:.2f})"
