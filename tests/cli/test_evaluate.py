"""`kgan evaluate`."""

import errno
import json
import shutil

import click.testing
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import data
from kgan.cli import evaluate, main, paths
from kgan.metrics import extractor, precision_recall
from kgan.metrics.measuring import METRICS
from kgan.runs import evaluate as evaluation


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype="uint8")).save(folder / f"{i}.png")
    return folder


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_table_and_json(tiny_preset, folder, tmp_path):
    path = tmp_path / "figures.json"
    options = ["--metrics", "kernel_distance,precision_recall", "--seeds", "3, 5", "--json", path]
    result = run(tiny_preset, "--data", folder, *options)
    assert result.exit_code == 0, result.output
    figures = json.loads(path.read_text())
    assert [f["metric"] for f in figures] == ["kernel_distance", "precision", "recall"]
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["value", "spread", "floor"]
    assert lines[2].split() == ["precision", *(f"{figures[1][k]:.4g}" for k in ("value", "spread"))]
    against = f"20 pictures at even spaces of 20 pictures, of {folder}."
    assert f"20 samples of each of the seeds 3, 5 against {against}" in result.stdout


def test_three_seeds_unless_asked(tiny_preset, folder, tmp_path):
    path = tmp_path / "figures.json"
    result = run(tiny_preset, "--data", folder, "--metrics", "precision_recall", "--json", path)
    assert result.exit_code == 0, result.output
    assert [figure["seeds"] for figure in json.loads(path.read_text())] == [[0, 1, 2]] * 2


def test_process_prints_the_table_and_nothing_else(run_kgan, tiny_preset, folder):
    result = run_kgan("evaluate", tiny_preset, "--data", folder, "--metrics", "precision_recall")
    assert result.returncode == 0 and not result.stderr
    assert result.stdout.startswith("  ")


def test_names_of_metrics_are_those_there_are():
    assert tuple(METRICS) == evaluate.METRICS


@pytest.mark.parametrize(
    "options, code, message",
    [
        (["--metrics", "fid"], 1, "Expected metrics among"),
        (["--extractor", "vgg"], 1, "Received: 'vgg'"),
        (["--images", "1"], 2, "--images"),
        (["--images", "10001"], 2, "--images"),
        (["--box", "0,0,1"], 2, "Expected --box with left, top, right and bottom"),
        (["--box", "recipe"], 1, "Expected box='recipe' with a preset whose recipe has a box"),
        (["--metrics", "frechet_distance"], 1, "Expected at least 250"),
        (["--seeds", "0,x"], 2, "Expected numbers such as 0,1,2"),
        (["--seeds", "-1"], 2, "Expected numbers such as 0,1,2"),
        (["--seeds", "1,1"], 1, "Expected seeds, each of them once"),
        (["--split", "test"], 1, "Expected split with data of TFDS"),
        (["--data", "nowhere"], 1, "does not exist"),
        (["--json", "no/where.json"], 2, "a folder that exists"),
        (["--json", "."], 2, "Expected --json with a file"),
    ],
)
def test_bad_input(tiny_preset, folder, options, code, message):
    result = run(tiny_preset, "--data", folder, *options)
    assert result.exit_code == code
    assert message in result.stderr and "Traceback" not in result.stderr


