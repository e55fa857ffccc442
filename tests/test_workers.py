"""Several processes that train together, on this machine's loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from models import every
from PIL import Image

from kgan.errors import KganError
from kgan.runs import strategies
from kgan.runs.log import whole_rows

HERE = Path(__file__).parent
PATIENCE = 600  # seconds for anything that is started


def cluster(size=2):
    """What each worker finds in TF_CONFIG: ports that are free."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(size)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    tasks = ({"type": "worker", "index": index} for index in range(size))
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def start(*args, configs, places):
    """Starts a worker for each configuration, each in a place of its own or all in one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "XDG_"))}
    found = [HERE, HERE.parent, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    kept |= {"PYTHONPATH": os.pathsep.join(map(str, found)), "TF_NUM_INTRAOP_THREADS": "1"}
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # heeded, even in the background
    try:
        return [
            subprocess.Popen(
                [sys.executable, *map(str, args)],
                cwd=place,
                env={**kept, "TF_CONFIG": config, "WORKER": str(index)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index, (config, place) in enumerate(zip(configs, places, strict=True))
        ]
    finally:
        signal.signal(signal.SIGINT, before)


def ended(started, within=PATIENCE):
    """The exit codes of workers, and what they have said on stderr; none of them outlives it."""
    end = time.monotonic() + within
    try:
        said = [each.communicate(timeout=max(1, end - time.monotonic()))[1] for each in started]
    finally:
        for each in started:
            each.kill()
    return [each.returncode for each in started], said


def compare(names, tmp_path):
    """Two workers come to what one process comes to."""
    outs = [tmp_path / f"{index}.npz" for index in range(2)]
    pairs = [
        start(HERE / "worker.py", out, *names, configs=[config], places=[tmp_path])[0]
        for out, config in zip(outs, cluster(), strict=True)
    ]
    ones = {(n, o): every.trained(n, o) for n in names for o in every.OPTIMIZERS}
    codes, said = ended(pairs, 60 * PATIENCE)
    assert codes == [0, 0], said
    for out in outs:
        with np.load(out) as found:
            for (name, optimizer), one in ones.items():
                prefix = f"{name}|{optimizer}|"
                many = {
                    key.removeprefix(prefix): found[key]
                    for key in found.files
                    if key.startswith(prefix)
                }
                every.assert_close(one, many, every.TOLERANCE[optimizer])


@pytest.mark.slow  # three processes that each import TensorFlow
def test_two_workers_equal_one(tmp_path):
    compare(["gan"], tmp_path)


@pytest.mark.slow
def test_two_workers_equal_one_of_every_class(tmp_path):
    compare([name for name in every.HARNESSES if name != "gan"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", every.OPTIMIZERS)
@pytest.mark.parametrize("name", every.HARNESSES)
def test_two_replicas_equal_one_of_every_class(name, optimizer):
    one = every.trained(name, optimizer)
    two = every.trained(name, optimizer, every.TWO_REPLICAS)
    every.assert_close(one, two, every.TOLERANCE[optimizer])


# The command line.

WATCHED = """
import os

import numpy as np
import kgan

fit = kgan.models.DCGAN.fit


def watched(self, *args, **kwargs):
    history = fit(self, *args, **kwargs)
    weights = [np.ravel(w) for network in self.networks.values() for w in network.get_weights()]
    np.save(f"weights-{os.environ['WORKER']}.npy", np.concatenate(weights))
    return history


kgan.models.DCGAN.fit = watched
"""
TINY = """format = 1
name = "tiny"
model = "DCGAN"
images = 3200
batch_size = 8
checkpoint_images = 800
grid_images = 1600
select = "kernel_distance"

[arguments]
image_shape = [16, 16, 3]
latent_dim = 4
width = 2

[data]
source = "images"
extractor = "random"
"""


@pytest.fixture
def place(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(600):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / "images" / f"{index}.png")
    (tmp_path / "watched.py").write_text(WATCHED)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def train(place, out, *more, what="tiny.toml", places=None):
    args = ["-m", "kgan.cli", "train", what, "--import", "watched.py", "--data-dir", place]
    args += ["--out", out, "--strategy", "multiworker", *more]
    return start(*args, configs=cluster(), places=places or [place] * 2)


def is_there(path, workers):
    """Waits for a file that workers are to write."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, [worker.kill() or worker.communicate() for worker in workers]
        assert all(worker.poll() is None for worker in workers), ended(workers)
        time.sleep(0.1)


