"""The devices and processes that a run trains on: `kgan train --strategy`."""

import json
import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import tensorflow as tf

from kgan import workers
from kgan.errors import KganError, say, short
from kgan.runs.directory import LOCK

PATIENCE = 600.0  # seconds that workers wait for one another to begin
_TOLD_AFTER = 10.0  # of these
SEEN_WITHIN = 30.0  # seconds, which file systems of networks may take
_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", …'


def make(name: str) -> tf.distribute.Strategy:
    """The strategy of a name.

    Args:
        name: `"one"`, of one device; `"mirrored"`, of all GPUs, or where there is none of all
            logical CPUs; `"multiworker"`, of all GPUs of all processes that `TF_CONFIG` names,
            before TensorFlow has begun; `"auto"`: mirrored if there are two GPUs or more, else one.

    Raises:
        KganError: if `TF_CONFIG` names no workers, or they do not come.
    """
    if name == "multiworker":
        return _multiworker()
    devices = tf.config.list_logical_devices("GPU")
    if name == "mirrored" and not devices:
        devices = tf.config.list_logical_devices("CPU")
    if name == "mirrored" or (name == "auto" and len(devices) > 1):
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def described(strategy: tf.distribute.Strategy) -> str:
    """A line about the devices that this process trains on."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    number = strategy.num_replicas_in_sync // workers.count(strategy)
    text = f"{number} {kind}{'s' if number > 1 else ''}"
    if kind == "GPU":
        gpus = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices(kind))
        names = dict.fromkeys(gpu.get("device_name", "unknown") for gpu in gpus)
        text += f" ({', '.join(names)})"
    if workers.count(strategy) > 1:
        task = strategy.cluster_resolver.task_id
        text += f", worker {task} of {workers.count(strategy)}"
        text += ", the chief" if workers.is_chief(strategy) else ""
    return f"Training on {text}"


def check_shared(directory: Path, strategy: tf.distribute.Strategy) -> None:
    """Looks whether all workers see the run directory of the chief, which is made if need be.

    Raises:
        KganError: on all of them, if one does not.
    """
    if workers.count(strategy) == 1:
        return
    path = directory / LOCK

    def mark():
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(token := secrets.token_hex(16), "utf-8")
        return token

    token = workers.from_chief(strategy, mark)
    with workers.together(strategy):
        end = time.monotonic() + SEEN_WITHIN
        while not _says(path, token):
            if time.monotonic() > end:
                raise KganError(
                    "Expected a run directory that all workers share. Received: "
                    f"{directory.absolute()}, in which worker {strategy.cluster_resolver.task_id} "
                    "does not see what the chief writes"
                )
            time.sleep(0.1)


def _says(path, text):
    try:
        return path.read_text("utf-8") == text
    except (OSError, ValueError):
        return False


def _multiworker():
    others = _others()
    made, start, told = [], time.monotonic(), False

    def begin():  # it waits for the others, and takes no notice of signals
        try:
            made.append(tf.distribute.MultiWorkerMirroredStrategy())
        except Exception as error:
            made.append(error)

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        waited = time.monotonic() - start
        if waited < (PATIENCE if told else _TOLD_AFTER) or not thread.is_alive():
            continue
        missing = ", ".join(address for address in others if not _answers(address)) or "some"
        if told:
            raise KganError(
                f"Expected all workers that TF_CONFIG names within {PATIENCE / 60:.0f} minutes. "
                f"Received: nothing from {missing}"
            )
        told = True
        say(f"Waiting for other workers: {missing}", err=True)
    # TensorFlow has taken SIGTERM for itself.
    with suppress(ValueError):  # only the main thread may handle signals
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    if isinstance(made[0], Exception):
        raise KganError(
            f"Expected to begin as one of the workers that TF_CONFIG names. Received: {made[0]}"
        )
    return made[0]


def _others() -> list[str]:
    """The addresses of the other workers.

    Raises:
        KganError: if `TF_CONFIG` does not tell.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        tasks = {
            (kind, index): address
            for kind in ("chief", "worker")
            for index, address in enumerate(config["cluster"].get(kind, []))
        }
        tasks.pop((config["task"]["type"], int(config["task"]["index"])))
        return [str(address) for address in tasks.values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KganError(
            "Expected the environment variable TF_CONFIG to name all workers and which of them "
            f'this is, as in {_EXAMPLE} "index": 0}}}}. Received: {short(text)}'
        ) from None


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True
