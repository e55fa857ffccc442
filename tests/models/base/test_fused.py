"""Adam, and moving averages, by one operation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.models.base.fused import approach, fuse
from models.harness import TWO_REPLICAS

Adam = keras.optimizers.Adam


def shifted(optimizer, fused, dtype="float64", steps=5, sparse=False):
    """What an optimizer makes of variables in so many steps."""
    random = np.random.default_rng(0)
    shapes = ((3, 4), (5,), ())
    variables = [keras.Variable(random.normal(size=shape), dtype=dtype) for shape in shapes]
    optimizer.build(variables)
    if fused:
        fuse(optimizer)

    @tf.function
    def step(*gradients):
        if sparse:
            rows = tf.IndexedSlices(gradients[0][:2], tf.constant([2, 0]), (3, 4))
            gradients = (rows, *gradients[1:])
        optimizer.apply(list(gradients), variables)

    for _ in range(steps):
        step(*[tf.constant(random.normal(size=v.shape), dtype) for v in variables])
    return [v.numpy() for v in [*variables, *optimizer.variables]]


def operations(optimizer):
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer.build([variable])
    fuse(optimizer)
    step = tf.function(lambda: optimizer.apply([tf.ones(3)], [variable]))
    return {operation.type for operation in step.get_concrete_function().graph.get_operations()}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"beta_1": 0.0, "beta_2": 0.99, "epsilon": 1e-8},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 4)},
        {"weight_decay": 0.1, "clipnorm": 0.5},
        {"use_ema": True, "ema_momentum": 0.9},
        {"gradient_accumulation_steps": 2},
    ],
)
def test_it_moves_as_keras_does(more):
    config = {"learning_rate": 0.1, **more}
    for found, expected in zip(
        shifted(Adam(**config), fused=True), shifted(Adam(**config), fused=False), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_in_float32_and_of_rows(sparse):
    for found, expected in zip(
        shifted(Adam(0.1), True, "float32", sparse=sparse),
        shifted(Adam(0.1), False, "float32", sparse=sparse),
        strict=True,
    ):
        # Of how far they move, 0.5: Keras takes 1 - β for a number, the operation makes it of β.
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def test_it_is_one_operation_also_where_losses_are_scaled():
    assert "ResourceApplyAdam" in operations(Adam())
    assert "ResourceApplyAdam" in operations(keras.optimizers.LossScaleOptimizer(Adam()))


def test_others_stay():
    class Own(Adam):
        pass

    for optimizer in (Own(), Adam(amsgrad=True), keras.optimizers.AdamW()):
        assert "ResourceApplyAdam" not in operations(optimizer)
    with TWO_REPLICAS.scope():
        optimizer = Adam()
        optimizer.build([keras.Variable(np.ones(3, "float32"))])
        fuse(optimizer)
    assert "update_step" not in vars(optimizer)


def test_a_fused_one_is_saved_and_copied_as_any():
    optimizer = Adam(0.1)
    optimizer.build([keras.Variable(np.ones(3, "float32"))])
    fuse(optimizer)
    again = Adam.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config() and "update_step" not in vars(again)


@pytest.mark.parametrize("strategy", [tf.distribute.get_strategy(), TWO_REPLICAS])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_average_goes_that_share_of_the_way(strategy, share):
    random = np.random.default_rng(0)
    starts = random.normal(size=(2, 3, 4))
    with strategy.scope():
        average, value = (keras.Variable(w, trainable=False, dtype="float64") for w in starts)

    @tf.function
    def step():
        strategy.run(lambda: approach(average, value, tf.constant(share, "float64")))

    step()
    expected = starts[0] + share * (starts[1] - starts[0])
    np.testing.assert_allclose(average.numpy(), expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(value.numpy(), starts[1])
