"""Models that turn images into images."""

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import TEXT, Bound, one_of, or_none
from kgan.errors import KganError
from kgan.models.base import exporting, inputs
from kgan.models.base.adversarial import AdversarialModel, Batch, Pass
from kgan.sampling import to_uint8

# Images are translated in chunks of this many, the last one padded; see `latent.SAMPLE_CHUNK`.
TRANSLATE_CHUNK = 4


class TranslationModel(AdversarialModel):
    """The base of models whose generators turn images of one kind, a, into images of another, b.

    A subclass says in `DIRECTIONS` which of its players translates where; these are `AVERAGED`.

    Attributes:
        DIRECTIONS: names of generators by direction.

    Args:
        image_shape: tuple (height, width, channels) of a.
        target_channels: int, channels of b. None for those of a.
        **kwargs: see `kgan.models.base.adversarial.AdversarialModel`.
    """

    DIRECTIONS: ClassVar[dict[str, str]] = {"a_to_b": "generator"}
    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **AdversarialModel.ARGUMENTS,
        "target_channels": or_none(Bound("1 or 3", lambda v: type(v) is int and v in (1, 3))),
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

    def export(
        self,
        filepath,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature=None,
        direction: str = "a_to_b",
        **kwargs: Any,
    ) -> None:
        """`AdversarialModel.export` of the averaged generator of a direction, of `images`."""
        exporting.export(
            self.exported(direction),
            filepath,
            format,
            verbose,
            input_signature=input_signature,
            **kwargs,
        )

    def exported(self, direction: str = "a_to_b") -> exporting.Exported:
        network = self.averages[self.DIRECTIONS[self._known(direction)]]
        return exporting.of_network(network, ["images"], self.provenance())

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
        images = inputs.floats_of(images, given)
        function = self._translation(direction)
        result = np.empty((len(images), *made), np.uint8)
        for start in range(0, len(images), TRANSLATE_CHUNK):
            chunk = images[start : start + TRANSLATE_CHUNK]
            padding = [(0, TRANSLATE_CHUNK - len(chunk)), (0, 0), (0, 0), (0, 0)]
            translated = function(tf.constant(np.pad(chunk, padding)))
            result[start : start + len(chunk)] = to_uint8(translated.numpy()[: len(chunk)])
        return result

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
