"""What a run directory tells of a training, while it goes on or afterwards."""

import math
import shlex
import time
from pathlib import Path
from typing import Any

from kgan.cli.ui import pictures
from kgan.errors import KganError
from kgan.files import images_in_name
from kgan.runs import curves, log
from kgan.zoo import metadata, opening, results
from kgan.zoo.metadata import METADATA

_LINES = 200  # of the log, the newest


def state(source: str, run: Path) -> dict[str, Any]:
    """A run as plain values.

    Args:
        source: what the command line calls it.
        run: its directory.

    Returns:
        Dict with `name`, `model`, `pixels` (whether pictures are enlarged pixel by pixel), `images`
        that are to be seen, `seen` so far, `seconds` of training, `ended`, `quiet` (seconds since
        the log or a grid was last written, None if there is neither), `grids` (the images seen at
        each) and when each was `drawn`, `columns` of the log by name, None where there is no
        number, `panels` of them that are drawn together, `floors` of those that have one, `names`
        and `lines` of the log, and the command to `resume`.

    Raises:
        KganError: if nothing tells of what is trained.
    """
    recipe = opening.recipe_of(run)
    rows = _rows(run / "log.csv")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_number(row.get(name)) for row in rows] for name in names}
    columns = {
        name: values for name, values in columns.items() if any(v is not None for v in values)
    }
    grids = _grids(run)
    seen = [int(row[log.IMAGES]) for row in rows]
    drawn = [_changed(path) for path in grids.values()]
    last = max(_changed(run / "log.csv"), *drawn, 0.0)
    return {
        "name": recipe.name,
        "model": recipe.model,
        "pixels": pictures.shows_pixels(recipe.arguments.get("image_shape") or [64, 64], recipe),
        "images": recipe.images,
        "seen": max([0, *seen[-1:], *grids]),
        "seconds": float(rows[-1][log.SECONDS]) if rows else 0.0,
        "ended": opening.has_ended(run),
        "quiet": max(0.0, round(time.time() - last, 1)) if last else None,
        "grids": list(grids),
        "drawn": drawn,
        "columns": columns,
        "panels": curves.panels(columns),
        "floors": _floors(run, columns),
        "lines": [[row.get(name, "") for name in names] for row in rows[-_LINES:]],
        "names": names,
        "resume": shlex.join(["kgan", "train", source]),
    }


def grid(run: Path, seen: int) -> Path:
    """The file of a grid.

    Args:
        run: directory.
        seen: images, one of the `grids` of `state`.

    Raises:
        KganError: if there is none.
    """
    found = _grids(run).get(seen)
    if found is None:
        raise KganError(f"Expected a grid of the run. Received: {seen:,} images")
    return found


def _grids(run):
    """Images seen -> the file of the grid; links lead out of the folder, and are none."""
    found = {images_in_name(path): path for path in (run / "grids").glob("images-*.png")}
    return {seen: found[seen] for seen in sorted(found) if seen >= 0 and _is_file(found[seen])}


def _is_file(path):
    return path.is_file() and not path.is_symlink()


def _rows(path):
    return log.whole_rows(path.read_bytes()) if _is_file(path) else []


def _changed(path):
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # it is being replaced
        return 0.0


def _number(text):
    value = float(text or "nan")
    return value if math.isfinite(value) else None


def _floors(run, columns):
    """The floors of columns that are metrics, as the run's preset was measured beside them."""
    try:
        metrics = metadata.read(run / opening.PRESET / METADATA, own=True).get("metrics") or []
    except KganError:
        return {}
    found = results.summary(metrics)
    names = {name: name.removeprefix("val_") for name in columns}
    floors = {name: found[plain][1] for name, plain in names.items() if plain in found}
    return {name: floor for name, floor in floors.items() if floor is not None}
