"""Adversarial losses by name.

Each is a pair of functions from discriminator outputs (logits, shape `(batch, 1)`, before any
sigmoid) to one loss per example. They are averaged over the global batch by the models.
"""

from collections.abc import Callable
from typing import NamedTuple

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from keras import ops


class AdversarialLoss(NamedTuple):
    """A loss for each player of the game.

    Attributes:
        discriminator: function of (real_logits, fake_logits), to be minimised by D.
        generator: function of (real_logits, fake_logits), to be minimised by G.
    """

    discriminator: Callable
    generator: Callable


def _cross_entropy_discriminator(real_logits, fake_logits):
    # -log D(x) - log(1 - D(G(z))) with D = sigmoid(logits): Goodfellow et al. 2014, equation 1.
    return ops.softplus(-real_logits) + ops.softplus(fake_logits)


def _minimax_generator(real_logits, fake_logits):
    # log(1 - D(G(z))): Goodfellow et al. 2014, equation 1.
    return -ops.softplus(fake_logits)


def _non_saturating_generator(real_logits, fake_logits):
    # -log D(G(z)): Goodfellow et al. 2014, section 3, "rather than training G to minimize ...".
    return ops.softplus(-fake_logits)


LOSSES = {
    "minimax": AdversarialLoss(_cross_entropy_discriminator, _minimax_generator),
    "non_saturating": AdversarialLoss(_cross_entropy_discriminator, _non_saturating_generator),
}


def get(name: str) -> AdversarialLoss:
    """The adversarial loss of that name.

    Args:
        name: `"minimax"` or `"non_saturating"`.

    Raises:
        ValueError: if there is no such loss.

    Example:

    >>> loss = kgan.losses.get("non_saturating")
    >>> loss.generator(None, keras.ops.zeros((1, 1)))     # log 2
    """
    if name not in LOSSES:
        raise ValueError(f"Expected a loss among {sorted(LOSSES)}. Received: loss={name!r}")
    return LOSSES[name]