def state_of(run):
    """What a run has come to: the weights of its preset, and its log but for the time."""
    with h5py.File(run / "preset/model.weights.h5") as file:
        found = {}
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    rows = whole_rows((run / "log.csv").read_bytes())
    return found, [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.slow
def test_two_workers_train_by_the_command_line_and_a_killed_one_is_no_loss(place):
    codes, said = ended(train(place, "whole"))
    assert codes == [0, 0], said
    weights = [np.load(place / f"weights-{worker}.npy") for worker in range(2)]
    np.testing.assert_array_equal(*weights)
    assert "\nTraining on 1 CPU, worker 0 of 2, the chief\n" in said[0]
    assert said[1] == "Training on 1 CPU, worker 1 of 2\n"
    assert [p.name for p in place.rglob("log.csv")] == ["log.csv"]
    assert len(list(place.glob("whole/snapshots/images-*"))) == 2

    for victim in (1, 0):
        out = f"without-{victim}"
        started = train(place, out)
        is_there(place / out / "checkpoints/images-000001600.json", started)
        started[victim].kill()
        start_of_end = time.monotonic()
        codes, said = ended(started, 120)
        assert time.monotonic() - start_of_end < 60
        assert codes[1 - victim] == 1
        assert (
            said[1 - victim]
            .splitlines()[-1]
            .startswith(
                f"Error: Expected all 2 workers to train to the end. Received: worker {victim} has"
            )
        )
        assert "Traceback" not in said[1 - victim]
        codes, said = ended(train(place, out, "--resume"))
        assert codes == [0, 0], said
        (expected, rows), (found, rows_again) = map(state_of, (place / "whole", place / out))
        assert rows == rows_again
        for name, value in expected.items():
            np.testing.assert_array_equal(value, found[name], err_msg=name)


@pytest.mark.slow
def test_ctrl_c_of_one_worker_ends_all_with_a_checkpoint(place):
    started = train(place, "run")
    is_there(place / "run/checkpoints/images-000000800.json", started)
    started[1].send_signal(signal.SIGINT)
    codes, said = ended(started, 60)
    assert codes == [130, 130], said
    assert all("Saved. Go on with: kgan train" in each for each in said)
    assert (place / "run/preset/metadata.json").exists()


@pytest.mark.slow
def test_a_run_directory_that_is_not_shared_is_refused(place):
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    for name in ("tiny.toml", "watched.py"):
        (elsewhere / name).write_text((place / name).read_text())
    codes, said = ended(train(place, "run", places=[place, elsewhere]))
    assert codes == [1, 1]
    assert all("Expected a run directory that all workers share. Received: " in s for s in said)


@pytest.mark.slow
def test_what_one_worker_lacks_ends_all(place):
    other = place / "other"
    other.mkdir()
    (other / "tiny.toml").write_text((place / "tiny.toml").read_text())
    args = ["-m", "kgan.cli", "train", "tiny.toml", "--out", place / "run"]
    args += ["--strategy", "multiworker"]
    codes, said = ended(start(*args, configs=cluster(), places=[place, other]))
    assert codes == [1, 1]
    assert "Worker 1 has stopped, and so have all. Expected" in said[0]


@pytest.mark.slow
@pytest.mark.data
def test_two_workers_train_digits_for_2000_steps(place, data_dir):
    more = ("--images", "16000", "--batch-size", "8")
    args = ["-m", "kgan.cli", "train", "dcgan-mnist", "--import", "watched.py", *more]
    args += ["--data-dir", data_dir, "--out", "digits", "--strategy", "multiworker"]
    codes, said = ended(start(*args, configs=cluster(), places=[place] * 2), 4 * PATIENCE)
    assert codes == [0, 0], said
    np.testing.assert_array_equal(*(np.load(place / f"weights-{w}.npy") for w in range(2)))
    assert (place / "digits/preset/metadata.json").exists()


@pytest.mark.parametrize(
    "config", [None, "", "{", "[]", '{"cluster": {"worker": ["a:1"]}}', '{"task": {"index": 0}}']
)
def test_workers_that_no_configuration_names_are_refused(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(KganError, match="Expected the environment variable TF_CONFIG to name"):
        strategies.make("multiworker")
