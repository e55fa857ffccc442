"""The devices and processes that a run trains on: `kgan train --strategy`."""

import errno
import json
import math
import os
import secrets
import signal
import socket
import time
from contextlib import ExitStack, suppress
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
    _meet(*_cluster())
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise KganError(
            f"Expected to begin as one of the workers that TF_CONFIG names. Received: {error}"
        ) from None
    # TensorFlow has taken SIGTERM for itself.
    with suppress(ValueError):  # only the main thread may handle signals
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy


def _cluster() -> tuple[list[str], int]:
    """The addresses of all workers, the chief's first, and which of them this is.

    Raises:
        KganError: if `TF_CONFIG` does not tell.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        tasks = [
            (kind, index, str(address))
            for kind in ("chief", "worker")
            for index, address in enumerate(config["cluster"].get(kind, []))
        ]
        own = config["task"]["type"], int(config["task"]["index"])
        return [task[2] for task in tasks], [task[:2] for task in tasks].index(own)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KganError(
            "Expected the environment variable TF_CONFIG to name all workers and which of them "
            f'this is, as in {_EXAMPLE} "index": 0}}}}. Received: {short(text)}'
        ) from None


def _meet(addresses: list[str], own: int) -> None:
    """Waits until all workers have begun: TensorFlow would wait for ever, deaf to Ctrl-C.

    Until all are there, the chief listens at the address that is then TensorFlow's.

    Raises:
        KganError: if one does not come, or the chief's address is taken.
    """
    host, _, port = addresses[0].rpartition(":")
    end, told = time.monotonic() + PATIENCE, time.monotonic() + _TOLD_AFTER
    missing = set(range(1, len(addresses))) if own == 0 else {0}
    with ExitStack() as stack:
        others = []
        try:
            listening = stack.enter_context(_listening(host, int(port))) if own == 0 else None
        except (OSError, ValueError) as error:
            raise KganError(
                f"Expected to listen at {addresses[0]}, as TF_CONFIG says. Received: {error}"
            ) from None
        while missing:
            try:
                if own == 0:
                    listening.settimeout(0.5)
                    other = stack.enter_context(listening.accept()[0])
                    other.settimeout(5)
                    missing.discard(int(other.recv(8) or 0))
                    others.append(other)
                else:
                    chief = stack.enter_context(socket.create_connection((host, int(port)), 5))
                    chief.sendall(str(own).encode())
                    chief.settimeout(max(0.1, end - time.monotonic()))
                    if chief.recv(8):
                        missing.clear()
            except (OSError, ValueError):
                time.sleep(0.1)
            names = ", ".join(addresses[index] for index in sorted(missing))
            if missing and time.monotonic() > end:
                raise KganError(
                    f"Expected all workers that TF_CONFIG names within {PATIENCE:.0f} s. "
                    f"Received: nothing from {names}"
                )
            if missing and time.monotonic() > told:
                told = math.inf
                say(f"Waiting for other workers: {names}", err=True)
        for other in others:
            with suppress(OSError):
                other.sendall(b"begin")
                other.recv(8)  # until it has closed, so that the address is free at once


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return socket.create_server(("", port))  # a name that others know this machine by
