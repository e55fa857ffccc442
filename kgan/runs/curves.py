"""A picture of a training: what its log says, against the images seen."""

import csv
import math
import os
from pathlib import Path

import numpy as np

from kgan import images
from kgan.errors import KganError

_FIRST = ("d_loss", "g_loss", "real_score", "fake_score")  # in this order, before all others
_TOGETHER = ("_loss", "_score")  # columns of a kind share a panel
_NOT_CURVES = ("images_seen", "seconds")
# Told apart by color-blind readers too: Okabe and Ito 2008, "Color Universal Design".
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def plot_curves(log_csv: str | os.PathLike, png: str | os.PathLike) -> Path:
    """Draws the log of a run: losses, scores and whatever else it holds, against images seen.

    Panels stand one above the other: one for the losses, one for the scores, and one for each
    other column, such as a penalty or a metric. A `val_` column is drawn beside that without, in
    its color and dashed. What is missing or not finite is left out. The axis of positive values
    is logarithmic where the largest is more than 100 times the smallest, as a metric of the
    untrained generator is: beside it no difference between later ones would be seen.

    Args:
        log_csv: path of a `log.csv`, as `kgan train` writes it, with a column `images_seen`.
        png: path of the picture, which is written whole or not at all.

    Returns:
        The path of the picture.

    Raises:
        ValueError: if matplotlib, the extra `kgan[plots]`, is missing, or the log holds no
            numbers against images seen.

    Example:

    ```python
    kgan.runs.curves.plot_curves("runs/clothes/log.csv", "curves.png")
    ```
    """
    try:
        # Not pyplot, which keeps figures, and a backend, that belong to the user.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError as error:
        raise KganError(
            f"Expected matplotlib, to draw curves: pip install 'kgan[plots]'. Received: {error}"
        ) from None
    columns = _read(log_csv)
    seen = columns["images_seen"]
    together = panels(columns)
    figure = Figure((7.0, 0.5 + 1.5 * len(together)), dpi=120, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # inches
    canvas = FigureCanvasAgg(figure)
    stack = figure.subplots(len(together), sharex=True, squeeze=False)[:, 0]
    for axes, names in zip(stack, together, strict=True):
        colors = dict(zip(dict.fromkeys(map(_plain, names)), _COLORS * len(names), strict=False))
        for name in names:
            there = np.isfinite(columns[name])
            axes.plot(
                seen[there],
                columns[name][there],
                color=colors[_plain(name)],
                linestyle="--" if name != _plain(name) and _plain(name) in names else "-",
                linewidth=1.4,
                marker="o" if there.sum() < 40 else None,
                markersize=2.5,
                label=name,
            )
        drawn = np.concatenate([columns[name] for name in names])
        drawn = drawn[np.isfinite(drawn)]
        if drawn.max() > 100 * drawn.min() > 0:
            axes.set_yscale("log")
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 0.98),
            ncols=4,
            frameon=False,
            fontsize=9,
            handlelength=1.2,
            borderaxespad=0.0,
        )
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.tick_params(labelsize=8)
    stack[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
    stack[-1].set_xlim(left=0)
    stack[-1].set_xlabel("images seen", fontsize=9)
    canvas.draw()
    return images.save_png(np.asarray(canvas.buffer_rgba())[..., :3], png, None)


def panels(columns) -> list[list[str]]:
    """The names of a log's columns, in the panels in which they are drawn."""
    names = [name for name in columns if name not in _NOT_CURVES]
    names.sort(key=lambda name: _FIRST.index(_plain(name)) if _plain(name) in _FIRST else math.inf)
    result: dict[str, list[str]] = {}
    for name in names:
        kind = next((end for end in _TOGETHER if name.endswith(end)), _plain(name))
        result.setdefault(kind, []).append(name)
    return list(result.values())


def _plain(name: str) -> str:
    return name.removeprefix("val_")


def _read(log_csv) -> dict[str, np.ndarray]:
    """The columns of a log that hold numbers, NaN where there is none."""
    with open(log_csv, newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0]) if rows else []
    columns = {name: np.array([_number(row[name]) for row in rows]) for name in names}
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    if "images_seen" not in columns or not set(columns) - set(_NOT_CURVES):
        raise KganError(
            "Expected a log with numbers beside images_seen. Received: "
            f"{os.fspath(log_csv)} with {len(rows)} rows of {names}"
        )
    return columns


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
