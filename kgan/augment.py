"""Differentiable augmentation of real and generated images alike.

Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training",
arXiv:2006.10738.
"""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
import keras
import tensorflow as tf

from kgan.random import Draws


@keras.saving.register_keras_serializable("kgan")
class DiffAugment(keras.layers.Layer):
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
        super().__init__(autocast=False, **kwargs)
        names = [transforms] if isinstance(transforms, str) else list(transforms)
        if not names or len(set(names)) < len(names) or set(names) - set(self.TRANSFORMS):
            raise ValueError(
                f"Expected distinct transforms among {self.TRANSFORMS}. Received: {transforms!r}"
            )
        self.transforms = tuple(name for name in self.TRANSFORMS if name in names)
        self.built = True

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
        for name in self.transforms:
            images = getattr(self, f"_{name}")(images, draws)
        return images

    def _color(self, images, draws):
        dtype = images.dtype
        images += draws.uniform((1, 1, 1), -0.5, 0.5, dtype)
        saturation = draws.uniform((1, 1, 1), 0.0, 2.0, dtype)
        if images.shape[-1] > 1:
            gray = tf.reduce_mean(images, axis=3, keepdims=True)  # (batch, height, width, 1)
            images = gray + (images - gray) * saturation
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)  # (batch, 1, 1, 1)
        return mean + (images - mean) * draws.uniform((1, 1, 1), 0.5, 1.5, dtype)

    def _translation(self, images, draws):
        # rows · image · columns: two products with shifted identities, whose gradient is exact to
        # any order (that of TensorFlow's projective transform is not even its adjoint).
        height, width = images.shape[1:3]
        rows = self._shift_matrix(height, draws, images.dtype)  # (batch, height, height)
        columns = self._shift_matrix(width, draws, images.dtype)  # (batch, width, width)
        images = tf.einsum("bij,bjwc->biwc", rows, images)
        return tf.einsum("bij,bhjc->bhic", columns, images)

    @staticmethod
    def _shift_matrix(side, draws, dtype):
        reach = max(1, round(side / 8))
        shift = tf.floor(draws.uniform((1, 1), -reach, reach + 1))  # (batch, 1, 1)
        target = tf.range(side, dtype=shift.dtype)[None, :, None]
        source = tf.range(side, dtype=shift.dtype)[None, None, :]
        return tf.cast(tf.equal(target - source, shift), dtype)  # 1 where target = source + shift

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

    def get_config(self) -> dict:
        return {"transforms": list(self.transforms)}


def get(augment) -> "DiffAugment | None":
    """An augmentation from an instance, its description, or None.

    Args:
        augment: None, an augmentation, a name, or a dict such as
            `{"name": "DiffAugment", "transforms": ["color"]}`, as recipes and presets hold it.

    Raises:
        ValueError: if the name is not known.
    """
    if augment is None or isinstance(augment, DiffAugment):
        return augment
    config = {"name": augment} if isinstance(augment, str) else dict(augment)
    name = config.pop("name", None)
    if name != "DiffAugment":
        raise ValueError(f"Expected an augmentation named 'DiffAugment'. Received: {augment!r}")
    return DiffAugment(**config)


def describe(augment: "DiffAugment | None") -> dict | None:
    """The inverse of `get`: a description of plain Python values, for JSON and TOML."""
    return None if augment is None else {"name": type(augment).__name__, **augment.get_config()}
