"""Results of an evaluation as text: on the terminal, and in cards."""

import math
from typing import Any

# The figures that stand for a model where there is room for a few, in this order.
SUMMARY = (
    "frechet_distance",
    "kernel_distance",
    "precision",
    "recall",
    "coverage",
    "label_accuracy",
)


def summary(results: list[dict[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Value and floor of those figures in `SUMMARY` that there are, of all classes together.

    Args:
        results: of metadata, which may be a stranger's: what is no number is left out.
    """
    found = {}
    for result in results:
        name, value, floor = (result.get(key) for key in ("metric", "value", "floor"))
        if name in SUMMARY and "class" not in result and _is_number(value):
            found.setdefault(name, (value, floor if _is_number(floor) else None))
    return found


def _is_number(value):
    return isinstance(value, int | float) and math.isfinite(value)


def text(results: list[dict[str, Any]]) -> str:
    """A table for the terminal, below it the protocol.

    Args:
        results: as `kgan.evaluation.evaluate` returns them.
    """
    rows = [("", "value", "floor"), *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {floor:>{widths[2]}}".rstrip()
        for name, value, floor in rows
    ]
    return "\n".join([*lines, "", *_protocol(results[0])])


def markdown(results: list[dict[str, Any]]) -> list[str]:
    """The same as lines of a card."""
    lines = ["| metric | value | floor |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(results)]
    return [*lines, "", *_protocol(results[0])]


def _rows(results):
    rows = []
    for result in results:
        name, value, floor = result["metric"], result["value"], result["floor"]
        if "class" in result:
            name = f"{name}, {result['class']}"
        shown = ", ".join(map(number, value if isinstance(value, list) else [value]))
        if "deviation" in result:
            shown += f" ± {number(result['deviation'])}"
        floor = "" if floor is None else number(floor)
        if name == "class_shares":
            shown, floor = (
                f"{number(min(v))} to {number(max(v))}" for v in (value, result["real"])
            )
        rows.append((name.replace("_", " "), shown, floor))
    return rows


def number(value: float) -> str:
    """Four digits, or all of those before the point."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _protocol(result):
    """What the figures are of, in lines."""
    data = " ".join(filter(None, (result["data"], result["split"])))
    version = f" {result['extractor_version']}" if result["extractor_version"] else ""
    lines = [
        f"{result['generated_images']:,} samples of seed {result['seed']}"
        + (f", truncation {result['truncation']}" if result["truncation"] is not None else "")
        + f" against the first {result['real_images']:,} images of {data}.",
        f"Features: {result['extractor']}{version} (SHA-256 {result['extractor_sha256'][:12]}…); "
        f"resize: {result['resize']}.",
    ]
    if result["floor_images"]:
        lines.append(f"Floor: {result['floor_images']} in place of the samples.")
    return lines
