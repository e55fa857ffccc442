"""Classes by their names on the command line."""

import csv
import difflib
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from kgan.errors import KganError, short

_MOST_SHOWN = 40


def parse_labels(text: str, metadata: dict[str, Any]) -> list[int]:
    """The classes that --labels names: names, numbers or ranges of numbers, separated by commas.

    A text that is a name means that class. Otherwise its parts do, each as it is, or in other
    letters (small, capital) if only one class is called so. Names with commas stand in quotes, as
    in CSV. Where names are numbers, numbers are names; where none is, they count from 0.

    Args:
        text: of the option.
        metadata: of the preset.

    Raises:
        UsageError: if it names no class, or more than one.

    Example:

    >>> parse_labels("1-3,11", {"num_classes": 4, "class_names": ["1", "11", "2", "3"]})
    [0, 2, 3, 1]
    """
    count, names = metadata.get("num_classes"), metadata.get("class_names") or []
    if not count:
        raise click.UsageError(
            f"Expected no --labels: {metadata['name']} is unconditional. Received: --labels {text}"
        )
    classes = _Classes(count, names)
    if (whole := classes.exactly(text)) is not None:
        return [whole]
    try:
        (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        parts = [text]
    found = []
    for part in parts or [text]:
        numbers = classes.find(part)
        if not numbers:
            raise click.UsageError(classes.refusal(part, text))
        found += numbers
    return found


def labels_text(classes: Sequence[int], metadata: dict[str, Any] | None) -> str:
    """What --labels is to be for classes: the inverse of `parse_labels`.

    Args:
        classes: at least one.
        metadata: of the preset; None if it is not known, whose numbers are then given.

    Raises:
        KganError: if the preset does not have these classes.

    Example:

    >>> labels_text([0, 1], {"name": "pets", "num_classes": 2, "class_names": ["cat", "a,b"]})
    'cat,"a,b"'
    """
    texts = [",".join(map(str, classes))]
    if metadata is not None:
        names = metadata.get("class_names") or []
        if max(classes) < len(names):
            texts.insert(0, ",".join(_quoted(names[place]) for place in classes))
    if len(classes) > 2 and list(classes) == [*range(classes[0], classes[-1] + 1)]:
        texts.insert(0, f"{classes[0]}-{classes[-1]}")
    for text in texts:
        with suppress(click.UsageError):
            if text.isprintable() and (
                metadata is None or parse_labels(text, metadata) == list(classes)
            ):
                return text
    raise KganError(f"Expected labels that {metadata['name']} has. Received: {short(classes)}")


class _Classes:
    """The classes of a model, to be found by name."""

    def __init__(self, count: int, names: Sequence[str]):
        self.names = [_composed(name) for name in names[:count]]
        self.are_numbers = any(map(_is_number, self.names))
        # Number -> classes that it means.
        self.numbers: dict[int, list[int]] = {}
        for place in range(count):
            name = self.names[place] if place < len(self.names) else ""
            if self.are_numbers and _is_number(name):
                self.numbers.setdefault(int(name), []).append(place)
            elif not self.are_numbers:
                self.numbers[place] = [place]

    def exactly(self, text: str) -> int | None:
        """The class of a name."""
        name = _composed(text)
        return self.names.index(name) if self.names.count(name) == 1 else None

    def find(self, part: str) -> list[int]:
        """The classes that a part of the text means; none if that is none, or not one alone."""
        for text in (part, part.strip()):
            if (place := self.exactly(text)) is not None:
                return [place]
        part = part.strip()
        alike = self.alike(part)
        if alike:
            return alike if len(alike) == 1 else []
        span = re.fullmatch(r"([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?", part)
        if span is None:
            return []
        first, last = int(span[1]), int(span[2] or span[1])
        ends = [self.numbers.get(end, []) for end in (first, last)]
        if first > last or any(len(places) != 1 for places in ends):
            return []
        between = sorted(number for number in self.numbers if first <= number <= last)
        return [place for number in between for place in self.numbers[number]]

    def alike(self, part: str) -> list[int]:
        """The classes of a name in whatever letters."""
        wanted = _composed(part).casefold()
        return [place for place, name in enumerate(self.names) if name.casefold() == wanted]

    def refusal(self, part: str, text: str) -> str:
        """Why a part of the text is refused."""
        known = [] if self.are_numbers else [f"from 0 to {len(self.numbers) - 1}"]
        if self.names:
            more = len(self.names) - _MOST_SHOWN
            shown = ", ".join(map(_quoted, self.names[:_MOST_SHOWN]))
            known.append(f"among {shown}" + (f" and {more} more" if more > 0 else ""))
        alike = [self.names[place] for place in self.alike(part.strip())]
        near = alike or difflib.get_close_matches(part.strip(), self.names, n=3)
        hint = f"; did you mean {' or '.join(map(_quoted, near))}?" if near else ""
        what = "" if part == text else f", of which {_quoted(part)} is none"
        return f"Expected --labels {' or '.join(known)}. Received: --labels {text}{what}{hint}"


def _composed(name):
    """A name as it looks: a terminal of macOS writes some letters in parts."""
    return unicodedata.normalize("NFC", name)


def _is_number(name):
    return re.fullmatch("[0-9]{1,18}", name) is not None


def _quoted(name):
    """A name as it is to be written among others."""
    if name != name.strip() or re.search('[,"]', name):
        return '"' + name.replace('"', '""') + '"'
    return name
