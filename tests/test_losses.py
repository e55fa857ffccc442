"""Adversarial losses and penalties against their formulas in NumPy float64."""

import numpy as np
import pytest
import tensorflow as tf

from kgan import losses

REAL = np.array([[-3.0], [0.2], [5.0]])
FAKE = np.array([[1.5], [-0.7], [-40.0]])


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


# 1 - sigmoid(x) is sigmoid(-x).
CROSS_ENTROPY = -_log_sigmoid(REAL) - _log_sigmoid(-FAKE)
HINGE = np.maximum(0, 1 - REAL) + np.maximum(0, 1 + FAKE)
VALUES = {  # of D and of G
    "minimax": (CROSS_ENTROPY, _log_sigmoid(-FAKE)),
    "non_saturating": (CROSS_ENTROPY, -_log_sigmoid(FAKE)),
    "least_squares": ((REAL - 1) ** 2 / 2 + FAKE**2 / 2, (FAKE - 1) ** 2 / 2),
    "hinge": (HINGE, -FAKE),
    "wasserstein": (FAKE - REAL, -FAKE),
    "relativistic": (-_log_sigmoid(REAL - FAKE), -_log_sigmoid(FAKE - REAL)),
}


def test_every_loss_is_tested():
    assert set(VALUES) == set(losses.LOSSES)


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    loss, (discriminator, generator) = losses.get(name), VALUES[name]
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), discriminator, rtol=1e-12)
    np.testing.assert_allclose(loss.generator(REAL, FAKE), generator, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", VALUES)
def test_generator_needs_the_real_logits_in_a_relativistic_game_only(name):
    loss = losses.get(name)
    assert loss.relativistic == (name == "relativistic")
    if not loss.relativistic:
        np.testing.assert_array_equal(loss.generator(None, FAKE), loss.generator(REAL, FAKE))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_gradients_by_finite_differences(name, player):
    function = getattr(losses.get(name), player)
    real, fake = tf.constant(REAL), tf.constant(FAKE)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = function(real, fake)
    gradients = tape.gradient(loss, [real, fake], unconnected_gradients="zero")
    step = 1e-6
    sides = [(real + step, fake), (real - step, fake), (real, fake + step), (real, fake - step)]
    values = [np.asarray(function(*side)) for side in sides]
    for gradient, above, below in zip(gradients, values[::2], values[1::2], strict=True):
        np.testing.assert_allclose(gradient, (above - below) / (2 * step), rtol=1e-6, atol=1e-8)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"minimax.*Received: loss='wasserstien'"):
        losses.get("wasserstien")


SHAPE = (4, 3, 3, 2)
X, FAKES, W = (np.random.default_rng(i).normal(size=SHAPE) for i in range(3))


def linear(images):
    return tf.reshape(tf.reduce_sum(images * W[0], axis=(1, 2, 3)), (-1, 1)) + 7.0


def quadratic(images):
    """‖x‖² / 2 for each image: its gradient is the image itself."""
    return 0.5 * tf.reduce_sum(tf.square(images), axis=(1, 2, 3))[:, None]


def norms(images):
    return np.sqrt((images**2).sum(axis=(1, 2, 3)))


def test_gradient_penalty_of_a_linear_critic():
    expected = np.full(4, (norms(W[:1]) - 1) ** 2)
    for mix in (None, np.zeros((4, 1, 1, 1))):
        penalty = losses.gradient_penalty(linear, X, FAKES, mix)
        np.testing.assert_allclose(penalty, expected, rtol=1e-12)


def test_gradient_penalty_mixes_every_example_by_a_factor_of_its_own():
    mix = np.reshape([0.0, 0.25, 0.9, 1.0], (4, 1, 1, 1))
    penalty = losses.gradient_penalty(quadratic, X, FAKES, mix)
    expected = (norms(mix * X + (1 - mix) * FAKES) - 1) ** 2
    np.testing.assert_allclose(penalty, expected, rtol=1e-12)


