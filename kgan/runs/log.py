"""`log.csv` of a run: rows as a table, and what is whole of a table. Imports no TensorFlow."""

import csv
import io
import math
import re
from collections.abc import Iterable

IMAGES, SECONDS = "images_seen", "seconds"  # columns of every row


def table(rows: Iterable[dict[str, str]]) -> str:
    """Rows as the text of a CSV file; metrics need not be in all of them.

    Example:

    >>> table([{"images_seen": "64", "seconds": "1.5"}])
    'images_seen,seconds\\r\\n64,1.5\\r\\n'
    """
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(names))
    if names:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def whole_rows(content: bytes) -> list[dict[str, str]]:
    """The rows of a table that are whole: in order, and one for each number of images.

    A crash, a full disk or a loss of power may leave any part of a file, with anything in place of
    the rest. A row counts if its line ends, has a field for each column, and these hold numbers.

    Args:
        content: of `log.csv`, or of what is left of it.

    Example:

    >>> whole_rows(b"images_seen,seconds\\r\\n64,1.5\\r\\n128,2")
    [{'images_seen': '64', 'seconds': '1.5'}]
    """
    lines = [_fields(line) for line in content.split(b"\n")[:-1]]  # what follows is half a line
    names = lines[0] if lines else []
    if len(set(names)) < len(names) or not {IMAGES, SECONDS} <= set(names):
        return []
    rows = [dict(zip(names, line, strict=True)) for line in lines[1:] if len(line) == len(names)]
    found = {int(row[IMAGES]): row for row in rows if _is_whole(row)}
    return [found[images] for images in sorted(found)]


def _fields(line):
    """What a line holds; nothing if it is none of a table."""
    try:
        return next(csv.reader([line.decode("utf-8-sig").removesuffix("\r")], strict=True), [])
    except (ValueError, csv.Error):
        return []


def _is_whole(row):
    """Whether the fields of a row are numbers; a metric may be infinite, or not be there."""
    try:
        numbers = {name: float(value) for name, value in row.items() if value}
    except ValueError:
        return False
    counts = re.fullmatch("[0-9]{1,18}", row[IMAGES]) is not None
    return counts and math.isfinite(numbers.get(SECONDS, math.nan))
