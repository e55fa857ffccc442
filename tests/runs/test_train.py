"""Runs: what they write, and that a killed one ends as if it had not been."""

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.runs import directory as run_directory
from kgan.runs import selection
from kgan.runs import train as training
from kgan.runs.callbacks import RunLog
from kgan.errors import KganWarning
from kgan.metrics import protocol
from kgan.files import sha256

RECIPE = {
    "format": 1,
    "name": "squares",
    "model": "DCGAN",
    "images": 160,
    "batch_size": 8,
    "checkpoint_images": 16,
    "grid_images": 64,
    "arguments": {
        "image_shape": [16, 16, 1],
        "latent_dim": 4,
        "width": 4,
        "augment": {"name": "DiffAugment", "transforms": ["translation"]},
    },
    "data": {"flip": True},
    "g_optimizer": {
        "name": "Adam",
        "beta_1": 0.5,
        "learning_rate": {
            "name": "CosineDecay",
            "initial_learning_rate": 1e-3,
            "decay_steps": 20,
        },
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """44 images in batches of 8: an epoch ends amid the run, and leaves a remainder."""
    folder = tmp_path_factory.mktemp("squares")
    random = np.random.default_rng(0)
    for i in range(44):
        pixels = np.zeros((16, 16), "uint8")
        top, left = random.integers(0, 10, 2)
        pixels[top : top + 6, left : left + 6] = 255
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


def recipe(folder, **changes):
    recipe = recipes.from_dict({**RECIPE, **changes}, "a test")
    recipe.data.source = str(folder)
    return recipe


def weights(run):
    newest = max((run / "checkpoints").glob("images-*.h5"))
    return newest.name, h5_values(newest)


def h5_values(path):
    import h5py

    values = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                values.update({name: item[()].tobytes()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return values


@pytest.fixture(scope="module")
def uninterrupted(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    preset = training.train(recipe(folder), run)
    assert preset == run / "preset"
    return run


def test_a_run_directory(uninterrupted):
    run = uninterrupted
    assert recipes.read(run / "recipe.toml").name == "squares"
    assert [p.name for p in sorted((run / "grids").iterdir())] == [
        f"images-{n:09d}.png" for n in (0, 64, 128)
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


LONG = 1920


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
    """SIGKILL twice, each after a new checkpoint; kill_test.py does it on the zoo's recipe."""
    killed = tmp_path / "killed"
    newest = ""
    for pause in (0.0, 0.13):
        process = start(folder, killed, tmp_path)
        newest = wait_for_new_checkpoint(killed, process, after=newest)
        time.sleep(pause)
        process.kill()
        process.wait()
    assert "images-000000000" < newest < f"images-{LONG:09d}"
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
    assert not (run / "preset").exists()
    stopped = max((run / "checkpoints").glob("images-*.json")).name
    assert stopped < f"images-{LONG:09d}"
    if number == signal.SIGINT:
        finish(start(folder, run, tmp_path))
        assert weights(run) == weights(long)


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


@pytest.fixture(scope="module")
def faces_apart(folder, tmp_path_factory):
    """Images to train on, and others beside them."""
    place = tmp_path_factory.mktemp("apart")
    shutil.copytree(folder, place / "train")
    shutil.copytree(folder, place / "test")
    return place


@pytest.fixture(scope="module")
def selected(faces_apart, tmp_path_factory):
    run = tmp_path_factory.mktemp("selected") / "run"
    training.train(recipe(faces_apart / "train", select="kernel_distance"), run)
    return run


def kernel_distance_by_hand(preset, folder):
    """Of training images at odd places, by as many samples of seed 1000."""
    real = kgan.data.load(folder, (16, 16, 1)).images[1::2]
    fakes = kgan.zoo.load(preset).sample(len(real), seed=1000)
    network = kgan.metrics.extractor("random")
    features = [network.features(images) for images in (real, fakes)]
    return kgan.metrics.kernel_distance(*features, subset_size=len(real) // 2)[0]


def test_the_best_snapshot_by_the_selected_metric_becomes_the_preset(selected, faces_apart):
    snapshots = sorted((selected / "snapshots").iterdir())
    assert [path.name for path in snapshots] == [
        f"images-{seen:09d}"
        for seen in (64, 128, 160)  # the end too, amid two grids
    ]
    values = [kernel_distance_by_hand(path, faces_apart / "train") for path in snapshots]
    best = snapshots[int(np.argmin(values))]
    assert sha256(selected / "preset" / "model.weights.h5") == sha256(best / "model.weights.h5")
    for path, value in zip(snapshots, values, strict=True):
        stored = selected_of(path)
        np.testing.assert_allclose(stored.pop("value"), value, rtol=1e-6)
        assert stored == {
            "metric": "kernel_distance",
            "extractor_sha256": kgan.metrics.extractor("random").sha256,
            "seed": 1000,
            "images": 22,
            "places": "odd places of 44 training pictures",
        }
    chosen = selected_of(selected / "preset")
    assert chosen == {**selected_of(best), "snapshots": 3}
    card = (selected / "preset" / "README.md").read_text()
    assert (
        f"best of 3 snapshots by kernel distance ({min(values):.4g}) to 22 pictures at odd places "
        "of 44 training pictures, seed 1000" in card
    )
    if importlib.util.find_spec("matplotlib"):
        assert (selected / "preset" / "curves.png").is_file()


def selected_of(preset):
    return json.loads((preset / "metadata.json").read_text())["training"]["selected"]


def test_the_selected_metric_is_in_the_log(selected):
    with open(selected / "log.csv", newline="") as file:
        column = [row["val_kernel_distance"] for row in csv.DictReader(file)]
    assert len(column) == 10 and len(set(column)) >= 3


def test_selecting_does_not_change_training_and_survives_a_resume(selected, faces_apart, tmp_path):
    run = tmp_path / "run"
    training.train(recipe(faces_apart / "train", images=80), run)  # not measured meanwhile
    longer = recipe(faces_apart / "train", select="kernel_distance")
    training.train(longer, run, resume=True, override=True)
    assert weights(run) == weights(selected)
    assert selected_of(run / "preset") == selected_of(selected / "preset")
    plain = tmp_path / "plain"
    training.train(recipe(faces_apart / "train"), plain)
    assert weights(plain) == weights(selected)


def test_selecting_needs_a_distance_and_enough_images(folder, faces_apart, tmp_path):
    for metric, message in (
        ("precision_recall", r"Expected select .*kernel_distance.*'precision_recall'"),
        ("frechet_distance", r"Expected at least 250 .*Received: 22$"),
    ):
        with pytest.raises(ValueError, match=message):
            training.train(recipe(faces_apart / "train", select=metric), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_held_out_part_is_selected_on_too(folder, selected):
    images = kgan.data.load(folder, (16, 16, 1))
    judge = selection.judge(recipe(folder, select="kernel_distance"), images, (16, 16, 1))
    assert judge.has_measured(kgan.zoo.preset.read(selected / "preset").metadata)


def test_many_held_out_images_leave_all_of_training_to_select_by(
    faces_apart, selected, monkeypatch
):
    monkeypatch.setattr(protocol, "LARGE", 44)
    shape, path = (16, 16, 1), faces_apart / "train"
    images = kgan.data.load(path, shape)
    judge = selection.judge(recipe(path, select="kernel_distance"), images, shape)
    snapshot = selected / "preset"
    stored = judge.selected(judge.value(kgan.zoo.load(snapshot)))
    assert (stored["images"], stored["places"]) == (44, "even spaces of 44 training pictures")
    network = kgan.metrics.extractor("random")
    features = [
        network.features(x) for x in (images.images, kgan.zoo.load(snapshot).sample(44, seed=1000))
    ]
    assert stored["value"] == kgan.metrics.kernel_distance(*features, subset_size=22)[0]
    assert not judge.has_measured(
        kgan.zoo.preset.read(snapshot).metadata
    )  # which is of other pictures


class TestResumedAfterItsEnd:
    @pytest.fixture
    def ended(self, uninterrupted, tmp_path):
        return shutil.copytree(uninterrupted, tmp_path / "run")

    @staticmethod
    def change(snapshot, **selected):
        """Writes a value into a snapshot, as if it had been measured so."""
        metadata = kgan.zoo.preset.read(snapshot).metadata
        metadata["training"]["selected"] = selected
        kgan.zoo.preset.complete(snapshot, metadata)

    def test_nothing_is_trained_and_the_best_snapshot_is_found(
        self, folder, uninterrupted, ended, capfd
    ):
        training.train(recipe(folder), ended, resume=True)
        assert weights(ended) == weights(uninterrupted)
        assert (ended / "log.csv").read_text() == (uninterrupted / "log.csv").read_text()
        snapshots = sorted((ended / "snapshots").iterdir())
        assert len(snapshots) == 3  # that of the end too, which the run had not kept
        values = [kernel_distance_by_hand(path, folder) for path in snapshots]
        best = snapshots[int(np.argmin(values))]
        chosen = selected_of(ended / "preset")
        assert chosen["snapshots"] == 3
        np.testing.assert_allclose(chosen["value"], min(values), rtol=1e-6)
        assert sha256(ended / "preset/model.weights.h5") == sha256(best / "model.weights.h5")
        facts = [
            json.loads((path / "metadata.json").read_text())["training"]
            for path in (ended / "preset", best)
        ]
        assert facts[0]["images_seen"] == facts[1]["images_seen"]
        assert facts[0]["seconds"] == facts[1]["seconds"]
        said = capfd.readouterr().err
        assert "The run has ended" in said and "Going on" not in said
        assert f"Snapshot 3 of 3, {snapshots[2].name}: kernel distance {values[2]:.4g}" in said
        training.train(recipe(folder), ended, resume=True)  # now all of them have their value
        assert "Snapshot" not in capfd.readouterr().err
        assert selected_of(ended / "preset") == chosen

    def test_a_run_killed_before_its_preset_was_written_has_not_ended(
        self, folder, uninterrupted, ended
    ):
        shutil.rmtree(ended / "preset")
        training.train(recipe(folder), ended, resume=True)
        one, other = (run / "preset/model.weights.h5" for run in (ended, uninterrupted))
        assert h5_values(one) == h5_values(other)  # the last state, as if it had not been killed
        metadata = json.loads((ended / "preset/metadata.json").read_text())
        assert "selected" not in metadata["training"]

    def test_a_damaged_snapshot_is_left_out_with_a_warning(self, folder, ended):
        torn = ended / "snapshots/images-000000064/model.weights.h5"
        torn.write_bytes(torn.read_bytes()[:-100])
        (ended / "snapshots/images-000000070").mkdir()
        with pytest.warns(KganWarning) as caught:
            training.train(recipe(folder), ended, resume=True)
        said = "\n".join(str(warning.message) for warning in caught)
        assert f"{torn.parent} is left out: Damaged preset" in said
        assert "images-000000070 is left out: Expected a preset" in said
        values = {
            name: kernel_distance_by_hand(ended / "snapshots" / name, folder)
            for name in ("images-000000128", "images-000000160")
        }
        chosen = selected_of(ended / "preset")
        assert chosen["snapshots"] == 2
        np.testing.assert_allclose(chosen["value"], min(values.values()), rtol=1e-6)

    def test_a_value_counts_if_all_that_it_depends_on_is_the_same(self, folder, ended):
        images = kgan.data.load(folder, (16, 16, 1))
        judge = selection.judge(recipe(folder, select="kernel_distance"), images, (16, 16, 1))
        first = ended / "snapshots/images-000000064"
        facts = {
            "metric": "kernel_distance",
            "value": -5.0,
            "extractor_sha256": kgan.metrics.extractor("random").sha256,
            "seed": 1000,
            "images": 22,
            "places": "odd places of 44 training pictures",
        }
        others = [
            {**facts, "extractor_sha256": 64 * "0"},
            {**facts, "seed": 0},
            {**facts, "images": 21},
            {**facts, "places": "even places of 44 training pictures"},
            {"metric": "kernel_distance", "value": -5.0},  # as kgan 0.1 wrote it
        ]
        for other in others:
            self.change(first, **other)
            found = selection.measured(ended / "snapshots", judge)
            assert found[0][1]["training"]["selected"]["value"] > -5, other
            assert selected_of(first) == found[0][1]["training"]["selected"]
        self.change(first, **facts)
        selection.keep_best(
            selection.measured(ended / "snapshots", judge), ended / "preset", ended / "curves.png"
        )
        assert selected_of(ended / "preset") == {**facts, "snapshots": 2}

    def test_without_a_whole_snapshot_the_preset_stays(self, ended):
        before = sha256(ended / "preset/model.weights.h5")
        with pytest.raises(ValueError, match="none that is whole"):
            selection.keep_best([], ended / "preset", ended / "curves.png")
        assert sha256(ended / "preset/model.weights.h5") == before


def test_epochs_count_whole_batches_of_the_data(folder, tmp_path):
    training.train(recipe(folder), tmp_path / "run", epochs=2)
    assert int(kgan.zoo.load(tmp_path / "run/preset").images_seen.numpy()) == 2 * 40


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
