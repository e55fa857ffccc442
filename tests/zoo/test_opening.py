"""A run has a name: what `kgan.zoo.load` makes of a run directory at any time of its life."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from runs.squares import recipe

import kgan
from kgan.callbacks import Checkpoint
from kgan.cli import main
from kgan.cli.ui import server
from kgan.models import DCGAN
from kgan.runs import directory as run_directory
from kgan.zoo import building, opening, samplers

SMALL = {"images": 64, "checkpoint_images": 16}


def described(**changes):
    squares = recipe("photos", **{**SMALL, **changes})
    squares.arguments = {"image_shape": [16, 16, 1], "latent_dim": 4, "width": 4}
    return squares


@pytest.fixture(scope="module")
def model():
    return building.build(described())


@pytest.fixture
def run(tmp_path):
    """A run directory with its recipe and nothing else."""
    with run_directory.locked(tmp_path / "run"):
        run_directory.claim(tmp_path / "run", described(), override=False)
    (tmp_path / "run/checkpoints").mkdir()
    return tmp_path / "run"


def put(model, path, seen, **arguments):
    """A preset of a model that has seen so many images, all of whose weights are that number."""
    model.images_seen.assign(seen)
    for network in (model.generator, model.ema_generator):
        network.set_weights([np.full_like(w, seen / 1e9) for w in network.get_weights()])
    if path.name == "checkpoints":
        Checkpoint(path, keep=99).save(model, 1)
    else:
        kgan.zoo.save(model, path, described(**arguments))


def seen(run):
    found = kgan.zoo.load(run)
    assert found.generator.get_weights()[0].flat[0] == np.float32(int(found.images_seen) / 1e9)
    return int(found.images_seen)


def test_nothing_saved_yet(run):
    with pytest.raises(
        ValueError, match="Expected a run that has saved something. Received: .*run"
    ):
        kgan.zoo.load(run)


@pytest.mark.parametrize("order", [(16, 32, 48), (48, 32, 16), (16, 48, 32), (32, 32, 32)])
def test_the_newest_of_a_run_that_has_not_ended(run, model, order):
    for place, count in zip(("checkpoints", "snapshots/images-{}", "preset"), order, strict=True):
        put(model, run / place.format(count), count)
    assert seen(run) == max(order)


def test_newest_is_by_number_not_by_name(run, model):
    for count in (999_999_999, 1_000_000_000):
        put(model, run / f"snapshots/images-{count:09d}", count)
    assert seen(run) == 1_000_000_000
    put(model, run / "checkpoints", 2_000_000_000)
    put(model, run / "checkpoints", 999)
    assert opening.newest(run) is None


@pytest.mark.parametrize("most", ["96", "0"])  # MB of a stranger's weights; a run is the user's own
def test_of_a_run_that_has_ended_its_preset(run, model, most, monkeypatch):
    monkeypatch.setenv("KGAN_MOST_WEIGHTS", most)
    put(model, run / "checkpoints", 80)
    put(model, run / "snapshots/images-000000080", 80)
    put(model, run / "preset", 64)
    assert seen(run) == 64 and opening.has_ended(run)


def test_a_preset_of_a_shorter_recipe_is_not_the_end(run, model):
    put(model, run / "preset", 32, images=32)
    put(model, run / "checkpoints", 48)
    assert seen(run) == 48


def test_a_snapshot_that_is_half_written_is_passed_over(run, model):
    put(model, run / "snapshots/images-000000016", 16)
    (run / "snapshots/images-000000032").mkdir()
    assert seen(run) == 16


def test_a_checkpoint_is_a_preset_of_its_run(run, model):
    put(model, run / "checkpoints", 48)
    before = sorted(run.rglob("*"))
    preset = opening.read(run)
    assert (preset.directory, preset.source) == (run, str(run))
    assert preset.metadata["training"]["images_seen"] == 48
    assert preset.recipe.to_toml() == described().to_toml()
    info = kgan.zoo.info(run)
    assert (info["name"], info["model"], info["path"]) == ("squares", "DCGAN", str(run))
    assert sorted(run.rglob("*")) == before


def test_pictures_that_a_checkpoint_lacks_are_not_shown(run, model):
    put(model, run / "checkpoints", 48)
    found = opening.read(run)
    assert "samples.png" in found.metadata["files"]
    assert server.described(server.Opened(found, samplers.of(found)))["pictures"] == []


def test_a_run_that_has_ended_needs_no_checkpoints(run, model):
    put(model, run / "preset", 64)
    put(model, run / "checkpoints", 64)
    shutil.rmtree(run / "checkpoints")
    assert seen(run) == 64
    done = CliRunner().invoke(main, ["train", str(run)])
    assert done.exit_code == 2 and "Expected a run with checkpoints" in done.stderr
    assert f"kgan train --from {run} --data" in done.stderr


def test_a_name_of_the_registry_is_no_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.rename(run, "dcgan-mnist")
    assert opening.run_directory("dcgan-mnist") is None
    assert opening.run_directory("./dcgan-mnist") is not None


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A preset whose use asks for something."""
    model = DCGAN(image_shape=(16, 16, 1), latent_dim=4, width=4)
    model.compile()
    model.images_seen.assign(640)
    made = described()
    made.data.licence, made.data.limits = "for dances only", "Not to be sung."
    made.data.licence_note = "Dances, and nothing else."
    made.data.class_names = ["a", "b"]
    directory = tmp_path_factory.mktemp("licences") / "dances"
    kgan.zoo.save(model, directory, made)
    return directory


