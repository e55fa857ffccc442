"""`kgan list`."""

import shutil
import warnings

import click
from rich.cells import cell_len, set_cell_size

import kgan
from kgan.errors import KganError, KganWarning, say
from kgan.zoo import results

# Which columns have room first; of texts, which may be cut, the least that is worth it.
_ORDER = (
    *("SHAPE", "FRECHET", "LICENCE", "DATA", "MODEL", "PRECISION", "RECALL", "LABELS", "SIZE"),
)
_LEAST = {"LICENCE": 16, "DATA": 16}
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
    models of the same data can be compared; `kgan info NAME` has more figures. Columns that the
    terminal has no room for are left out (COLUMNS=250 kgan list shows all); names are always whole.

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
    say("\n".join(table(rows, shutil.get_terminal_size().columns)))


def table(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Lines of a table, each no wider than `width` if the first column allows.

    Columns have room in the order of `_ORDER`; a text that is longer than what is left of the line
    ends in "…", and a column for which that is too little is left out.

    Args:
        rows: of cells, the first of them the head.
        width: int, characters.
    """
    widths = {column[0]: max(map(cell_len, column)) for column in zip(*rows, strict=True)}
    head, left = rows[0], width - widths[rows[0][0]]
    shown = {head[0]: widths[head[0]]}
    for name in _ORDER:
        least = min(widths[name], _LEAST.get(name, widths[name]))
        if left >= 2 + least:
            shown[name] = least
            left -= 2 + least
    for name in _LEAST:  # what is left goes to the texts
        if name in shown:
            more = min(left, widths[name] - shown[name])
            shown[name] += more
            left -= more
    return ["  ".join(_cells(row, head, shown)).rstrip() for row in rows]


def _cells(row, head, shown):
    for cell, name in zip(row, head, strict=True):
        if name in shown:
            width = shown[name]
            cut = cell_len(cell) > width
            yield f"{set_cell_size(cell, width - 1)}…" if cut else set_cell_size(cell, width)


def _figures(metrics):
    """The cells of a preset: each figure with its floor in brackets, if there are such."""
    summary = results.summary(metrics)
    for name in _FIGURES.values():
        value, floor = summary.get(name, (None, None))
        shown = "" if value is None else f"{value:.2f}"
        yield shown if floor is None else f"{shown} ({floor:.2f})"
