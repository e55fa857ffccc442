"""`kgan export`."""

import os

import click.testing
import numpy as np
import pytest
import runtimes

import kgan
from kgan.cli import main
from kgan.files import sha256


@pytest.fixture
def export(tiny_preset, tmp_path, monkeypatch):
    """Runs `kgan export *args` in this process, in an empty directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("KGAN_ZOO", str(tiny_preset.parent))
    return lambda *args: click.testing.CliRunner().invoke(main, ["export", *map(str, args)])


def test_nothing_but_the_path_is_said(export, tiny_preset, capfd):
    done = export("tiny", "--format", "litert")
    assert (done.exit_code, done.output) == (0, "tiny.tflite\n")
    assert capfd.readouterr() == ("", "")  # by TensorFlow's C++
    assert os.listdir() == ["tiny.tflite"]
    model = kgan.zoo.load(tiny_preset)
    latents = kgan.latents.sample_latents(0, 0, 3, model.latent_dim)
    result = runtimes.litert("tiny.tflite", {"latents": latents})
    np.testing.assert_allclose(result, model(latents), atol=1e-6)


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ((), "tiny.onnx"),
        (("--out", "new"), "new/tiny.onnx"),
        (("--format", "saved_model", "--out", "new/v1.0"), "new/v1.0"),
    ],
)
def test_where_it_is(export, tiny_preset, args, path, tmp_path):
    done = export("tiny", *args)
    assert (done.exit_code, done.output) == (0, f"{path}\n")
    found = runtimes.notes(tmp_path / "here" / path)
    assert found["model"] == "tiny"
    assert found["weights_sha256"] == sha256(tiny_preset / "model.weights.h5")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--out", "x.tflite"), "Expected --out with .onnx. Received: --out x.tflite"),
        (("--format", "litert", "--out", "x.png"), "Expected --out with .tflite"),
        (("--format", "saved_model", "--out", "x.onnx"), "Expected --out with a directory"),
        (("--format", "saved_model", "--out", "x.tflite"), "Expected --out with a directory"),
        (("--format", "torch"), "Invalid value for '--format'"),
    ],
)
def test_usage(export, args, message, tmp_path):
    done = export("tiny", *args)
    assert done.exit_code == 2
    assert message in done.output and done.output.count("\n") == 1
    assert not any((tmp_path / "here").iterdir())


def test_other_files_stay(export, tmp_path):
    (tmp_path / "here/x").mkdir()
    (tmp_path / "here/x/mine.txt").write_text("mine")
    done = export("tiny", "--format", "saved_model", "--out", "x")
    assert done.exit_code == 1
    assert done.output.startswith("Error: Expected an empty or new directory, or an export")
    assert (tmp_path / "here/x/mine.txt").read_text() == "mine"


def test_no_such_preset(export):
    done = export("tinny")
    assert done.exit_code == 1 and done.output.count("\n") == 1


class TestDirection:
    def test_the_way_back(self, export, cyclegan_preset):
        done = export(cyclegan_preset, "--direction", "b-to-a")
        assert (done.exit_code, done.output) == (0, "horses-b-to-a.onnx\n")
        images = np.random.default_rng(0).uniform(-1, 1, (2, 20, 20, 1)).astype(np.float32)
        result = runtimes.onnx("horses-b-to-a.onnx", {"images": images})
        model = kgan.zoo.load(cyclegan_preset)
        np.testing.assert_allclose(result, model(images, direction="b_to_a"), atol=1e-5)

    @pytest.mark.parametrize(
        ("name", "direction", "message"),
        [
            ("tiny", "b-to-a", "Error: Expected no --direction for a model that draws pictures"),
            ("horses", "../up", "Error: Expected direction"),
            ("horses", "", "Error: Expected direction"),
        ],
    )
    def test_others(self, export, cyclegan_preset, tmp_path, name, direction, message):
        done = export(cyclegan_preset if name == "horses" else name, "--direction", direction)
        assert done.exit_code == 1 and done.output.startswith(message), done.output
        assert done.output.count("\n") == 1 and not any((tmp_path / "here").iterdir())
