"""Modulated convolution against a kernel for every image in NumPy."""

import itertools

import numpy as np
import pytest

from kgan.layers import ModulatedConv2D, Upsample2D
from layers.harness import LayerHarness, normal
from layers.test_resampling import filtered, insert_zeros


def convolved(x, kernel):
    """Cross-correlation of (height, width, inputs), tap by tap, zeros around, sides kept."""
    size, (height, width, _) = len(kernel), x.shape
    x = np.pad(x, [(size // 2, size // 2), (size // 2, size // 2), (0, 0)])
    return sum(
        x[i : i + height, j : j + width] @ kernel[i, j]
        for i, j in itertools.product(range(size), repeat=2)
    )


def reference(layer, x, w):
    """Karras et al. 2020, equations 1 to 3, image by image."""
    kernel, (scale, offset) = layer.kernel.numpy(), layer.affine.get_weights()
    styles = w @ scale / np.sqrt(len(scale)) + offset
    images = []
    for image, style in zip(x, styles, strict=True):
        own = kernel / np.sqrt(np.prod(kernel.shape[:3])) * style[:, None]
        if layer.demodulate:
            own = own / np.sqrt((own**2).sum(axis=(0, 1, 2)) + 1e-8)
        if layer.upsample:  # on a plane that is larger by 4 zeros on each side
            plane = np.pad(insert_zeros(image[None])[0], [(4, 4), (4, 4), (0, 0)])
            plane = convolved(plane, own[::-1, ::-1])  # transposed: with the kernel turned round
            images.append(4 * filtered(plane[None], 2, 1)[0, 4:-4, 4:-4])
        else:
            images.append(convolved(image, own))
    return np.stack(images) + layer.bias.numpy()


class TestModulatedConv2D(LayerHarness):
    kind = ModulatedConv2D
    config = {"filters": 2, "kernel_size": 3, "demodulate": True, "upsample": False, "seed": 3}
    inputs = (normal(4, 6, 5, 3), normal(4, 7))

    @pytest.mark.parametrize("demodulate", [True, False])
    @pytest.mark.parametrize("kernel_size", [1, 3, 5])
    def test_value(self, kernel_size, demodulate):
        layer = self.layer(kernel_size=kernel_size, demodulate=demodulate)
        y = self.call(layer, *self.inputs)
        np.testing.assert_allclose(y, reference(layer, *self.inputs), rtol=0, atol=1e-12)


class TestUpsamplingModulatedConv2D(TestModulatedConv2D):
    config = {**TestModulatedConv2D.config, "upsample": True, "demodulate": False}

    @pytest.mark.parametrize("kernel_size", [1, 3, 5])
    def test_kernel_of_one_central_tap_only_upsamples(self, kernel_size):
        layer = self.layer(kernel_size=kernel_size, filters=3)
        centre = np.zeros(layer.kernel.shape)
        centre[kernel_size // 2, kernel_size // 2] = np.eye(3) / layer.gain
        layer.set_weights([centre, np.zeros(3), np.zeros((7, 3)), np.ones(3)])
        x, w = self.inputs
        expected = Upsample2D(dtype="float64")(x)
        np.testing.assert_allclose(layer(x, w), expected, rtol=0, atol=1e-14)


def test_outputs_of_unit_variance_for_inputs_of_unit_variance():
    """Whatever the styles: 12,800 x 8 values inside, four standard errors of each channel's 5%."""
    layer = ModulatedConv2D(8, seed=0, dtype="float64")
    y = layer(normal(200, 10, 10, 16), 3 * normal(200, 5, seed=1)).numpy()[:, 1:-1, 1:-1]
    np.testing.assert_allclose(y.var(axis=(0, 1, 2)), 1, rtol=0, atol=0.05)


def test_starts_as_an_ordinary_convolution_for_a_latent_of_zeros():
    layer = ModulatedConv2D(2, seed=0, demodulate=False, dtype="float64")
    x = normal(2, 4, 4, 3)
    y = layer(x, np.zeros((2, 5))) * np.sqrt(27)
    expected = [convolved(image, layer.kernel.numpy()) for image in x]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


def test_initial_weights_are_the_seeds():
    layers = [ModulatedConv2D(2, seed=s) for s in (1, 1, 2)]
    for layer in layers:
        layer.build((None, 4, 4, 3), (None, 5))
    for v, w, other in zip(*(layer.trainable_weights for layer in layers), strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
        assert "bias" in v.name or not np.array_equal(v.numpy(), other.numpy())


@pytest.mark.parametrize("size", [0, 2, 7])
def test_bad_kernel_size(size):
    with pytest.raises(ValueError, match=f"to be 1, 3 or 5. Received: kernel_size={size}"):
        ModulatedConv2D(4, size)


def test_bad_filters():
    with pytest.raises(ValueError, match="filters to be an int >= 1. Received: filters=0"):
        ModulatedConv2D(0)


def test_large_styles_in_half_precision():
    """Their squares are beyond float16."""
    inputs, styles = np.random.default_rng(0).normal(size=(1, 8, 8, 16)), np.zeros((1, 16))
    biases, outputs = np.ones(16, "float32"), []
    biases[3] = 260
    for policy in ("float32", "mixed_float16"):
        layer = ModulatedConv2D(4, 3, dtype=policy, seed=0)
        layer(inputs, styles)
        layer.affine.bias.assign(biases)
        outputs.append(np.asarray(layer(inputs, styles), "float32"))
    assert np.abs(outputs[0]).max() > 1
    np.testing.assert_allclose(*outputs, atol=0.02)
