"""TensorFlow's random numbers of a training step, the same however a batch is cut by replica."""

import copy
import itertools
import threading

import tensorflow as tf

from kgan._renamed import moved_names
from kgan.checks import SEED

__getattr__ = moved_names(
    "kgan.random", "kgan.latents", "sample_labels", "sample_latents", "slerp", "walk_latents"
)


_MOST_SEED = (1 << 47) - 1  # beside the number of a draw, of 16 bits, in an int64


class _Entered(threading.local):  # replicas are traced in threads of their own
    draws: tuple = ()  # innermost last


class Draws:
    """The random numbers of one training step.

    Every call draws for the *global* batch, from a stateless generator seeded by the model's
    seed, the step's counter and the number of draws made before it in this step, and returns
    the rows of this replica. Replicas therefore differ from one another, and together hold what
    one device alone would have drawn.

    Args:
        seed: int, the model's seed.
        counter: int or int64 scalar tensor, different at every step.
        local_batch: int or int32 scalar tensor, examples on this replica.
        global_batch: examples on all replicas; `local_batch` when there is one replica.
        offset: examples on the replicas before this one.

    As a context manager it is what layers that draw noise inside a network find as
    `Draws.current()`.

    Example:

    >>> draws = kgan.random.Draws(seed=0, counter=7, local_batch=4)
    >>> draws.normal((128,)).shape
    TensorShape([4, 128])
    """

    _entered = _Entered()

    def __init__(self, seed, counter, local_batch, global_batch=None, offset=0):
        self.seed = SEED.check("seed", seed)
        self.counter = counter
        self.local_batch = local_batch
        self.global_batch = local_batch if global_batch is None else global_batch
        self.offset = offset
        self._numbers = itertools.count(1)

    @classmethod
    def current(cls) -> "Draws | None":
        """The draws of the step that is calling, or None outside of one."""
        return cls._entered.draws[-1] if cls._entered.draws else None

    def __enter__(self):
        self._entered.draws += (self,)
        return self

    def __exit__(self, *error):
        self._entered.draws = self._entered.draws[:-1]

    def part(self, index: int, parts: int) -> "tuple[slice, Draws]":
        """Deals the global batch out to `parts` updates, as cards are: row by row, in turn.

        Rows left over by an uneven batch go to nobody, so that all parts are equally large.

        Args:
            index: int, which part.
            parts: int, how many there are.

        Returns:
            This replica's rows of the part, as a slice of its images, and their `Draws`, which
            give other numbers than those of any other part.
        """
        draws = copy.copy(self)  # and with the same count of numbers drawn
        used = self.global_batch - self.global_batch % parts
        draws.global_batch = used // parts
        if self.global_batch is self.local_batch:
            draws.local_batch = draws.global_batch
            return slice(index, used, parts), draws

        def dealt(stop):  # rows of this part before the global row `stop`
            return (tf.minimum(stop, used) - index + parts - 1) // parts

        draws.offset = dealt(self.offset)
        draws.local_batch = dealt(self.offset + self.local_batch) - draws.offset
        first = (index - self.offset) % parts
        return slice(first, tf.maximum(used - self.offset, 0), parts), draws

    def twins(self) -> "tuple[Draws, Draws]":
        """Two that draw the same numbers, for a pair of images to be augmented alike."""
        pair = copy.copy(self), copy.copy(self)
        for draws, numbers in zip(pair, itertools.tee(self._numbers), strict=True):
            draws._numbers = numbers
        return pair

    def whole(self) -> "Draws":
        """The same numbers on all replicas: those of the global batch."""
        draws = copy.copy(self)  # and with the same count of numbers drawn
        draws.local_batch, draws.offset = self.global_batch, 0
        return draws

    def normal(self, shape: tuple[int, ...], dtype="float32"):
        """Standard normal tensor of shape `(local_batch, *shape)`."""
        full = (self.global_batch, *shape)
        return self._local(tf.random.stateless_normal(full, self._next_seed(), dtype=dtype))

    def uniform(self, shape: tuple[int, ...], low=0.0, high=1.0, dtype="float32"):
        """Uniform tensor in `[low, high)` of shape `(local_batch, *shape)`."""
        full = (self.global_batch, *shape)
        return self._local(
            tf.random.stateless_uniform(full, self._next_seed(), low, high, dtype=dtype)
        )

    def labels(self, num_classes: int):
        """Uniform labels, int32 tensor of shape `(local_batch,)`."""
        full = (self.global_batch,)
        return self._local(
            tf.random.stateless_uniform(full, self._next_seed(), 0, num_classes, tf.int32)
        )

    def _next_seed(self):
        # The stateless generators key their stream with both words: (seed, which draw) and when.
        return tf.stack(
            [
                tf.constant((self.seed & _MOST_SEED) << 16 | next(self._numbers), tf.int64),
                tf.cast(self.counter, tf.int64),
            ]
        )

    def _local(self, values):
        if self.global_batch is self.local_batch:
            return values
        return values[self.offset : self.offset + self.local_batch]
