"""The zoo's presets, exported by the command line, against the models: `pytest -m slow -rP` shows
sizes and differences. The examples of docs/export.md run as printed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import click.testing
import numpy as np
import pytest
import runtimes

import kgan
from kgan.cli import main
from kgan.files import EXPORTS
from kgan.latents import sample_labels, sample_latents
from kgan.sampling import to_uint8
from kgan.zoo import registry
from kgan.zoo.metadata import number_of_samples

PAGE = Path(__file__).parent.parent / "docs/export.md"
N = 64

pytestmark = pytest.mark.slow


def _inputs(model):
    inputs = {"latents": sample_latents(1, 0, N, model.latent_dim)}
    if model.num_classes is not None:
        inputs["labels"] = sample_labels(1, 0, N, model.num_classes).astype(np.int32)
    if "truncation" in model.SAMPLE_OPTIONS:
        inputs["truncation"] = np.array(0.7, np.float32)
    return inputs


def _size(path):
    return sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())


# What translates is exported in tests/models/base/test_exporting.py.
SAMPLING = [name for name in registry.names() if number_of_samples(kgan.zoo.info(name))]


@pytest.mark.parametrize("name", SAMPLING)
def test_preset(name, tmp_path, run_python):
    model = kgan.zoo.load(name)
    inputs = _inputs(model)
    options = {"truncation": 0.7} if "truncation" in inputs else {}
    expected = model.sample(N, seed=1, labels=inputs.get("labels"), **options).astype(int)
    np.savez(tmp_path / "inputs.npz", **inputs)
    for format, ending in EXPORTS.items():
        path = tmp_path / f"served{ending}"
        done = click.testing.CliRunner().invoke(
            main, ["export", name, "--format", format, "--out", str(path)]
        )
        assert done.exit_code == 0, done.output
        if format == "saved_model":
            (images,) = runtimes.saved_models([tmp_path], run_python)
        else:
            images = getattr(runtimes, format)(path, inputs)
        difference = np.abs(to_uint8(images) - expected)
        share = np.mean(difference > 0)
        print(f"{name:24} {format:12} {_size(path) / 1e6:5.2f} MB  {share:.4%} of values differ")
        assert difference.max() <= 1 and share <= 1e-3
        assert runtimes.notes(path)["model"] == name


def test_examples_of_the_page(tmp_path):
    pytest.importorskip("ai_edge_litert")
    commands = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    for line in commands.splitlines():
        words = line.split("#")[0].split()
        assert words[:2] == ["kgan", "export"]
        done = _run("-m", "kgan.cli", *words[1:], cwd=tmp_path)
        assert done.stdout.count("\n") == 1 and not done.stderr
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        _run("-c", block, cwd=tmp_path)


def _run(*args, cwd):
    done = subprocess.run(
        [sys.executable, *args], cwd=cwd, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done
