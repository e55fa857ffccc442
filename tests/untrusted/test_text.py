"""kgan.untrusted.text: untrusted JSON and TOML."""

import os

import pytest

from kgan.errors import KganError
from kgan.untrusted import text
from untrusted.hostile import nested


def test_json_is_what_it_says():
    content = '{"a": [1, -2.5, true, null], "b": {"c": "é\\n\\t😀"}}'.encode()
    assert text.parse_json(content, "x") == {"a": [1, -2.5, True, None], "b": {"c": "é\n\t😀"}}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[1]", b"7", b'{"a": 1', b'{"a": 1} x', b"\xff", b"\xef\xbb\xbf{}", b"\0"),
        *(b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": 18446744073709551616}'),
        *(b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}', b'{"a": "\\u001b[31m"}', b'{"\\u202e": 1}'),
        b'{"a": ' + b"9" * 100_000 + b"}",
        f'{{"a": {nested(text.MOST_LEVELS)}}}'.encode(),
        f'{{"a": {nested(100_000)}}}'.encode(),
        b'{"a":' * 100_000,
    ],
    ids=lambda content: content[:20],
)
def test_other_json_is_refused_in_one_line(content):
    with pytest.raises(KganError, match="Expected.*Received.*the place") as caught:
        text.parse_json(content, "the place")
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        *("a", "a = ", "a = nan", "a = inf", "a = 1979-05-27", 'a = "\\u001b"', "a = 1\na = 2"),
        *("a = 0x" + "f" * 5000, "a = " + "9" * 5000, f"a = {nested(60)}", f"a = {nested(50_000)}"),
        "a = " + "{b = " * 50_000,
        ".".join("a" * 60_000) + " = 1",
        "a = {" + " . ".join(['"b c"'] * 20_000) + " = 1}",
        "[" + ".".join(["'a b'"] * 20_000) + "]",
        ".".join(["a" * 201] * 1000) + " = 1",
    ],
    ids=lambda content: content[:20],
)
def test_other_toml_is_refused_in_one_line(content):
    with pytest.raises(KganError, match="Expected.*Received.*the place") as caught:
        text.parse_toml(content.encode(), "the place")
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


def test_prose_is_no_long_key():
    note = "One. Two sentences. " * 30 + "v1.2.3.4 at www.example.org = x."
    assert text.parse_toml(f'note = "{note}"'.encode(), "x") == {"note": note}


def test_large_file_is_not_read(tmp_path):
    (tmp_path / "x").write_bytes(bytes(11))
    assert text.read_bytes(tmp_path / "x", 11) == bytes(11)
    with pytest.raises(KganError, match="at most 10 bytes. Received: .*x, which is larger"):
        text.read_bytes(tmp_path / "x", 10)


def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KganError, match="No such file"):
        text.read_bytes(tmp_path / "pipe", 10)


def test_what_was_received_is_shown_in_a_line():
    deep = ["\n" * 1000]
    for _ in range(100):
        deep = [deep] * 100
    shown = text.short({"x" * 1000: deep})
    assert len(shown) <= 200 and "\n" not in shown


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_says_the_encoding(encoding, end):
    assert text.parse_toml(f'a = "é"{end}b = 1{end}'.encode(encoding), "x") == {"a": "é", "b": 1}


@pytest.mark.parametrize("content", ["a = 'é'".encode("latin-1"), b"\xff\xfea"])
def test_other_encodings_are_refused_in_one_line(content):
    with pytest.raises(KganError, match="Expected a recipe in TOML. Received: x: .*") as said:
        text.parse_toml(content, "x")
    assert "\n" not in str(said.value)
