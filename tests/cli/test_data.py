"""`kgan data check`."""

import os
import re

import click.testing
import numpy as np
import pytest
from PIL import Image

from kgan.cli import main
from kgan.images import read_provenance


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs `kgan data check *args` in this process, beside a folder `photos` of 30 images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KGAN_DATA_DIR", raising=False)
    for i in range(30):
        path = tmp_path / "photos" / ("cat" if i < 10 else "dog") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB" if i else "L", (40 + i, 20), 7 if i == 0 else (i, i, i)).save(path)
    (tmp_path / "photos/dog/broken.jpg").touch()
    (tmp_path / "photos/film.mov").touch()
    return lambda *args: click.testing.CliRunner().invoke(main, ["data", "check", *map(str, args)])


def test_report(check):
    done = check("photos", "--size", 16, "--labels", "folders")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.sub("up to .* in", "up to ? in", done.stdout) == (
        "Images:   30 of 31 image files in photos\n"
        "Become:   16x16x3, cropped at the center, over white\n"
        "Sizes:    smallest 40x20, median 55x20, largest 69x20\n"
        "Formats:  PNG 30\n"
        "Modes:    RGB 29, L 1\n"
        "Copies:   1 equal to an earlier image\n"
        "Classes:  2: cat 10, dog 20\n"
        "Ignored:  1 other files: .mov 1\n"
        "Memory:   23.0 kB, and up to ? in reading\n"
        "Skipped:  1 (3.23%)\n"
        "          dog/broken.jpg: empty file\n"
    )


@pytest.mark.parametrize(
    "out, path",
    [("sheet.png", "sheet.png"), ("new/sheet.png", "new/sheet.png"), ("new", "new/data.png")],
)
def test_sheet(check, out, path):
    done = check("photos", "--size", 16, "--resize", "pad", "--background", "red", "--out", out)
    assert done.exit_code == 0 and done.stdout.endswith(f"Sheet:    {path}\n")
    with Image.open(path) as picture:
        assert picture.size == (6 * 18 + 2, 5 * 18 + 2)
        first = np.asarray(picture)[2:18, 2:18]
    assert (first[0] == (255, 0, 0)).all() and (first[8] == 7).all()
    assert read_provenance(path) is None  # no model made it


def test_fit_is_resize_with_a_warning(check):
    done = check("photos", "--size", 16, "--fit", "pad")
    assert (done.exit_code, done.stdout) == (0, check("photos", "--resize=pad", "--size=16").stdout)
    assert done.stderr.splitlines() == [
        "Warning: --fit is now --resize; the old name goes in the next version"
    ]
    assert "--fit" not in check("--help").stdout


def test_nothing_is_written_unless_asked(check):
    check("photos", "--size", 16)
    assert os.listdir() == ["photos"]


def test_too_many_unreadable_files_are_all_named(check, tmp_path):
    for i in range(20):
        (tmp_path / f"photos/x{i:02d}.png").touch()
    done = check("photos", "--size", 16)
    assert done.exit_code == 1
    assert all(f"          x{i:02d}.png: empty file\n" in done.stdout for i in range(20))
    assert re.fullmatch(r"Error: Expected at most 5% .*Received: 21 of 51 .*\n", done.stderr)


def test_folder_in_the_data_directory(check, tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_DATA_DIR", str(tmp_path / "photos"))
    assert check("cat", "--size", 16).stdout.startswith("Images:   10 of 10 image files in ")


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ([], 2, "Missing argument 'FOLDER'"),
        (["photos", "--size", 0], 2, "0 is not in the range x>=1"),
        (["photos", "--resize", "zoom"], 2, "'zoom' is not one of"),
        (["photos", "--out", "x.jpg"], 2, r"--out with \.png. Received: --out x\.jpg"),
        (["nowhere"], 1, "a folder of images. Received: nowhere, which does not exist"),
        (["photos/film.mov"], 1, r"Received: the file photos/film\.mov"),
        (["photos", "--background", "whitish"], 1, "a color such as .*'whitish'"),
        (["photos", "--out", "photos"], 2, r"apart from the images.*photos/data\.png"),
        (["photos", "--out", "photos/dog/new/x.png"], 2, "apart from the images"),
    ],
)
def test_bad_input(check, arguments, code, message):
    done = check(*arguments)
    assert done.exit_code == code and done.stdout == ""
    assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
    assert os.listdir() == ["photos"]


def test_without_a_verb_help_is_shown():
    done = click.testing.CliRunner().invoke(main, ["data"])
    assert done.exit_code == 2 and "check  Read every image in FOLDER" in done.output


def test_does_without_tensorflow(run_python, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "photos/x.png")
    code = (
        "import sys; from kgan.cli import main; "
        "main(['data', 'check', 'photos'], standalone_mode=False); "
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Images:   1 of 1 image files in photos\n")


class TestTwoKinds:
    @pytest.fixture
    def kinds(self, check, tmp_path):
        for folder, shade in (("a", 0), ("b", 100)):
            (tmp_path / folder).mkdir()
            for i in range(10):
                Image.new("RGB", (20, 20), (shade, i, i)).save(tmp_path / folder / f"{i}.png")
        (tmp_path / "b/9.png").unlink()
        return check

    def test_pairs_stand_side_by_side(self, kinds, tmp_path):
        sizes = ("--size", 16, "--channels", 1, "--target-channels", 3)
        done = kinds("a", "--target", "b", *sizes, "--out", "data.png")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("Pairs:    9 by file name\nAlone:    1 (9.png) in a\n")
        assert "Become:   16x16x1," in done.stdout and "Become:   16x16x3," in done.stdout
        with Image.open(tmp_path / "data.png") as picture:
            assert picture.size == (8 * 18 + 2, 3 * 18 + 2) and picture.mode == "RGB"
            assert picture.getpixel((2 + 18, 2)) == (100, 0, 0)

    def test_kinds_that_are_not_paired_and_halves(self, kinds):
        done = kinds("a", "--target", "b", "--paired", "no")
        assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "Kinds:    10 of a and 9 of b")
        done = kinds("a", "--paired", "halves")
        line = "Pairs:    10 of two halves, the left one a"
        assert (done.exit_code, done.stdout.splitlines()[0]) == (0, line)

    def test_refused(self, kinds, tmp_path):
        done = kinds("a", "--target", "photos/cat")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: Expected pictures of the same names, but for their")
        assert kinds("a", "--target", "b", "--labels", "folders").exit_code == 2
        assert kinds("a", "--target-channels", 3).exit_code == 2
        (tmp_path / "b/3.png").write_bytes(b"")
        done = kinds("a", "--target", "b")
        assert done.exit_code == 1 and "1 of 9 image files cannot be decoded" in done.stderr
        Image.new("RGB", (20, 30)).save(tmp_path / "b/3.png")
        done = kinds("a", "--target", "b")
        assert done.exit_code == 1 and "Received: 1 (3.png, 20x20 and 20x30)" in done.stderr
