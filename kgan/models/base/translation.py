"""Models that turn images into images."""

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import (
    CHANNELS,
    TEXT,
    Below0,
    Bound,
    as_array,
    check_images,
    check_range,
    one_of,
    or_none,
)
from kgan.errors import KganError
from kgan.models.base import inputs
from kgan.models.base.adversarial import AdversarialModel, Batch, Pass
from kgan.sampling import to_uint8

# Images are translated in chunks of this many, the last one padded; see `latent.SAMPLE_CHUNK`.
TRANSLATE_CHUNK = 4


class TranslationModel(AdversarialModel):
    """The base of models whose generators turn images of one kind, a, into images of another, b.

    A subclass says in `DIRECTIONS` which of its players translates where; these are `AVERAGED`.

    Attributes:
        DIRECTIONS: names of generators by direction.
        PAIRED: how two folders of pictures belong together on the command line: by `"names"`, or
            `"no"`, which it alone can learn from that need no pairs.

    Args:
        image_shape: tuple (height, width, channels) of a.
        target_channels: int, channels of b. None for those of a.
        **kwargs: see `kgan.models.base.adversarial.AdversarialModel`.
    """

    DIRECTIONS: ClassVar[dict[str, str]] = {"a_to_b": "generator"}
    PAIRED: ClassVar[str] = "names"
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **AdversarialModel.ARGUMENTS,
        "target_channels": or_none(CHANNELS),
    }

    def __init__(self, image_shape, *, target_channels: int | None = None, **kwargs):
        super().__init__(image_shape, target_channels=target_channels, **kwargs)
        self._translate_chunks = {}

    @property
    def target_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of b."""
        height, width, channels = self.image_shape
        return height, width, self.target_channels or channels

    # Data: pairs (a, b).

    @property
    def data_shapes(self) -> tuple[tuple[int, int, int], ...]:
        return self.image_shape, self.target_shape

    def check_batch(self, first, second=None) -> bool:
        if second is None:
            raise KganError(
                "Expected pairs of images: fit(a, b), or a dataset of (a, b). Received: one part"
            )
        told = [
            inputs.check_image_part(part, shape)
            for part, shape in zip((first, second), self.data_shapes, strict=True)
        ]
        return all(told)

    def unpack(self, data) -> tuple[Batch, Batch]:
        """The images of a and of b as floats in [-1, 1]."""
        a, b, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs.check_image_type(a, self.image_shape)
        inputs.check_image_type(b, self.target_shape)
        return Batch(self.scaled(a)), Batch(self.scaled(b))

    # Pictures.

    def call(self, images, training=False, direction: str = "a_to_b"):
        """Translated images in [-1, 1] of the averaged generator.

        Args:
            images: float tensor (batch, height, width, channels) in [-1, 1].
            training: has no effect: the generator is in inference mode.
            direction: one of `DIRECTIONS`.
        """
        return self.averages[self.DIRECTIONS[direction]](images, training=False)

    def export(self, filepath, *args: Any, direction: str = "a_to_b", **kwargs: Any) -> None:
        """`keras.Model.export` of the averaged generator of a direction."""
        name = self.DIRECTIONS[self._known(direction)]
        self.averages[name].export(filepath, *args, **kwargs)

    def _known(self, direction: str) -> str:
        """A direction as `DIRECTIONS` has it; raises ValueError if it does not."""
        direction = TEXT.check("direction", direction).replace("-", "_")
        return one_of(*self.DIRECTIONS).check("direction", direction)

    def translate(self, images, direction: str = "a_to_b") -> np.ndarray:
        """Translates images with the averaged generator.

        Args:
            images: array (n, height, width, channels): uint8, or floats in [-1, 1].
            direction: `"a_to_b"`, or `"b_to_a"` of models that translate both ways.

        Returns:
            uint8 array (n, height, width, channels). The same image gives the same pixels, whatever
            the others are.

        Raises:
            ValueError: for images of another shape or range, or another direction.

        Example:

        >>> model.translate(photos, direction="a_to_b").dtype
        dtype('uint8')
        """
        direction = self._known(direction)
        given, made = self._shapes(direction)
        images = as_array("images", images, "an array (n, height, width, channels)", "biufcUSO")
        check_images(images.shape, images.dtype, given)
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / 127.5 - 1.0
        elif len(images):
            check_range(images)
            below0 = Below0()
            below0.look(images)
            below0.decide()
        function = self._translation(direction)
        result = np.empty((len(images), *made), np.uint8)
        for start in range(0, len(images), TRANSLATE_CHUNK):
            chunk = images[start : start + TRANSLATE_CHUNK].astype(np.float32)
            padding = [(0, TRANSLATE_CHUNK - len(chunk)), (0, 0), (0, 0), (0, 0)]
            translated = function(tf.constant(np.pad(chunk, padding)))
            result[start : start + len(chunk)] = to_uint8(translated.numpy()[: len(chunk)])
        return result

    def check_held_out(self, held_out) -> None:
        if held_out is None:
            raise KganError(
                "Expected held_out=(a, b) with a model that translates: images that SampleGrid is "
                f"to show. Received: none, and a {type(self).__name__}"
            )
        for images, shape in zip(held_out, self.data_shapes, strict=True):
            check_images(images.shape, images.dtype, shape)

    def grid_pictures(
        self,
        rows: int | None = None,
        columns: int | None = None,
        seed: int = 0,
        held_out: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, int, dict]:
        """Examples of held-out images: a, what is made of it, and b.

        Of a model of both directions: a, what is made of it, and a made again of that; then b.
        """
        columns = columns or 2
        count = min((rows or 8) * columns, *map(len, held_out))
        a, b = (images[np.arange(count) * len(images) // count] for images in held_out)
        if "b_to_a" in self.DIRECTIONS:
            parts = {}
            for first, second, images in (("a_to_b", "b_to_a", a), ("b_to_a", "a_to_b", b)):
                made = self.translate(images, first)
                parts |= {
                    first[0]: images,
                    first: made,
                    f"{first}_to_{first[0]}": self.translate(made, second),
                }
        else:
            parts = {"a": a, "a_to_b": self.translate(a), "b": b}
        channels = max(images.shape[3] for images in parts.values())
        shown = [
            np.broadcast_to(images, (*images.shape[:3], channels)) for images in parts.values()
        ]
        examples = np.stack(shown, axis=1)  # (examples, parts, height, width, channels)
        pictures = examples.reshape(-1, *examples.shape[2:])
        return pictures, columns * len(parts), {"shown": ", ".join(parts)}

    def _shapes(self, direction):
        """Of what a direction takes, and of what it makes."""
        shapes = self.image_shape, self.target_shape
        return shapes if direction == "a_to_b" else shapes[::-1]

    def _translation(self, direction):
        if direction not in self._translate_chunks:
            self._translate_chunks[direction] = tf.function(
                lambda chunk: self(chunk, direction=direction)
            )
        return self._translate_chunks[direction]

    def passes(self) -> list[Pass]:
        found = []
        for direction in self.DIRECTIONS:
            given, made = ((TRANSLATE_CHUNK, *shape) for shape in self._shapes(direction))
            example = [tf.zeros(given)]
            traced = self._translation(direction).get_concrete_function(*example)
            found.append(Pass(traced, example, made))
        return found
