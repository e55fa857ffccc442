"""Grouped convolution."""

import numpy as np
import tensorflow as tf

from kgan.layers import GroupedConv2D
from layers.harness import LayerHarness, normal

X = normal(5, 6, 4, 6)


class TestGroupedConv2D(LayerHarness):
    kind = GroupedConv2D
    config = {"filters": 4, "kernel_size": 3, "padding": "same", "groups": 2}
    inputs = (X,)

    def test_every_group_is_convolved_by_itself(self):
        layer = self.layer()
        kernel = layer.kernel.numpy()  # (3, 3, 6 / 2, 4)
        groups = [
            tf.nn.conv2d(X[..., 3 * g : 3 * g + 3], kernel[..., 2 * g : 2 * g + 2], 1, "SAME")
            for g in range(2)
        ]
        expected = np.concatenate(groups, axis=3) + layer.bias.numpy()
        np.testing.assert_allclose(layer(X), expected, rtol=1e-12, atol=1e-12)
