"""`kgan train`: its arguments, and a run from end to end."""

import csv
import json
import os
import re

import click.testing
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.cli import main
from kgan.cli.train import _held_out
from kgan.images import read_provenance


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

    def test_stderr_holds_the_report_the_devices_and_progress_only(self, finished):
        done, cwd = finished
        report = (cwd / "run/data.txt").read_text()
        assert report.startswith("Images:   40 of 40 image files in photos\n")
        report += "Training on 1 CPU\n"
        assert done.stderr.startswith(report)
        line = r"(32|64) of 64 images  \d+ images/s  0:\d\d left  d_loss .*  real_score .*"
        progress = done.stderr.removeprefix(report).splitlines()
        assert [bool(re.fullmatch(line, text)) for text in progress] == [True] * 2

    def test_sheet_shows_the_images(self, finished):
        _, cwd = finished
        with Image.open(cwd / "run/data.png") as picture:
            assert picture.size == (7 * 18 + 2, 6 * 18 + 2)
            corner = np.asarray(picture)[2:18, 2:18]
        np.testing.assert_array_equal(corner, np.asarray(Image.open(cwd / "photos/00.png")))
        assert read_provenance(cwd / "run/data.png") is None  # no model made it

    def test_recipe_is_that_of_the_arguments(self, finished):
        _, cwd = finished
        recipe = recipes.read(cwd / "run/recipe.toml")
        assert (recipe.model, recipe.images, recipe.batch_size) == ("DCGAN", 64, 8)
        assert recipe.arguments["image_shape"] == [16, 16, 3]
        assert recipe.data.source == "photos"
        text = (cwd / "run/recipe.toml").read_text()
        assert not re.search("^(fit|resize|background|labels) =", text, re.MULTILINE)

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

    def test_says_which_code_ran(self, finished):
        _, cwd = finished
        noted = json.loads((cwd / "run/versions.json").read_text())
        metadata = json.loads((cwd / "run/preset/metadata.json").read_text())
        assert noted[0].pop("threads") >= 1
        assert noted == [{"images_seen": 0, **metadata["versions"]}]
        assert noted[0]["kgan"] == kgan.__version__
        card = (cwd / "run/preset/README.md").read_text()
        commit = noted[0].get("commit")
        assert f"kgan {kgan.__version__}" + (f" (commit {commit})" if commit else "") + "," in card

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
            (["dcgan", "--data", "nowhere", "--size", 17], 1, r"a side among 16, 28, .*\[17, 17"),
            (["dcgam", "--data", "x"], 1, "Received: 'dcgam'; .*one of cgan, cyclegan, dcgan"),
            (["dcgan", "--data", "x", "--resize", "zoom"], 2, "'zoom' is not one of 'crop', 'pad'"),
            (["dcgan", "--data", "x", "--labels", "x"], 2, "'x' is not 'folders'"),
            (
                ["dcgan", "--data", "x", "--background", "whitish"],
                1,
                "background to be a color .*'whitish'",
            ),
            (
                ["cgan", "--data", "tfds:mnist", "--labels", "folders"],
                1,
                "labels with a folder of images only. Received: labels='folders' with tfds:mnist",
            ),
            (
                ["dcgan", "--data", "tfds:mnist", "--cache", "x.cache"],
                1,
                "cache with a folder of images only. Received: cache='x.cache' with tfds:mnist",
            ),
            (
                ["dcgan", "--data", "x", "--box", "1,2,3"],
                2,
                "Expected --box with .*Received: 1,2,3",
            ),
            (["dcgan", "--data", "x", "--box", "15,40,163,188"], 2, "fractions.*Received: 15,40,"),
            (["dcgan", "--data", "x", "--box", "a,b,c,d"], 2, "Expected --box .*Received: a,b,c,d"),
            (["none.toml"], 1, r"Expected a recipe in TOML. Received: none\.toml"),
        ],
    )
    def test_is_refused(self, train, tmp_path, arguments, code, message):
        done = train(*arguments)
        assert done.exit_code == code
        assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
        assert done.stdout == "" and os.listdir(tmp_path) == []

    @pytest.mark.parametrize(
        "text, expected",
        [
            ("0.25", {"share": 0.25}),
            (".25", {"share": 0.25}),
            ("25%", {"share": 0.25}),
            ("test", "test"),
            ("tfds:mnist#test", "tfds:mnist#test"),
        ],
    )
    def test_held_out_of_an_option(self, text, expected):
        assert _held_out(text) == expected

    @pytest.mark.parametrize("share", ["0", "1", "100%", "1.5"])
    def test_share_that_is_none(self, train, tmp_path, share):
        _write_images(tmp_path / "photos", 8)
        done = train("dcgan", "--data", "photos", "--size", 16, "--held-out", share)
        assert done.exit_code == 1 and "share of held_out in a recipe to be a number" in done.stderr

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


