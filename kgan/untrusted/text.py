"""Untrusted JSON and TOML: plain values, bounded before and after they are parsed."""

import codecs
import json
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from kgan.errors import KganError, short

MOST_JSON = 1 << 22  # bytes
MOST_TOML = 1 << 18
MOST_LEVELS = 40  # of nesting

_MARKS = (  # longer ones first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# tomllib's time is quadratic in the parts of a dotted key: 24 s for 64 KB of them.
_PART = r"""(?:[\w-]{1,200}+|"(?:[^"\\\n]|\\.){0,200}+"|'[^'\n]{0,200}+')"""
_LONG_KEY = re.compile(rf"(?<![\w.-])(?:{_PART}[ \t]*+\.[ \t]*+){{16}}")
# What a terminal obeys, what turns text around, and halves of characters, which cannot be printed.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def read_bytes(path: Path, most: int, expected: str = "a file") -> bytes:
    """The content of a small file; `expected` says in errors what it is to be.

    Raises:
        KganError: if it is no file, cannot be read, or is larger than `most` bytes.
    """
    try:
        if not path.is_file():  # a pipe would keep us waiting
            raise KganError(f"Expected {expected}. Received: {path}: No such file")
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise KganError(
            f"Expected {expected} that can be read. Received: {path}: {error}"
        ) from None
    if len(content) > most:
        raise KganError(f"Expected at most {most:,} bytes. Received: {path}, which is larger")
    return content


def parse_json(content: bytes, where: str) -> dict[str, Any]:
    """The table that a JSON file holds; `where` names it in errors.

    Raises:
        KganError: if it is none, says a key twice, or holds what `check` refuses.
    """
    try:
        values = json.loads(content.decode(), object_pairs_hook=_table, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise KganError(f"Expected JSON. Received: {where}: {error}") from None
    if not isinstance(values, dict):
        raise KganError(f"Expected a table. Received: {short(values)} in {where}")
    check(values, where)
    return values


def parse_toml(content: bytes, where: str) -> dict[str, Any]:
    """The table that a TOML file holds; `where` names it in errors.

    Raises:
        KganError: if it is none, or holds what `check` refuses.
    """
    try:
        text = _decoded(content)
        if _LONG_KEY.search(text):
            raise ValueError("a key of more than 16 parts")
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise KganError(f"Expected a recipe in TOML. Received: {where}: {error}") from None
    check(values, where)
    return values


def _decoded(content):
    """The text of a file that a person has written: UTF-8, or what a byte order mark says."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"text that is not UTF-8, at byte {error.start:,}") from None


def check(values: Any, where: str) -> None:
    """Raises KganError unless `values` are nested tables and lists of plain values.

    Plain are true, false, null, finite floats, ints of up to 64 bits, and text without control
    characters other than tabs and ends of lines.
    """
    left = [(values, 0)]
    while left:  # not by recursion, which the values could exhaust
        value, level = left.pop()
        if level > MOST_LEVELS:
            raise KganError(f"Expected at most {MOST_LEVELS} levels. Received: more in {where}")
        if isinstance(value, (dict, list)):
            left.extend((inner, level + 1) for inner in value)
            if isinstance(value, dict):
                left.extend((inner, level + 1) for inner in value.values())
        elif isinstance(value, str):
            if _CONTROL.search(value):
                raise KganError(
                    f"Expected text without control characters. Received: {short(value)} in {where}"
                )
        elif isinstance(value, int):  # among them true and false
            if not -(2**63) <= value < 2**64:
                bits = value.bit_length()
                raise KganError(f"Expected ints of 64 bits. Received: one of {bits} in {where}")
        elif not (value is None or (isinstance(value, float) and math.isfinite(value))):
            raise KganError(
                f"Expected finite numbers, text, lists and tables. Received: {short(value)} "
                f"in {where}"
            )


def _table(pairs):
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key is there twice")
    return table


def _no_number(name):
    raise ValueError(f"{name} is no number")
