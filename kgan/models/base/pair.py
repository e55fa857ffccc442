"""Both optimizers as `model.optimizer`, for the callbacks of Keras and of others."""

from typing import Any

import keras
import tensorflow as tf

from kgan.errors import KganError, short

OPTIMIZERS = ("g_optimizer", "d_optimizer")  # of the generators, of the discriminators

# Those of Keras that read or set what optimizers have. Before 3.15 they know of one only, and would
# give both players the generator's rate.
_OF_OPTIMIZERS = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.SwapEMAWeights,
)
KERAS_KNOWS_SEVERAL = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 15)


class _Player:
    """An optimizer under the name of its attribute, and without its scaling of losses."""

    def __init__(self, name: str, optimizer: keras.optimizers.Optimizer):
        self.__dict__.update(name=name, _optimizer=inner(optimizer))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._optimizer, name, value)


class OptimizerPair:
    """What a model's `optimizer` is: `optimizers`, as of Keras' `MultiOptimizer`.

    Keras does not save it, since it is no optimizer itself. A learning rate that is set is set of
    both; that of the generator is what is read.

    Args:
        **named: the optimizers, the generator's first.
    """

    built = True

    def __init__(self, **named: keras.optimizers.Optimizer):
        self.optimizers = [_Player(*pair) for pair in named.items()]

    @property
    def learning_rate(self) -> tf.Tensor:
        """A constant: what has other ways to set a rate than this attribute fails aloud."""
        return tf.constant(keras.ops.convert_to_numpy(self.optimizers[0].learning_rate))

    @learning_rate.setter
    def learning_rate(self, value) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = value

    @property
    def iterations(self):
        """Updates of the generator: one a step."""
        return self.optimizers[0].iterations

    @property
    def variables(self) -> list:
        return [v for optimizer in self.optimizers for v in optimizer.variables]


def inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer in one that scales losses, or itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def sum_first(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets an optimizer sum gradients over several replicas before it looks at them.

    Keras sums them last: an optimizer that scales losses would tell by the first replica's share
    whether all are finite, and `clipnorm` and the like would clip each replica's share alone.

    Args:
        optimizer: built; one that scales losses may be around another.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return
    sums, apply = inner(optimizer)._all_reduce_sum_gradients, optimizer.apply

    def apply_sums(grads, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        apply([sum_ for sum_, _ in sums(zip(grads, variables, strict=True))], variables)

    optimizer.apply = apply_sums
    inner(optimizer)._all_reduce_sum_gradients = list  # they are sums already


def take_weights_of_now(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets an optimizer that copies weights as it is built begin with those that there are now.

    kgan builds optimizers in `compile`, after which weights may be loaded.
    """
    optimizer = inner(optimizer)
    copying = isinstance(optimizer, getattr(keras.optimizers, "ScheduleFreeAdamW", ()))
    if copying and not optimizer.iterations.numpy():
        pairs = zip(optimizer._momentums, optimizer._trainable_variables, strict=True)
        for copy, variable in pairs:
            copy.assign(variable)


def check_callbacks(callbacks, pair: OptimizerPair | None) -> None:
    """Raises KganError for callbacks of Keras that would do nothing here, or fail in the end.

    Args:
        callbacks: as `fit` takes them.
        pair: both optimizers of the model.
    """
    if callbacks is None:
        return
    for callback in keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)):
        if not isinstance(callback, keras.callbacks.Callback):
            raise KganError(
                f"Expected callbacks to be Keras callbacks, in a list. Received: {short(callback)}"
            )
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            raise KganError(
                "Expected kgan.callbacks.TerminateOnDivergence(), which watches all losses and "
                "weights. Received: TerminateOnNaN, which watches a loss that GANs do not have"
            )
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not (
            callback.save_weights_only or callback.filepath.endswith(".keras")
        ):
            raise KganError(
                "Expected a ModelCheckpoint of a path that ends in .keras. Received: "
                f"{callback.filepath}"
            )
        if isinstance(callback, keras.callbacks.SwapEMAWeights) and not (
            pair and any(optimizer.use_ema for optimizer in pair.optimizers)
        ):
            raise KganError(
                "Expected no SwapEMAWeights without an optimizer of use_ema=True: the model keeps "
                "a moving average itself (ema_half_life), by which it samples. Received: "
                "SwapEMAWeights"
            )
        if isinstance(callback, _OF_OPTIMIZERS) and not KERAS_KNOWS_SEVERAL:
            raise KganError(
                f"Expected Keras 3.15 or newer for {type(callback).__name__}: before, it knows of "
                f"one optimizer only. Received: Keras {keras.__version__}; a learning rate that "
                "falls by itself (keras.optimizers.schedules) does without"
            )