class TestLicences:
    """What use of a preset's weights asks for goes with whatever is made of it."""

    def check(self, directory, parent):
        metadata = json.loads((directory / "metadata.json").read_text())
        found = kgan.zoo.preset.read(directory)
        assert "for dances only" in metadata["licence"]
        assert "Dances, and nothing else." in (directory / "LICENSE").read_text()
        assert "Not to be sung." in (directory / "README.md").read_text()
        assert metadata["class_names"] == ["a", "b"]
        assert found.recipe.parent == parent
        if parent:
            said = f"Fine-tuned from {parent['name']} ({parent['images_seen']} images seen"
            assert said in (directory / "README.md").read_text()
        return metadata, found

    def lineage(self, preset):
        return kgan.zoo.preset.read(preset).lineage

    def test_a_copy(self, preset, tmp_path):
        kgan.zoo.load(preset).save_to_preset(tmp_path / "copy")
        self.check(tmp_path / "copy", {})
        kgan.zoo.save(kgan.zoo.load(preset), tmp_path / "other", described(name="other"))
        self.check(tmp_path / "other", {})

    def test_trained_on(self, preset, tmp_path):
        model = kgan.zoo.load(preset)
        model.fit(np.zeros((8, 16, 16, 1), "uint8"), batch_size=8, verbose=0)
        model.save_to_preset(tmp_path / "more")
        _, found = self.check(tmp_path / "more", self.lineage(preset))
        again = kgan.zoo.load(tmp_path / "more")
        again.fit(np.zeros((8, 16, 16, 1), "uint8"), batch_size=8, verbose=0)
        again.save_to_preset(tmp_path / "most")
        self.check(tmp_path / "most", found.lineage)
        assert found.lineage["parent"] == self.lineage(preset)

    def test_through_a_keras_file(self, preset, tmp_path):
        import keras

        kgan.zoo.load(preset).save(tmp_path / "m.keras")
        model = keras.saving.load_model(tmp_path / "m.keras")
        model.fit(np.zeros((8, 16, 16, 1), "uint8"), batch_size=8, verbose=0)
        model.save_to_preset(tmp_path / "more")
        self.check(tmp_path / "more", self.lineage(preset))

    def test_beside_the_licence_of_further_data(self, preset, tmp_path):
        model = kgan.zoo.load(preset)
        model.images_seen.assign(648)
        own = described()
        own.data.licence, own.data.licence_note = "CC0", "Free for all."
        kgan.zoo.save(model, tmp_path / "p", own)
        metadata, _ = self.check(tmp_path / "p", self.lineage(preset))
        assert metadata["licence"] == "for dances only; CC0"
        assert "Free for all." in (tmp_path / "p/LICENSE").read_text()

    def test_copied_directories_keep_theirs(self, preset, tmp_path):
        shutil.copytree(preset, tmp_path / "copy")
        kgan.zoo.load(tmp_path / "copy").save_to_preset(tmp_path / "copy")
        self.check(tmp_path / "copy", {})
