"""Pipelines of data that leave the processor to the training that they are for."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from kgan import workers
from kgan.errors import KganError

_DISTRIBUTE = "experimental_distribute_dataset"
_EPOCHS = "_kgan_epochs"
_EVERYWHERE = "kgan.data"  # among the frameworks that have made a pipeline


def steady(dataset):
    """A `tf.data.Dataset` without autotuning, unless its own options say something of that.

    With it, a thread that looks for better settings holds one of the threads which convolutions
    share: on two cores `fit` ran at two thirds of its rate in nearly half of the calls. And whoever
    lets go of an iterator may wait for that thread's next round; it wakes at doubling intervals,
    which end at a minute.

    Args:
        dataset: to be iterated over; what is distributed already stays as it is.

    Returns:
        A data set of the same elements.
    """
    if not isinstance(dataset, tf.data.Dataset) or dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


class Epochs:
    """The numbers of the epochs of a pipeline, of which each has an order of its own.

    Attributes:
        next: number of the next pass.
        fitted: the same for the next `fit`, for which it does not count who else has looked at
            some batches.
    """

    def __init__(self):
        self.next = self.fitted = 0

    def take(self) -> np.int64:
        """The number of a pass that begins."""
        number = self.next
        self.next += 1
        return np.int64(number)


def counted(dataset: tf.data.Dataset, epochs: Epochs) -> tf.data.Dataset:
    """Marks a `tf.data.Dataset` that takes the numbers of its passes from `epochs`.

    What is made of it by `map`, `take` and the like is marked too.
    """
    setattr(dataset, _EPOCHS, epochs)
    return dataset


def _epochs_in(dataset):
    if isinstance(dataset, tf.data.Dataset):
        if hasattr(dataset, _EPOCHS):
            yield getattr(dataset, _EPOCHS)
        for source in dataset._inputs():
            yield from _epochs_in(source)


@contextmanager
def epochs_of_fit(dataset, first: int = 0) -> Iterator[None]:
    """Within it the passes of a pipeline are the epochs of a `fit`.

    Args:
        dataset: anything; only kgan's own pipelines count their passes.
        first: int, the first epoch, where training goes on; 0 for that after the last `fit`.
    """
    found = list(_epochs_in(dataset))
    for epochs in found:
        epochs.next = first or epochs.fitted
    try:
        yield
    finally:
        for epochs in found:
            epochs.fitted = epochs.next


def begin_at(dataset, epoch: int) -> None:
    """Lets a `fit` that has begun go on with the order of another epoch than its first."""
    for epochs in _epochs_in(dataset):
        epochs.next = epoch


def same_everywhere(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Marks a `tf.data.Dataset` that gives every process the same batches, in the same order.

    What is made of it by `map`, `take` and the like is marked too. `own_pipelines` deals its
    batches out to the processes of a strategy, and TensorFlow deals nothing out beside that.
    """
    options = tf.data.Options()
    options.framework_type = [_EVERYWHERE]
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.with_options(options)


@contextmanager
def own_pipelines(
    strategy: tf.distribute.Strategy, is_enough: Callable | None = None
) -> Iterator[None]:
    """Makes the pipelines that Keras builds, of any kind of data, `steady`.

    Of data that are the `same_everywhere` each of several processes gets its slice of the global
    batch, so that together they train on what one alone would. Any other data TensorFlow shards.
    A batch of too few images, as the last one may be, is left out.

    Keras has no other place for that: it builds a pipeline of arrays, generators and the like
    and gives it to the strategy, as it does with a user's own.

    Args:
        strategy: of the model.
        is_enough: whether a batch of so many images, an int or a tensor, has enough for all
            devices. None: an image for each.
    """
    if _DISTRIBUTE in vars(strategy):  # within a `fit` that evaluates, or beside another one
        yield
        return
    distribute, devices = getattr(strategy, _DISTRIBUTE), strategy.num_replicas_in_sync
    is_enough = is_enough or (lambda images: images >= devices)

    def distribute_own_way(dataset, *args, **kwargs):
        dataset = _for_all_devices(steady(dataset), devices, is_enough)
        if workers.count(strategy) > 1 and _is_same_everywhere(dataset):
            return strategy.distribute_datasets_from_function(lambda own: _slices(dataset, own))
        return distribute(dataset, *args, **kwargs)

    setattr(strategy, _DISTRIBUTE, distribute_own_way)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        delattr(strategy, _DISTRIBUTE)


def _for_all_devices(dataset, devices, is_enough):
    """Without batches of too few images.

    Of no image at all some operations of TensorFlow make NaN, or have the wrong shape.

    Raises:
        KganError: if all batches are so small.
    """
    first = tf.nest.flatten(dataset.element_spec)[0].shape
    size = first[0] if first.rank else devices
    if size is None and is_enough(1) and dataset.cardinality() < 0:  # else none is of no image
        return dataset.filter(lambda *batch: tf.shape(tf.nest.flatten(batch)[0])[0] > 0)
    if is_enough(1) or (size is not None and (is_enough(size) or devices == 1)):
        return dataset  # of one device the step sees the size
    if size is not None:
        raise few_images(size, devices)
    # Keras has counted them, and would warn that one is missing.
    warnings.filterwarnings("ignore", message=r"\s*Your input ran out of data")
    return dataset.filter(lambda *batch: is_enough(tf.shape(tf.nest.flatten(batch)[0])[0]))


def few_images(images: int, devices: int) -> KganError:
    """The error of a batch that leaves a device without an image, or an update of a device."""
    expected = f"at least {devices} images, one for each device"
    if images >= devices:
        expected = f"more images, enough for all updates on each of {devices} devices"
    return KganError(f"Expected batches of {expected}. Received: {images}")


def _is_same_everywhere(dataset):
    return _EVERYWHERE in (dataset.options().framework_type or ())


def _slices(dataset, own: tf.distribute.InputContext):
    """The rows of each batch that the replicas of one process get, one replica after the other."""
    replicas = own.num_replicas_in_sync
    here = replicas // own.num_input_pipelines
    first = own.input_pipeline_id * here

    def of_replica(replica, *batch):
        def rows(part):
            images = part.shape[0] or tf.shape(part, tf.int64)[0]
            cut = part[replica * images // replicas : (replica + 1) * images // replicas]
            if part.shape[0] and part.shape[0] % replicas == 0:
                cut = tf.ensure_shape(cut, (part.shape[0] // replicas, *part.shape[1:]))
            return cut

        return tf.nest.map_structure(rows, batch if len(batch) > 1 else batch[0])

    def of_process(*batch):
        numbers = tf.data.Dataset.range(first, first + here)
        return numbers.map(lambda replica: of_replica(replica, *batch))

    slices, batches = dataset.flat_map(of_process), dataset.cardinality()
    if batches >= 0 or batches == tf.data.INFINITE_CARDINALITY:
        # An endless pipeline spares the processes to ask one another for its end, at every step.
        each = batches * here if batches >= 0 else batches
        slices = slices.apply(tf.data.experimental.assert_cardinality(each))
    return slices
