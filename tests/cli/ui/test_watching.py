"""What the page tells of a run."""

import json
import os
import time

import pytest

from kgan.cli.ui import watching
from kgan.errors import KganError
from kgan.files import write


def test_a_run_that_goes_on(run):
    state = watching.state("runs/x", run)
    wanted = {"name": "x", "model": "DCGAN", "images": 256, "seen": 128, "seconds": 3.0}
    assert state.items() >= {**wanted, "ended": False, "grids": [0, 64, 128]}.items()
    assert state["columns"]["d_loss"] == [1.25, None]  # infinity is no JSON
    assert state["panels"] == [["d_loss", "g_loss"], ["val_kernel_distance"]]
    assert state["lines"][-1] == ["128", "3.0", "inf", "0.25", "0.1"]
    assert state["resume"] == "kgan train runs/x"
    assert 0 <= state["quiet"] < 60
    json.dumps(state, allow_nan=False)


def test_a_run_that_has_only_begun(run):
    for path in (run / "grids").iterdir():
        path.unlink()
    (run / "log.csv").unlink()
    state = watching.state("runs/x", run)
    assert state["seen"] == 0 and state["grids"] == [] and state["quiet"] is None


def test_it_tells_how_long_nothing_was_written(run):
    before = time.time() - 1000
    for path in (run / "log.csv", *(run / "grids").iterdir()):
        os.utime(path, (before, before))
    assert 999 < watching.state("runs/x", run)["quiet"] < 1100


def test_the_floor_is_that_of_the_runs_preset(run, tiny_preset):
    metadata = json.loads((tiny_preset / "metadata.json").read_text())
    metadata["metrics"] = [{"metric": "kernel_distance", "value": 0.1, "floor": 0.01}]
    (run / "preset").mkdir()
    write(run / "preset/metadata.json", json.dumps(metadata))
    assert watching.state("runs/x", run)["floors"] == {"val_kernel_distance": 0.01}


def test_a_space_in_its_name_is_quoted(run):
    assert watching.state("my run", run)["resume"] == "kgan train 'my run'"


def test_grids_are_those_of_the_run_alone(run, tmp_path):
    assert watching.grid(run, 64).parent == run / "grids"
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run / "grids/images-000000999.png").symlink_to(tmp_path / "secret.png")
    for seen in (999, 65, -1):
        with pytest.raises(KganError, match="Expected a grid of the run"):
            watching.grid(run, seen)
    assert 999 not in watching.state("x", run)["grids"]


def test_a_log_that_leads_elsewhere_is_none(run, tmp_path):
    (run / "log.csv").rename(tmp_path / "log.csv")
    (run / "log.csv").symlink_to(tmp_path / "log.csv")
    assert watching.state("x", run)["lines"] == []
