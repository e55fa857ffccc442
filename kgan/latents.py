"""The latents and labels of images, each a pure function of (seed, i), and paths between latents.

NumPy alone makes them, so that samplers without TensorFlow draw the same.
"""

import numpy as np

from kgan.checks import SEED, as_array, number, whole
from kgan.errors import KganError


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

    Raises:
        KganError: for numbers that are not whole, negative, or in another order.
    """
    _check_range(seed, start, stop)
    latent_dim = whole(1).check("latent_dim", latent_dim)
    if start == stop:
        return np.empty((0, latent_dim), np.float32)
    pairs = (latent_dim + 1) // 2
    bits = np.stack([_raw_bits(seed, i, 2 * pairs, stream=0) for i in range(start, stop)])
    uniform = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1)
    radius = np.sqrt(-2.0 * np.log1p(-uniform[:, :pairs]))
    angle = 2.0 * np.pi * uniform[:, pairs:]
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal[:, :latent_dim].astype(np.float32)


def sample_labels(seed: int, start: int, stop: int, num_classes: int) -> np.ndarray:
    """Uniform labels of the images `start` to `stop` of a seed: int64 `(stop - start,)`."""
    _check_range(seed, start, stop)
    whole(1).check("num_classes", num_classes)
    bits = np.array([_raw_bits(seed, i, 1, stream=1)[0] for i in range(start, stop)], np.uint64)
    return (bits % np.uint64(num_classes)).astype(np.int64)


def _check_range(seed, start, stop):
    SEED.check("seed", seed)
    whole(0).check("start", start)
    whole(start).check("stop", stop)


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

    Raises:
        KganError: for vectors without length or of other dimensions, or a share outside [0, 1].

    Example:

    >>> kgan.latents.slerp([2.0, 0.0], [0.0, 2.0], 0.5)
    array([1.41421356, 1.41421356])
    """
    number(0, 1).check("t", t)
    start, stop = _vectors("start", start), _vectors("stop", stop)
    lengths = [np.linalg.norm(end, axis=-1, keepdims=True) for end in (start, stop)]  # (..., 1)
    if start.shape[-1] != stop.shape[-1] or not all(
        (n > 0).all() and np.isfinite(n).all() for n in lengths
    ):
        raise KganError(
            "Expected start and stop to be finite vectors other than 0, of as many dimensions. "
            f"Received: shapes {start.shape} and {stop.shape}, lengths from "
            f"{min(map(np.min, lengths)):g} to {max(map(np.max, lengths)):g}"
        )
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


def _vectors(name, values):
    expected = "an array of vectors (..., dimensions)"
    array = as_array(name, values, expected)
    if not array.ndim or not array.size:
        raise KganError(f"Expected {name} to be {expected}. Received: shape {array.shape}")
    return array.astype(np.float64)


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

    >>> kgan.latents.walk_latents(0, walkers=16, stops=4, steps=16, latent_dim=128).shape
    (64, 16, 128)
    """
    whole(1).check("walkers", walkers)
    whole(2).check("stops", stops)
    whole(1).check("steps", steps)
    latents = sample_latents(seed, 0, stops * walkers, latent_dim)
    latents = latents.reshape(stops, walkers, latent_dim)
    ends = np.roll(latents, -1, axis=0)
    frames = [slerp(latents, ends, step / steps) for step in range(steps)]
    # (stops, steps, walkers, latent_dim), in the order of time
    return np.stack(frames, axis=1).reshape(-1, walkers, latent_dim).astype(np.float32)