class TestOptionsOfData:
    @pytest.fixture
    def pets(self, tmp_path):
        for i in range(24):
            path = tmp_path / "pets" / ("dog", "cat", "T-shirt top")[i % 3] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGBA", (40, 20), (i, i, i, 255 * (i % 2))).save(path)
        (tmp_path / "pets/cat/broken.jpg").touch()
        return tmp_path / "pets"

    def test_go_into_the_recipe_and_the_preset(self, train, pets, tmp_path):
        text = (
            "cgan --data pets --labels folders --size 16 --resize pad --background #010203 "
            "--batch-size 8 --images 16 --checkpoint-images 16 --grid-images 16 "
            "--cache pets.cache --out run"
        )
        arguments = text.split()
        done = train(*arguments)
        assert done.exit_code == 0, done.stderr
        recipe = recipes.read(tmp_path / "run/recipe.toml")
        data = recipe.data
        assert (data.resize, data.background, data.labels) == ("pad", "#010203", "folders")
        assert data.class_names == ["T-shirt top", "cat", "dog"]
        assert recipe.arguments["num_classes"] == 3
        report = (tmp_path / "run/data.txt").read_text()
        assert "Classes:  3: T-shirt top 8, cat 8, dog 8" in report
        assert "cat/broken.jpg: empty file" in report and "pets.cache" in report
        assert "Skipped: 1 of 25 image files" in done.stderr and report in done.stderr
        with Image.open(tmp_path / "run/data.png") as picture:
            assert picture.getpixel((2, 2)) == (1, 2, 3)
        # Done again, with the cache, it is the same run.
        assert train(*arguments, "--resume").exit_code == 0
        changed = train(*arguments[:-2], "--out", "run", "--resume", "--resize", "crop")
        assert changed.exit_code == 1 and re.search("data: .*'pad'.* there.*'crop'", changed.stderr)
        sample = click.testing.CliRunner().invoke(
            main, ["sample", "run/preset", "--labels", "dog,T-shirt top", "--out", "x.png"]
        )
        assert sample.exit_code == 0, sample.output

    @pytest.mark.parametrize(
        "line, message",
        [
            ('held_out = "pets/dog"', r"dog/\d+\.png, held out, .*are the same, and 7 more pairs"),
            ('held_out = "nowhere"', "Received: nowhere, which does not exist"),
            ('held_out = {names = "*.jpeg"}', "some of the files of 'pets'. Received: none of 25"),
            ("held_out = {share = 0}", "share of held_out .* between 0 and 1. Received: 0"),
            ('extractor = "eyes"', "Expected 'digits', .*'heroes'.* Received: 'eyes'"),
            ("box = [0, 0, 1, 0]", "Expected box = .*Received: .0, 0, 1, 0."),
            ('classes = {bird = "bird"}', "sub-folders of the source: .*Received: bird in"),
            ('source = ["pets", "pets/cat"]', "Expected folders that share no images"),
        ],
    )
    def test_bad_descriptions_of_data_are_refused_before_training(
        self, train, pets, tmp_path, line, message
    ):
        source = "" if line.startswith("source") else 'source = "pets"\n'
        (tmp_path / "x.toml").write_text(
            'format = 1\nname = "x"\nmodel = "DCGAN"\nimages = 8\nbatch_size = 8\n'
            f'[arguments]\nimage_shape = [16, 16, 1]\n[data]\nlabels = "folders"\n{source}{line}\n'
        )
        done = train("x.toml", "--out", "run")
        assert done.exit_code == 1
        assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
        assert not (tmp_path / "run").exists()

    def test_what_describes_the_recipes_data_does_not_describe_others(
        self, train, tmp_path, monkeypatch
    ):
        text = (
            'format = 1\nname = "x"\nmodel = "DCGAN"\nimages = 8\nbatch_size = 8\n'
            'select = "kernel_distance"\n[arguments]\nimage_shape = [16, 16, 1]\nwidth = 2\n'
            '[data]\nsource = "faces"\nsplit = "test"\nbox = [0.25, 0, 0.75, 1]\nflip = true\n'
            'held_out = {share = 0.5}\nextractor = "faces"\ntitle = "Faces"\nlabels = "folders"\n'
            "[data.classes]\na = 'A'\n"
        )
        (tmp_path / "x.toml").write_text(text)
        trained = []
        monkeypatch.setattr(
            "kgan.runs.train.train", lambda recipe, *more: trained.append(recipe) or "run/preset"
        )
        assert train("x.toml", "--data", "pets", "--resize", "pad").exit_code == 0
        done = train("x.toml", "--data", "pets", "--fit=pad")
        assert trained[-1] == trained[-2] and trained[-1].data.resize == "pad"
        assert done.stderr.startswith("Warning: --fit is now --resize;")
        assert done.stderr.count("\n") == 1
        for option, box in (
            ([], []),
            (["--box", "recipe"], [0.25, 0.0, 0.75, 1.0]),
            (["--box", "0,0.5,1,1"], [0.0, 0.5, 1.0, 1.0]),
        ):
            assert train("x.toml", "--data", "pets", *option).exit_code == 0
            assert trained[-1].data == recipes.Data("pets", flip=True, box=box)
            assert not trained[-1].select
        assert train("x.toml").exit_code == 0
        assert trained[-1] == recipes.from_toml(text)

    def test_resize_and_background_stay_with_other_data(self, train, pets, tmp_path):
        text = (
            'format = 1\nname = "x"\nmodel = "DCGAN"\nimages = 8\nbatch_size = 8\n'
            "[arguments]\nimage_shape = [16, 16, 1]\nwidth = 2\n"
            '[data]\nsource = "tfds:none"\nresize = "stretch"\nbackground = "black"\n'
        )
        (tmp_path / "x.toml").write_text(text)
        done = train("x.toml", "--data", "pets", "--out", "run")
        assert done.exit_code == 0, done.stderr
        assert "Become:   16x16x1, stretched, over black" in done.stderr


