"""`kgan walk`."""

import os
import re
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageSequence

import kgan
from kgan.cli import main, walk
from kgan.cli.seeds import Seeds, seeds_text
from kgan.images import enlarge, grid, read_provenance, save_png


def _frames(path):
    with Image.open(path) as picture:
        frames, times = [], []
        for frame in ImageSequence.Iterator(picture):
            frames.append(np.asarray(frame.convert("RGB")))
            times.append(picture.info["duration"])
    return np.stack(frames), times


@pytest.fixture(scope="module")
def ways(vivid_preset):
    """Two images on the way from seed 3 to 4 to 9, as Python has them, which are far apart."""
    return kgan.zoo.sampler(vivid_preset).interpolate([3, 4, 9], frames=7, images=2)


@pytest.fixture
def run(vivid_preset, tmp_path, monkeypatch):
    """Runs `kgan walk *args` in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KGAN_ZOO", str(vivid_preset.parent))
    return lambda *args: CliRunner().invoke(main, ["walk", *map(str, args)])


WAY = ("--seeds", "3,4,9", "--frames", 7)


class TestOutput:
    def test_frames_are_those_of_python(self, run, ways):
        done = run("vivid", *WAY, "-n", 2, "--out", "x.png")
        assert (done.exit_code, done.output) == (0, "x.png\n")
        np.testing.assert_array_equal(_frames("x.png")[0], [grid(pair, 2) for pair in ways])
        facts = read_provenance("x.png")
        wanted = {"verb": "walk", "seeds": [3, 4, 9], "frames": 7, "n": 2, "columns": 2, "fps": 24}
        assert facts.items() >= {**wanted, "model": "vivid", "class": "DCGAN"}.items()

    def test_one_image_has_nothing_around_it(self, run, ways):
        run("vivid", *WAY, "--out", "x.png")
        np.testing.assert_array_equal(_frames("x.png")[0], ways[:, 0])

    @pytest.mark.parametrize("suffix, most", [("webp", 30), ("gif", 40)])
    def test_other_formats(self, run, ways, suffix, most):
        arguments = ("vivid", *WAY, "-n", 2, "--columns", 1, "--scale", 3, "--out", f"x.{suffix}")
        assert run(*arguments).exit_code == 0
        shown, times = _frames(f"x.{suffix}")
        expected = [grid(enlarge(pair, 3, "lanczos"), 1, gap=6) for pair in ways]
        assert shown.shape == np.shape(expected)
        assert np.abs(shown.astype(int) - expected).max() <= most
        assert sum(times) == pytest.approx(7000 / 24, abs=5) and len(set(times)) <= 2

    def test_default_is_a_webp_of_24_frames_a_second(self, run):
        assert run("vivid", "--frames", 3).output == "vivid-walk.webp\n"
        assert sum(_frames("vivid-walk.webp")[1]) == 125

    @pytest.mark.parametrize("before", [[], ["frame-00009.png", "frame-00000.png"]])
    def test_frames_of_their_own(self, run, ways, before):
        for name in before:
            Path("frames").mkdir(exist_ok=True)
            save_png(np.zeros((4, 4, 3), np.uint8), Path("frames", name), {"frame": 9})
        assert run("vivid", *WAY, "--out", "frames/").output == "frames\n"
        paths = sorted(Path("frames").iterdir())
        assert [path.name for path in paths] == [f"frame-{i:05d}.png" for i in range(7)]
        assert os.listdir() == ["frames"]
        for i, path in enumerate(paths):
            with Image.open(path) as picture:
                np.testing.assert_array_equal(np.asarray(picture), ways[i, 0])
            assert read_provenance(path)["frame"] == i

    @pytest.mark.parametrize("out", ["x.webp", "new"])
    def test_interrupt_leaves_nothing(self, run, monkeypatch, out):
        sheets = walk.Frames.__iter__

        def interrupted(self):
            yield from list(sheets(self))[:3]
            raise KeyboardInterrupt

        monkeypatch.setattr(walk.Frames, "__iter__", interrupted)
        assert run("vivid", *WAY, "--out", out).exit_code == 130
        assert os.listdir() == []


def test_classes_and_truncation(style_preset, run):
    arguments = ("--seeds", "1,2", "--frames", 4, "--labels", '"dog, black",cat', "-n", 4)
    assert run(style_preset, *arguments, "--truncation", 0.5, "--out", "x.png").exit_code == 0
    options = {"labels": [1, 1, 0, 0], "truncation": 0.5}
    ways = kgan.zoo.sampler(style_preset).interpolate([1, 2], frames=4, images=4, **options)
    np.testing.assert_array_equal(_frames("x.png")[0], [grid(four, 2) for four in ways])
    assert options.items() <= read_provenance("x.png").items()


def test_one_of_each_class_stands_in_a_row(style_preset, run):
    run(style_preset, "--seeds", "1,2", "--frames", 2, "--labels", "0-2", "--out", "x.png")
    assert _frames("x.png")[0].shape == (2, 20, 3 * 18 + 2, 3)


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("0,7,12", [0, 7, 12]),
        ("0-5,9", [0, 1, 2, 3, 4, 5, 9]),
        ("3,4,2", [3, 4, 2]),
        (f"{2**64 - 1}", [2**64 - 1]),
    ],
)
def test_seeds(text, seeds):
    assert Seeds().convert(text, None, None) == seeds
    assert seeds_text(seeds) == text


@pytest.mark.parametrize(
    "text", ["", "1,", "5-2", "-1", "1.5", "a", "1--2", f"{2**64}", "0-1000", "0-999999999999", "²"]
)
def test_no_seeds(text):
    with pytest.raises(click.BadParameter, match="Expected (at most 1,000 )?seeds"):
        Seeds().convert(text, None, None)


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["vivd"], 1, r"did you mean vivid\?"),
        (["vivid", "--seeds", "3"], 2, "at least two --seeds, .*Received: 1 seeds"),
        (["vivid", "--seeds", "0-9", "--frames", "9"], 2, "as many --frames. Received: 10 seeds"),
        (["vivid", "--seeds", "x"], 2, "Expected seeds, such as 0-5,9. Received: x"),
        (["vivid", "--frames", "1"], 2, "1 is not in the range"),
        (["vivid", "--frames", "100001"], 2, "is not in the range"),
        (["vivid", "--fps", "61"], 2, "a number from 0.1 to 60. Received: 61"),
        (["vivid", "--fps", "nan"], 2, "a number from 0.1 to 60. Received: nan"),
        (["vivid", "--fps", "60", "--out", "x.GIF"], 2, "at most 50 with GIF.*Received: --fps 60"),
        (["vivid", "--out", "x.mp4"], 2, r"\.png, \.webp, \.gif, or a directory.*--out x\.mp4"),
        (["vivid", "--out", "/proc/x.webp"], 1, "that can be written. Received: --out /proc/x"),
        (["vivid", "-n", "1025"], 2, "at most 1024 images"),
        (["vivid", "-n", "1024", "--scale", "64"], 2, "at most 268,435,456 pixels"),
        (["vivid", "-n", "600", "--scale", "2"], 1, "16,383 pixels a side"),
        (["vivid", "--frames", "100000", "--scale", "64", "--out", "x.gif"], 1, "the free memory"),
        (["vivid", "--out", "."], 2, r"that you are not in. Received: --out \."),
        (["vivid", "--columns", "0"], 2, "0 is not in the range"),
        (["vivid", "--labels", "0"], 2, "vivid is unconditional"),
        (["vivid", "--truncation", "0.5", "--frames", "3"], 1, "Expected no truncation: DCGAN has"),
    ],
)
def test_bad_input(run, arguments, code, message):
    """One line on stderr, the right exit code, and nothing written."""
    done = run(*arguments)
    assert done.exit_code == code
    assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
    assert done.stdout == "" and os.listdir() == []


def test_frames_that_pillow_thinks_too_large_are_frames(tmp_path, monkeypatch):
    path = save_png(np.zeros((4, 4, 3), np.uint8), tmp_path / "frame-00000.png", {"frame": 0})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    assert walk._is_frame(path)


@pytest.mark.parametrize(
    "name", ["notes.txt", "frame-1.txt", ".hidden", "seed0-1.png", "frame-00001.png"]
)
def test_directory_of_other_files(run, name):
    """Also of frames that something else has made of a film."""
    Path("mine").mkdir()
    Image.new("RGB", (4, 4)).save(Path("mine", name), "PNG")
    done = run("vivid", "--out", "mine")
    assert done.exit_code == 2 and "new, empty or of frames. Received: --out mine" in done.stderr
    assert os.listdir("mine") == [name]
