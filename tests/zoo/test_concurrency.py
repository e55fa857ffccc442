"""Processes that need the same remote preset at the same time."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from kgan import files
from kgan.zoo import download, graphs, preset
from kgan.zoo.metadata import CONFIG, METADATA, WEIGHTS
from zoo.sound import make_preset

SAMPLE = (sys.executable, "-m", "kgan.cli", "sample", "hf://someone/tiny", "-n", "4", "--out")


@pytest.fixture
def slow(at_hub, tiny_preset):
    """A hub whose large files take a while; the preset's graph is known, so no TensorFlow."""
    at_hub.publish("someone/tiny", tiny_preset)
    config, weights, graph = (tiny_preset / name for name in (CONFIG, WEIGHTS, "generator.onnx"))
    graphs.note(files.sha256(config), files.sha256(weights), {"generator": graph.read_bytes()})
    at_hub.slow = 0.015
    yield at_hub
    at_hub.slow = 0


@pytest.fixture
def start(tmp_path):
    """Starts `kgan sample` of the preset, with the picture's path."""
    started = []

    def start(out):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([*SAMPLE, str(tmp_path / out)], **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(true):
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def check(processes, tmp_path):
    """Asserts that all have succeeded, without a word, with the same picture."""
    for process in processes:
        said, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, ""), errors
        assert said.strip().endswith(".png")
    pictures = [np.asarray(Image.open(path)) for path in tmp_path.glob("*.png")]
    assert len(pictures) == len(processes)
    assert all((picture == pictures[0]).all() for picture in pictures)
    (entry,) = (path for path in (tmp_path / "cache").iterdir() if path.name != "graphs")
    assert preset._read(entry, entry.name, "") and not files.partials(tmp_path / "cache")


def test_four_processes_download_once(slow, start, tmp_path):
    check([start(f"{n}.png") for n in range(4)], tmp_path)
    assert len(slow.asked("hub", METADATA)) == 8  # each has asked, and followed a redirection
    assert sum(WEIGHTS in path for path in slow.asked("cdn")) == 1


def test_one_is_killed_and_the_others_go_on(slow, start, tmp_path):
    slow.slow = 0.5
    first = start("killed.png")
    wait_until(lambda: any(WEIGHTS in path for path in slow.asked("cdn")))
    others = [start(f"{n}.png") for n in range(3)]
    wait_until(lambda: len(slow.asked("hub", METADATA)) == 8)
    first.send_signal(signal.SIGKILL)
    slow.slow = 0.015
    check(others, tmp_path)
    assert sum(WEIGHTS in path for path in slow.asked("cdn")) == 2


def test_one_that_stands_still_is_not_waited_for(at_hub, tmp_path, monkeypatch):
    at_hub.publish("someone/faces", make_preset(tmp_path / "a"))
    monkeypatch.setattr(download, "_STANDSTILL", 0.5)
    entry = preset.read("hf://someone/faces").directory
    shutil.rmtree(entry)
    room = entry.with_name(f".partial-01234567-{entry.name}")
    room.mkdir()
    with files.hold(room):
        assert preset.read("hf://someone/faces").directory == entry
        assert room.exists()
