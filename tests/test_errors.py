"""kgan.errors: what is said."""

import pytest

from kgan.errors import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café 顔, 'a' \\", "Café 顔, 'a' \\"),
        ("\x1b]0;x\x07\x1b[2J", r"\x1b]0;x\x07\x1b[2J"),
        ("a\nb\r\tc\x9b\x7f", r"a\nb\r\tc\x9b\x7f"),
        ("\u202egnp.exe\u2028\ud800", r"\u202egnp.exe\u2028\ud800"),
    ],
)
def test_printable(text, expected):
    assert printable(text) == expected and printable(expected) == expected
