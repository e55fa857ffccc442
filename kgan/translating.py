"""Translating: pictures of pictures, whatever engine computes. No engine is imported.

Models translate by TensorFlow, `kgan.zoo.sampler` by ONNX Runtime; what is common is here.
"""

import math

import numpy as np

from kgan.checks import (
    TEXT,
    Below0,
    as_array,
    check_images,
    check_range,
    free_memory,
    one_of,
)
from kgan.errors import KganError
from kgan.sampling import to_uint8

# Images are translated in chunks of this many, the last one padded: the rounding of a convolution
# depends on the size of its batch. Of more pixels they are translated one by one.
TRANSLATE_CHUNK = 4
MOST_PIXELS = 1 << 16


def chunk_of(height: int, width: int) -> int:
    """How many images of a size are translated in one pass."""
    return TRANSLATE_CHUNK if height * width <= MOST_PIXELS else 1


class Translating:
    """What turns images of one kind, a, into images of another, b, and perhaps back.

    A subclass has `image_shape` and `target_shape`, (height, width, channels) of a and of b,
    `directions`, `translate_chunk` and, if it takes images of any size, `bytes_a_pixel`.
    """

    image_shape: tuple[int, int, int]
    target_shape: tuple[int, int, int]
    multiple: int | None = None  # of the sides that networks take; None if only those of the shape
    least_side: int = 1  # of which there is a translation, where sides are open

    @property
    def kind(self) -> str:
        """The class of the model, as messages name it."""
        return type(self).__name__

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions in which it translates, such as `"a_to_b"`."""
        raise NotImplementedError(f"{type(self).__name__} does not define directions")

    def translate_chunk(self, images: np.ndarray, direction: str) -> np.ndarray:
        """Images in [-1, 1] of as many images, float32 (chunk, height, width, channels)."""
        raise NotImplementedError(f"{type(self).__name__} does not define translate_chunk()")

    def bytes_a_pixel(self, direction: str) -> float:
        """Memory that a pass takes at the most for each pixel of an image."""
        raise NotImplementedError(f"{type(self).__name__} does not define bytes_a_pixel()")

    def known_direction(self, direction: str) -> str:
        """A direction as `directions` has it; raises KganError if there is none such."""
        known = TEXT.check("direction", direction).replace("-", "_")
        if known not in self.directions:
            one_of(*self.directions).check("direction", direction)  # the error shows what was given
        return known

    def shapes(self, direction: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(height, width, channels) of what a direction takes, and of what it makes."""
        shapes = self.image_shape, self.target_shape
        return shapes if direction == "a_to_b" else shapes[::-1]

    def translate(self, images, direction: str = "a_to_b") -> np.ndarray:
        """Translates images with the averaged generator.

        Networks that are convolutions throughout (`CycleGAN`) take images of any size: what they
        need more, to a multiple, is mirrored at the right and at the bottom, and cut off again.
        U-Nets (`Pix2Pix`) take those of `image_shape`.

        Args:
            images: array (n, height, width, channels): uint8, or floats in [-1, 1].
            direction: `"a_to_b"`, or `"b_to_a"` of models that translate both ways.

        Returns:
            uint8 array (n, height, width, channels). The same image gives the same pixels, whatever
            the others are.

        Raises:
            ValueError: for images of another shape or range, another direction, or images so large
                that a pass does not fit into the free memory.

        Example:

        >>> model.translate(photos, direction="a_to_b").dtype
        dtype('uint8')
        """
        direction = self.known_direction(direction)
        images = self._checked(images, direction)
        n, height, width, _ = images.shape
        chunk, multiple = chunk_of(height, width), self.multiple or 1
        mirrored = [(0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)]
        result = np.empty((n, height, width, self.shapes(direction)[1][2]), np.uint8)
        for start in range(0, n, chunk):
            rows = images[start : start + chunk]
            if rows.dtype == np.uint8:
                rows = rows.astype(np.float32) / 127.5 - 1.0
            number = len(rows)
            rows = np.pad(rows.astype(np.float32), mirrored, "reflect")
            rows = np.pad(rows, [(0, chunk - number), (0, 0), (0, 0), (0, 0)])
            made = self.translate_chunk(rows, direction)
            result[start : start + number] = to_uint8(made[:number, :height, :width])
        return result

    def check_size(self, height: int, width: int, direction: str) -> None:
        """Raises KganError unless images of a size can be translated, in the memory that is free.

        Args:
            height, width: pixels.
            direction: one of `directions`.
        """
        *sides, channels = self.shapes(direction)[0]
        if [height, width] == sides:
            return
        if self.multiple is None:
            raise KganError(
                f"Expected images of shape (batch, {sides[0]}, {sides[1]}, {channels}), the one "
                f"size that {self.kind} translates; `kgan translate` fits files, "
                "kgan.data.load(images, image_shape=…) arrays. Received: "
                f"(batch, {height}, {width}, {channels})"
            )
        if min(height, width) < self.least_side:
            raise KganError(
                f"Expected images of at least {self.least_side} pixels a side, for their border to "
                f"be mirrored. Received: {_by(height, width)}"
            )
        free, each = free_memory(), self.bytes_a_pixel(direction)
        size = each * height * width * chunk_of(height, width)
        if size > free:
            fits = math.sqrt(0.9 * free / size)
            largest = _by(math.floor(height * fits), math.floor(width * fits))
            raise KganError(
                "Expected images whose translation fits into the free memory: of these proportions "
                f"{largest} do. Received: {_by(height, width)}, which take {size / 1e9:,.1f} GB"
            )

    def _checked(self, images, direction):
        """Images as an array of uint8 or floats in [-1, 1]."""
        *sides, channels = self.shapes(direction)[0]
        images = as_array("images", images, "an array (n, height, width, channels)", "biufcUSO")
        if images.ndim == 4 and images.shape[3] == channels:
            self.check_size(*images.shape[1:3], direction)
            sides = images.shape[1:3]
        check_images(images.shape, images.dtype, (*sides, channels))
        if images.dtype != np.uint8 and len(images):
            check_range(images)
            below0 = Below0()
            below0.look(images)
            below0.decide()
        return images


def _by(height, width):
    return f"{width:,}x{height:,}"
