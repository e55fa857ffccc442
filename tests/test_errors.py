"""kgan.errors: what is said."""

import os
import pickle

import numpy as np
import pytest

from kgan.errors import KganError, KganWarning, printable, say, short, silent_stderr


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


@pytest.mark.parametrize("kind", [KganError, KganWarning])
def test_messages_are_one_line_whatever_goes_into_them(kind):
    said = kind("Expected\n  a name. Received: \x1b[2J\x9b1m\u202e\r\ud800\n")
    assert str(said) == r"Expected a name. Received: \x1b[2J\x9b1m\u202e\r\ud800".replace(
        "\\r", r"\r"
    )
    assert str(kind(str(said))) == str(said)
    assert str(pickle.loads(pickle.dumps(said))) == str(said)


def test_names_of_all_scripts_are_shown_as_they_are():
    for name in (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "a\u3000b\xa0c",
        "\U0001f468\u200d\U0001f469",
    ):
        assert printable(name) == name
    for name in ("\u200b", "\ufeff", "\u2060", "\xad", "\u061c", "\u200e", "\U000e0041", "\ue000"):
        assert printable(name).isascii()


def test_one_way_of_printing(capsys):
    say("a\x1b[2J\nb\u202e")
    say("c\x07", err=True)
    assert capsys.readouterr() == ("a\\x1b[2J\nb\\u202e\n", "c\\x07\n")


def test_values_are_short_and_on_one_line():
    for value in (np.eye(50), "x" * 10_000, [["\n"] * 99] * 99, {"a": "\x1b"}):
        assert len(short(value)) <= 200 and short(value).isprintable()


def test_what_is_written_to_stderr_itself_is_set_aside(capfd):
    with pytest.raises(ZeroDivisionError), silent_stderr() as aside:
        os.write(2, b"noise")
        aside.seek(0)
        assert aside.read() == b"noise"
        raise ZeroDivisionError
    os.write(2, b"heard")
    assert capfd.readouterr() == ("", "heard")


def test_where_there_is_no_stderr_nothing_is_set_aside(monkeypatch):
    def dup(_):
        raise OSError("bad file descriptor")

    monkeypatch.setattr("os.dup", dup)
    with silent_stderr():
        pass
