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
    "mean_absolute_error",
    "ssim",
)
# What stands beside a figure of translations: of other pictures in their place.
BASELINES = {"input": "input itself", "nearest": "nearest pair"}


def summary(results: list[dict[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """Value and floor of those figures in `SUMMARY` that there are, of all classes together.

    Args:
        results: of metadata, which may be untrusted: what is no number is left out.
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
        results: as `kgan.runs.evaluate.evaluate` returns them, now or before 0.2.
    """
    rows = _table(results)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *_protocol(results)])


def markdown(results: list[dict[str, Any]]) -> list[str]:
    """The same as lines of a card."""
    head, *rows = _table(results)
    lines = [f"| {' | '.join(('metric', *head[1:]))} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return [*lines, "", *_protocol(results)]


def _table(results):
    """Rows of cells, the first of them the head; a column that would be empty is left out."""
    head = ("", "value", "spread", "floor", "value / floor", *BASELINES.values())
    rows = [head, *map(_row, results)]
    kept = [i for i in range(len(head)) if i in (0, 1, 3) or any(row[i] for row in rows[1:])]
    return [tuple(row[i] for i in kept) for row in rows]


def _row(result):
    name, value, floor = result["metric"], result["value"], result["floor"]
    shown = ", ".join(map(number, value if isinstance(value, list) else [value]))
    if "deviation" in result:
        shown += f" ± {number(result['deviation'])}"
    spread = result.get("spread")
    beside = "" if floor is None else number(floor)
    if name == "class_shares":
        shown, beside = (f"{number(min(v))} to {number(max(v))}" for v in (value, result["real"]))
        spread = None if spread is None else max(spread)
    if "least" in result:
        beside = f"at least {number(result['least'])}"
    # The kernel distance of real images is 0 on average: a ratio to it would be noise.
    is_distance = name == "frechet_distance" or name.startswith("sliced_wasserstein")
    ratio = f"{number(value / floor)} floors" if is_distance and floor else ""
    if "class" in result:
        name = f"{name}, {result['class']}"
    if "direction" in result:
        name = f"{name}, {result['direction']}"
    spread = "" if spread is None else number(spread)
    others = (result.get("baselines", {}).get(key) for key in BASELINES)
    others = ("" if value is None else number(value) for value in others)
    return name.replace("_", " "), shown, spread, beside, ratio, *others


def number(value: float) -> str:
    """Four digits, or all of those before the point."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _protocol(results):
    """What the figures are of, in lines."""
    first = results[0]
    version = f" {first['extractor_version']}" if first["extractor_version"] else ""
    features = (
        f"Features: {first['extractor']}{version} (SHA-256 {first['extractor_sha256'][:12]}…); "
        f"resize: {first['resize']}."
    )
    if "seeds" not in first:
        return _protocol_of_before(first, features)
    if "direction" in first:
        return _protocol_of_translations(results, features)
    seeds = first["seeds"] or ()
    several = len(seeds) > 1
    truncation = "" if first["truncation"] is None else f", truncation {first['truncation']},"
    what = f"samples of {'each of the seeds' if several else 'seed'} {', '.join(map(str, seeds))}"
    if "samples" in first:  # of a folder, whatever made them
        height, width, channels = first["image_shape"]
        what = f"pictures of {first['samples']}, as {width}x{height}x{channels},"
    lines = [
        f"{first['generated_images']:,} {what}{truncation} "
        f"against {_pictures(first)}, of {first['data']}{_split(first)}."
        + (" Values are means over seeds; spread: the largest less the smallest." * several),
        features,
    ]
    if first["floor_images"]:
        lines.append(f"Floor: {_floor(first)} in place of the samples.")
    for result in results:
        if result["metric"] == "recall" and result["places"] != first["places"]:
            lines.append(
                f"Recall: {result['generated_images']:,} samples against {_pictures(result)}; its "
                f"floor: {_floor(result)}."
            )
        if result["metric"] == "nearness":
            enough = result["value"] >= result["least"]
            lines.append(
                f"Nearness: the median distance of {result['generated_images']:,} samples to the "
                f"nearest training picture, divided by that of {_pictures(result)}; "
                + (
                    f"at least {result['least']}: no memorisation seen."
                    if enough
                    else f"**below {result['least']}**: samples lie nearer to training pictures "
                    "than held-out pictures do."
                )
            )
    if first["left_out"]:
        lines.append(f"Left out: {first['left_out']}.")
    if any(_row(result)[4] for result in results):
        lines.append(
            "Across crops or data only value / floor may be compared, and only by one extractor."
        )
    return lines


def _pictures(result):
    return f"{result['real_images']:,} pictures at {result['places']}"


def _floor(result):
    return f"{result['floor_images']:,} pictures at {result['floor_places']}"


def _split(result):
    return f" {result['split']}" if result["split"] not in (None, "training", "held-out") else ""


def _protocol_of_translations(results, features):
    """Of each direction what was translated and compared."""
    first, lines = results[0], []
    for direction in dict.fromkeys(result["direction"] for result in results):
        own = [result for result in results if result["direction"] == direction]
        floor = next(filter(lambda result: result["floor_images"], own), None)
        lines.append(
            f"{direction.replace('_', ' ').capitalize()}: translations of "
            f"{own[0]['generated_images']:,} pictures at {own[0]['inputs']} against "
            f"{_pictures(own[0])}, of {first['data']}."
            + (f" Floor: {_floor(floor)} in their place." if floor else "")
        )
    lines.append(features)
    known = {key for result in results for key in result["baselines"]}
    if "input" in known:
        lines.append("Input itself: the same pictures, not translated.")
    if "nearest" in known:
        lines.append(
            "Nearest pair: the target of the training pair whose input is nearest in pixels."
        )
    units = {"mean_absolute_error": "errors in levels, 0 to 255", "psnr": "PSNR in decibels"}
    units["cycle_error"] = units["mean_absolute_error"]
    told = dict.fromkeys(units[r["metric"]] for r in results if r["metric"] in units)
    if told:
        told = ", ".join(told)
        lines.append(f"{told[0].upper()}{told[1:]}.")
    if first["left_out"]:
        lines.append(f"Left out: {first['left_out']}.")
    return lines


def _protocol_of_before(result, features):
    """Of figures of one seed, measured before 0.2."""
    data = " ".join(filter(None, (result["data"], result["split"])))
    lines = [
        f"{result['generated_images']:,} samples of seed {result['seed']}"
        + (f", truncation {result['truncation']}" if result["truncation"] is not None else "")
        + f" against the first {result['real_images']:,} images of {data}.",
        features,
    ]
    if result["floor_images"]:
        lines.append(f"Floor: {result['floor_images']} in place of the samples.")
    return lines
