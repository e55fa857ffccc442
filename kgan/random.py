"""Randomness that does not depend on how the work is cut: by batch, by replica or by process."""

import copy
import itertools
import threading

import numpy as np
import tensorflow as tf

_TWO_PI = 2.0 * np.pi


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
        self.seed = seed
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
                tf.constant((self.seed & 0xFFFFFFFF) << 16 | next(self._numbers), tf.int64),
                tf.cast(self.counter, tf.int64),
            ]
        )

    def _local(self, values):
        if self.global_batch is self.local_batch:
            return values
        return values[self.offset : self.offset + self.local_batch]


def _raw_bits(seed: int, index: int, words: int, stream: int) -> np.ndarray:
    """`words` raw uint64 of the Philox generator with key (seed, index), in counter `stream`."""
    key = np.array([seed, index], dtype=np.uint64)
    counter = np.array([0, 0, 0, stream], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(words)


def sample_latents(seed: int, start: int, stop: int, latent_dim: int) -> np.ndarray:
    """Standard normal latents of the images `start` to `stop` of a seed.

    Image i's latent depends on `(seed, i)` alone: the raw bits of NumPy's Philox generator with
    that key, through the Box-Muller transform in float64. (NumPy promises the raw bits for ever,
    but not the stream of its `normal`.)

    Args:
        seed: int in [0, 2**64).
        start, stop: int, range of image indices.
        latent_dim: int.

    Returns:
        float32 array of shape `(stop - start, latent_dim)`.
    """
    pairs = (latent_dim + 1) // 2
    bits = np.stack([_raw_bits(seed, i, 2 * pairs, stream=0) for i in range(start, stop)])
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1)
    radius = np.sqrt(-2.0 * np.log1p(-uniform[:, :pairs]))
    angle = _TWO_PI * uniform[:, pairs:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal[:, :latent_dim].astype(np.float32)


def sample_labels(seed: int, start: int, stop: int, num_classes: int) -> np.ndarray:
    """Uniform labels of the images `start` to `stop` of a seed: int64 `(stop - start,)`."""
    bits = np.array([_raw_bits(seed, i, 1, stream=1)[0] for i in range(start, stop)], np.uint64)
    return (bits % np.uint64(num_classes)).astype(np.int64)


def slerp(start: np.ndarray, stop: np.ndarray, t: float) -> np.ndarray:
    """Spherical interpolation: the point at share `t` of the way along the arc between vectors.

    Normal latents of many dimensions lie near a sphere, from which a straight line between two of
    them strays into its inside, where the generator was hardly trained. On the arc they stay on
    it (White 2016, "Sampling Generative Networks", arXiv:1609.04468, section 2). Lengths that
    differ are interpolated linearly, so that none is longer or shorter than both ends.

    Args:
        start, stop: float arrays (..., dimensions), vectors other than 0.
        t: float in [0, 1]: 0 for `start`, 1 for `stop`.

    Returns:
        float64 array (..., dimensions). Vectors that span no plane, since they are parallel or
        opposite, are interpolated linearly.

    Example:

    >>> kgan.random.slerp([2.0, 0.0], [0.0, 2.0], 0.5)
    array([1.41421356, 1.41421356])
    """
    start, stop = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    lengths = [np.linalg.norm(end, axis=-1, keepdims=True) for end in (start, stop)]  # (..., 1)
    u, v = start / lengths[0], stop / lengths[1]
    angle = np.arccos(np.clip(np.sum(u * v, axis=-1, keepdims=True), -1.0, 1.0))  # (..., 1)
    sine = np.sin(angle)
    no_plane = sine < 1e-6
    sine = np.where(no_plane, 1.0, sine)
    direction = (
        np.where(no_plane, 1.0 - t, np.sin((1.0 - t) * angle) / sine) * u
        + np.where(no_plane, t, np.sin(t * angle) / sine) * v
    )
    return ((1.0 - t) * lengths[0] + t * lengths[1]) * direction


def walk_latents(seed: int, walkers: int, stops: int, steps: int, latent_dim: int) -> np.ndarray:
    """Latents of a closed walk: from stop to stop along arcs, and from the last to the first.

    Every walker has stops of its own: at stop s walker i is at the latent of image
    s * walkers + i of the seed, so that the first frame shows what `sample` gives.

    Args:
        seed: int in [0, 2**64).
        walkers: int >= 1, walks that are made side by side.
        stops: int >= 2, latents that each of them passes.
        steps: int >= 1, frames from one stop to the next.
        latent_dim: int.

    Returns:
        float32 array (stops * steps, walkers, latent_dim). The frame after the last is the first.

    Example:

    >>> kgan.random.walk_latents(0, walkers=16, stops=4, steps=16, latent_dim=128).shape
    (64, 16, 128)
    """
    latents = sample_latents(seed, 0, stops * walkers, latent_dim)
    latents = latents.reshape(stops, walkers, latent_dim)
    ends = np.roll(latents, -1, axis=0)
    frames = [slerp(latents, ends, step / steps) for step in range(steps)]
    # (stops, steps, walkers, latent_dim), in the order of time
    return np.stack(frames, axis=1).reshape(-1, walkers, latent_dim).astype(np.float32)
