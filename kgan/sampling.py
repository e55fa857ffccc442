"""Sampling: the pictures of seeds, whatever engine draws them. No engine is imported.

Models draw by TensorFlow, `kgan.zoo.sampler` by ONNX Runtime; what is drawn is decided here.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
from PIL import Image

from kgan import images as pictures
from kgan.checks import (
    SEED,
    TRUNCATION,
    Bound,
    as_array,
    free_memory,
    list_of,
    one_of,
    or_none,
    whole,
)
from kgan.errors import KganError, short
from kgan.latents import sample_labels, sample_latents, slerp

LAYERS = ("coarse", "middle", "fine")


class Sampling:
    """What turns latents z ~ N(0, I) into pictures, a chunk of a fixed size at a time.

    The rounding of a convolution depends on the size of its batch: only a fixed one gives image i
    the same pixels always. A subclass has `image_shape` (height, width, channels), `latent_dim`,
    `num_classes` (None if it takes no labels), `sample_chunk` and `draw_chunk`.
    """

    SAMPLE_OPTIONS: ClassVar[dict[str, Bound]] = {}  # numbers that `sample` and `draw_chunk` take

    image_shape: tuple[int, int, int]
    latent_dim: int
    num_classes: int | None
    chunks_at_once: int = 1  # passes that are computed side by side, each in a thread

    @property
    def kind(self) -> str:
        """The class of the model, as messages name it."""
        return type(self).__name__

    @property
    def sample_chunk(self) -> int:
        """How many images are drawn in one pass."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample_chunk")

    def draw_chunk(
        self, latents: np.ndarray, labels: np.ndarray | None, **options: float
    ) -> np.ndarray:
        """Images in [-1, 1] of `sample_chunk` latents, float (chunk, height, width, channels)."""
        raise NotImplementedError(f"{type(self).__name__} does not define draw_chunk()")

    def iter_samples(
        self, n: int, seed: int | None = None, batch_size: int = 64, labels=None, **options
    ) -> Iterator[np.ndarray]:
        """`sample`, as an iterator over arrays of `batch_size` images (the last may be smaller)."""
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        whole(0).check("n", n)
        SEED.check("seed", seed)
        whole(1).check("batch_size", batch_size)
        check_options(options, self.SAMPLE_OPTIONS, self.kind)
        labels = checked_labels(labels, n, self.num_classes)
        pending = np.empty((0, *self.image_shape), np.uint8)
        step = self.sample_chunk * self.chunks_at_once
        for start in range(0, n, step):
            stop = min(start + step, n)
            latents = sample_latents(seed, start, stop, self.latent_dim)
            classes = None
            if labels is not None:
                classes = labels[start:stop]
            elif self.num_classes is not None:
                classes = sample_labels(seed, start, stop, self.num_classes)
            images = self.render(latents, classes, **options)
            pending = np.concatenate([pending, images])
            while len(pending) >= batch_size or (len(pending) and stop == n):
                yield pending[:batch_size]
                pending = pending[batch_size:]

    def sample(
        self, n: int, seed: int | None = None, batch_size: int = 64, labels=None, **options
    ) -> np.ndarray:
        """Generates images with the averaged generator.

        Args:
            n: int, number of images.
            seed: int >= 0. The same seed gives the same images, and image i does not depend on `n`
                or on `batch_size`. None for different ones at every call.
            batch_size: int, images copied into the result at a time.
            labels: the class of all images as an int, or of each as a sequence of n ints
                (conditional models only). None for classes drawn uniformly, by the seed.
            **options: `truncation` of models that have it.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for a negative or fractional argument, or labels that are not classes of
                the model.

        Example:

        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)
        """
        size = whole(0).check("n", n) * math.prod(self.image_shape)
        if size > free_memory():
            raise KganError(
                f"Expected images that fit into the free memory. Received: n={n:,}, of {size:,} "
                "bytes; iter_samples gives them in batches"
            )
        images = np.empty((n, *self.image_shape), np.uint8)
        filled = 0
        for batch in self.iter_samples(n, seed, batch_size, labels, **options):
            images[filled : filled + len(batch)] = batch
            filled += len(batch)
        return images

    def show(
        self,
        n: int = 16,
        seed: int | None = None,
        labels=None,
        columns: int | None = None,
        scale: int | None = None,
        resample: str = "lanczos",
        **options,
    ) -> Image.Image:
        """A grid of samples as a picture, which a notebook displays.

        Args:
            n: int >= 1, number of images.
            seed, labels, **options: see `sample`.
            columns: int, images a row; by default as nearly square as n allows.
            scale: int, times that images are enlarged; by default as fits a notebook, up to 8.
            resample: `"lanczos"`, or `"nearest"`, which keeps the pixels of pixel art.

        Returns:
            `PIL.Image.Image`. Its `save` writes a file; that of `kgan sample` says what made it.

        Raises:
            ValueError: see `sample`.

        Example:

        >>> model.show(16, seed=0)
        """
        whole(1).check("n", n)
        or_none(whole(1)).check("columns", columns)
        or_none(whole(1, 64)).check("scale", scale)
        one_of(*pictures.RESAMPLINGS).check("resample", resample)
        samples = self.sample(n, seed, labels=labels, **options)
        size = samples.size * (scale or 1) ** 2
        if size > free_memory():
            raise KganError(
                f"Expected a picture that fits into the free memory. Received: n={n:,}, "
                f"scale={scale}, of {size:,} bytes"
            )
        return pictures.shown(samples, columns, scale, resample)

    def render(self, latents, labels=None, **options) -> np.ndarray:
        """Images of given latents by the averaged generator, as `sample` gives them of its own.

        Args:
            latents: float array (n, latent_dim), such as `kgan.latents.sample_latents` gives.
            labels: the class of all images as an int, or of each as a sequence of n ints
                (conditional models only).
            **options: `truncation` of models that have it.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for latents of another shape, or labels that are not classes of the model.

        Example:

        >>> latents = kgan.latents.sample_latents(0, 0, 16, model.latent_dim)
        >>> np.array_equal(model.render(latents), model.sample(16, seed=0))
        True
        """
        latents = _points("latents", latents, (self.latent_dim,))
        if labels is None and self.num_classes is not None:
            raise KganError(
                "Expected labels beside the latents, since the model is conditional. Received: "
                "labels=None"
            )
        n = len(latents)
        labels = checked_labels(labels, n, self.num_classes)
        options = check_options(options, self.SAMPLE_OPTIONS, self.kind)
        return self.in_chunks(self.draw_chunk, latents, labels, **options)

    def interpolate(
        self, seeds: Sequence[int], frames: int = 60, images: int = 1, labels=None, **options
    ) -> np.ndarray:
        """Pictures that turn from the images of one seed into those of the next, and back.

        The way leads along arcs of the latent space (`kgan.latents.slerp`), for models with styles
        along straight lines between these (Karras et al. 2019, arXiv:1812.04948, section 4.1).

        Args:
            seeds: ints, at least two; the frame after the last would be the first.
            frames: int, in all, at least as many as seeds.
            images: int, side by side, each on a way of its own: image i of every seed.
            labels: the class of all images as an int, or of each as a sequence of ints (conditional
                models only); it stays the same all the way. None for those of the first seed.
            **options: see `sample`.

        Returns:
            uint8 array of shape (frames, images, height, width, channels). The first frame is
            `sample(images, seed=seeds[0])`.

        Raises:
            ValueError: for fewer seeds or frames, or more frames than fit in memory; see `sample`.

        Example:

        >>> model.interpolate([0, 7, 12], frames=60).shape
        (60, 1, 64, 64, 3)
        """
        one_by_one = self.iter_interpolation(seeds, frames, images, labels, **options)
        first = next(one_by_one)  # what is wrong with the arguments is said by now
        size = frames * first.size
        if size > free_memory():
            raise KganError(
                f"Expected frames that fit into the free memory. Received: frames={frames:,}, of "
                f"{size:,} bytes; iter_interpolation gives them one by one"
            )
        result = np.empty((frames, *first.shape), np.uint8)
        for frame, drawn in enumerate(itertools.chain([first], one_by_one)):
            result[frame] = drawn
        return result

    def iter_interpolation(
        self, seeds: Sequence[int], frames: int = 60, images: int = 1, labels=None, **options
    ) -> Iterator[np.ndarray]:
        """`interpolate`, as an iterator over frames (images, height, width, channels)."""
        list_of(SEED).check("seeds", seeds)
        whole(2).check("the number of seeds", len(seeds))
        whole(len(seeds)).check("frames", frames)
        whole(1).check("images", images)
        if labels is None and self.num_classes is not None:
            labels = sample_labels(seeds[0], 0, images, self.num_classes)
        labels = checked_labels(labels, images, self.num_classes)
        options = check_options(options, self.SAMPLE_OPTIONS, self.kind)
        stops = [
            self.points(sample_latents(seed, 0, images, self.latent_dim), labels, **options)
            for seed in seeds
        ]
        # As many frames as their images fill passes.
        together = max(1, self.sample_chunk * self.chunks_at_once // images)
        for begin in range(0, frames, together):
            points = []
            for frame in range(begin, min(begin + together, frames)):
                stop, step = divmod(frame * len(stops), frames)
                ends = stops[stop], stops[(stop + 1) % len(stops)]
                points.append(self.between(*ends, step / frames).astype(np.float32))
            classes = None if labels is None else np.tile(labels, len(points))
            drawn = self.draw(np.concatenate(points), classes, **options)
            yield from drawn.reshape(len(points), images, *self.image_shape)

    def points(self, latents: np.ndarray, labels: np.ndarray | None, **options) -> np.ndarray:
        """Where images are in the space in which they are interpolated: at their latents."""
        return latents

    def between(self, start: np.ndarray, stop: np.ndarray, t: float) -> np.ndarray:
        """The points at share `t` of the way."""
        return slerp(start, stop, t)

    def draw(self, points: np.ndarray, labels: np.ndarray | None, **options) -> np.ndarray:
        """The images at points, uint8."""
        return self.in_chunks(self.draw_chunk, points, labels, **options)

    def in_chunks(self, draw, first, *others, **options) -> np.ndarray:
        """Pictures of any number of inputs, by a function that draws a chunk of them.

        Args:
            draw: takes arrays of `sample_chunk` rows, gives floats in [-1, 1].
            first, *others: arrays of as many rows each, or None.
            **options: for `draw`.

        Returns:
            uint8 array of shape (rows, height, width, channels).
        """
        images = np.empty((len(first), *self.image_shape), np.uint8)

        def fill(start, rows):
            images[start : start + self.sample_chunk] = to_uint8(rows)

        self.each_chunk(fill, draw, first, *others, **options)
        return images

    def each_chunk(self, take, draw, first, *others, **options) -> None:
        """Has any number of inputs computed, a chunk of them in a pass.

        Args:
            take: is given, of each chunk, where it begins and what came of its inputs.
            draw: takes arrays of `sample_chunk` rows, the last of them padded; gives as many.
            first, *others: arrays of as many rows each, or None.
            **options: for `draw`.
        """
        chunk = self.sample_chunk

        def one(start):
            rows = [None if x is None else x[start : start + chunk] for x in (first, *others)]
            padded = [None if x is None else _padded(x, chunk) for x in rows]
            take(start, draw(*padded, **options)[: len(rows[0])])

        starts = range(0, len(first), chunk)
        if min(self.chunks_at_once, len(starts)) < 2:
            for start in starts:
                one(start)
            return
        with ThreadPoolExecutor(self.chunks_at_once) as threads:
            list(threads.map(one, starts))  # a list, for what they raise to be raised here


class StyleSampling(Sampling):
    """Sampling of a model that draws by styles, which a mapping network makes of latents.

    A subclass has `styles_shape`, `styles_chunk` and `draw_styles_chunk`.
    """

    SAMPLE_OPTIONS: ClassVar[dict[str, Bound]] = {"truncation": TRUNCATION}

    @property
    def styles_shape(self) -> tuple[int, int]:
        """(layers, latent_dim) of the styles of an image."""
        raise NotImplementedError(f"{type(self).__name__} does not define styles_shape")

    def styles_chunk(
        self, latents: np.ndarray, labels: np.ndarray | None, **options: float
    ) -> np.ndarray:
        """Styles (chunk, layers, latent_dim) of `sample_chunk` latents."""
        raise NotImplementedError(f"{type(self).__name__} does not define styles_chunk()")

    def draw_styles_chunk(self, styles: np.ndarray) -> np.ndarray:
        """Images in [-1, 1] of `sample_chunk` rows of styles."""
        raise NotImplementedError(f"{type(self).__name__} does not define draw_styles_chunk()")

    def render_styles(self, styles) -> np.ndarray:
        """Images of given styles by the averaged generator.

        Args:
            styles: float array (n, layers, latent_dim), such as `project` gives.

        Returns:
            uint8 array of shape (n, height, width, channels).

        Raises:
            ValueError: for styles of another shape, or that are not finite.

        Example:

        >>> found = model.project(photos)
        >>> np.array_equal(model.render_styles(found["styles"]), found["images"])
        True
        """
        return self.draw(_points("styles", styles, self.styles_shape), None)

    def points(self, latents: np.ndarray, labels: np.ndarray | None, **options) -> np.ndarray:
        found = {}
        self.each_chunk(found.__setitem__, self.styles_chunk, latents, labels, **options)
        return np.concatenate([found[start] for start in sorted(found)])

    def between(self, start: np.ndarray, stop: np.ndarray, t: float) -> np.ndarray:
        return (1 - t) * start + t * stop

    def draw(self, points: np.ndarray, labels: np.ndarray | None, **options) -> np.ndarray:
        return self.in_chunks(self.draw_styles_chunk, points)

    def mix(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        layers: str = "coarse",
        labels=None,
        **options,
    ) -> np.ndarray:
        """Images with the styles of one seed, but of another in some layers: style mixing.

        Source: Karras et al. 2019, arXiv:1812.04948, section 3.1 and figure 3.

        Args:
            rows, columns: seeds; of each the first image.
            layers: which styles are those of the column: `"coarse"` (up to 8 pixels: pose and
                shape), `"middle"` (up to 32) or `"fine"` (color and detail). Of images of 16 or 32
                pixels up to 4 or 8, and up to 8 or 16.
            labels: the class of all images (conditional models only). None for the first of the
                first row.
            **options: see `sample`.

        Returns:
            uint8 array of shape (rows, columns, height, width, channels).

        Raises:
            ValueError: for other layers, or no seeds; see `sample`.

        Example:

        >>> model.mix([0, 1], [2, 3, 4], "fine").shape
        (2, 3, 64, 64, 3)
        """
        list_of(SEED).check("rows", rows)
        list_of(SEED).check("columns", columns)
        one_of(*LAYERS).check("layers", layers)
        n = len(rows) * len(columns)
        if labels is None and self.num_classes is not None:
            labels = int(sample_labels(rows[0], 0, 1, self.num_classes)[0])
        if labels is not None and np.ndim(labels):
            raise KganError(f"Expected labels to be one class. Received: labels={short(labels)}")
        classes = checked_labels(labels, n, self.num_classes)
        options = check_options(options, self.SAMPLE_OPTIONS, self.kind)
        seeds = [*rows, *columns]
        latents = np.concatenate([sample_latents(seed, 0, 1, self.latent_dim) for seed in seeds])
        classes = None if classes is None else np.full(len(seeds), classes[0])
        styles = self.points(latents, classes, **options)  # (seeds, layers, latent_dim)
        mixed = np.repeat(styles[: len(rows)], len(columns), axis=0)
        chosen = self._styles_of(layers, styles.shape[1])
        mixed[:, chosen] = np.tile(styles[len(rows) :], (len(rows), 1, 1))[:, chosen]
        images = self.draw(mixed, None)
        return images.reshape(len(rows), len(columns), *self.image_shape)

    def _styles_of(self, name, count):
        """Which of the styles are coarse, middle or fine ones."""
        side = self.image_shape[0]
        coarse, middle = {16: (4, 8), 32: (8, 16)}.get(side, (8, 32))
        # The style of the first layer is of 4 pixels; then two are of each doubling.
        sides = np.minimum(4 << ((np.arange(count) + 1) // 2), side)
        return {
            "coarse": sides <= coarse,
            "middle": (coarse < sides) & (sides <= middle),
            "fine": middle < sides,
        }[name]


def check_options(options: dict, known: dict[str, Bound], kind: str) -> dict:
    """The options of `sample` as floats, without those that are None; raises KganError."""
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            raise KganError(f"Expected no {name}: {kind} has none. Received: {name}={short(value)}")
        known[name].check(name, value)
    return {name: float(value) for name, value in given.items()}


def checked_labels(labels, n: int, num_classes: int | None) -> np.ndarray | None:
    """The labels that were given for n images as an array (n,), or None; raises KganError."""
    if labels is None:
        return None
    if num_classes is None:
        raise KganError(
            f"Expected no labels: the model is unconditional. Received: labels={short(labels)}"
        )
    expected = f"an int from 0 to {num_classes - 1}, or {n} of them, one for each image"
    array = as_array(
        "labels", labels, expected, "iu" if n else "iuf"
    )  # of no labels NumPy has floats
    if array.ndim == 0:
        array = np.full(n, array)
    if array.shape != (n,) or (n and not 0 <= array.min() <= array.max() < num_classes):
        raise KganError(f"Expected labels to be {expected}. Received: labels={short(labels)}")
    return array


def _points(name: str, points, shape: tuple[int, ...]) -> np.ndarray:
    """Given latents or styles as float32 (n, *shape); raises KganError."""
    expected = f"(n, {', '.join(map(str, shape))})"
    points = as_array(name, points, f"an array {expected} of finite numbers")
    if points.shape[1:] != shape or points.ndim == 0:
        raise KganError(f"Expected {name} {expected}. Received: shape {points.shape}")
    with np.errstate(over="ignore"):
        points = points.astype(np.float32)
    if not np.isfinite(points).all():
        raise KganError(f"Expected {name} to be finite numbers. Received: NaN or infinity")
    return points


def _padded(rows, size):
    return np.pad(rows, [(0, size - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to uint8 in [0, 255], rounded to the nearest level.

    Raises:
        KganError: if a generator gave NaN or infinity, of which pictures would be black.
    """
    if not np.isfinite(images).all():
        raise KganError(
            "Expected a generator whose images are finite. Received: NaN or infinity, of weights "
            "that are damaged or whose training has diverged"
        )
    return np.clip(np.rint((images.astype(np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)