def test_gradient_penalty_draws_a_uniform_factor_for_every_example():
    """With data at 1 and fakes at 0 the gradient of x² / 2 is the factor itself."""
    tf.random.set_seed(0)
    real, fakes = np.ones((5000, 1, 1, 1)), np.zeros((5000, 1, 1, 1))
    mix = 1 - np.sqrt(losses.gradient_penalty(quadratic, real, fakes))
    assert len(np.unique(mix)) == 5000
    quantiles = np.quantile(mix, np.linspace(0, 1, 11))
    np.testing.assert_allclose(quantiles, np.linspace(0, 1, 11), rtol=0, atol=0.03)


def test_gradient_penalty_of_a_dead_critic_is_one_and_its_gradient_zero():
    scale = tf.Variable(0.0, dtype="float64")
    with tf.GradientTape() as tape:
        penalty = losses.gradient_penalty(lambda x: scale * linear(x), X, FAKES)
    np.testing.assert_allclose(penalty, 1, rtol=0, atol=1e-5)
    assert tape.gradient(penalty, scale).numpy() == 0


def test_r1_of_a_quadratic_critic():
    np.testing.assert_allclose(losses.r1(quadratic, X), norms(X) ** 2, rtol=1e-12)


@pytest.mark.parametrize("kind", ["gradient_penalty", "r1", "r2"])
def test_of_patches_the_mean_is_what_penalties_are_of(kind):
    images = [
        tf.constant(x, tf.float32) for x in np.random.default_rng(0).normal(size=(2, 3, 4, 4, 1))
    ]
    given = images if kind == "gradient_penalty" else images[:1]
    more = {"mix": tf.fill((3, 1, 1, 1), 0.5)} if kind == "gradient_penalty" else {}
    penalty = getattr(losses, kind)
    of_patches = penalty(lambda x: tf.square(x[:, :2, :2]), *given, **more)
    mean = penalty(
        lambda x: tf.reduce_mean(tf.square(x[:, :2, :2]), (1, 2, 3))[:, None], *given, **more
    )
    np.testing.assert_allclose(of_patches, mean, rtol=1e-6)


def test_r2_is_r1_that_lets_no_gradient_into_the_generator():
    fakes = tf.Variable(FAKES)
    with tf.GradientTape(persistent=True) as tape:
        r1, r2 = losses.r1(quadratic, fakes), losses.r2(quadratic, fakes)
    np.testing.assert_array_equal(r1, r2)
    assert tape.gradient(r2, fakes) is None
    np.testing.assert_allclose(tape.gradient(r1, fakes), 2 * FAKES, rtol=1e-12)


PENALTIES = {
    "gradient_penalty": lambda critic: losses.gradient_penalty(
        critic, X, FAKES, np.linspace(0, 1, 4).reshape(4, 1, 1, 1)
    ),
    "r1": lambda critic: losses.r1(critic, X),
    "r2": lambda critic: losses.r2(critic, FAKES),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_of_penalties_by_finite_differences(name):
    """With respect to every weight of a critic of two layers."""
    rng = np.random.default_rng(5)
    weights = [tf.Variable(rng.normal(size=s)) for s in [(18, 3), (3,), (3, 1)]]

    def penalty():
        def critic(x):
            return tf.tanh(tf.reshape(x, (-1, 18)) @ weights[0] + weights[1]) @ weights[2]

        return tf.reduce_sum(PENALTIES[name](critic))

    with tf.GradientTape() as tape:
        value = penalty()
    step = 1e-6
    for weight, gradient in zip(weights, tape.gradient(value, weights), strict=True):
        at, slopes = weight.numpy(), np.empty(weight.shape)
        for i in np.ndindex(*weight.shape):
            sides = []
            for sign in (1, -1):
                moved = at.copy()
                moved[i] += sign * step
                weight.assign(moved)
                sides.append(penalty().numpy())
            slopes[i] = (sides[0] - sides[1]) / (2 * step)
        weight.assign(at)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-7)
