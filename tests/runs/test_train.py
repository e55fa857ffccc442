"""Runs: what they write, and that a killed one ends as if it had not been."""

import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.errors import KganWarning
from kgan.files import sha256
from kgan.runs import directory as run_directory
from kgan.runs import train as training
from kgan.runs.callbacks import RunLog
from kgan.zoo import building, opening
from runs.squares import h5_values, recipe, weights


def test_a_run_directory(uninterrupted):
    run = uninterrupted
    assert recipes.read(run / "recipe.toml").name == "squares"
    assert [p.name for p in sorted((run / "grids").iterdir())] == [
        f"images-{n:09d}.png" for n in (0, 64, 128, 160)
    ]
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [int(row["images_seen"]) for row in rows] == list(range(16, 161, 16))
    assert {"seconds", "d_loss", "g_loss", "real_score", "fake_score"} <= set(rows[0])
    if importlib.util.find_spec("matplotlib") is not None:  # an extra
        with Image.open(run / "curves.png") as picture:
            assert picture.size == (840, 420)  # two panels: losses and scores
        assert sha256(run / "preset/curves.png") == sha256(run / "curves.png")
        assert "(curves.png)" in (run / "preset/README.md").read_text()
    assert kgan.zoo.info(run / "preset")["name"] == "squares"
    for preset in (run / "preset", run / "snapshots" / "images-000000128"):
        assert kgan.zoo.load(preset).sample(2, seed=0).shape == (2, 16, 16, 1)
    assert int(kgan.zoo.load(run / "preset").images_seen.numpy()) == 160


def test_the_log_may_gain_and_lack_columns(tmp_path, uninterrupted):
    """Metrics are not computed every time."""
    log = RunLog(tmp_path / "log.csv")
    log.set_model(kgan.zoo.load(uninterrupted / "preset"))
    log.on_train_begin()
    for epoch, metrics in enumerate(({}, {"val_x": 0.5}, {})):
        log.on_epoch_end(epoch, {"d_loss": 1.0, **metrics})
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["val_x"] for row in rows] == ["", "0.5", ""]


def test_twice_the_same_to_the_bit(folder, uninterrupted, tmp_path):
    training.train(recipe(folder), tmp_path / "again")
    assert weights(tmp_path / "again") == weights(uninterrupted)


LONG = 768


def start(folder, run, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe(folder, images=LONG, checkpoint_images=64, grid_images=640).to_toml())
    command = [sys.executable, "-m", "kgan.cli", "train", str(path), "--out", str(run)]
    return subprocess.Popen([*command, "--resume"], stderr=subprocess.PIPE, text=True)


def finish(process):
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return said


def wait_for_new_checkpoint(run, process, after):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = sorted(Path(run).glob("checkpoints/images-*.json"))
        if found and found[-1].name > after:
            return found[-1].name
        time.sleep(0.01)
    raise AssertionError("no checkpoint in 60 s")


@pytest.fixture(scope="module")
def long(folder, tmp_path_factory):
    """An uninterrupted run from the command line."""
    directory = tmp_path_factory.mktemp("long")
    finish(start(folder, directory / "run", directory))
    return directory / "run"


def test_killed_and_resumed_equals_uninterrupted_to_the_bit(folder, long, tmp_path):
    """SIGKILL after a checkpoint; kill_test.py does it often, on the zoo's recipe."""
    killed = tmp_path / "killed"
    process = start(folder, killed, tmp_path)
    newest = wait_for_new_checkpoint(killed, process, after="images-000000000.json")
    time.sleep(0.13)
    process.kill()
    process.wait()
    assert newest < f"images-{LONG:09d}"
    assert "Going on from" in finish(start(folder, killed, tmp_path))
    assert weights(killed) == weights(long)
    assert sha256(killed / "preset/samples.png") == sha256(long / "preset/samples.png")
    seen = [
        int(row["images_seen"])
        for row in csv.DictReader((killed / "log.csv").read_text().splitlines())
    ]
    assert seen == sorted(set(seen)) and seen[-1] == LONG


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_saves_the_step_it_is_at(folder, long, number, tmp_path):
    run = tmp_path / "run"
    process = start(folder, run, tmp_path)
    wait_for_new_checkpoint(run, process, after="")
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 128 + number
    assert "Saved. Go on with: kgan train" in said and "Traceback" not in said
    stopped = max((run / "checkpoints").glob("images-*.json")).name
    assert stopped < f"images-{LONG:09d}"
    seen = kgan.zoo.preset.read(run / "preset").metadata["training"]["images_seen"]
    assert stopped == f"images-{seen:09d}.json" and not opening.has_ended(run)
    if number == signal.SIGINT:
        finish(start(folder, run, tmp_path))
        assert weights(run) == weights(long)
        assert opening.has_ended(run)
        presets = [place / "preset/model.weights.h5" for place in (run, long)]
        assert h5_values(presets[0]) == h5_values(presets[1])