def test_a_recipe_of_other_proportions_keeps_them(tmp_path, monkeypatch):
    """A recipe of 16 x 28 pixels is trained so; --size makes them square."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def train(recipe, directory, *more):
        seen.append((recipe.arguments["image_shape"], str(directory)))
        return directory

    monkeypatch.setattr("kgan.runs.train.train", train)
    made = recipes.Recipe("../../somewhere", "GAN", 64, arguments={"image_shape": [16, 28, 1]})
    made.data.source = "photos"
    (tmp_path / "r.toml").write_text(made.to_toml())
    invoke = click.testing.CliRunner().invoke
    for options in ([], ["--size", "28"], ["--channels", "3"]):
        done = invoke(main, ["train", "r.toml", *options])
        assert done.exit_code == 0, done.output
    runs = "runs/somewhere"
    assert seen == [([16, 28, 1], runs), ([28, 28, 1], runs), ([16, 28, 3], runs)]


@pytest.mark.parametrize(
    "out, again", [("dcgan-mnist", "./dcgan-mnist"), ("./-x", "./-x"), ("runs/a b", "'runs/a b'")]
)
def test_what_it_goes_on_with_is_the_run(train, tmp_path, monkeypatch, out, again):
    """Though a preset is called as its directory is."""

    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("kgan.runs.train.Interrupted", KeyboardInterrupt)
    monkeypatch.setattr("kgan.runs.train.train", stopped)
    done = train("dcgan-mnist", "--out", out)
    assert f"Go on with: kgan train {again}\n" in done.stderr


def test_a_file_in_the_place_of_the_run_is_refused_before_anything_is_read(train, tmp_path):
    (tmp_path / "taken").touch()
    done = train("dcgan", "--data", "nowhere", "--size", 16, "--out", "taken")
    assert done.exit_code == 1
    assert done.stderr == "Error: Expected a directory for the run. Received: taken, a file\n"


def test_held_out_images_are_measured_against(train, tmp_path):
    """From a folder to figures, with nothing but the command line."""
    _write_images(tmp_path / "photos", 40)
    options = ("--size", 16, "--batch-size", 8, "--images", 8, "--out", "~/v1.0")
    home = {"HOME": str(tmp_path)}
    arguments = ["train", "dcgan", "--data", "~/photos", "--held-out", "0.25", *options]
    runner = click.testing.CliRunner()
    done = runner.invoke(main, list(map(str, arguments)), env=home)
    assert done.exit_code == 0, done.stderr
    run = tmp_path / "v1.0"
    recipe = recipes.read(run / "recipe.toml")
    assert recipe.data.held_out == {"share": 0.25} and recipe.data.source == "~/photos"
    options = ["--metrics", "precision_recall", "--seeds", "0", "--json", "~/e.json"]
    done = runner.invoke(main, ["evaluate", "~/v1.0/preset", *options], env=home)
    assert done.exit_code == 0, done.stderr
    recall = next(
        r for r in json.loads((tmp_path / "e.json").read_text()) if r["metric"] == "recall"
    )
    assert recall["split"] == "held-out" and "held-out pictures" in recall["places"]
    assert not (tmp_path / "~").exists()


class TestTwoKinds:
    """What is refused, and what becomes of a recipe; runs are in tests/runs."""

    @pytest.fixture
    def recipe_of(self, train, tmp_path, monkeypatch):
        """The recipe that `kgan train *args` would train, beside folders a and b."""
        for folder in "ab":
            _write_images(tmp_path / folder, 4)
        monkeypatch.setattr("kgan.runs.train.train", lambda recipe, *args: given.append(recipe))
        given = []

        def recipe_of(*args):
            done = train(*args)
            assert done.exit_code == 0, done.output
            return given.pop()

        return recipe_of

    def test_options(self, recipe_of):
        recipe = recipe_of("pix2pix", "--data", "a", "--target", "b", "--held-out", "0.1")
        assert (recipe.data.source, recipe.data.target) == ("a", "b")
        assert recipe.data.held_out == {"share": 0.1} and recipe.batch_size == 16
        held_out = ("--held-out", "c", "--held-out-target", "d", "--target-channels", 1)
        recipe = recipe_of("cyclegan", "--data", "a", "--target", "b", *held_out)
        assert (recipe.data.held_out, recipe.data.held_out_target) == ("c", "d")
        assert recipe.arguments["target_channels"] == 1 and recipe.batch_size == 4

    def test_data_replaces_what_names_the_pictures(self, recipe_of, tmp_path):
        data = recipes.Data("x", flip=True, target="y", paired="no", box=[0, 0, 1, 0.5])
        data.held_out, data.held_out_target, data.background = "z", "w", "black"
        recipe = recipes.Recipe("mine", "CycleGAN", data=data)
        (tmp_path / "mine.toml").write_text(recipe.to_toml())
        received = recipe_of("mine.toml", "--data", "a", "--target", "b").data
        assert received == recipes.Data("a", flip=True, background="black", target="b")
        received = recipe_of("mine.toml", "--data", "a").data
        assert received == recipes.Data("a", flip=True, background="black")

    @pytest.mark.parametrize(
        "args, code, message",
        [
            (("pix2pix", "--target", "b"), 2, "--target beside --data"),
            (("pix2pix",), 2, "Expected --data"),
            (("pix2pix", "--data", "a", "--held-out-target", "b"), 2, "beside --held-out"),
            (("dcgan", "--data", "a", "--target", "b"), 1, "since a DCGAN makes images of latents"),
            (("pix2pix", "--data", "tfds:mnist"), 1, "images of two kinds for a Pix2Pix"),
            (("pix.toml", "--data", "a", "--target", "c"), 1, "c, which does not exist"),
            (("pix.toml", "--data", "a", "--target", "empty"), 1, "empty, which is empty"),
            (("cycle.toml", "--data", "a", "--target", "a"), 1, "a twice"),
            (("cycle.toml", "--data", "a", "--target", "b", "--batch-size", 5), 1, "batch of 5"),
            (("pix2pix", "--data", "a", "--target", "b", "--labels", "folders"), 1, "labels"),
            (("pix2pix", "--data", "a", "--labels", "folders"), 1, "labels"),
            (
                ("pix2pix", "--data", "a", "--target", "b", "--held-out", "a/x"),
                1,
                "held_out_target in a recipe to be given where target is",
            ),
        ],
    )
    def test_refused_in_one_line(self, train, tmp_path, args, code, message):
        for folder in "ab":
            _write_images(tmp_path / folder, 4)
        (tmp_path / "empty").mkdir()
        for name, model, side in (("pix", "Pix2Pix", 32), ("cycle", "CycleGAN", 20)):
            arguments = {"image_shape": [side, side, 3], "width": 2}
            recipe = recipes.Recipe(name, model, images=8, arguments=arguments)
            (tmp_path / f"{name}.toml").write_text(recipe.to_toml())
        done = train(*args)
        assert (done.exit_code, done.stdout) == (code, "")
        lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1 and message in lines[0], done.stderr
