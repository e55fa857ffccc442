"""A learned picture."""

import numpy as np

from kgan.layers import LearnedConstant
from layers.harness import LayerHarness, normal


class TestLearnedConstant(LayerHarness):
    kind = LearnedConstant
    config = {"side": 4, "channels": 3, "seed": 5}
    inputs = (normal(6, 2),)
    # Its input has no gradient, of any order: only the size of the batch matters.
    test_gradients = test_gradients_of_the_squared_gradient = None

    def test_every_row_is_the_constant(self):
        layer = self.layer()
        rows = layer(self.inputs[0]).numpy()
        assert rows.shape == (6, 4, 4, 3)
        for row in rows:
            np.testing.assert_array_equal(row, layer.constant.numpy()[0])

    def test_initial_values_are_the_seeds(self):
        layers = [LearnedConstant(4, 3, seed) for seed in (5, 5, 6)]
        for layer in layers:
            layer.build((None, 2))
        a, b, c = (layer.constant.numpy() for layer in layers)
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
