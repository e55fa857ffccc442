"""Whatever things are called, no command prints what a terminal would obey."""

import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import kgan
from kgan.cli import main
from kgan.errors import KganWarning

# Escape sequences, the bell, C1 controls, ends of lines, and text that turns others around.
BAD = "\x1b[2J\x1b]0;x\x07\x9b31m\r\n\u202e\u2066\u200f\x7f"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder whose name, folders, files and suffixes are bad."""
    monkeypatch.chdir(tmp_path)
    for number in range(40):
        folder = tmp_path / f"photos{BAD}" / f"{number % 2}{BAD}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((16, 16, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}{BAD}.png")
    (folder / f"broken{BAD}.png").write_bytes(b"\x89PNG")
    (folder / f"other.x{BAD}").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / f"empty{BAD}").mkdir()
    return folder.parent


def said(*args, exit_code=None, **env):
    """What a command prints, seen to be nothing but lines of printable text."""
    done = CliRunner(env=env).invoke(main, [str(arg) for arg in args])
    assert exit_code is None or done.exit_code == exit_code, done.output
    assert done.output and not [c for c in done.output if not (c.isprintable() or c == "\n")]
    return done.output


def test_folders(photos):
    for more in ((), ("--labels", "folders")):
        text = said("data", "check", photos, "--size", 16, *more, exit_code=0)
        assert r"\x1b[2J" in text and r"broken\x1b" in text
    said("data", "check", f"{photos}/no{BAD}", exit_code=1)
    said("data", "check", photos, "--background", BAD, exit_code=1)
    said("data", "check", photos, "--out", f"{BAD}.gif", exit_code=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kgan.data.load(photos, (16, 16, 3), labels="folders")
    texts = [str(w.message) for w in caught if w.category is KganWarning]
    assert len(texts) >= 2 and all(text.isprintable() for text in texts)


@pytest.mark.parametrize(
    "args",
    [
        *(("info", BAD), ("sample", BAD), ("evaluate", BAD), ("train", BAD), (BAD,)),
        *(("train", f"{BAD}.toml"), ("train", "--from", BAD), ("train", "dcgan", "--data", BAD)),
        *(("train", "dcgan", f"--{BAD}"), ("sample", "dcgan-mnist", "--labels", BAD)),
        *(("sample", "dcgan-mnist", "--out", f"{BAD}.gif"), ("info", f"https://{BAD}/x")),
        *(("sample", "cgan-mnist", "--labels", BAD), ("data", "check", ".", "--box", BAD)),
        *(("sample", "dcgan-mnist", "--truncation", BAD), ("evaluate", ".", "--metrics", BAD)),
        ("evaluate", "dcgan-mnist", "--extractor", BAD, "--images", "2"),
        ("train", "dcgan", "--data", f"tfds:{BAD}"),
        *(("walk", BAD), ("mix", BAD), ("inspect", BAD), ("walk", "dcgan-mnist", "--seeds", BAD)),
        *(("walk", "dcgan-mnist", "--out", f"{BAD}.mp4"), ("mix", "dcgan-mnist", "--layers", BAD)),
    ],
    ids=ascii,
)
def test_arguments(args, photos):
    assert len(said(*args).splitlines()) == 1


def test_recipes(photos):
    """TOML writes what no file name has: in each kind of value, and in keys."""
    escaped = BAD.encode("unicode_escape").decode().replace(r"\x", r"\u00")
    plain = 'format = 1\nname = "x"\nmodel = "DCGAN"\n'
    for more in (
        f'note = "{escaped}"',
        f'"{escaped}" = 1',
        f'[data]\nsource = "{escaped}"',
        f'[arguments]\n"{escaped}" = "{escaped}"',
        f'[g_optimizer]\nname = "{escaped}"',
    ):
        (photos.parent / "x.toml").write_text(f"{plain}{more}\n")
        assert len(said("train", "x.toml", "--data", ".", exit_code=1).splitlines()) == 1
    (photos.parent / "x.toml").write_text(plain)
    text = said("train", "x.toml", "--data", photos, "--size", 16, exit_code=1)
    assert "No preset can hold it" in text and not (photos.parent / "runs").exists()
    (photos.parent / "good").symlink_to(photos)
    labels = ("--labels", "folders", "--out", "run", "--batch-size", 8)
    text = said("train", "cgan", "--data", "good", "--size", 16, *labels, exit_code=1)
    assert "rename its folder" in text and not (photos.parent / "run").exists()


def test_registries(photos):
    said("list", exit_code=0, KGAN_ZOO=f"{photos}/{BAD}")
    said("info", "x", exit_code=1, KGAN_ZOO=f"{photos}/{BAD}")


def test_evaluate(photos, tiny_preset):
    options = ("--images", 8, "--metrics", "kernel_distance", "--seeds", 0)
    text = said("evaluate", tiny_preset, "--data", photos, *options, exit_code=0)
    assert r"photos\x1b[2J" in text
    said("evaluate", photos, "--against", photos, "--size", 16, *options[:4], exit_code=0)
