"""Adversarial losses against their formulas in NumPy float64."""

import numpy as np
import pytest
import tensorflow as tf

from kgan import losses

REAL = np.array([[-3.0], [0.2], [5.0]])
FAKE = np.array([[1.5], [-0.7], [-40.0]])


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


# 1 - sigmoid(x) is sigmoid(-x).
DISCRIMINATOR = -_log_sigmoid(REAL) - _log_sigmoid(-FAKE)
GENERATOR = {"minimax": _log_sigmoid(-FAKE), "non_saturating": -_log_sigmoid(FAKE)}


@pytest.mark.parametrize("name", GENERATOR)
def test_values(name):
    loss = losses.get(name)
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), DISCRIMINATOR, rtol=1e-12)
    np.testing.assert_allclose(loss.generator(REAL, FAKE), GENERATOR[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", GENERATOR)
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_gradients_by_finite_differences(name, player):
    function = getattr(losses.get(name), player)
    fake = tf.constant(FAKE)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = function(tf.constant(REAL), fake)
    step = 1e-6
    above = np.asarray(function(tf.constant(REAL), fake + step))
    below = np.asarray(function(tf.constant(REAL), fake - step))
    np.testing.assert_allclose(
        tape.gradient(loss, fake), (above - below) / (2 * step), rtol=1e-6, atol=1e-9
    )


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"minimax.*Received: loss='wasserstien'"):
        losses.get("wasserstien")
