"""`kgan translate`."""

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import kgan
from kgan.cli import main, translate
from kgan.data.reading import read_picture
from kgan.data.resize import Rule
from kgan.files import sha256
from kgan.images import grid, read_provenance
from kgan.recipe import Data
from kgan.zoo import preset

TURNED = Image.Exif()
TURNED[0x0112] = 6  # to be turned by a quarter


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where this machine keeps graphs."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def run(cyclegan_preset, pix2pix_preset, cache, tmp_path, monkeypatch):
    """Runs `kgan *args` in this process, in an empty directory that has the presets beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("KGAN_CACHE", cache)
    places = (cyclegan_preset.parent, pix2pix_preset.parent)
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join(map(str, places)))
    return lambda *args: CliRunner().invoke(main, [*map(str, args)])


@pytest.fixture
def photo(run):
    """60 x 40, as it is turned, of an upper half that is red."""
    image = np.zeros((60, 40, 3), np.uint8)
    image[:30] = (255, 40, 40)
    picture = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
    picture.save("photo.jpg", exif=TURNED)
    return Path("photo.jpg")


def test_a_unet_takes_the_part_that_its_recipe_says(pix2pix_preset, cyclegan_preset):
    box = [0.1, 0.2, 0.9, 0.8]
    for path, expected in ((pix2pix_preset, box), (cyclegan_preset, None)):
        recipe = replace(preset.read(path).recipe, data=Data("photos", box=box))
        found = SimpleNamespace(recipe=recipe, translate_size=None)
        model = kgan.zoo.sampler(path)
        for asked, taken in ((None, expected), ([0, 0, 1, 0.5], [0, 0, 1, 0.5])):
            rule = translate.Fit.of(found, model, "a_to_b", None, asked).rule
            assert (rule.box and list(rule.box)) == taken


@pytest.mark.parametrize(
    ("options", "sides", "size"),
    [
        ((), (42, 28), 28),
        (("--size", "20"), (30, 20), 20),
        (("--size", "full"), (60, 40), "full"),
        (("--size", "13", "--box", "0,0,1,0.5"), (13, 17), 13),
    ],
)
def test_any_size(run, photo, cyclegan_preset, options, sides, size):
    """Proportions are kept, as the picture is turned; the pixels are Python's."""
    done = run("translate", "horses", photo, "--out", "x.png", *options)
    assert (done.exit_code, done.output) == (0, "x.png\n")
    box = [0, 0, 1, 0.5] if "--box" in options else None
    given = read_picture(photo, Rule.checked((*sides, 3), "stretch", box=box))
    assert abs(given[0].mean(0) - (255, 40, 40)).max() < 12 or size == 13
    sampler = kgan.zoo.sampler(cyclegan_preset)
    np.testing.assert_array_equal(pixels("x.png"), sampler.translate(given[None])[0, ..., 0])
    facts = read_provenance("x.png")
    assert facts["verb"] == "translate" and facts["direction"] == "a-to-b"
    assert facts["input_sha256"] == sha256(photo) and facts["size"] == size
    assert facts["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert b"newscodes/digitalsourcetype/composite" in Path("x.png").read_bytes()


def test_one_size_alone(run, photo, pix2pix_preset):
    """A U-Net takes the center; transparency is white."""
    Image.open(photo).convert("RGBA").save("clear.png")
    with Image.open("clear.png") as picture:
        picture.putalpha(0)
        picture.save("clear.png")
    done = run("translate", "lines", photo, "--side-by-side", "--size", "32")
    assert (done.exit_code, done.output) == (0, "photo-lines.png\n")
    given = read_picture(photo, Rule.checked((32, 32, 3)))
    sampler = kgan.zoo.sampler(pix2pix_preset)
    both = np.concatenate([given[None], sampler.translate(given[None])])
    np.testing.assert_array_equal(pixels("photo-lines.png"), grid(both, 2))
    facts = read_provenance("photo-lines.png")
    assert facts["side_by_side"] is True and "size" not in facts
    assert (
        run("translate", "lines", "clear.png", "--out", "to/", "--engine", "keras").exit_code == 0
    )
    white = sampler.translate(np.full((1, 32, 32, 3), 255, np.uint8))[0].astype(int)
    assert abs(pixels("to/clear.png") - white).max() <= 1


def test_back_and_side_by_side_of_gray_and_color(run, photo):
    done = run("translate", "horses", photo, "--direction", "b_to_a", "--side-by-side")
    assert done.exit_code == 0 and pixels("photo-horses.png").shape == (46, 62, 3)
    assert read_provenance("photo-horses.png")["direction"] == "b-to-a"


def test_folder(run, photo, monkeypatch):
    """Names are kept; bad files get a line each; memory holds no more than a chunk."""
    Path("in/more").mkdir(parents=True)
    for name in (
        "a.jpg",
        "more/b.jpg",
        "more/b.jpeg",
        "c d.jpg",
        "e.jpg",
        "f.jpg",
        "g.jpg",
        "g.jpg.bmp",
    ):
        Path("in", name).write_bytes(photo.read_bytes())
    Path("in/bad.png").write_bytes(b"nothing")
    Image.new("L", (3, 3)).save("in/small.png")
    Image.new("RGB", (300, 260), "blue").save("in/large.png")
    waiting = []
    real = translate.Fit.read
    monkeypatch.setattr(
        translate.Fit, "read", lambda self, path: waiting.append(path) or real(self, path)
    )
    saved = []
    real_save = translate.images.save_png

    def save(picture, path, facts):
        saved.append(len(waiting))
        real_save(picture, path, facts)

    monkeypatch.setattr(translate.images, "save_png", save)
    done = run("translate", "horses", "in", "--size", "full", "--out", "to")
    assert done.exit_code == 1
    assert done.stdout == "to\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 3, lines
    assert lines[0].startswith("Left out: Expected a picture") and "in/bad.png" in lines[0]
    assert lines[1].startswith("Left out: Expected images of at least 5 pixels")
    assert lines[1].endswith("in/small.png")
    assert lines[2] == "2 of 11 pictures could not be translated"
    found = sorted(path.relative_to("to").as_posix() for path in Path("to").rglob("*.png"))
    expected = ["a.png", "c d.png", "e.png", "f.png", "g.jpg.bmp.png", "g.png", "large.png"]
    assert found == [*expected, "more/b.jpeg.png", "more/b.jpg.png"]
    assert all(read - done < 6 for done, read in enumerate(saved))
    assert pixels("to/large.png").shape == (260, 300)
    np.testing.assert_array_equal(pixels("to/a.png"), pixels("to/more/b.jpg.png"))
    again = run("translate", "horses", "in", "--out", "to")
    assert again.exit_code == 2 and "Expected a new or empty directory" in again.stderr


def test_an_interrupt_leaves_whole_pictures_alone(run, photo, monkeypatch):
    Path("in").mkdir()
    for name in "abcdef":
        Path("in", f"{name}.jpg").write_bytes(photo.read_bytes())
    real = translate.Fit.read

    def read(self, path):
        if path.name == "f.jpg":
            raise KeyboardInterrupt
        return real(self, path)

    monkeypatch.setattr(translate.Fit, "read", read)
    assert run("translate", "horses", "in").exit_code == 130
    made = sorted(Path("in-horses").iterdir())
    assert [path.name for path in made] == ["a.png", "b.png", "c.png", "d.png"]
    assert all(pixels(path).shape == (42, 28) for path in made)


def test_inspect_prints_the_command(run, photo):
    options = ("--direction", "b-to-a", "--size", "full", "--box", "0.1,0,1,0.9", "--side-by-side")
    run("translate", "horses", photo, "--out", "x.png", *options)
    shown = run("inspect", "x.png")
    assert shown.exit_code == 0 and f"Input sha256: {sha256(photo)}" in shown.output
    command = next(line for line in shown.output.splitlines() if line.startswith("  kgan"))
    assert shlex.split(command)[:4] == ["kgan", "translate", "horses", "PICTURE"]
    words = [str(photo) if word == "PICTURE" else word for word in shlex.split(command)[1:]]
    assert run(*words).exit_code == 0
    assert Path("again.png").read_bytes() == Path("x.png").read_bytes()
    verified = run("inspect", "x.png", "--verify")
    assert verified.exit_code == 1 and "takes the picture that was given" in verified.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("horses", "photo.jpg", "--direction", "b-to-c"), 1, "one of 'a_to_b', 'b_to_a'"),
        (("lines", "photo.jpg", "--direction", "b-to-a"), 1, "one of 'a_to_b'."),
        (("lines", "photo.jpg", "--size", "64"), 2, "Pix2Pix translates 32x32 alone"),
        (("lines", "photo.jpg", "--size", "full"), 2, "Pix2Pix translates 32x32 alone"),
        (("horses", "photo.jpg", "--size", "0"), 2, "Expected full, or pixels up to 4,096"),
        (("horses", "photo.jpg", "--size", "2.5"), 2, "Expected full, or pixels"),
        (("horses", "photo.jpg", "--size", "3"), 1, "at least 5 pixels a side"),
        (("horses", "photo.jpg", "--box", "0,0,2,1"), 2, "Expected --box"),
        (("horses", "photo.jpg", "--out", "photo.jpg"), 2, "Expected --out with .png"),
        (("horses", "none.jpg"), 2, "does not exist"),
        (("horses", "text.txt"), 1, "Expected a picture"),
        (("horses", "text.png", "--out", "."), 2, "Expected --out with another file"),
        (("horses", "empty"), 1, "Expected a folder of images.*empty"),
        (("horses", ".", "--out", "new"), 2, "outside of the pictures'"),
        (("horses", ".", "--out", "x.png"), 2, "Expected a new or empty directory"),
        (("horses",), 2, "Missing argument"),
        (("no-such", "photo.jpg"), 1, "Expected the name or the directory of a preset"),
        (("dcgan-mnist", "photo.jpg"), 1, "that translates pictures.*kgan sample"),
    ],
)
def test_bad_input(run, photo, arguments, code, message):
    Path("text.txt").write_text("text")
    Path("text.png").write_text("text")
    Path("empty").mkdir()
    done = run("translate", *arguments)
    assert done.exit_code == code, done.output
    assert done.stderr.count("\n") == 1 and not done.stdout
    assert re.search(message, done.stderr), done.stderr
    assert not any(Path().glob("*-horses*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "horses"),
        ("walk", "horses"),
        ("mix", "horses", "--rows", "0", "--cols", "1"),
        ("project", "horses", "photo.jpg", "--steps", "1"),
    ],
)
def test_verbs_of_latents_name_this_one(run, photo, arguments):
    done = run(*arguments)
    assert done.exit_code == 1 and not done.stdout
    assert "Received: horses, a CycleGAN; kgan translate" in done.stderr.splitlines()[-1]


def test_no_tensorflow(run, photo, cyclegan_preset, cache, run_without_tensorflow):
    kgan.zoo.sampler(cyclegan_preset)  # which makes the graph
    code = (
        "from kgan.cli import main\n"
        f"main(['translate', {str(cyclegan_preset)!r}, 'photo.jpg', '--direction', 'b-to-a'])\n"
    )
    done = run_without_tensorflow(code, cwd=Path(), KGAN_CACHE=cache)
    assert (done.returncode, done.stdout) == (0, "photo-horses.png\n"), done.stderr


def test_info_says_the_size(run):
    assert "Translates at: 28 px" in run("info", "horses").output
    assert "Translates" not in run("info", "lines").output
