"""Fixtures: real data, a tiny preset, and the command line as a process."""

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
if "PYTEST_XDIST_WORKER" in os.environ:  # workers that use all cores are in each other's way
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import pytest
import tensorflow as tf

# The tests of distribution train on two devices; they can only be made before TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
for gpu in tf.config.list_physical_devices("GPU"):  # which several processes of tests share
    tf.config.experimental.set_memory_growth(gpu, True)
# To optimise a graph takes longer than to run it the few times that a test does. What runs in a
# process of its own (the examples of README, trainings that are killed) is optimised as ever.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})

# What the machine's user has set must not reach the processes that tests start, and neither must
# the log level above: the command line has to be silent without it.
_PRIVATE = ("KGAN_", "TF_", "TFDS_", "KERAS_", "HF_")


def pytest_collection_finish() -> None:
    """What is there before the first test stays, and need not be looked through for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2000, 20, 50)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Lets go of iterators over replicas, which lie in circles, while that takes moments.

    A thread of theirs wakes at doubling intervals, and whoever lets go of them later waits for it.
    """
    if re.search("replica|strategy", item.name):
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """Lets what kgan keeps between processes begin empty, and end with the tests."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; without it tests are skipped, but fail where CI runs."""
    name = os.environ.get("KGAN_DATA_DIR")
    if name and Path(name).is_dir():
        return Path(name)
    reason = f"Expected real data in KGAN_DATA_DIR. Received: {name!r}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """The directory of a preset: an untrained DCGAN of 16x16 RGB images."""
    from kgan.models import DCGAN

    directory = tmp_path_factory.mktemp("presets") / "tiny"
    model = DCGAN(image_shape=(16, 16, 3), latent_dim=8, width=4)
    model.compile()
    model.save_to_preset(directory)
    return directory


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python *args` in a directory, with nothing but `env` set of what kgan reads."""

    def run(*args, cwd: Path, **env: str) -> subprocess.CompletedProcess:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_PRIVATE)}
        return subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=cwd,
            env={**kept, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def run_without_tensorflow(run_python) -> Callable[..., subprocess.CompletedProcess]:
    """`run_python` of a piece of code, where what only models need cannot be imported."""
    hidden = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'h5py', 'onnx'):\n"
        "    sys.modules[name] = None\n"
    )
    return lambda code, *args, **more: run_python("-c", hidden + code, *args, **more)


@pytest.fixture
def interruptible() -> Callable[..., subprocess.Popen]:
    """`subprocess.Popen` of a process that heeds Ctrl-C, even if tests run in the background."""

    def start(*args, **kwargs) -> subprocess.Popen:
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            return subprocess.Popen(*args, **kwargs)
        finally:
            signal.signal(signal.SIGINT, before)

    return start


@pytest.fixture
def run_kgan(run_python, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `kgan *args` in a process of its own, in `tmp_path`, with the variables `env`."""

    def run(*args, **env: str) -> subprocess.CompletedProcess:
        return run_python("-m", "kgan.cli", *args, cwd=tmp_path, **env)

    return run


@pytest.fixture
def at_hub(monkeypatch, tmp_path):
    """A hub on this machine, and nothing else of the user's: no token, no cache, no registries."""
    from kgan.zoo import exchange, registry
    from zoo import stand_in

    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "KGAN_OFFLINE", "KGAN_ZOO", "KGAN_MOST_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(exchange, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(registry, "_failures", {})
    monkeypatch.setattr(registry, "_warned", set())
    with stand_in.serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        yield found
