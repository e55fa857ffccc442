"""The programs of tests/benchmarks that measure speed run, and count what they say they do."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
from click.testing import CliRunner

import kgan

BENCHMARKS = Path(__file__).parent / "benchmarks"
TINY = {"model": "gan", "side": 28, "batch": 8, "width": 5}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_operations_are_those_of_the_layers_times_the_passes():
    import flops

    model = kgan.models.DCGAN((16, 16, 3), latent_dim=8, width=4)
    # Dense to 4 x 4 x 8, then 4 x 4 kernels of stride 2; two additions and products each.
    g = [2 * 8 * 128, 2 * 16 * 8 * 4 * 16, 2 * 16 * 4 * 3 * 64]
    d = [2 * 16 * 3 * 4 * 64, 2 * 16 * 4 * 8 * 16, 2 * 128]
    assert flops.of_network(model.generator) == (sum(g), g[0])
    assert flops.of_network(model.discriminator) == (sum(d), d[0])
    # G once and back; D on real and fake images and back, then on fakes and back to these.
    assert flops.of_step(model) == 3 * sum(g) - g[0] + 2 * (3 * sum(d) - d[0]) + 2 * sum(d)


def test_operations_of_modulated_convolutions():
    import flops

    model = kgan.models.StyleGANLite(
        (16, 16, 3), latent_dim=8, width=4, max_channels=4, mapping_layers=1
    )
    affine = 2 * 8 * 4 * 8  # maps of w to scales, of 8 convolutions
    convolved = 2 * 9 * 4 * 4 * (16 + 16 + 64 + 64 + 256)  # the 2nd and 4th from half the side
    images = 2 * 4 * 3 * (16 + 64 + 256)
    assert flops.of_network(model.generator)[0] == 2 * 8 * 8 + affine + convolved + images


@pytest.mark.slow
def test_contestants_take_turns_and_are_written_down(tmp_path):
    import speed
    import turns

    contestants = [turns.Contestant("tiny", engine="fit", **TINY)]
    rows = turns.take_turns(contestants, rounds=2, images=16)
    (row,) = rows
    assert len(row["rates"]) == 2
    assert min(row["rates"]) > 0
    assert row["peak_mb"] > 100
    speed.report("fit", rows, str(tmp_path / "speed.json"))
    assert json.loads((tmp_path / "speed.json").read_text())["rows"] == rows
    shown = CliRunner().invoke(speed.main, ["table", str(tmp_path / "speed.json")])
    assert shown.exit_code == 0
    assert "| gan |" in shown.output


def test_every_class_has_a_bare_loop_and_a_size():
    import bare_loops
    import contestants

    commands = {getattr(kgan.models, name).command() for name in kgan.models.__all__}
    assert set(contestants.SIZES) == set(bare_loops.LOOPS) == commands


def test_the_bare_loop_trains_both_players():
    import contestants

    work, images, _ = contestants.bare(**TINY)
    work(2)
    assert images == TINY["batch"]


@pytest.mark.slow
@pytest.mark.skipif(not util.find_spec("torch"), reason="needs PyTorch: pip install .[benchmarks]")
def test_peers_are_the_same_networks():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "peers" / "check.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("weights of D: the same") == 7