class TestAgainst:
    """A folder against a folder, without a model."""

    @pytest.fixture(scope="class")
    @classmethod
    def others(cls, tmp_path_factory):
        root = tmp_path_factory.mktemp("others")
        rng = np.random.default_rng(1)
        for i in range(50):
            shape = (16, 16, 3) if i < 45 else (20, 24, 3)
            picture = Image.fromarray(rng.integers(0, 256, shape, dtype="uint8"))
            place = root / ("real" if i < 45 else "mixed")
            place.mkdir(exist_ok=True)
            picture.save(place / f"{i}.png")
        return root

    def test_figures_and_floor(self, folder, others, tmp_path):
        path = tmp_path / "figures.json"
        options = ["--metrics", "precision_recall,kernel_distance", "--json", path]
        result = run(folder, "--against", others / "real", *options)
        assert result.exit_code == 0, result.stderr
        found = {figure["metric"]: figure for figure in json.loads(path.read_text())}
        network = extractor("random")
        fake, real = (
            network.features(data.load(place, (16, 16, 3)).images)
            for place in (folder, others / "real")
        )
        even, odd = (real[i::2][[n * len(real[i::2]) // 20 for n in range(20)]] for i in (0, 1))
        assert found["recall"]["value"] == precision_recall(even, fake)[1]
        assert found["recall"]["floor"] == precision_recall(even, odd)[1]
        assert found["kernel_distance"]["samples"] == str(folder)
        assert found["kernel_distance"]["seeds"] is None
        against = f"20 pictures at even places of 45 pictures, of {others / 'real'}."
        assert f"20 pictures of {folder}, as 16x16x3, against {against}" in result.stdout
        assert "Floor: 20 pictures at odd places of 45 pictures" in result.stdout

    def test_without_twice_as_many_there_is_no_floor(self, folder, others):
        result = run(others / "real", "--against", folder, "--metrics", "precision_recall")
        assert "20 pictures at even spaces of 20 pictures" in result.stdout
        assert (
            "Left out: the floor, for which real images have to be twice as many" in result.stdout
        )

    def test_pictures_of_several_sizes(self, folder, others):
        (others / "mixed/x.png").write_bytes((folder / "0.png").read_bytes())
        refused = run(others / "mixed", "--against", folder)
        assert refused.exit_code == 1
        assert "--size N for what all are to become. Received: 2 sizes, 16x16, 24x20" in (
            refused.stderr
        )
        options = ["--size", 8, "--metrics", "kernel_distance"]
        assert "as 8x8x3" in run(others / "mixed", "--against", folder, *options).stdout

    @pytest.mark.parametrize(
        "options, message",
        [
            (["--seeds", "1"], "Expected --seeds without --against"),
            (["--update-card"], "Expected --update-card without --against"),
            (["--data", "x"], "Expected --data without --against"),
            (["--metrics", "frechet_distance"], "Expected at least 250"),
            (["--split", "test"], "Expected split with data of TFDS"),
        ],
    )
    def test_what_needs_a_model_is_refused(self, folder, options, message):
        result = run(folder, "--against", folder, *options)
        assert result.exit_code in (1, 2) and message in result.stderr

    def test_a_preset_is_no_folder_of_images(self, tiny_preset, folder):
        result = run(tiny_preset, "--against", folder)
        assert result.exit_code == 1 and "--data compares samples of a preset" in result.stderr
        result = run(tiny_preset, "--data", folder, "--size", 8)
        assert result.exit_code == 2 and "Expected --size with --against" in result.stderr


def test_a_card_that_cannot_be_written_is_refused_first(tiny_preset, folder, monkeypatch):
    monkeypatch.setattr(evaluation.os, "access", lambda path, how: path != tiny_preset.parent)
    monkeypatch.setattr(evaluation, "evaluate", lambda *args: pytest.fail("it was measured"))
    result = run(tiny_preset, "--data", folder, "--update-card")
    assert result.exit_code == 1 and "a directory that can be written" in result.stderr


def test_a_file_that_cannot_be_written_is_refused_first(tiny_preset, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(paths.tempfile, "TemporaryFile", _full)
    monkeypatch.setattr(evaluation, "evaluate", lambda *args: pytest.fail("it was measured"))
    result = run(tiny_preset, "--data", folder, "--json", tmp_path / "figures.json")
    assert result.exit_code == 1 and "Received: --json" in result.stderr


def _full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_figures_are_printed_whatever_becomes_of_their_files(
    tiny_preset, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluate, "write", _full)
    options = ["--metrics", "precision_recall", "--seeds", 0, "--json", tmp_path / "figures.json"]
    result = run(tiny_preset, "--data", folder, *options)
    assert result.exit_code == 1 and "No space left" in result.stderr
    assert "precision" in result.stdout and "recall" in result.stdout


def test_the_card_is_that_of_the_preset_that_was_measured(tiny_preset, folder, tmp_path):
    """Though the run has saved another one meanwhile."""
    run_directory = tmp_path / "run"
    shutil.copytree(tiny_preset, run_directory / "snapshots/images-000000000")
    (run_directory / "checkpoints").mkdir()
    shutil.copyfile(tiny_preset / "recipe.toml", run_directory / "recipe.toml")
    measure = evaluation.evaluate

    def evaluated(source, *args, **kwargs):
        results = measure(source, *args, **kwargs)
        model = kgan.zoo.load(tiny_preset)
        model.images_seen.assign(64)
        model.save_to_preset(run_directory / "snapshots/images-000000064")
        return results

    options = ["--data", folder, "--metrics", "precision_recall", "--seeds", 0, "--update-card"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "evaluate", evaluated)
        result = run(run_directory, *options)
    assert result.exit_code == 0, result.output
    found = [kgan.zoo.info(path)["metrics"] for path in sorted(run_directory.glob("snapshots/*"))]
    assert len(found) == 2 and found[0] and not found[1]
