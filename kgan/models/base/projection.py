"""Projection: what a generator would have to be given, to draw a given picture.

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN",
arXiv:1912.04958, appendix D, which is meant by "the paper" below. It serves latents z too.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kgan.errors import KganError, one_line
from kgan.random import Draws
from kgan.recipe.optimizers import half_cosine

# In shares of the steps, as in the paper; the rate is twice its, for there are fewer steps.
RATE, RAMP_UP, RAMP_DOWN, NOISE_SHARE = 0.2, 0.05, 0.25, 0.75
SHARED = 0.5  # share of the steps in which all layers have the same w, as in the paper in all
BETA_1, BETA_2 = 0.9, 0.999  # of Adam
# Weight of the mean square of points: it keeps latents about as long as those that are drawn.
PRIOR = 0.01

SEGMENT = 10  # steps from one call of `progress` to the next
RANDOM = 32  # samples, whose mean distance from a picture is its unit
LEAST_SIDE = 4  # pixels, of the coarsest pictures that are compared


class Space(NamedTuple):
    """The points that a generator draws, and where among them the search begins.

    Attributes:
        begin: array (starts, …) of points.
        mean: array that points are spread around.
        deviation: float, their standard deviation in each dimension.
        noise: float, deviation of the noise at first, in deviations; 0 for none.
    """

    begin: np.ndarray
    mean: np.ndarray | float = 0.0
    deviation: float = 1.0
    noise: float = 0.0


class Found(NamedTuple):
    """The best of one search."""

    loss: float
    feature_error: float
    point: np.ndarray
    label: int | None


class _Aim(NamedTuple):
    """What is looked for, and where."""

    target: tf.Tensor  # (1, height, width, channels)
    wanted: tf.Tensor | None  # its features (1, features)
    units: tf.Tensor  # what each of the distances is divided by
    mean: tf.Tensor
    deviation: tf.Tensor
    noise: tf.Tensor
    labels: tf.Tensor | None


class _State(NamedTuple):
    """What has been found: a row for each start."""

    points: tf.Tensor  # less their mean, in deviations
    moments: tuple[tf.Tensor, tf.Tensor]  # Adam's
    best: tf.Tensor  # points that were drawn
    losses: tf.Tensor  # theirs
    errors: tf.Tensor  # of their features


def find(
    model: Any,
    images: np.ndarray,
    labels: Sequence[Sequence[int | None]],
    steps: int,
    starts: int,
    features: Callable[[tf.Tensor], tf.Tensor] | None,
    seed: int,
    progress: Callable[[int, int], bool | None] | None,
) -> list[Found]:
    """The points whose pictures are closest to images.

    Args:
        model: a `kgan.models.base.latent.LatentModel`.
        images: float32 array (n, height, width, channels) in [-1, 1].
        labels: of each image those that are tried; [None] of a model without.
        steps, starts, features, seed, progress: see `LatentModel.project`.
    """
    search = _Search(model, steps, starts, features, seed)
    total, done, stopped = steps * sum(map(len, labels)), 0, False

    def go_on(count):
        nonlocal done, stopped
        done += count
        stopped = stopped or (progress is not None and bool(progress(done, total)))
        return not stopped

    found = []
    for image, tried in zip(images, labels, strict=True):
        results = []
        for label in tried:
            results.append(search.run(image, label, go_on))
            if stopped:
                break
        found.append(min(results, key=lambda result: result.loss))
    return found


class _Search:
    """Adam on a batch of starts, for one picture after the other, by one graph.

    Args:
        model, steps, starts, features, seed: see `find`.
    """

    def __init__(self, model: Any, steps: int, starts: int, features: Callable | None, seed: int):
        self.model, self.steps, self.starts, self.seed = model, steps, starts, seed
        self.features = features
        self._random = model.sample(RANDOM, seed=0).astype(np.float32) / 127.5 - 1.0
        self._advance = tf.function(self._steps)

    def run(self, image: np.ndarray, label: int | None, go_on: Callable[[int], bool]) -> Found:
        """The best point for a picture.

        Args:
            image: float32 array (height, width, channels) in [-1, 1].
            label: that it is drawn with.
            go_on: is told how many steps were made; False ends the search.
        """
        space = self.model.projection_space(label, self.starts, self.seed)
        aim, state = self._aim(image, label, space), self._begin(space)
        for first in range(0, self.steps, SEGMENT):
            count = min(SEGMENT, self.steps - first)
            state = self._advance(aim, state, tf.constant(first), tf.constant(count))
            if not go_on(count):
                break
        best = int(tf.argmin(state.losses))
        loss, error = float(state.losses[best]), float(state.errors[best])
        if not math.isfinite(loss):
            raise KganError(
                "Expected a generator and features whose values are finite. Received: NaN or "
                "infinity at every step"
            )
        point = space.mean + space.deviation * state.best[best].numpy()
        return Found(loss, error, point.astype(np.float32), label)

    def _aim(self, image, label, space):
        target = tf.constant(image[None])
        wanted = None if self.features is None else check_features(self.features, target)
        distances = self._distances(tf.constant(self._random), target, wanted)
        units = tf.stack([tf.reduce_mean(distance) for distance in distances])
        labels = None if label is None else tf.fill((self.starts,), label)
        where = (tf.constant(x, tf.float32) for x in (space.mean, space.deviation, space.noise))
        return _Aim(target, wanted, tf.maximum(units, 1e-8), *where, labels)

    def _begin(self, space):
        points = tf.constant((space.begin - space.mean) / space.deviation, tf.float32)
        none = tf.fill(points.shape[:1], np.float32(np.inf))
        zeros = tf.zeros_like(points)
        return _State(points, (zeros, zeros), points, none, none)

    def _steps(self, aim, state, first, count):
        for step in tf.range(first, first + count):
            state = self._step(aim, state, step)
        return state

    def _step(self, aim, state, step):
        share = tf.cast(step, tf.float32) / self.steps
        noise = aim.noise * tf.square(tf.maximum(1.0 - share / NOISE_SHARE, 0.0))
        normal = Draws(self.seed, step, self.starts).normal(state.points.shape[1:])
        with tf.GradientTape() as tape:
            tape.watch(state.points)
            drawn = state.points + noise * normal
            images = self.model.draw_points(aim.mean + aim.deviation * drawn, aim.labels)
            distances = self._distances(tf.cast(images, tf.float32), aim.target, aim.wanted)
            losses = tf.reduce_mean(tf.stack(distances) / aim.units[:, None], axis=0)
            squares = tf.reduce_sum(tf.square(state.points)) / math.prod(state.points.shape[1:])
            total = tf.reduce_sum(losses) + PRIOR * squares
        gradient = tape.gradient(total, state.points)
        if gradient.shape.rank == 3:  # (starts, layers, dimensions)
            shared = tf.reduce_mean(gradient, axis=1, keepdims=True)
            gradient = tf.where(share < SHARED, shared, gradient)
        first, second = state.moments
        first = BETA_1 * first + (1.0 - BETA_1) * gradient
        second = BETA_2 * second + (1.0 - BETA_2) * tf.square(gradient)
        # Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; Keras' keeps its state in variables.
        made = tf.cast(step + 1, tf.float32)
        move = first / (1.0 - BETA_1**made)
        move /= tf.sqrt(second / (1.0 - BETA_2**made)) + 1e-8
        rate = RATE * tf.minimum(made / (RAMP_UP * self.steps), 1.0)
        rate *= half_cosine(0.0, 1.0, (1.0 - share) / RAMP_DOWN)
        better = losses < state.losses
        rows = tf.reshape(better, (-1, *[1] * (len(drawn.shape) - 1)))
        return _State(
            state.points - rate * move,
            (first, second),
            tf.where(rows, drawn, state.best),
            tf.where(better, losses, state.losses),
            tf.where(better, distances[-1], state.errors),
        )

    def _distances(self, images, target, wanted):
        """Differences from a picture, (images,) each: absolute of pixels, squared of features."""
        scales, difference = [], images - target
        while True:
            scales.append(tf.reduce_mean(tf.abs(difference), axis=(1, 2, 3)))
            if min(difference.shape[1:3]) < 2 * LEAST_SIDE:
                break
            # The mean of a difference is the difference of the means.
            difference = tf.nn.avg_pool2d(difference, 2, 2, "VALID")
        distances = [tf.add_n(scales)]
        if wanted is not None:
            features = tf.cast(self.features(images), tf.float32)
            distances.append(tf.reduce_mean(tf.square(features - wanted), axis=1))
        return distances


def check_features(features: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """The features of images, as a float32 tensor (images, features).

    Raises:
        KganError: if they are none, or TensorFlow cannot differentiate them.
    """
    expected = (
        f"Expected features that take images of {'x'.join(map(str, images.shape[1:]))} in [-1, 1], "
        "and give (images, features) that TensorFlow can differentiate. Received: "
    )
    try:
        with tf.GradientTape() as tape:
            tape.watch(images)
            found = tf.cast(features(images), tf.float32)
        gradient = tape.gradient(found, images)
    except Exception as error:  # of whatever they are made of
        raise KganError(f"{expected}{type(error).__name__}: {one_line(str(error))[:200]}") from None
    if found.shape.rank != 2 or found.shape[0] != images.shape[0] or gradient is None:
        why = " without a gradient" if gradient is None else ""
        raise KganError(f"{expected}shape {tuple(found.shape)}{why}")
    return found
