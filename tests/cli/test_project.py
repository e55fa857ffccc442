"""`kgan project`, and `kgan sample --latents` of what it writes."""

import os
import re
from contextlib import contextmanager

import click.testing
import numpy as np
import pytest
from PIL import ExifTags, Image

import kgan
from kgan import latent_files
from kgan.cli import main
from kgan.data.resize import Rule, resize_image
from kgan.errors import KganError
from kgan.files import sha256
from kgan.images import read_provenance
from kgan.runs import train

COMPOSITE = b"digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
GENERATED = b"digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def styled_preset(tmp_path_factory):
    """The directory of a conditional preset with styles."""
    directory = tmp_path_factory.mktemp("presets") / "styled"
    model = kgan.models.StyleGANLite((16, 16, 3), latent_dim=4, width=2, num_classes=3)
    model.compile()
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="module")
def zoo(tiny_preset, styled_preset):
    """`KGAN_ZOO` with both presets."""
    return f"{tiny_preset.parent}{os.pathsep}{styled_preset.parent}"


@pytest.fixture
def run(zoo, tmp_path, monkeypatch):
    """Runs `kgan *args` in this process, in an empty directory, with the photo `photo.png`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KGAN_ZOO", zoo)
    _photo().save("photo.png")
    return lambda *args: click.testing.CliRunner().invoke(main, [*map(str, args)])


@pytest.fixture(scope="module")
def projected(zoo, tmp_path_factory):
    """A directory with the projections of `photo.png` by both presets, and what was said."""
    place, said = tmp_path_factory.mktemp("projected"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("KGAN_ZOO", zoo)
        _photo().save("photo.png")
        for name in ("tiny", "styled"):
            args = ["project", name, "photo.png", "--steps", "12", "--starts", "2"]
            said[name] = click.testing.CliRunner().invoke(main, args)
            assert said[name].exit_code == 0, said[name].output
    return place, said


def _photo():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    return Image.fromarray(pixels)


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def _halves(path):
    sheet = _pixels(path)
    assert sheet.shape == (20, 38, 3)
    return sheet[2:18, 2:18], sheet[2:18, 20:36]


class TestOutput:
    def test_both_files_are_named_and_alignment_is_spoken_of(self, projected):
        place, said = projected
        assert said["tiny"].stdout == "tiny-projection.png\ntiny-projection.npz\n"
        first, last = said["tiny"].stderr.splitlines()
        assert first.startswith("Nothing was aligned: the center of the photo") and "16x16" in first
        _, facts = latent_files.read(place / "tiny-projection.npz")
        assert f"error {facts['error']:.4f}" in last

    def test_photo_is_left_and_the_latents_draw_what_is_right(self, projected, tiny_preset):
        place, _ = projected
        left, right = _halves(place / "tiny-projection.png")
        np.testing.assert_array_equal(left, resize_image(_photo(), Rule.checked((16, 16, 3))))
        arrays, facts = latent_files.read(place / "tiny-projection.npz")
        assert arrays.keys() == {"latents"} and arrays["latents"].shape == (1, 8)
        model = kgan.zoo.load(tiny_preset)
        np.testing.assert_array_equal(model.render(arrays["latents"])[0], right)
        error = np.square((left.astype(np.float32) - right) / 127.5).mean()
        np.testing.assert_allclose(facts["error"], error, rtol=1e-5)

    def test_picture_says_that_it_is_a_composite(self, projected, tiny_preset):
        picture = projected[0] / "tiny-projection.png"
        facts = read_provenance(picture)
        wanted = {
            "model": "tiny",
            "verb": "project",
            "seed": 0,
            "steps": 12,
            "starts": 2,
            "weights_sha256": sha256(tiny_preset / "model.weights.h5"),
        }
        assert wanted.items() <= facts.items()
        assert "photograph that was given" in facts["shows"]
        content = picture.read_bytes()
        assert COMPOSITE in content and GENERATED not in content

    def test_photo_is_turned_boxed_and_put_on_the_background(self, run):
        pixels = np.zeros((40, 30, 4), np.uint8)
        pixels[:20, :15] = [255, 0, 0, 255]  # what is clear shows the background, white
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6  # a quarter clockwise: the corner is top right
        Image.fromarray(pixels).save("turned.png", exif=exif)
        options = ("--steps", 1, "--starts", 1, "--box", "0.5,0,1,0.75", "--out", "new/x.png")
        assert run("project", "tiny", "turned.png", *options).exit_code == 0
        left, _ = _halves("new/x.png")
        assert (left[:9, 1:-1] == [255, 0, 0]).all() and (left[13:] == 255).all()
        assert latent_files.read("new/x.npz")[1]["box"] == [0.5, 0.0, 1.0, 0.75]

    def test_ctrl_c_writes_the_best_so_far(self, run, monkeypatch):
        @contextmanager
        def interrupted():
            yield [2]

        monkeypatch.setattr(train, "collected_signals", interrupted)
        done = run("project", "tiny", "photo.png", "--steps", 300)
        assert done.exit_code == 130
        assert "Stopped after 10 of 300 steps: this is the best so far" in done.stderr
        facts = read_provenance("tiny-projection.png")
        assert (facts["steps"], facts["stopped_after"]) == (300, 10)
        assert latent_files.read("tiny-projection.npz")[0]["latents"].shape == (1, 8)


class TestStyles:
    @pytest.mark.slow
    def test_the_best_label_is_kept(self, projected):
        arrays, facts = latent_files.read(projected[0] / "styled-projection.npz")
        assert arrays["styles"].shape == (1, 6, 4) and facts["labels"] == arrays["labels"].tolist()
        assert facts["steps"] == 12 and 0 < facts["loss"] < 1

    def test_a_label_is_taken(self, run, monkeypatch):
        def refuse(self, images, steps, features, labels, **options):
            raise KganError(f"asked for {labels}")

        monkeypatch.setattr(kgan.models.StyleGANLite, "project", refuse)
        done = run("project", "styled", "photo.png", "--label", "2")
        assert done.exit_code == 1 and "asked for [2]" in done.stderr

    @pytest.mark.parametrize("engine", ["onnx", "keras"])
    def test_sample_draws_them(self, run, projected, engine):
        npz = projected[0] / "styled-projection.npz"
        _, right = _halves(npz.with_suffix(".png"))
        done = run("sample", "styled", "--latents", npz, "--engine", engine, "--out", "x.png")
        assert done.exit_code == 0, done.output
        again = _pixels("x.png")[2:18, 2:18].astype(int)
        assert np.abs(again - right).max() <= 1 and np.mean(again != right) <= 0.01
        facts = read_provenance("x.png")
        assert facts["latents_sha256"] == sha256(npz) and "seed" not in facts


class TestSampleLatents:
    @pytest.fixture
    def latents(self, run):
        z = kgan.latents.sample_latents(3, 0, 5, 8)
        latent_files.save("z.npz", {}, latents=z)
        return "z.npz"

    @pytest.mark.parametrize("engine", ["onnx", "keras"])
    def test_they_are_drawn_as_those_of_a_seed(self, run, latents, engine):
        options = ("--engine", engine, "--columns", 5, "--out")
        assert run("sample", "tiny", "--latents", latents, *options, "x.png").exit_code == 0
        assert run("sample", "tiny", "-n", 5, "--seed", 3, *options, "y.png").exit_code == 0
        np.testing.assert_array_equal(_pixels("x.png"), _pixels("y.png"))

    def test_other_outputs(self, run, latents):
        assert run("sample", "tiny", "--latents", latents, "--out", "x.npz").exit_code == 0
        assert run("sample", "tiny", "--latents", latents, "--separate").exit_code == 0
        with np.load("x.npz") as file:
            np.testing.assert_array_equal(file["images"][4], _pixels("tiny-samples/latents-4.png"))

    def test_they_are_not_overwritten_by_what_they_draw(self, run, latents):
        before = sha256(latents)
        done = run("sample", "tiny", "--latents", latents, "--out", latents)
        assert done.exit_code == 2 and "another file. Received: the latents" in done.stderr
        assert sha256(latents) == before

    @pytest.mark.parametrize("option", ["-n", "--seed", "--labels"])
    def test_options_in_whose_place_they_stand_are_refused(self, run, latents, option):
        name = "styled" if option == "--labels" else "tiny"
        done = run("sample", name, "--latents", latents, option, "1")
        assert done.exit_code == 2 and f"Expected --latents without {option}" in done.stderr

    @pytest.mark.parametrize(
        "name, arrays, code, message",
        [
            ("tiny", {"latents": np.zeros((2, 4))}, 1, r"Expected latents \(n, 8\)"),
            ("tiny", {"styles": np.zeros((2, 6, 8))}, 1, "Expected latents: DCGAN has no styles"),
            ("styled", {"styles": np.zeros((2, 8, 4))}, 1, r"Expected styles \(n, 6, 4\)"),
            ("styled", {"latents": np.zeros((2, 4))}, 1, "Expected labels beside the latents"),
            (
                "styled",
                {"latents": np.zeros((2, 4)), "labels": np.array([0, 3])},
                1,
                "Expected labels to be an int from 0 to 2",
            ),
            (
                "tiny",
                {"latents": np.zeros((2, 8)), "labels": np.array([0, 0])},
                1,
                "Expected no labels",
            ),
        ],
    )
    def test_files_that_do_not_fit_the_model(self, run, name, arrays, code, message):
        latent_files.save("z.npz", {}, **arrays)
        done = run("sample", name, "--latents", "z.npz", "--out", "x.png")
        assert done.exit_code == code
        assert len(done.stderr.splitlines()) == 1 and re.search(message, done.stderr)

    def test_truncation_is_not_for_styles(self, run):
        latent_files.save("w.npz", {}, styles=np.zeros((1, 6, 4)))
        done = run("sample", "styled", "--latents", "w.npz", "--truncation", 0.5)
        assert done.exit_code == 2 and "--truncation" in done.stderr


@pytest.mark.parametrize(
    "args, code, message",
    [
        (("tiny", "none.png"), 2, "does not exist"),
        (("tiny", "."), 2, "is a directory"),
        (("none", "photo.png"), 1, "Expected"),
        (("tiny", "text.png"), 1, "Expected a picture (.jpg"),
        (("tiny", "photo.png", "--box", "1,2"), 2, "Expected --box"),
        (("tiny", "photo.png", "--box", "0.5,0.5,0.5,0.6"), 2, "Expected --box"),
        (("tiny", "photo.png", "--label", "0"), 2, "unconditional"),
        (("styled", "photo.png", "--label", "0,1"), 2, "Expected --label with one class"),
        (("styled", "photo.png", "--label", "3"), 2, "Expected --label"),
        (("tiny", "photo.png", "--steps", "0"), 2, "--steps"),
        (("tiny", "photo.png", "--starts", "0"), 2, "--starts"),
        (("tiny", "photo.png", "--seed", "-1"), 2, "--seed"),
        (("tiny", "photo.png", "--out", "x.jpg"), 2, "Expected --out with .png"),
        (("tiny", "photo.png", "--out", "text.png/x.png"), 1, "text.png"),
        (("tiny", "photo.png", "--out", "photo.png"), 2, "another file. Received: the photo"),
        (("tiny", "photo.png", "--out", "a/../photo.png"), 2, "another file. Received: the photo"),
        (("tiny", "photo.png", "--out", "images.png"), 2, "images.npz, which is there already"),
    ],
)
def test_bad_input(run, tmp_path, args, code, message):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "images.npz", images=np.zeros((1, 8, 8, 1), np.uint8))
    before = {path: path.is_file() and sha256(path) for path in tmp_path.iterdir()}
    done = run("project", *args)
    assert done.exit_code == code and message in done.stderr
    assert {path: path.is_file() and sha256(path) for path in tmp_path.iterdir()} == before


def test_a_model_that_translates_is_refused_before_anything_is_done(run, monkeypatch):
    monkeypatch.setattr("kgan.zoo.saving.load", None)
    monkeypatch.delenv("KGAN_ZOO")
    done = run("project", "cyclegan-horse2zebra", "photo.png")
    assert done.exit_code == 1 and "kgan translate takes it" in done.stderr
    assert "aligned" not in done.stderr


def test_latents_of_a_search_before_are_replaced(run):
    for seed in (0, 1):
        options = ("--steps", 1, "--starts", 1, "--seed", seed)
        assert run("project", "tiny", "photo.png", "--out", "x.png", *options).exit_code == 0
    assert latent_files.read("x.npz")[1]["seed"] == 1
