"""`kgan train`: its arguments, and a run from end to end."""

import csv
import os
import re

import click.testing
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.cli import main


def _write_images(folder, n):
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n):
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")


@pytest.fixture(scope="module")
def finished(run_python, tmp_path_factory):
    """A short run in a process of its own, and the directory it was started in."""
    cwd = tmp_path_factory.mktemp("train")
    _write_images(cwd / "photos", 40)
    arguments = (
        "train dcgan --data photos --size 16 --batch-size 8 --images 64 "
        "--checkpoint-images 32 --grid-images 32 --out run"
    )
    return run_python("-m", "kgan.cli", *arguments.split(), cwd=cwd), cwd


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs `kgan train *args` in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("KGAN_ZOO", "KGAN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return lambda *args: click.testing.CliRunner().invoke(main, ["train", *map(str, args)])


class TestRun:
    def test_preset_is_printed_and_nothing_else(self, finished):
        done, _ = finished
        assert (done.returncode, done.stdout) == (0, "run/preset\n"), done.stderr

    def test_stderr_holds_progress_only(self, finished):
        done, _ = finished
        line = r"(32|64) of 64 images  .*d_loss .*images/s  0:\d\d left"
        assert [bool(re.fullmatch(line, text)) for text in done.stderr.splitlines()] == [True] * 2

    def test_recipe_is_that_of_the_arguments(self, finished):
        _, cwd = finished
        recipe = recipes.read(cwd / "run/recipe.toml")
        assert (recipe.model, recipe.images, recipe.batch_size) == ("DCGAN", 64, 8)
        assert recipe.arguments["image_shape"] == [16, 16, 3]
        assert recipe.data.source == "photos"

    def test_log_has_a_line_a_checkpoint(self, finished):
        _, cwd = finished
        rows = list(csv.DictReader((cwd / "run/log.csv").open()))
        assert [row["images_seen"] for row in rows] == ["32", "64"]
        assert all(np.isfinite(float(row["g_loss"])) for row in rows)

    @pytest.mark.parametrize(
        "folder, names",
        [
            ("grids", ["images-000000000.png", "images-000000032.png", "images-000000064.png"]),
            ("snapshots", ["images-000000032", "images-000000064"]),
            (
                "checkpoints",
                [
                    "images-000000032.json",
                    "images-000000032.weights.h5",
                    "images-000000064.json",
                    "images-000000064.weights.h5",
                ],
            ),
        ],
    )
    def test_files_are_named_by_the_images_seen(self, finished, folder, names):
        _, cwd = finished
        assert sorted(os.listdir(cwd / "run" / folder)) == names

    def test_grids_are_eight_by_eight(self, finished):
        _, cwd = finished
        with Image.open(cwd / "run/grids/images-000000064.png") as picture:
            assert picture.size == (8 * 18 + 2, 8 * 18 + 2)

    def test_preset_is_the_trained_model(self, finished):
        _, cwd = finished
        model = kgan.zoo.load(cwd / "run/preset")
        assert int(model.images_seen) == 64
        assert model.sample(2, seed=0).shape == (2, 16, 16, 3)

    def test_snapshot_is_a_preset_too(self, finished):
        _, cwd = finished
        assert int(kgan.zoo.load(cwd / "run/snapshots/images-000000032").images_seen) == 32


class TestBadInput:
    """One line on stderr, the right exit code, and nothing written."""

    @pytest.mark.parametrize(
        "arguments, code, message",
        [
            (["dcgan"], 2, "Expected --data with a folder of images or tfds:NAME, to train dcgan"),
            (["dcgan", "--data", "x", "--epochs", 1, "--images", 9], 2, "--epochs or --images"),
            (["dcgan", "--data", "x", "--epochs", 0], 2, "0 is not in the range x>=1"),
            (["dcgan", "--data", "x", "--channels", 4], 2, "'4' is not one of '1', '3'"),
            (["dcgan", "--data", "x", "--data-dir", "none"], 2, "'none' does not exist"),
            (["dcgan", "--data", "nowhere"], 1, "folder of images. Received: nowhere, which does"),
            (["dcgan", "--data", "nowhere", "--size", 17], 1, r"a side among \(16, 28, .*\[17, 17"),
            (["dcgam", "--data", "x"], 1, "Received: 'dcgam'; .*one of gan, dcgan"),
            (["none.toml"], 1, r"Expected a recipe in TOML. Received: none\.toml"),
        ],
    )
    def test_is_refused(self, train, tmp_path, arguments, code, message):
        done = train(*arguments)
        assert done.exit_code == code
        assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
        assert done.stdout == "" and os.listdir(tmp_path) == []

    def test_empty_folder_is_refused(self, train, tmp_path):
        (tmp_path / "photos").mkdir()
        done = train("dcgan", "--data", "photos", "--size", 16)
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: .*Received: photos, which is empty\n", done.stderr)
        assert os.listdir(tmp_path) == ["photos"]

    def test_run_directory_with_files_is_refused(self, train, tmp_path):
        (tmp_path / "run").mkdir()
        (tmp_path / "run/thesis.tex").touch()
        _write_images(tmp_path / "photos", 8)
        done = train("dcgan", "--data", "photos", "--size", 16, "--out", "run")
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: .*run, which is not empty; add --resume .*\n", done.stderr)
        assert os.listdir(tmp_path / "run") == ["thesis.tex"]

    def test_fewer_images_than_a_batch_leave_no_run_behind(self, train, tmp_path):
        _write_images(tmp_path / "photos", 4)
        done = train("dcgan", "--data", "photos", "--size", 16, "--batch-size", 8, "--out", "run")
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: .*batch of 8 images. Received: 4 images.*\n", done.stderr)
        assert os.listdir(tmp_path) == ["photos"]

    def test_recipe_with_a_bad_shape_is_refused(self, train, tmp_path):
        text = 'format = 1\nname = "x"\nmodel = "DCGAN"\n[arguments]\nimage_shape = 64\n'
        (tmp_path / "x.toml").write_text(text)
        done = train("x.toml", "--data", "photos")
        assert done.exit_code == 1
        assert re.fullmatch(r"Error: Expected .*image_shape.*64.*\n", done.stderr)
