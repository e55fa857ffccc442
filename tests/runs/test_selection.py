"""Selection: the best of a run's snapshots, by real pictures nothing else is measured by."""

import csv
import importlib.util
import json
import shutil

import numpy as np
import pytest

import kgan
from kgan.errors import KganWarning
from kgan.files import sha256
from kgan.metrics import protocol
from kgan.runs import evaluate as evaluation
from kgan.runs import selection
from kgan.runs import train as training
from runs.squares import h5_values, recipe, weights


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


@pytest.mark.slow
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

    @pytest.mark.slow
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
        figures = evaluation.evaluate(ended / "preset", metrics=["precision_recall"])
        evaluation.update_card(ended / "preset", figures)
        before = kgan.zoo.preset.read(ended / "preset").metadata
        training.train(recipe(folder), ended, resume=True)  # now all of them have their value
        assert "Snapshot" not in capfd.readouterr().err
        assert selected_of(ended / "preset") == chosen
        after = kgan.zoo.preset.read(ended / "preset").metadata
        assert after["metrics"] == figures and after["files"].keys() == before["files"].keys()

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