def test_a_run_is_not_overwritten(folder, uninterrupted):
    before = weights(uninterrupted)
    with pytest.raises(ValueError, match="Expected a new directory.*add --resume"):
        training.train(recipe(folder), uninterrupted)
    assert weights(uninterrupted) == before


def test_resume_refuses_another_recipe_and_names_what_changed(folder, uninterrupted):
    with pytest.raises(ValueError, match="seed: 0 there, 1 now"):
        training.train(recipe(folder, seed=1), uninterrupted, resume=True)


def test_override_goes_on_with_another_recipe(folder, uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    longer = recipe(folder, images=176)
    training.train(longer, run, resume=True, override=True)
    assert recipes.read(run / "recipe.toml").images == 176
    assert int(kgan.zoo.load(run / "preset").images_seen.numpy()) == 176


class TestOtherImages:
    @pytest.fixture
    def run(self, folder, uninterrupted, tmp_path):
        """A run of images that may be changed, which has ended."""
        shutil.copytree(folder, tmp_path / "photos")
        return shutil.copytree(uninterrupted, tmp_path / "run")

    @staticmethod
    def go_on(run, images=160, **options):
        recipe_now = recipe(run.parent / "photos", images=images)
        return training.train(recipe_now, run, resume=True, override=True, **options)

    def test_are_refused_and_nothing_of_the_run_is_touched(self, run):
        (run.parent / "photos/new.png").write_bytes((run.parent / "photos/00.png").read_bytes())
        (run / "recipe.toml").write_text(recipe(run.parent / "photos").to_toml())
        before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
        with pytest.raises(ValueError, match=r"--override .*Received: 1 file added \(new.png\)$"):
            training.train(recipe(run.parent / "photos"), run, resume=True)
        assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before

    def test_override_goes_on_with_them(self, run, capsys):
        (run.parent / "photos/00.png").unlink()
        self.go_on(run, 176)
        assert "with other images: 1 file removed (00.png)" in capsys.readouterr().err
        self.go_on(run, 176)
        assert "other images" not in capsys.readouterr().err

    def test_a_run_of_before_notes_them_with_a_line(self, run, capsys):
        (run / "data.json").unlink()
        (run.parent / "photos/00.png").unlink()
        self.go_on(run, 176)
        assert "data.json did not tell" in capsys.readouterr().err
        assert len(json.loads((run / "data.json").read_text())["files"]) == 43


@pytest.mark.parametrize("out", ["run", "a/run", "../photos/run", "../link"])
def test_a_run_among_its_images_is_refused(folder, tmp_path, out):
    shutil.copytree(folder, tmp_path / "photos")
    (tmp_path / "link").symlink_to("photos/run")
    with pytest.raises(ValueError, match="Expected a run directory apart from the images"):
        training.train(recipe(tmp_path / "photos"), tmp_path / "photos" / out)
    assert len(list((tmp_path / "photos").iterdir())) == 44
    held_out = recipe(folder)
    held_out.data.held_out = str(tmp_path / "photos")
    with pytest.raises(ValueError, match="Expected a run directory apart from the images"):
        training.train(held_out, tmp_path / "photos" / out)


def test_images_among_what_the_run_writes_are_refused(uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    with pytest.raises(ValueError, match="Expected a run directory apart from the images"):
        training.train(recipe(run / "grids"), run, resume=True, override=True)


def test_a_run_belongs_to_one_process(folder, uninterrupted):
    before = weights(uninterrupted)
    message = "another process is training"
    with run_directory.locked(uninterrupted), pytest.raises(ValueError, match=message):
        training.train(recipe(folder), uninterrupted, resume=True)
    assert weights(uninterrupted) == before


def test_a_removed_directory_stops_the_run(folder, tmp_path):
    run = tmp_path / "run"

    class Remove(training.RunLog):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 2:
                shutil.rmtree(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "RunLog", Remove)
        with pytest.raises(ValueError, match="Expected to write .*(removed|No such file)"):
            training.train(recipe(folder), run)
    assert not run.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB; skipped where mounting is not permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_the_run_and_its_last_checkpoint_is_whole(folder, small_disk):
    run = small_disk / "run"

    class Fill(training.RunLog):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 2:
                with open(small_disk / "other", "wb", buffering=0) as file:
                    while True:
                        try:
                            file.write(bytes(4096))
                        except OSError:
                            break

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "RunLog", Fill)
        with pytest.raises(ValueError, match="Expected to write .*No space left.*is whole"):
            training.train(recipe(folder, grid_images=10_000), run)
    (small_disk / "other").unlink()
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert [name for name in kept if name.endswith("json")] == [
        "images-000000032.json",
        "images-000000048.json",
    ]
    assert not [name for name in kept if name.startswith("partial")]
    training.train(recipe(folder, grid_images=10_000), run, resume=True)
    assert int(kgan.zoo.load(run / "preset").images_seen.numpy()) == 160


def test_resume_refuses_a_directory_that_is_no_run(folder, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="Expected a run to resume.*no recipe.toml"):
        training.train(recipe(folder), tmp_path, resume=True)


def test_a_place_that_no_preset_could_take_is_refused_first(folder, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    shutil.rmtree(run / "preset")
    (run / "preset").mkdir()
    (run / "preset/thesis.tex").touch()
    with pytest.raises(ValueError, match="which holds other files"):
        training.train(recipe(folder), run, resume=True)


def test_nothing_is_written_for_data_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        training.train(recipe(tmp_path / "none"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model": "StyleGan"}, "Expected a model among.*Received: model = 'StyleGan'"),
        ({"arguments": {"depth": 3}}, "depth"),
        ({"images": 4}, "at least one batch of 8 images. Received: images = 4"),
    ],
)
def test_bad_recipes(changes, message, folder, tmp_path):
    with pytest.raises(ValueError, match=message):
        training.train(recipe(folder, **changes), tmp_path / "run")
    assert not os.path.exists(tmp_path / "run")


def test_epochs_count_whole_batches_of_the_data(folder, tmp_path):
    training.train(recipe(folder), tmp_path / "run", epochs=2)
    assert int(kgan.zoo.load(tmp_path / "run/preset").images_seen.numpy()) == 2 * 40


class TestLength:
    """How long a training is that nobody has said, and what follows its length."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        for name, value in (("EPOCHS", 2), ("LEAST_IMAGES", 40), ("MOST_IMAGES", 120)):
            monkeypatch.setattr(training, name, value)

    @pytest.mark.parametrize("available, images", [(10, 40), (44, 88), (99, 120)])
    def test_unsaid(self, folder, tmp_path, available, images):
        asked = recipe(folder, images=0)
        training._take_length(asked, tmp_path, available, None, None, None)
        assert asked.images == images

    def test_unsaid_goes_on_as_it_began(self, folder, tmp_path):
        begun = recipe(folder, images=96)
        (tmp_path / "recipe.toml").write_text(begun.to_toml())
        asked = recipe(folder, images=0)
        training._take_length(asked, tmp_path, 44, None, None, None)
        assert asked.images == 96

    @pytest.mark.parametrize(
        "asked_for, steps",
        [
            ((320, None, None), 40),
            ((None, None, 4), 40),
            ((80, None, None), 10),
            ((None, 4, None), 20),
        ],
    )
    def test_schedules_follow(self, folder, tmp_path, capsys, asked_for, steps):
        """160 images in batches of 8 fall along 20 steps."""
        asked = recipe(folder)
        training._take_length(asked, tmp_path, 44, *asked_for)
        assert asked.g_optimizer["learning_rate"]["decay_steps"] == steps
        assert (f"decay_steps {steps} in place of 20" in capsys.readouterr().err) == (steps != 20)

    def test_what_a_model_counts_in_images_follows(self, folder, tmp_path):
        for images, decay, expected in ((0, None, 88), (160, 100, 200), (160, None, None)):
            arguments = {"image_shape": [16, 16, 1]} | ({"decay_images": decay} if decay else {})
            asked = recipe(folder, model="R3GAN", images=images, arguments=arguments)
            training._take_length(asked, tmp_path, 44, 320 if images else None, None, None)
            assert asked.arguments.get("decay_images") == expected

    @pytest.mark.parametrize(
        "images, blur, expected", [(0, None, None), (0, 50, 50), (160, 50, 100)]
    )
    def test_a_blur_follows_where_there_is_one(self, folder, tmp_path, images, blur, expected):
        arguments = {"image_shape": [16, 16, 1]} | ({"blur_images": blur} if blur else {})
        asked = recipe(folder, model="StyleGANLite", images=images, arguments=arguments)
        training._take_length(asked, tmp_path, 44, 320 if images else None, None, None)
        assert asked.arguments.get("blur_images") == expected

    def test_a_rate_of_0_for_a_good_part_is_said(self, folder, capsys):
        asked = recipe(folder, images=320)
        training._tell_idle(asked, building.build(asked))
        said = capsys.readouterr().err
        assert re.fullmatch(
            "The learning rate of g_optimizer is below a hundredth of its highest from 1[45]. of "
            "320 images on\n",
            said,
        )
        training._tell_idle(recipe(folder), building.build(asked))
        assert not capsys.readouterr().err


class TestConditional:
    RECIPE = {
        "format": 1,
        "name": "clothes",
        "model": "ConditionalGAN",
        "images": 16,
        "batch_size": 8,
        "grid_images": 16,
        "arguments": {"image_shape": [28, 28, 1], "latent_dim": 4, "width": 2},
        "data": {"source": "tfds:fashion_mnist", "split": "train[:200]"},
    }

    def test_classes_and_their_names_come_from_the_data(self, data_dir, tmp_path):
        recipe = recipes.from_dict(self.RECIPE, "a test")
        preset = training.train(recipe, tmp_path / "run", data_dir=data_dir)
        again = recipes.read(tmp_path / "run" / "recipe.toml")
        assert again.arguments["num_classes"] == 10
        assert again.data.class_names[5:] == ["Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
        assert json.loads((preset / "metadata.json").read_text())["class_names"][7] == "Sneaker"
        assert kgan.zoo.load(preset).sample(2, seed=0, labels=[0, 9]).shape == (2, 28, 28, 1)

    def test_a_folder_has_no_labels_unless_asked(self, folder, tmp_path):
        recipe = recipes.from_dict(self.RECIPE, "a test")
        recipe.data.source = str(folder)
        with pytest.raises(ValueError, match="labelled images, since a ConditionalGAN.*Received"):
            training.train(recipe, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.mark.slow
    def test_a_class_without_a_readable_image_keeps_its_number(self, folder, tmp_path):
        for name in ("a", "b", "c"):
            (tmp_path / "photos" / name).mkdir(parents=True)
        for i, path in enumerate(sorted(folder.iterdir())):
            shutil.copy(path, tmp_path / "photos" / "ab"[i % 2])
        (tmp_path / "photos/c/x.png").touch()
        arguments = {"image_shape": [28, 28, 1], "latent_dim": 4, "width": 2}
        changes = {"arguments": arguments, "data": {"labels": "folders"}}
        recipe = recipes.from_dict({**self.RECIPE, **changes}, "a test")
        recipe.data.source = str(tmp_path / "photos")
        with pytest.warns(KganWarning, match="1 of 45"):
            training.train(recipe, tmp_path / "run")
        again = recipes.read(tmp_path / "run" / "recipe.toml")
        assert again.arguments["num_classes"] == 3
        assert again.data.class_names == ["a", "b", "c"]

    @pytest.fixture
    def pets(self, folder, tmp_path):
        """A recipe of a conditional model and the folder of its three classes."""
        for i, path in enumerate(sorted(folder.iterdir())):
            place = tmp_path / "pets" / "abc"[i % 3]
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        changes = {
            "images": 8,
            "arguments": {"image_shape": [16, 16, 1], "latent_dim": 4, "width": 2},
            "data": {"labels": "folders", "source": str(tmp_path / "pets")},
        }
        return (
            lambda **data: recipes.from_dict(
                {**self.RECIPE, **changes, "data": {**changes["data"], **data}}, "a test"
            ),
            tmp_path / "pets",
        )

    def test_classes_of_the_recipe_are_the_folders(self, pets, tmp_path):
        """By name: one that is gone, one that has come, and both, on resume too."""
        recipe, folder = pets
        training.train(recipe(), tmp_path / "run")
        resolved = tmp_path / "run/recipe.toml"
        shutil.copytree(folder / "b", folder / "d")
        for again in (recipes.read(resolved), recipe()):
            for options in ({}, {"override": True}):
                with pytest.raises(ValueError, match="pictures of d, which the recipe does not"):
                    training.train(again, tmp_path / "run", resume=True, **options)
        shutil.rmtree(folder / "b")
        with pytest.raises(ValueError, match="no pictures of b and pictures of d, which"):
            training.train(recipes.read(resolved), tmp_path / "other")
        assert not (tmp_path / "other").exists()
        (folder / "d").rename(folder / "b")
        training.train(recipe(), tmp_path / "run", resume=True)

    def test_a_class_that_is_all_held_out_is_refused(self, pets, tmp_path):
        recipe, folder = pets
        shutil.rmtree(folder / "b")
        (folder / "b").mkdir()
        Image.new("L", (16, 16), 99).save(folder / "b/test-0.png")
        with pytest.raises(ValueError, match="Received: no pictures of b"):
            training.train(recipe(held_out={"names": "test-*"}), tmp_path / "run")

    @pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\u202eevil"])
    def test_a_name_that_no_preset_can_hold_is_refused_first(self, pets, tmp_path, name):
        recipe, folder = pets
        (folder / "b").rename(folder / name)
        with pytest.raises(ValueError, match="names of classes on one line.*rename its folder"):
            training.train(recipe(), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.mark.slow
    def test_classes_of_other_data_are_not_kept(self, pets, tmp_path):
        made = pets[0]()
        made.arguments["num_classes"] = 10  # such as of the zoo's recipe, whose data was replaced
        with pytest.warns(KganWarning, match="gets 3 classes, which there are, in place of 10"):
            training.train(made, tmp_path / "run")
        assert kgan.zoo.info(tmp_path / "run/preset")["num_classes"] == 3
        made = pets[0]()
        made.arguments["num_classes"] = 10
        training.train(made, tmp_path / "run", resume=True)

    def test_too_few_classes_are_refused(self, pets, tmp_path):
        made = pets[0]()
        made.arguments["num_classes"] = 2
        with pytest.raises(ValueError, match="num_classes of at least 3.*num_classes = 2"):
            training.train(made, tmp_path / "run")


def test_a_preset_over_the_limit_of_size_is_said_once_and_first(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", "0")
    with pytest.warns(KganWarning, match="KGAN_MOST_WEIGHTS=1$") as said:
        training.train(recipe(folder, images=16), tmp_path / "run")
    assert len([w for w in said if "KGAN_MOST_WEIGHTS" in str(w.message)]) == 1
    model = kgan.zoo.load(tmp_path / "run/preset")  # a directory, for which it does not hold
    with pytest.warns(KganWarning, match="KGAN_MOST_WEIGHTS=1$"):
        model.save_to_preset(tmp_path / "p")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"note": "\x1b[2J"}, "without control characters.*No preset can hold it"),
        ({"name": "a\u202eb"}, "without control characters"),
        ({"note": "x" * 300_000}, "at most 262,144 bytes"),
        ({"seed": 1 << 60}, "Expected seed to be an int from 0 to 4,294,967,295. Received: seed="),
        ({"g_optimizer": {"name": "Adam", "learning_rate": -1e-3}}, "learning_rate of g_optimizer"),
        ({"d_optimizer": {"name": "Adam", "learning_rate": float("nan")}}, "of d_optimizer"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_a_picture_is_read(
    folder, tmp_path, monkeypatch, change, message
):
    monkeypatch.setattr("kgan.data.parts.load_training", lambda *args: pytest.fail("was read"))
    with pytest.raises(ValueError, match=message):
        training.train(recipe(folder, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()
