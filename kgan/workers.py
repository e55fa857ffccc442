"""What the processes tell one another that train one model together.

They are workers of a `tf.distribute.MultiWorkerMirroredStrategy`, of which the first is the chief.
All do the same in the same order: whoever calls one of these functions waits until all have. In one
process they cost nothing.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kgan.errors import KganError

_MOST_TEXT = 1000  # bytes of an error that the others are told


class LostWorker(KganError):
    """A process that trained with this one has ended or does not answer any more."""


def count(strategy: tf.distribute.Strategy) -> int:
    """How many processes a strategy trains in."""
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec() if resolver is not None else None
    return sum(map(cluster.num_tasks, cluster.jobs)) if cluster else 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether it is this process that writes files, and decides."""
    return strategy.extended.should_checkpoint


def total(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """The sum of an array of each worker, in float64."""
    values = np.asarray(values, np.float64)
    if count(strategy) == 1:
        return values
    devices = strategy.num_replicas_in_sync // count(strategy)

    def once(replica):
        first = int(replica.replica_id_in_sync_group) % devices == 0
        return tf.constant(values if first else np.zeros_like(values))

    each = strategy.experimental_distribute_values_from_function(once)
    return strategy.reduce("SUM", each, axis=None).numpy()


def from_chief(strategy: tf.distribute.Strategy, make: Callable[[], Any]) -> Any:
    """Calls a function on the chief, and gives all workers what it returns.

    Args:
        strategy: of the model.
        make: a function that returns what JSON can hold.

    Raises:
        KganError: on all workers, if it raises one; any other error is the chief's alone.
    """
    if count(strategy) == 1:
        return make()
    said, failure = b"", None
    if is_chief(strategy):
        try:
            said = json.dumps({"value": make()}).encode()
        except KganError as error:
            failure = error
            said = json.dumps({"error": str(error)}).encode()
    length = int(total(strategy, len(said)))
    text = np.frombuffer(said.ljust(length, b"\0"), np.uint8)
    told = json.loads(total(strategy, text).astype(np.uint8).tobytes())
    if failure is not None:
        raise failure
    if "error" in told:
        raise KganError(told["error"])
    return told["value"]


@contextmanager
def together(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """What raises an error on one worker raises it on all, so that none waits for another."""
    if count(strategy) == 1:
        yield
        return
    failure = None
    try:
        yield
    except tf.errors.OpError:  # of what the workers have in common
        raise
    except Exception as error:
        failure = error
    texts = np.zeros((count(strategy), _MOST_TEXT))
    if failure is not None:
        said = (str(failure) or type(failure).__name__).encode()[:_MOST_TEXT]
        texts[strategy.cluster_resolver.task_id, : len(said)] = np.frombuffer(said, np.uint8)
    texts = total(strategy, texts).astype(np.uint8)
    if failure is not None:
        raise failure
    for worker, text in enumerate(texts):
        if text.any():
            said = text.tobytes().rstrip(b"\0").decode(errors="replace")
            raise KganError(f"Worker {worker} has stopped, and so have all. {said}")


def check_same(strategy: tf.distribute.Strategy, what: str, value: str) -> None:
    """Raises KganError on all workers unless all have the same of something, as text.

    Args:
        strategy: of the model.
        what: it is, for the message.
        value: this worker's.
    """
    with together(strategy):
        if from_chief(strategy, lambda: value) != value:
            raise KganError(f"Expected the same {what} on all workers. Received: not the chief's")


@contextmanager
def own_errors(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says in one line that another worker is gone, in place of what TensorFlow says of it."""
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(r"[Cc]ollective ops is aborted by: (.*)", str(error), re.DOTALL)
        if count(strategy) == 1 or found is None:
            raise
        # The first that is named is where it began; of a chief that is silent none is.
        gone = re.search(r"task:(\d+)", found[1])
        raise LostWorker(
            f"Expected all {count(strategy)} workers to train to the end. Received: worker "
            f"{gone[1] if gone else 0} has ended or does not answer. Start all again: a run goes "
            "on from its last checkpoint with --resume"
        ) from None


class SameEnd(keras.callbacks.Callback):
    """Lets all workers stop after the epoch after which the chief does."""

    def on_epoch_end(self, epoch, logs=None):
        model = self.model
        model.stop_training = from_chief(
            model.distribute_strategy, lambda: bool(model.stop_training)
        )
