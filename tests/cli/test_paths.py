"""kgan.cli.paths."""

from pathlib import Path

import click
import pytest

from kgan.cli.paths import ExpandedPath, in_directory, is_called_a_file


@pytest.mark.parametrize(
    "out, expected",
    [
        ("x.png", "x.png"),
        ("x.PNG", "x.PNG"),
        ("v1.0/x.Npz", "v1.0/x.Npz"),
        ("pictures", "pictures/faces.png"),
        ("v1.0", "v1.0/faces.png"),
        ("faces.v2", "faces.v2/faces.png"),
        ("there.png", "there.png/faces.png"),
        ("there.jpg", "there.jpg/faces.png"),
    ],
)
def test_a_directory_may_have_a_dot(tmp_path, monkeypatch, out, expected):
    monkeypatch.chdir(tmp_path)
    for name in ("there.png", "there.jpg"):
        (tmp_path / name).mkdir()
    assert in_directory(Path(out), "faces.png", ".png", ".npz") == Path(expected)


@pytest.mark.parametrize("out", ["x.jpg", "x.JPEG", "x.npy", "v1.0/x.webp", "x.pdf"])
def test_another_format_is_refused(out):
    with pytest.raises(click.UsageError, match=r"\.png or \.npz. Received: --out"):
        in_directory(Path(out), "faces.png", ".png", ".npz")
    assert is_called_a_file(Path(out)) and not is_called_a_file(Path("faces.v2"))


def test_home_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ExpandedPath().convert("~/x.png", None, None) == tmp_path / "x.png"
    assert ExpandedPath().convert("a~/x.png", None, None) == Path("a~/x.png")
