"""Pipelines of data that leave the processor to the training that they are for."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_DISTRIBUTE = "experimental_distribute_dataset"


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


@contextmanager
def steady_pipelines(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Makes the pipelines that Keras builds, of any kind of data, `steady`.

    Keras has no other place for options: it builds a pipeline of arrays, generators and the like
    and gives it to the strategy, as it does with a user's own.

    Args:
        strategy: of the model.
    """
    if _DISTRIBUTE in vars(strategy):  # within a `fit` that evaluates, or beside another one
        yield
        return
    distribute = getattr(strategy, _DISTRIBUTE)

    def distribute_steadily(dataset, *args, **kwargs):
        return distribute(steady(dataset), *args, **kwargs)

    setattr(strategy, _DISTRIBUTE, distribute_steadily)
    try:
        yield
    finally:
        delattr(strategy, _DISTRIBUTE)
