"""Resampling against zero insertion, filtering and decimation in NumPy."""

import keras
import numpy as np
import pytest

from kgan.layers import Blur2D, Downsample2D, Upsample2D
from layers.harness import LayerHarness, normal

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def insert_zeros(x):
    y = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2], x.shape[3]))
    y[:, ::2, ::2] = x
    return y


def filtered(x, before, after):
    """[1, 3, 3, 1] along rows and columns, each one by `np.convolve`, zeros around."""
    x = np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)])
    for axis in (1, 2):
        x = np.apply_along_axis(np.convolve, axis, x, TAPS, "valid")
    return x


class TestBlur2D(LayerHarness):
    kind = Blur2D
    config = {"padding": 1}

    @pytest.mark.parametrize("padding", [0, 1, 2])
    def test_value(self, padding):
        x = normal(2, 6, 5, 3)
        np.testing.assert_allclose(
            self.layer(padding=padding)(x), filtered(x, padding, padding), rtol=0, atol=1e-14
        )

    def test_halves_an_even_side_with_the_strided_convolution_of_its_example(self):
        x = keras.layers.Conv2D(3, 3, strides=2, padding="valid")(Blur2D(2)(normal(1, 8, 6, 3)))
        assert x.shape == (1, 4, 3, 3)

    def test_bad_padding(self):
        with pytest.raises(ValueError, match="padding to be an int >= 0. Received: padding=-1"):
            Blur2D(-1)


class TestDownsample2D(LayerHarness):
    kind = Downsample2D

    @pytest.mark.parametrize("sides", [(6, 4), (7, 5)])
    def test_value(self, sides):
        x = normal(2, *sides, 3)
        expected = filtered(x, 1, 1)[:, ::2, ::2]
        np.testing.assert_allclose(self.layer()(x), expected, rtol=0, atol=1e-14)

    def test_finest_checkerboard_vanishes(self):
        x = np.indices((8, 8)).sum(axis=0)[None, :, :, None] % 2 * 2.0 - 1
        y = self.layer()(x).numpy()
        np.testing.assert_allclose(y[:, 1:-1, 1:-1], 0, rtol=0, atol=1e-15)


class TestUpsample2D(LayerHarness):
    kind = Upsample2D

    def test_value(self):
        x = normal(2, 6, 5, 3)
        expected = 4 * filtered(insert_zeros(x), 2, 1)
        np.testing.assert_allclose(self.layer()(x), expected, rtol=0, atol=1e-14)

    def test_is_bilinear_interpolation_inside(self):
        x = normal(2, 6, 5, 3)
        bilinear = keras.layers.UpSampling2D(interpolation="bilinear", dtype="float64")(x)
        inside = np.s_[:, 1:-1, 1:-1]
        # TensorFlow interpolates in float32.
        np.testing.assert_allclose(self.layer()(x)[inside], bilinear[inside], rtol=0, atol=1e-6)

    def test_is_four_times_the_transpose_of_downsampling(self):
        x, y = normal(2, 6, 5, 3), normal(2, 12, 10, 3, seed=1)
        up, down = self.layer()(x), Downsample2D(dtype="float64")(y)
        np.testing.assert_allclose(np.sum(up * y), 4 * np.sum(x * down), rtol=1e-12)


@pytest.mark.parametrize("kind", [Blur2D, Downsample2D, Upsample2D])
def test_constant_stays_constant_inside(kind):
    y = kind(dtype="float64")(np.full((1, 8, 8, 2), 3.0)).numpy()
    np.testing.assert_allclose(y[:, 2:-2, 2:-2], 3.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("layer", "sides"),
    [(Blur2D(2), (9, 11)), (Downsample2D(), (4, 5)), (Upsample2D(), (16, 20))],
)
def test_sides_that_are_open(layer, sides):
    x = keras.Input((None, None, 4))
    model = keras.Model(x, layer(x))
    assert model.output_shape == (None, None, None, 4)
    assert model(np.zeros((1, 8, 10, 4))).shape == (1, *sides, 4)
