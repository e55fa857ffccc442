"""Adversarial losses by name, and penalties on the discriminator's gradient.

A loss is a pair of functions from discriminator outputs (logits, shape `(batch, 1)`, before any
sigmoid) to one loss per example. A penalty is a function from a discriminator and images to one
value per example. Both are averaged over the global batch by the models.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import tensorflow as tf
from keras import ops

from kgan.checks import FUNCTION, float_images, one_of
from kgan.errors import KganError, short


class AdversarialLoss(NamedTuple):
    """A loss for each player of the game.

    Attributes:
        discriminator: function of (real_logits, fake_logits), to be minimised by D.
        generator: function of (real_logits, fake_logits), to be minimised by G.
        relativistic: whether G's loss depends on the real logits; they may be None if not.
        bounded: whether D's loss is never below 0, so that at 0 it has nothing left to learn.
        signed: whether logits above `boundary` stand for data. Where only their differences count,
            one by itself says nothing.
        boundary: logit of a D that cannot tell data from fakes.
    """

    discriminator: Callable
    generator: Callable
    relativistic: bool = False
    bounded: bool = True
    signed: bool = True
    boundary: float = 0.0


def _cross_entropy_discriminator(real_logits, fake_logits):
    # -log D(x) - log(1 - D(G(z))) with D = sigmoid(logits): Goodfellow et al. 2014, equation 1.
    return ops.softplus(-real_logits) + ops.softplus(fake_logits)


def _minimax_generator(real_logits, fake_logits):
    # log(1 - D(G(z))): Goodfellow et al. 2014, equation 1.
    return -ops.softplus(fake_logits)


def _non_saturating_generator(real_logits, fake_logits):
    # -log D(G(z)): Goodfellow et al. 2014, section 3, "rather than training G to minimize ...".
    return ops.softplus(-fake_logits)


def _least_squares_discriminator(real_logits, fake_logits):
    # Mao et al. 2017 (arXiv:1611.04076), equation 9: a = 0 for fakes, b = 1 for data.
    return 0.5 * ops.square(real_logits - 1.0) + 0.5 * ops.square(fake_logits)


def _least_squares_generator(real_logits, fake_logits):
    # The same equation: c = 1, what G wants D to believe.
    return 0.5 * ops.square(fake_logits - 1.0)


def _hinge_discriminator(real_logits, fake_logits):
    # Lim & Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957), equation 16.
    return ops.relu(1.0 - real_logits) + ops.relu(1.0 + fake_logits)


def _wasserstein_discriminator(real_logits, fake_logits):
    # Arjovsky et al. 2017 (arXiv:1701.07875), equation 2, with the sign of a loss.
    return fake_logits - real_logits


def _negative_score(real_logits, fake_logits):
    # G's loss under hinge (equation 17 of Miyato et al.) and Wasserstein (equation 3 there).
    return -fake_logits


def _relativistic_discriminator(real_logits, fake_logits):
    # RpGAN, Jolicoeur-Martineau 2019 (arXiv:1807.00734); Huang et al. 2024 (R3GAN), equation 2.
    return ops.softplus(fake_logits - real_logits)


def _relativistic_generator(real_logits, fake_logits):
    # The same game, from the other side.
    return ops.softplus(real_logits - fake_logits)


LOSSES = {
    "minimax": AdversarialLoss(_cross_entropy_discriminator, _minimax_generator),
    "non_saturating": AdversarialLoss(_cross_entropy_discriminator, _non_saturating_generator),
    "least_squares": AdversarialLoss(
        _least_squares_discriminator, _least_squares_generator, boundary=0.5
    ),
    "hinge": AdversarialLoss(_hinge_discriminator, _negative_score),
    "wasserstein": AdversarialLoss(
        _wasserstein_discriminator, _negative_score, bounded=False, signed=False
    ),
    "relativistic": AdversarialLoss(
        _relativistic_discriminator, _relativistic_generator, relativistic=True, signed=False
    ),
}


def get(name: str) -> AdversarialLoss:
    """The adversarial loss of that name.

    Args:
        name: `"minimax"`, `"non_saturating"`, `"least_squares"`, `"hinge"`, `"wasserstein"` or
            `"relativistic"`.

    Raises:
        ValueError: if there is no such loss.

    Example:

    >>> loss = kgan.losses.get("non_saturating")
    >>> loss.generator(None, keras.ops.zeros((1, 1)))     # log 2
    """
    return LOSSES[one_of(*LOSSES).check("loss", name)]


def gradient_penalty(critic: Callable, real_images, fake_images, mix=None):
    """How far the critic's gradient is from unit length, between data and fakes.

    (‖∇ D(x̂)‖₂ - 1)² at x̂ = mix · x + (1 - mix) · x̃, with a `mix` ~ U(0, 1) for each example:
    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3, before its weight λ = 10.

    Args:
        critic: function from images to outputs (batch, 1), each of its own image only; of a critic
            of patches, (batch, …), the mean of an image's outputs counts.
        real_images: x, float tensor (batch, height, width, channels).
        fake_images: x̃, of the same shape.
        mix: float tensor (batch, 1, 1, 1) in [0, 1]; drawn here if None.

    Returns:
        Float tensor (batch,).

    Raises:
        ValueError: for other images, or a critic whose outputs do not depend on them.

    Example:

    >>> penalty = kgan.losses.gradient_penalty(critic, real_images, fake_images)
    >>> loss = tf.reduce_mean(critic(fake_images) - critic(real_images) + 10 * penalty[:, None])
    """
    real_images = float_images("real_images", real_images, tf.convert_to_tensor)
    fake_images = float_images("fake_images", fake_images, tf.convert_to_tensor)
    if not real_images.shape.is_compatible_with(fake_images.shape):
        raise KganError(
            "Expected as many real images as fake ones, of one shape. Received: shapes "
            f"{tuple(real_images.shape)} and {tuple(fake_images.shape)}"
        )
    if mix is None:
        mix = tf.random.uniform((tf.shape(real_images)[0], 1, 1, 1), dtype=real_images.dtype)
    mix = float_images("mix", mix, tf.convert_to_tensor)
    squared = _squared_gradient(critic, fake_images + mix * (real_images - fake_images))
    # The root's slope is infinite at 0, where the gradient of a dead critic is.
    return tf.square(tf.sqrt(tf.maximum(squared, 1e-12)) - 1.0)


def r1(discriminator: Callable, real_images):
    """‖∇ D(x)‖² on real images: a discriminator that is flat where the data is.

    Mescheder et al. 2018 (arXiv:1801.04406), equation 9, before its weight γ/2.

    Args:
        discriminator: function from images to logits (batch, 1), or (batch, …) of patches, of which
            the mean counts.
        real_images: float tensor (batch, height, width, channels).

    Returns:
        Float tensor (batch,).

    Example:

    >>> penalty = 0.5 * gamma * tf.reduce_mean(kgan.losses.r1(discriminator, real_images))
    """
    images = float_images("real_images", real_images, tf.convert_to_tensor)
    return _squared_gradient(discriminator, images)


def r2(discriminator: Callable, fake_images):
    """‖∇ D(x̃)‖² on generated images: `r1` on the other side.

    Mescheder et al. 2018 (arXiv:1801.04406), equation 10, before its weight γ/2.

    Args:
        discriminator: see `r1`.
        fake_images: float tensor (batch, height, width, channels); no gradient flows into them.

    Returns:
        Float tensor (batch,).
    """
    images = float_images("fake_images", fake_images, tf.convert_to_tensor)
    return _squared_gradient(discriminator, tf.stop_gradient(images))


def _squared_gradient(discriminator, images):
    FUNCTION.check("the discriminator", discriminator)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminator(images)
        if tf.is_tensor(logits) and math.prod(n or 2 for n in logits.shape[1:]) > 1:
            # Of patches: what the losses judge an image by is the mean of all its logits.
            logits = tf.reduce_mean(logits, axis=list(range(1, len(logits.shape))))
    gradient = tape.gradient(logits, images) if tf.is_tensor(logits) else None
    if gradient is None:
        raise KganError(
            "Expected the discriminator to give logits that depend on the images. Received: "
            f"{short(logits)}"
        )
    return tf.reduce_sum(tf.square(gradient), axis=(1, 2, 3))
