"""Models that turn images into images."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kgan.checks import CHANNELS, Bound, check_images, or_none
from kgan.errors import KganError, short
from kgan.models.base import exporting, inputs
from kgan.models.base.adversarial import AdversarialModel, Batch
from kgan.models.base.saving import Pass
from kgan.translating import Translating, chunk_of
from kgan.untrusted import memory

_MORE_BYTES = 1.3  # measured over those of the tensors: what operations and arrays take beside


class TranslationModel(Translating, AdversarialModel):
    """The base of models whose generators turn images of one kind, a, into images of another, b.

    A subclass says in `DIRECTIONS` which of its players translates where; these are `AVERAGED`. One
    whose networks take images of any size says in `multiple` what their sides are a multiple of,
    and in `least_side` how many pixels they are at least.

    Attributes:
        DIRECTIONS: names of generators by direction, `"a_to_b"` and, if there is one, `"b_to_a"`.
        PAIRED: how two folders of pictures belong together on the command line: by `"names"`, or
            `"no"`, which it alone can learn from that need no pairs.
        translate_size: pixels of the shorter side that `kgan translate` gives pictures; None for
            those of `image_shape`.

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

    translate_size: int | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if not {"a_to_b"} <= set(cls.DIRECTIONS) <= {"a_to_b", "b_to_a"}:
            raise KganError(
                f"Expected DIRECTIONS of {cls.__name__} with 'a_to_b', and 'b_to_a' if it "
                f"translates back. Received: {short(cls.DIRECTIONS)}"
            )

    def __init__(self, image_shape, *, target_channels: int | None = None, **kwargs):
        super().__init__(image_shape, target_channels=target_channels, **kwargs)
        self._translations = {}
        self._bytes = {}

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
            images: tensor (batch, height, width, channels): uint8, or floats in [-1, 1].
            training: has no effect: the generator is in inference mode.
            direction: one of `DIRECTIONS`.
        """
        network = self.averages[self.DIRECTIONS[direction]]
        return network(self.scaled(tf.convert_to_tensor(images)), training=False)

    def export(self, filepath, *args: Any, direction: str = "a_to_b", **kwargs: Any) -> None:
        """`AdversarialModel.export` of the averaged generator of a direction, of `images`."""
        exporting.export(self.exported(direction), filepath, *args, **kwargs)

    def exported(self, direction: str = "a_to_b") -> exporting.Exported:
        network = self.averages[self.DIRECTIONS[self.known_direction(direction)]]
        return exporting.of_network(network, ["images"], self.provenance())

    @property
    def directions(self) -> tuple[str, ...]:
        return tuple(self.DIRECTIONS)

    @property
    def usual_sides(self) -> tuple[int, int]:
        """Height and width that networks are given where nothing else is asked for."""
        height, width, _ = self.image_shape
        scale = (self.translate_size or min(height, width)) / min(height, width)
        multiple = self.multiple or 1
        return tuple(math.ceil(side * scale / multiple) * multiple for side in (height, width))

    def translate_chunk(self, images, direction) -> np.ndarray:
        usual = images.shape[1:3] == self.usual_sides
        return self._translation(direction, usual)(tf.constant(images)).numpy()

    def bytes_a_pixel(self, direction) -> float:
        if direction not in self._bytes:
            traced = self._pass(direction).function
            size = _MORE_BYTES * memory.cost(traced.graph, few=0).bytes
            self._bytes[direction] = size / math.prod(self._pass_shape(direction)[:3])
        return self._bytes[direction]

    def _translation(self, direction, usual):
        """The function that translates images of the usual size, or of any."""
        key = direction, usual
        if key not in self._translations:
            channels = self.shapes(direction)[0][2]
            signature = [tf.TensorSpec((None, None, None, channels), tf.float32)]
            self._translations[key] = tf.function(
                lambda images: self(images, direction=direction),
                input_signature=None if usual else signature,
            )
        return self._translations[key]

    def _pass_shape(self, direction):
        height, width = self.usual_sides
        return chunk_of(height, width), height, width, self.shapes(direction)[0][2]

    def _pass(self, direction):
        shape = self._pass_shape(direction)
        function = self._translation(direction, True)
        traced = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        example = [np.broadcast_to(np.float32(0), shape)]  # which takes no memory before it is used
        return Pass(traced, example, (*shape[:3], self.shapes(direction)[1][2]))

    def passes(self) -> list[Pass]:
        return [self._pass(direction) for direction in self.DIRECTIONS]

    def expressions(self) -> dict[str, Callable]:
        return {
            name: functools.partial(self._express, direction=direction)
            for direction, name in self.DIRECTIONS.items()
        }

    def _express(self, graph, direction):
        """The averaged generator of a direction: for images of any number, and of any size."""
        self.check_call(TranslationModel)
        given, made = self.shapes(direction)
        sides = given[:2]
        graph.notes["direction"] = direction
        if self.multiple is not None:
            sides = ("height", "width")
            graph.notes["multiple"] = str(self.multiple)
            graph.notes["least_side"] = str(self.least_side)
            graph.notes["bytes_a_pixel"] = str(math.ceil(self.bytes_a_pixel(direction)))
        images = graph.input("images", ("batch", *sides, given[2]))
        translated = graph.call(self.averages[self.DIRECTIONS[direction]], images)
        return {"translated": graph.value(translated.name, ("batch", *sides, made[2]))}

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
