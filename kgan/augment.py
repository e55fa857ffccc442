"""Differentiable augmentation of real and generated images alike.

Sources: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training",
arXiv:2006.10738; Karras et al. 2020, "Training Generative Adversarial Networks with Limited
Data", arXiv:2006.06676.
"""

import math
import numbers

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import keras
import tensorflow as tf

from kgan.checks import SEED, float_images, list_of, number, one_of, whole
from kgan.errors import KganError, short
from kgan.random import Draws

HELD = 1e15  # of `ramp_images`: the strength stays what it is


class _Augmentation(keras.layers.Layer):
    """What augmentations share: transforms by name, and a call that takes the step's draws."""

    TRANSFORMS = ()  # all names, in the order in which they are applied

    def __init__(self, transforms, **kwargs):
        super().__init__(autocast=False, **kwargs)
        names = [transforms] if isinstance(transforms, str) else transforms
        known = list_of(one_of(*self.TRANSFORMS))
        if not known.fits(names) or len(set(names)) < len(names):
            raise KganError(
                f"Expected distinct transforms among {self.TRANSFORMS}. Received: "
                f"{short(transforms)}"
            )
        self.transforms = tuple(name for name in self.TRANSFORMS if name in names)
        self.built = True

    def __call__(self, images, draws: "Draws | int", **kwargs):
        # Here rather than in `call`, whose errors Keras wraps in some of its own.
        if not isinstance(images, keras.KerasTensor):
            images = float_images("images", images, tf.convert_to_tensor)
        if not isinstance(draws, Draws):
            draws = SEED.check("draws", draws)
        self._check_shape(images.shape)
        return super().__call__(images, draws=draws, **kwargs)

    def _check_shape(self, shape):
        """Raises KganError for images that the transforms cannot be applied to."""

    def call(self, images, draws: "Draws | int"):
        """Augments a batch.

        Args:
            images: float tensor (batch, height, width, channels) in [-1, 1].
            draws: the step's `kgan.random.Draws`, or an int as a seed.

        Returns:
            Float tensor of the same shape and dtype; the values may leave [-1, 1].
        """
        if not isinstance(draws, Draws):
            draws = Draws(draws, 0, tf.shape(images)[0])
        return self._augment(images, draws)

    def get_config(self) -> dict:
        return {"transforms": list(self.transforms)}


def _product(rows, images, columns):
    """rows · image · columns with matrices (batch, side, side) of each image's own.

    Its gradient is exact to any order; that of TensorFlow's projective transform is not even its
    adjoint, and its bilinear resize has no second order.
    """
    for matrix in (rows, columns):  # each turn multiplies and transposes (einsum: half as fast)
        side, other, channels = images.shape[1:]
        lines = matrix @ tf.reshape(images, (-1, side, other * channels))
        images = tf.transpose(tf.reshape(lines, (-1, side, other, channels)), (0, 2, 1, 3))
    return images


