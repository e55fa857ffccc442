"""`kgan evaluate`."""

import json

import click.testing
import numpy as np
import pytest
from PIL import Image

from kgan.cli import evaluate, main
from kgan.metrics.measuring import METRICS


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
        (["--metrics", "frechet_distance"], 1, "Expected at least 250"),
        (["--seeds", "0,x"], 2, "Expected numbers such as 0,1,2"),
        (["--seeds", "-1"], 2, "Expected numbers such as 0,1,2"),
        (["--seeds", "1,1"], 1, "Expected seeds, each of them once"),
        (["--split", "test"], 1, "Expected split with data of TFDS"),
        (["--data", "nowhere"], 1, "does not exist"),
        (["--json", "no/where.json"], 2, "a folder that exists"),
    ],
)
def test_bad_input(tiny_preset, folder, options, code, message):
    result = run(tiny_preset, "--data", folder, *options)
    assert result.exit_code == code
    assert message in result.stderr and "Traceback" not in result.stderr
