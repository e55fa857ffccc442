"""Building blocks of GANs that Keras lacks, each a serializable Keras layer of its own."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.layers.batch_normalization import BatchNormalization
from kgan.layers.conditional_batch_normalization import ConditionalBatchNormalization
from kgan.layers.convolution import Conv2D, Conv2DTranspose
from kgan.layers.equalized import EqualizedConv2D, EqualizedDense
from kgan.layers.grouped_conv import GroupedConv2D
from kgan.layers.instance_normalization import InstanceNormalization
from kgan.layers.leaky_relu import LeakyReLU
from kgan.layers.learned_constant import LearnedConstant
from kgan.layers.minibatch_stddev import MinibatchStddev
from kgan.layers.modulated_conv import ModulatedConv2D
from kgan.layers.noise import NoiseInjection
from kgan.layers.pixel_normalization import PixelNormalization
from kgan.layers.reflection_padding import ReflectionPadding2D
from kgan.layers.resampling import Blur2D, Downsample2D, Upsample2D
from kgan.layers.spectral_normalization import SpectralConv2D, SpectralDense, SpectralEmbedding

__all__ = [
    "BatchNormalization",
    "Blur2D",
    "ConditionalBatchNormalization",
    "Conv2D",
    "Conv2DTranspose",
    "Downsample2D",
    "EqualizedConv2D",
    "EqualizedDense",
    "GroupedConv2D",
    "InstanceNormalization",
    "LeakyReLU",
    "LearnedConstant",
    "MinibatchStddev",
    "ModulatedConv2D",
    "NoiseInjection",
    "PixelNormalization",
    "ReflectionPadding2D",
    "SpectralConv2D",
    "SpectralDense",
    "SpectralEmbedding",
    "Upsample2D",
]