def gaussian_blur(images: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Blurs images by a Gaussian; what would lie beyond the border has no weight.

    Args:
        images: float tensor (batch, height, width, channels), with gradients to any order.
        sigma: float scalar tensor, its standard deviation in pixels; at 0 the images stay as they
            are, bit for bit.

    Returns:
        Float tensor of the same shape and dtype.
    """
    dtype = keras.backend.result_type(images.dtype, "float32")
    variance = tf.square(tf.maximum(tf.cast(sigma, dtype), 0.01))

    def matrix(side):
        pixels = tf.range(side, dtype=dtype)
        weights = tf.exp(-0.5 * tf.square(pixels[:, None] - pixels) / variance)
        return (weights / tf.reduce_sum(weights, axis=1, keepdims=True))[None]  # (1, side, side)

    height, width = images.shape[1:3]
    blurred = _product(matrix(height), tf.cast(images, dtype), matrix(width))
    return tf.cast(blurred, images.dtype)


def _whole_shift(side, draws):
    """Whole pixels up to 1/8 of the side either way, at least one: (batch, 1)."""
    reach = max(1, round(side / 8))
    return tf.floor(draws.uniform((1,), -reach, reach + 1))


@keras.saving.register_keras_serializable("kgan")
class DiffAugment(_Augmentation):
    """Random color, translation and cutout through which gradients flow.

    Applied to what the discriminator sees, real *and* generated, in both updates (equations 4
    and 5), it keeps the discriminator from memorising a small training set without leaking into
    the pictures. Use all three below about 20,000 training images.

    - `"color"`: brightness moved by U(-0.5, 0.5), saturation scaled by U(0, 2), contrast scaled
      by U(0.5, 1.5), each about the image's own mean.
    - `"translation"`: shifts by whole pixels up to 1/8 of each side, gray (0) moving in.
    - `"cutout"`: a gray square of half the side, anywhere; it may hang over the border.

    Args:
        transforms: sequence of names among the three above; the order is theirs.

    Raises:
        ValueError: for an unknown, repeated or missing name.

    Example:

    >>> augment = kgan.augment.DiffAugment(["translation", "cutout"])
    >>> augment(images, draws=0)        # float (batch, height, width, channels) in [-1, 1]
    """

    TRANSFORMS = ("color", "translation", "cutout")

    def __init__(self, transforms=TRANSFORMS, **kwargs):
        super().__init__(transforms, **kwargs)

    def _augment(self, images, draws):
        for name in self.transforms:
            images = getattr(self, f"_{name}")(images, draws)
        return images

    def _color(self, images, draws):
        given = images.dtype
        dtype = keras.backend.result_type(given, "float32")  # a sum over pixels overflows float16
        images = tf.cast(images, dtype) + draws.uniform((1, 1, 1), -0.5, 0.5, dtype)
        saturation = draws.uniform((1, 1, 1), 0.0, 2.0, dtype)
        if images.shape[-1] > 1:
            gray = tf.reduce_mean(images, axis=3, keepdims=True)  # (batch, height, width, 1)
            images = gray + (images - gray) * saturation
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)  # (batch, 1, 1, 1)
        images = mean + (images - mean) * draws.uniform((1, 1, 1), 0.5, 1.5, dtype)
        return tf.cast(images, given)

    def _translation(self, images, draws):
        rows, columns = (
            self._shift_matrix(side, _whole_shift(side, draws), images.dtype)
            for side in images.shape[1:3]
        )  # (batch, height, height), (batch, width, width)
        return _product(rows, images, columns)

    @staticmethod
    def _shift_matrix(side, shift, dtype):
        target = tf.range(side, dtype=shift.dtype)[None, :, None]
        source = tf.range(side, dtype=shift.dtype)[None, None, :]
        # 1 where target = source + shift
        return tf.cast(tf.equal(target - source, shift[:, :, None]), dtype)

    def _cutout(self, images, draws):
        height, width = images.shape[1:3]
        rows = self._cut_range(height, draws)[:, :, None, None]  # (batch, height, 1, 1)
        columns = self._cut_range(width, draws)[:, None, :, None]  # (batch, 1, width, 1)
        return tf.where(rows & columns, tf.zeros([], images.dtype), images)

    @staticmethod
    def _cut_range(side, draws):
        length = round(side / 2)
        # The square's centre is uniform over the pixels, so that the corners are cut as well.
        start = tf.floor(draws.uniform((1,), 0.0, side + 1 - length % 2)) - length // 2
        position = tf.range(side, dtype=start.dtype)[None, :]
        return (position >= start) & (position < start + length)  # (batch, side)


@keras.saving.register_keras_serializable("kgan")
class AdaptiveAugment(_Augmentation):
    """Augmentation as strong as the discriminator's overfitting calls for (ADA).

    Each transform is applied to each image, real or generated, with probability `strength`, which
    `adapt` moves up while the discriminator is surer of the training images than `target`, and
    down otherwise (section 3). A discriminator that sees mostly what it could not memorise goes
    on teaching from a few thousand images. The transforms and their magnitudes are those of
    section 2.3 and appendix B:

    - `"translation"`: by whole pixels, uniformly up to 1/8 of each side.
    - `"scale"`: both sides by 2^N(0, 0.2^2).
    - `"aspect"`: width by 2^N(0, 0.2^2), height by its inverse.
    - `"fractional_translation"`: by N(0, (1/8)^2) of each side.
    - `"brightness"`: N(0, 0.2^2) added.
    - `"contrast"`: scaled by 2^N(0, 0.5^2) about mid-gray (0).
    - `"hue"`: turned by any angle about the axis of grays; color images only.
    - `"saturation"`: scaled by 2^N(0, 1) about each pixel's gray; color images only.

    Not among the defaults:

    - `"flip"`: left and right exchanged in half of the images to which it is applied.
    - `"rotate_90"`: by 0, 90, 180 or 270 degrees; square images only.
    - `"luma_flip"`: dark and light exchanged, the colors kept, in half of the images to which it
      is applied; gray images are inverted.

    The paper uses these three too. They are left out here since digits, letters and faces have a
    right way round: a mirrored, turned or negative picture is a picture of another kind, from
    which a generator that has begun with it cannot come back by degrees, as it can from a shift,
    a size or a tint; and as the strength nears 1 nothing tells it which is right (section 2.2:
    a transform does not leak into the pictures while enough images go without it; the paper is
    wary above a strength of 0.8). Use `"flip"` where mirror images would do as training data.
    Arbitrary rotation is not offered.

    What moves in at the border is the image mirrored there, as in the paper, the outermost pixel
    included. All geometry is one resampling, linear, and averaged over as many pixels as fall on
    one when shrinking (in the paper a wavelet filter); all color is one affine map. Images to
    which nothing is applied, all of them at strength 0, come out bit for bit as they went in.

    Args:
        transforms: sequence of names among those above; the order is the paper's.
        target: mean sign of the discriminator's logits on real images to hold, in [-1, 1].
        interval: int, steps from one adjustment to the next.
        ramp_images: number of images in which the strength could go from 0 to 1. The most, 1e15,
            holds it: losses under which a single logit says nothing leave no other choice.
        strength: probability to begin with, in [0, 1]. The current one is the weight `strength`.

    Raises:
        ValueError: for an unknown, repeated or missing name, or a number out of range.

    Example:

    >>> augment = kgan.augment.AdaptiveAugment(strength=0.2)
    >>> augment(images, draws=0)        # float (batch, height, width, channels) in [-1, 1]
    >>> augment.adapt(tf.reduce_mean(tf.sign(real_logits)), images=64)     # once a step
    """

    GEOMETRIC = ("flip", "rotate_90", "translation", "scale", "aspect", "fractional_translation")
    COLOR = ("brightness", "contrast", "luma_flip", "hue", "saturation")
    TRANSFORMS = GEOMETRIC + COLOR
    DEFAULT = tuple(n for n in TRANSFORMS if n not in ("flip", "rotate_90", "luma_flip"))

    def __init__(
        self,
        transforms=DEFAULT,
        target: float = 0.6,
        interval: int = 4,
        ramp_images: float = 500_000,
        strength: float = 0.0,
        **kwargs,
    ):
        super().__init__(transforms, **kwargs)
        self.target = float(number(-1, 1).check("target", target))
        self.interval = int(whole(1).check("interval", interval))
        self.ramp_images = float(number(1, HELD).check("ramp_images", ramp_images))
        self.initial_strength = float(number(0, 1).check("strength", strength))
        # Weights, so that checkpoints hold them: the strength, and sums since it last moved.
        self.strength = self._state("strength", "float32", self.initial_strength)
        self._signs = self._state("signs", "float32")
        self._images = self._state("images", "int64")
        self._steps = self._state("steps", "int64")

    @property
    def is_held(self) -> bool:
        """Whether the strength stays what it is."""
        return self.ramp_images == HELD

    def _state(self, name, dtype, value=0):
        return self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name=name,
        )

    def adapt(self, mean_sign, images) -> None:
        """Takes note of a training step, and moves the strength at every `interval`-th.

        By the number of images in these steps over `ramp_images`: up if the mean sign was above
        the target, down if below, within [0, 1]. A strength that is held stays.

        Args:
            mean_sign: float scalar tensor, sign(D(real)) averaged over the global batch.
            images: int scalar tensor, images in the global batch.
        """
        if self.is_held:
            return
        signs = self._signs + tf.cast(mean_sign, tf.float32)
        images = self._images + tf.cast(images, tf.int64)
        steps = self._steps + 1
        excess = signs / tf.cast(steps, tf.float32) - self.target
        moved = self.strength + tf.sign(excess) * tf.cast(images, tf.float32) / self.ramp_images
        # Not a tf.cond: under MirroredStrategy variables cannot be assigned in one.
        due = steps >= self.interval
        self.strength.assign(tf.where(due, tf.clip_by_value(moved, 0.0, 1.0), self.strength))
        for variable, total in ((self._signs, signs), (self._images, images), (self._steps, steps)):
            variable.assign(tf.where(due, tf.zeros_like(total), total))

    def _check_shape(self, shape):
        _, height, width, channels = shape
        if "rotate_90" in self.transforms and height != width:
            raise KganError(
                "Expected square images for the transform 'rotate_90'. Received: shape "
                f"{tuple(shape)}"
            )
        if channels not in (1, 3):
            raise KganError(f"Expected images of 1 or 3 channels. Received: shape {tuple(shape)}")

    def _augment(self, images, draws):
        height, width, _ = images.shape[1:]
        # Positions on a side of 256 do not fit into half precision.
        dtype = keras.backend.result_type(images.dtype, "float32")
        parameters = self._parameters(draws, height, width, dtype)
        result = tf.cast(images, dtype)
        if set(self.transforms) & set(self.GEOMETRIC):
            result = self._move(result, parameters)
        if set(self.transforms) & set(self.COLOR):
            result = self._recolor(result, parameters)
        return tf.cast(result, images.dtype)

    def _parameters(self, draws, height, width, dtype) -> dict:
        """Each transform's parameters (batch, 1 or 2), neutral where it is not applied.

        All are drawn, so that an image's do not depend on which transforms there are.
        """

        def uniform(low, high):
            return draws.uniform((1,), low, high, dtype)

        def normal(deviation, count=1):
            return deviation * draws.normal((count,), dtype)

        shifts = tf.concat([_whole_shift(height, draws), _whole_shift(width, draws)], axis=1)
        drawn = {  # name: (what is drawn, what changes nothing)
            "flip": (tf.floor(uniform(0.0, 2.0)), 0.0),
            "rotate_90": (tf.floor(uniform(0.0, 4.0)), 0.0),
            "translation": (tf.cast(shifts, dtype), 0.0),
            "scale": (2.0 ** normal(0.2), 1.0),
            "aspect": (2.0 ** normal(0.2), 1.0),
            "fractional_translation": (normal(0.125, 2), 0.0),
            "brightness": (normal(0.2), 0.0),
            "contrast": (2.0 ** normal(0.5), 1.0),
            "luma_flip": (tf.floor(uniform(0.0, 2.0)), 0.0),
            "hue": (uniform(-math.pi, math.pi), 0.0),
            "saturation": (2.0 ** normal(1.0), 1.0),
        }
        chances = self.strength * tf.constant([float(n in self.transforms) for n in drawn])
        applied = tf.split(draws.uniform((len(drawn),)) < chances, len(drawn), axis=1)
        return {
            name: tf.where(where, value, tf.constant(neutral, dtype))
            for where, (name, (value, neutral)) in zip(applied, drawn.items(), strict=True)
        }

    def _move(self, images, parameters):
        turns = parameters["rotate_90"]
        # Counterclockwise: 1 is a transposition, then rows reversed; 2 both reversed; 3 a
        # transposition, then columns reversed.
        if "rotate_90" in self.transforms:
            turned = tf.equal(turns % 2, 1)[:, :, None, None]
            images = tf.where(turned, tf.transpose(images, (0, 2, 1, 3)), images)
        reversals = (
            tf.equal(turns, 1) ^ tf.equal(turns, 2),
            (turns >= 2) ^ tf.equal(parameters["flip"], 1),
        )
        scales = (
            parameters["scale"] / parameters["aspect"],
            parameters["scale"] * parameters["aspect"],
        )
        rows, columns = (
            _resampling_matrix(
                side,
                tf.where(reversed_, -scale, scale),
                scale * parameters["translation"][:, axis, None]
                + side * parameters["fractional_translation"][:, axis, None],
            )
            for axis, (side, reversed_, scale) in enumerate(
                zip(images.shape[1:3], reversals, scales, strict=True)
            )
        )
        return _product(rows, images, columns)

    def _recolor(self, images, parameters):
        images += parameters["brightness"][:, :, None, None]
        # What is left commutes: a factor for the gray part of each pixel, and a factor and an
        # angle for the rest, perpendicular to the axis of grays.
        gray = parameters["contrast"] * (1.0 - 2.0 * parameters["luma_flip"])  # (batch, 1)
        height, width, channels = images.shape[1:]
        if channels == 1:
            return images * gray[:, :, None, None]
        rest = parameters["contrast"] * parameters["saturation"]
        across = rest * tf.cos(parameters["hue"])
        around = rest * tf.sin(parameters["hue"]) / math.sqrt(3)
        turn = tf.constant([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], images.dtype)
        matrix = (
            across[:, :, None] * tf.eye(3, dtype=images.dtype)
            + around[:, :, None] * turn
            + (gray - across)[:, :, None] / 3.0
        )  # (batch, 3, 3)
        pixels = tf.reshape(images, (-1, height * width, 3))
        return tf.reshape(tf.matmul(pixels, matrix, transpose_b=True), (-1, height, width, 3))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "target": self.target,
            "interval": self.interval,
            "ramp_images": self.ramp_images,
            "strength": self.initial_strength,
        }


def _resampling_matrix(side, scale, shift):
    """Matrices (batch, side, side) that scale a line about its middle, then shift it.

    The line goes on mirrored beyond its ends. A pixel is the mean, weighted by a triangle, of
    those within a pixel of where it comes from, or within 1 / scale of it when shrinking.

    Args:
        side: int, pixels of a line.
        scale: float tensor (batch, 1), above 1 to enlarge; negative to reverse the line.
        shift: float tensor (batch, 1), pixels.
    """
    middle = (side - 1) / 2
    pixels = tf.range(side, dtype=scale.dtype)
    source = ((pixels - middle - shift) / scale + middle + 0.5) % (2 * side)
    source = tf.minimum(source, 2 * side - source) - 0.5  # (batch, side), folded into the line
    reach = tf.maximum(1.0 / tf.abs(scale), 1.0)[:, :, None]
    weights = 0.0
    for copies in (pixels, -1.0 - pixels, 2 * side - 1.0 - pixels):  # and mirrored at either end
        weights += tf.maximum(reach - tf.abs(source[:, :, None] - copies), 0.0)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)  # (batch, side, side)


_BY_NAME = {cls.__name__: cls for cls in (AdaptiveAugment, DiffAugment)}


def get(augment) -> "AdaptiveAugment | DiffAugment | None":
    """An augmentation from an instance, its config, or None.

    Args:
        augment: None, an augmentation, a name, or a dict such as
            `{"name": "DiffAugment", "transforms": ["color"]}`, as recipes and presets hold it.
            The name of a class of the user's own is that by which Keras has registered it.

    Raises:
        ValueError: if the name is not known.
    """
    if augment is None or isinstance(augment, _Augmentation):
        return augment
    config = dict(augment) if isinstance(augment, dict) else {"name": augment}
    name = config.pop("name", None)
    kind = None
    if isinstance(name, str):
        kind = _BY_NAME.get(name) or keras.saving.get_registered_object(name)
    if not (isinstance(kind, type) and issubclass(kind, _Augmentation)):
        raise KganError(
            f"Expected an augmentation named one of {sorted(_BY_NAME)}, or of your own that is "
            f"registered (keras.saving.register_keras_serializable). Received: {short(augment)}"
        )
    try:
        return kind(**config)
    except KganError:
        raise
    except (TypeError, ValueError) as error:  # Keras' own, of arguments that there are not
        raise KganError(
            f"Expected arguments of {name}. Received: {short(augment)}: {error}"
        ) from None


def is_description(value) -> bool:
    """Whether a value is what `get` takes, made of nothing but text and numbers."""
    if isinstance(value, _Augmentation):
        return True
    table = value if isinstance(value, dict) else {"name": value}
    name = table.get("name")
    if not isinstance(name, str):
        return False
    if ">" in name:  # of a class of the user's own, as Keras registers it
        return all(isinstance(item, (str, numbers.Real)) for item in _flat(table.values()))
    return all(
        isinstance(item, str)
        or (isinstance(item, (list, tuple)) and all(isinstance(name, str) for name in item))
        if key in ("name", "transforms")
        else key in ("target", "interval", "ramp_images", "strength")
        and isinstance(item, numbers.Real)
        for key, item in table.items()
    )


def to_config(augment: "AdaptiveAugment | DiffAugment | None") -> dict | None:
    """The inverse of `get`: plain Python values, for JSON and TOML."""
    if augment is None:
        return None
    kind = type(augment)
    name = kind.__name__
    if _BY_NAME.get(name) is not kind:
        name = keras.saving.get_registered_name(kind)
    return {"name": name, **augment.get_config()}


def _flat(values):
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value
