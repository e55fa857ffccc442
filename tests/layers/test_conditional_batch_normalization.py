"""Conditional batch normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.harness import TWO_REPLICAS

from kgan.layers import ConditionalBatchNormalization
from layers.harness import LayerHarness, normal

LABELS = np.array([2, 0, 1, 2, 2], "int32")


class TestConditionalBatchNormalization(LayerHarness):
    kind = ConditionalBatchNormalization
    config = {"num_classes": 4, "momentum": 0.7, "epsilon": 0.01}
    training = {"training": True}
    inputs = (normal(5, 6, 4, 3), LABELS)

    @pytest.mark.parametrize("shape", [(5, 6, 4, 3), (5, 3)])
    def test_value(self, shape):
        x = 2 + 3 * normal(*shape)
        layer = self.kind(**self.config, dtype="float64")
        layer(x, LABELS)
        layer.scales.assign(normal(4, 3, seed=1))
        layer.offsets.assign(normal(4, 3, seed=2))
        mean, variance = np.zeros(3), np.ones(3)
        each = (5, *[1] * (len(shape) - 2), 3)
        scale, offset = (w.numpy()[LABELS].reshape(each) for w in (layer.scales, layer.offsets))
        for training in (False, True, False):
            axes = tuple(range(len(shape) - 1))
            used = (x.mean(axes), x.var(axes)) if training else (mean, variance)
            expected = (x - used[0]) / np.sqrt(used[1] + 0.01) * scale + offset
            y = layer(x, LABELS, training=training)
            np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)
            if training:
                mean, variance = 0.3 * used[0], 0.7 + 0.3 * used[1]
        np.testing.assert_allclose(layer.normalization.moving_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(layer.normalization.moving_variance, variance, rtol=1e-12)

    def test_starts_as_keras_batch_normalization(self):
        plain = keras.layers.BatchNormalization(epsilon=0.01, dtype="float64")
        layer = self.kind(**self.config, dtype="float64")
        np.testing.assert_allclose(
            layer(self.inputs[0], LABELS, training=True),
            plain(self.inputs[0], training=True),
            rtol=1e-12,
            atol=1e-14,
        )

    def test_two_replicas_normalise_by_the_global_batch(self):
        x, layer = normal(8, 6, 4, 3), self.layer()
        labels = np.arange(8) % 4
        expected = layer(x, labels, training=True)
        with TWO_REPLICAS.scope():
            mirrored = self.layer()

        @tf.function
        def run():
            data = [
                TWO_REPLICAS.experimental_distribute_values_from_function(
                    lambda context, a=a: tf.split(a, 2)[context.replica_id_in_sync_group]
                )
                for a in (x, labels)
            ]
            return TWO_REPLICAS.run(lambda a, b: mirrored(a, b, training=True), args=data)

        y = np.concatenate(TWO_REPLICAS.experimental_local_results(run()))
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)

    def test_bad_number_of_classes(self):
        with pytest.raises(ValueError, match="num_classes to be an int >= 1. Received: .*=0"):
            ConditionalBatchNormalization(0)
