"""Pipelines of data that leave the processor to the training that they are for."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from kgan import workers

_DISTRIBUTE = "experimental_distribute_dataset"
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
def own_pipelines(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Makes the pipelines that Keras builds, of any kind of data, `steady`.

    Of data that are the `same_everywhere` each of several processes gets its slice of the global
    batch, so that together they train on what one alone would. Any other data TensorFlow shards.

    Keras has no other place for that: it builds a pipeline of arrays, generators and the like
    and gives it to the strategy, as it does with a user's own.

    Args:
        strategy: of the model.
    """
    if _DISTRIBUTE in vars(strategy):  # within a `fit` that evaluates, or beside another one
        yield
        return
    distribute = getattr(strategy, _DISTRIBUTE)

    def distribute_own_way(dataset, *args, **kwargs):
        dataset = steady(dataset)
        if workers.count(strategy) > 1 and _is_same_everywhere(dataset):
            return strategy.distribute_datasets_from_function(lambda own: _slices(dataset, own))
        return distribute(dataset, *args, **kwargs)

    setattr(strategy, _DISTRIBUTE, distribute_own_way)
    try:
        yield
    finally:
        delattr(strategy, _DISTRIBUTE)


def _is_same_everywhere(dataset):
    return _EVERYWHERE in (dataset.options().framework_type or ())


def _slices(dataset, own: tf.distribute.InputContext):
    """The rows of each batch that the replicas of one process get, one replica after the other."""
    replicas = own.num_replicas_in_sync
    first = own.input_pipeline_id * replicas // own.num_input_pipelines
    sizes = {part.shape[0] for part in tf.nest.flatten(dataset.element_spec)}
    size = sizes.pop() if len(sizes) == 1 else None

    def of_replica(replica, *batch):
        def rows(part):
            images = size or tf.shape(part, tf.int64)[0]
            return part[replica * images // replicas : (replica + 1) * images // replicas]

        return tf.nest.map_structure(rows, batch)

    def of_process(*batch):
        numbers = tf.data.Dataset.range(first, first + replicas // own.num_input_pipelines)
        return numbers.map(lambda replica: of_replica(replica, *batch))

    return dataset.flat_map(of_process)
