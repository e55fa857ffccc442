"""StyleGAN, with few channels and no custom operators.

Sources: Karras, Laine & Aila 2019, "A Style-Based Generator Architecture for Generative
Adversarial Networks", arXiv:1812.04948; Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN", arXiv:1912.04958 (StyleGAN2), which is meant by "the paper" below;
hyperparameters of small models from Karras et al. 2020, "Training Generative Adversarial Networks
with Limited Data", arXiv:2006.06676.
"""

import math
from collections.abc import Iterator
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.augment import gaussian_blur
from kgan.checks import FLAG, Bound, number, or_none, shape_of_images, whole
from kgan.latents import sample_latents
from kgan.layers import (
    Blur2D,
    Downsample2D,
    EqualizedConv2D,
    EqualizedDense,
    LearnedConstant,
    MinibatchStddev,
    ModulatedConv2D,
    NoiseInjection,
    PixelNormalization,
    Upsample2D,
)
from kgan.layers.leaky_relu import leaky_relu
from kgan.models.base import projection
from kgan.models.base.adversarial import add_gradients, output_dtype
from kgan.models.base.latent import label_input, one_hot, with_labels
from kgan.models.gan import GAN
from kgan.sampling import StyleSampling

SIDES = (16, 32, 64, 128, 256)


@keras.saving.register_keras_serializable("kgan")
def scaled_leaky_relu(x):
    """LeakyReLU of slope 0.2, times √2 so that the variance of its input is kept."""
    return _leaky_relu(x) * scaled_leaky_relu.gain


def _leaky_relu(x):
    return leaky_relu(x, 0.2)


def _express_scaled_leaky_relu(graph, x) -> str:
    return graph.op(
        "Mul", graph.op("LeakyRelu", x, alpha=0.2), graph.constant(scaled_leaky_relu.gain)
    )


scaled_leaky_relu.express = _express_scaled_leaky_relu
scaled_leaky_relu.gain = math.sqrt(2.0)
scaled_leaky_relu.unscaled = _leaky_relu


def _channels(side: int, image_side: int, width: int, max_channels: int) -> int:
    return min(max_channels, width * image_side // side)


def build_mapping(
    latent_dim: int,
    num_layers: int,
    num_classes: int | None,
    slow_biases: bool,
    seeds: Iterator[int],
) -> keras.Model:
    """Latents z (batch, latent_dim), and labels, to latents w of the same shape."""
    latents = keras.Input((latent_dim,), name="latents")
    x = PixelNormalization()(latents)
    network_inputs = latents
    if num_classes is not None:
        labels = label_input()
        embedded = EqualizedDense(latent_dim, seed=next(seeds))(one_hot(labels, num_classes))
        x = layers.Concatenate()([x, PixelNormalization()(embedded)])
        network_inputs = [latents, labels]
    for _ in range(num_layers):
        # Learns 100 times more slowly than the rest: appendix C of the first paper.
        x = EqualizedDense(
            latent_dim,
            activation=scaled_leaky_relu,
            learning_rate_multiplier=0.01,
            scale_bias=slow_biases,
            seed=next(seeds),
        )(x)
    return keras.Model(network_inputs, x, name="mapping")


def build_synthesis(
    image_shape, latent_dim: int, width: int, max_channels: int, seeds: Iterator[int]
) -> keras.Model:
    """Styles (batch, layers, latent_dim) to images, from a learned constant (figure 2d, 7b)."""
    image_side, _, image_channels = image_shape
    num_styles = 2 * int(math.log2(image_side)) - 2
    styles = keras.Input((num_styles, latent_dim), name="styles")
    style = iter([styles[:, index] for index in range(num_styles)])

    def convolve(x, w, side, upsample=False):
        filters = _channels(side, image_side, width, max_channels)
        x = ModulatedConv2D(filters, 3, upsample=upsample, seed=next(seeds))(x, w)
        x = NoiseInjection(seed=next(seeds))(x)
        return layers.Activation(scaled_leaky_relu)(x)

    x = LearnedConstant(4, _channels(4, image_side, width, max_channels), next(seeds))(styles)
    images, side, w = None, 4, next(style)
    while True:
        x = convolve(x, w, side)  # (batch, side, side, filters)
        w = next(style)
        rgb = ModulatedConv2D(
            image_channels, 1, demodulate=False, seed=next(seeds), dtype=output_dtype()
        )(x, w)
        images = rgb if images is None else layers.Add(dtype=output_dtype())([images, rgb])
        if side == image_side:
            return keras.Model(styles, images, name="synthesis")
        side *= 2
        images = Upsample2D(dtype=output_dtype())(images)
        x = convolve(x, w, side, upsample=True)
        w = next(style)


def connect(mapping: keras.Model, synthesis: keras.Model) -> keras.Model:
    """The same w as the style of every layer."""
    network_inputs = [
        keras.Input(x.shape[1:], dtype=x.dtype, name=name)
        for x, name in zip(mapping.inputs, ("latents", "labels"), strict=False)
    ]
    if len(network_inputs) == 1:
        network_inputs = network_inputs[0]
    styles = layers.RepeatVector(synthesis.input_shape[1])(mapping(network_inputs))
    return keras.Model(network_inputs, synthesis(styles), name="generator")


def build_discriminator(
    image_shape, width: int, max_channels: int, num_classes: int | None, seeds: Iterator[int]
) -> keras.Model:
    """Residual network down to 4x4, then minibatch standard deviation (figure 7c)."""
    side = image_shape[0]
    images = network_inputs = keras.Input(image_shape, name="images")

    def convolve(x, filters, kernel_size=3, **kwargs):
        kwargs.setdefault("activation", scaled_leaky_relu)
        kwargs.setdefault("padding", "same")
        return EqualizedConv2D(filters, kernel_size, seed=next(seeds), **kwargs)(x)

    x = convolve(images, _channels(side, side, width, max_channels), 1)
    for below in (side >> k for k in range(1, int(math.log2(side)) - 1)):
        filters = _channels(below, side, width, max_channels)
        skip = convolve(Downsample2D()(x), filters, 1, activation=None, use_bias=False)
        x = convolve(x, x.shape[-1])
        x = convolve(Blur2D(2)(x), filters, strides=2, padding="valid")
        x = layers.Rescaling(1 / math.sqrt(2.0))(
            layers.Add()([x, skip])
        )  # (batch, below, below, …)
    x = MinibatchStddev(4)(x)
    x = layers.Flatten()(convolve(x, x.shape[-1] - 1))
    x = EqualizedDense(filters, activation=scaled_leaky_relu, seed=next(seeds))(x)
    outputs = 1 if num_classes is None else filters
    x = EqualizedDense(outputs, seed=next(seeds), dtype=output_dtype(), name="logits")(x)
    if num_classes is not None:
        labels = label_input()
        wanted = EqualizedDense(filters, seed=next(seeds))(one_hot(labels, num_classes))
        wanted = PixelNormalization(dtype=output_dtype())(wanted)
        x = layers.Dot(axes=1, dtype=output_dtype())([x, wanted])
        x = layers.Rescaling(1 / math.sqrt(filters), dtype=output_dtype())(x)
        network_inputs = [images, labels]
    return keras.Model(network_inputs, x, name="discriminator")


@keras.saving.register_keras_serializable("kgan")
class StyleGANLite(StyleSampling, GAN):
    """StyleGAN2 for small machines (Karras et al. 2019, 2020).

    A mapping network turns the latent z into w; synthesis starts from a learned constant, and w
    enters every layer as a style, the scale of its input channels, with noise beside it.
    Trained by the non-saturating loss with lazy R1, style mixing and, on request, path length
    regularisation; learning rates are equalised. "Lite" is in the channels, and in that no
    operator is custom.

    `mapping` (z to w) and `synthesis` (a style for every layer, (batch, layers, latent_dim), to
    images) are the two halves of `ema_generator`, for mixing styles and projection.

    Args:
        image_shape: tuple (side, side, channels), side among 16, 32, 64, 128 and 256.
        latent_dim: int, dimensions of z and of w.
        width: int, channels next to the image; they double with every halving of the side.
        max_channels: int, the most that a layer has.
        mapping_layers: int, layers of the mapping network.
        num_classes: int, number of classes of a conditional model. None for an unconditional one.
        r1_gamma: float, weight γ of R1. None for 0.0002 · side² / 64, the heuristic of Karras et
            al. 2020a for batches of 64; small data sets often want more.
        r1_interval: int, steps between two computations of R1.
        style_mixing: float, share of training images whose layers take their styles from two
            latents, from a random layer on.
        path_length_weight: float, of path length regularisation (section 3.2); 0 for none, as
            small models are usually trained. The paper's is 2.
        slow_biases: bool, whether the biases of the mapping network learn as slowly as its
            kernels, as in the official code: samples vary more. False for trainings and presets of
            kgan 0.1, which go on as they began.
        discriminator_width: int, the `width` of D, whose `max_channels` are in proportion. None
            for that of G.
        blur_images: int, number of images over which a blur of all that D sees fades, from a
            standard deviation of a sixteenth of the side to none, so that shapes and colors are
            learned before edges, by which D would tell everything at once (Karras et al. 2021,
            arXiv:2106.12423, whose code begins with 10 pixels, and fades over 200,000 images); 0
            for no blur.
        r2, loss, ema_half_life, augment, seed: see `kgan.models.GAN`.

    Raises:
        ValueError: for another side or number of channels.

    Example:

    ```python
    model = kgan.models.StyleGANLite(image_shape=(64, 64, 3), augment="AdaptiveAugment")
    model.compile()
    model.fit(kgan.data.dataset("photos", image_shape=(64, 64, 3)), epochs=100)
    images = model.sample(16, seed=0, truncation=0.7)
    ```
    """

    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **GAN.ARGUMENTS,
        "image_shape": shape_of_images(SIDES),
        "latent_dim": whole(1, 1 << 14),
        "r1_gamma": or_none(GAN.ARGUMENTS["r1_gamma"]),
        "max_channels": whole(1, 1 << 14),
        "mapping_layers": whole(1, 64),
        "slow_biases": FLAG,
        "style_mixing": number(0, 1),
        "path_length_weight": number(0, 1e9),
        "discriminator_width": or_none(whole(1, 1 << 14)),
        "blur_images": whole(0, 2**53),
    }
    COMMAND = "stylegan-lite"
    COUNTS_FIRST_IMAGES = ("blur_images",)
    BATCH_SIZE = 32
    PATH_LENGTH_INTERVAL = 4

    share_fakes = False

    def __init__(
        self,
        image_shape=(64, 64, 3),
        latent_dim: int = 128,
        width: int = 32,
        max_channels: int = 128,
        mapping_layers: int = 4,
        num_classes: int | None = None,
        r1_gamma: float | None = None,
        r1_interval: int = 16,
        style_mixing: float = 0.9,
        path_length_weight: float = 0.0,
        ema_half_life: float | None = 20_000,
        discriminator_width: int | None = None,
        slow_biases: bool = False,
        blur_images: int = 0,
        **kwargs,
    ):
        self.ARGUMENTS["image_shape"].check("image_shape", image_shape)
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            num_classes=num_classes,
            width=width,
            max_channels=max_channels,
            mapping_layers=mapping_layers,
            r1_gamma=0.0002 * image_shape[0] ** 2 / 64 if r1_gamma is None else r1_gamma,
            r1_interval=r1_interval,
            style_mixing=style_mixing,
            path_length_weight=path_length_weight,
            ema_half_life=ema_half_life,
            discriminator_width=discriminator_width,
            slow_biases=slow_biases,
            blur_images=blur_images,
            **kwargs,
        )
        self._synthesize = None
        self.w_mean = self.add_state("w_mean", shape=(latent_dim,))
        self.path_length_mean = self.add_state("path_length_mean")

    def build_generator(self) -> keras.Model:
        """Latents (batch, latent_dim), and labels, to images: mapping, then synthesis."""
        return connect(
            build_mapping(
                self.latent_dim,
                self.mapping_layers,
                self.num_classes,
                self.slow_biases,
                self.initial_seeds("generator"),
            ),
            build_synthesis(
                self.image_shape,
                self.latent_dim,
                self.width,
                self.max_channels,
                self.initial_seeds("generator", part=1),
            ),
        )

    def build_discriminator(self) -> keras.Model:
        """Images in [-1, 1], and labels, to logits (batch, 1)."""
        width = self.discriminator_width or self.width
        return build_discriminator(
            self.image_shape,
            width,
            self.max_channels * width // self.width,
            self.num_classes,
            self.initial_seeds("discriminator"),
        )

    @property
    def mapping(self) -> keras.Model:
        """The averaged mapping network: latents, and labels, to w (batch, latent_dim)."""
        return self.ema_generator.get_layer("mapping")

    @property
    def synthesis(self) -> keras.Model:
        """The averaged synthesis network: styles (batch, layers, latent_dim) to images."""
        return self.ema_generator.get_layer("synthesis")

    def preset_state(self) -> dict:
        state = {"w_mean": self.w_mean, "path_length_mean": self.path_length_mean}
        return {**super().preset_state(), **state}

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam 2.5e-3 (0, 0.99); slower by k / (k + 1) where every k-th step does double work."""

        def adam(interval):
            share = interval / (interval + 1) if interval > 1 else 1.0
            return keras.optimizers.Adam(2.5e-3 * share, 0.0, 0.99**share, epsilon=1e-8)

        return adam(self.PATH_LENGTH_INTERVAL if self.path_length_weight else 1), adam(
            self.r1_interval
        )

    def call(self, latents, labels=None, training=False, truncation=None):
        """Images of the averaged generator, w moved towards its mean by `truncation` < 1."""
        w = self.mapping(with_labels(latents, labels), training=False)
        if truncation is not None:
            # w' = w̄ + ψ (w - w̄): appendix B of the first paper.
            mean = tf.cast(self.w_mean, w.dtype)
            w = mean + tf.cast(truncation, w.dtype) * (w - mean)
        return self.synthesis(self._repeat(w), training=False)

    @property
    def styles_shape(self) -> tuple[int, int]:
        return tuple(self.synthesis.input_shape[1:])

    def styles_chunk(self, latents, labels, truncation=None) -> np.ndarray:
        w = self.mapping(with_labels(latents, labels), training=False)
        if truncation is not None:
            w = self.w_mean + truncation * (w - self.w_mean)
        return self._repeat(w).numpy().astype(np.float32)

    def draw_styles_chunk(self, styles) -> np.ndarray:
        if self._synthesize is None:
            self._synthesize = tf.function(lambda styles: self.synthesis(styles, training=False))
        return self._synthesize(tf.constant(styles)).numpy()

    def projection_space(self, label, starts, seed) -> projection.Space:
        """Around the mean of w, from where w is truncated to half; appendix D of the paper."""

        def mapped(seed, number):
            latents = tf.constant(sample_latents(seed, 0, number, self.latent_dim))
            labels = None if label is None else tf.fill((number,), label)
            w = self.mapping(with_labels(latents, labels), training=False)
            return w.numpy().astype(np.float32)  # in which means over many are right

        w = mapped(0, 10_000)
        mean, deviation = w.mean(axis=0), w.std(axis=0).mean()
        begin = mean + 0.5 * (mapped(seed, starts) - mean)
        # The paper's σ of w is that of its length.
        noise = 0.05 * math.sqrt(self.latent_dim)
        return projection.Space(self._repeat(begin).numpy(), mean, deviation, noise)

    def draw_points(self, points, labels) -> tf.Tensor:
        return self.synthesis(points, training=False)

    def draw_found(self, points, labels) -> dict[str, np.ndarray]:
        return {"images": self.render_styles(points), "styles": points}

    def express_images(self, graph, batch) -> dict:
        self.check_call(StyleGANLite)
        return {"images": graph.call(self.synthesis, self._express_styles(graph, batch))}

    def express(self, graph) -> dict:
        self.check_call(StyleGANLite)
        own = self._express_styles(graph, self.sample_chunk)
        # Given styles take the place of the latents' own: for mixing and walking.
        given, styles = graph.input("given", (), "bool"), graph.input("styles", own.shape)
        styles = graph.value(graph.op("Where", given, styles, own), own.shape)
        return {"images": graph.call(self.synthesis, styles), "styles_out": styles}

    def _express_styles(self, graph, batch):
        """The styles of latents, in a graph."""
        layers_, size = self.synthesis.input_shape[1:]
        w = graph.call(self.mapping, *self.express_inputs(graph, batch))
        truncation = graph.input("truncation", ())
        # w + (1 - ψ) (w̄ - w): without truncation it is w, to the bit.
        rest = graph.op("Sub", graph.constant(1.0), truncation)
        away = graph.op("Mul", rest, graph.op("Sub", graph.weight(self.w_mean), w))
        w = graph.reshape(graph.op("Add", w, away), (batch, 1, size))
        times = (1 if isinstance(batch, str) else batch, layers_, size)
        own = graph.op("Expand", w, graph.constant(times, "int64"))
        return graph.value(own, (batch, layers_, size))

    def generate(self, labels, draws):
        """Images in training, with the styles of two latents mixed (section 3.1, first paper)."""
        styles = self._training_styles(labels, draws)
        self._average(self.w_mean, tf.reduce_sum(styles[:, 0], 0), draws, 0.998)
        return self.generator.get_layer("synthesis")(styles, training=True)

    def _training_styles(self, labels, draws):
        mapping = self.generator.get_layer("mapping")
        first, second = (
            self._repeat(
                mapping(with_labels(draws.normal((self.latent_dim,)), labels), training=True)
            )
            for _ in range(2)
        )
        num_styles = first.shape[1]
        crossover = tf.floor(draws.uniform((1,), 1.0, num_styles))
        mixed = draws.uniform((1,)) < self.style_mixing
        mixed &= tf.range(num_styles, dtype=tf.float32)[None] >= crossover  # (batch, layers)
        return tf.where(mixed[:, :, None], second, first)

    def _repeat(self, w):
        return tf.repeat(w[:, None], self.synthesis.input_shape[1], axis=1)

    def _average(self, mean, local_sum, draws, keep):
        """Moves a running mean towards this step's, over all replicas."""
        count = tf.cast(draws.global_batch, mean.dtype)
        new = self.sum_replicas(tf.cast(local_sum, mean.dtype)) / count
        mean.assign(new + keep * (mean - new))

    def discriminate(self, images, labels=None, draws=None):
        """D's logits (batch, 1): in training of images that are blurred at first."""
        if draws is not None and self.blur_images:
            left = 1.0 - tf.cast(self.images_seen, tf.float32) / self.blur_images
            images = gaussian_blur(images, tf.maximum(left, 0.0) * self.image_shape[0] / 16)
        return super().discriminate(images, labels, draws)

    def generator_gradients(self, real, fakes, draws):
        gradients = super().generator_gradients(real, fakes, draws)
        if not self.path_length_weight:
            return gradients
        _, half = draws.part(0, 2)  # on half a batch, as the official code does

        def weighted():
            lengths = self._path_lengths(half)
            deviation = tf.square(lengths - tf.cast(self.path_length_mean, lengths.dtype))
            return self.path_length_weight * self.global_mean(deviation, half), lengths

        lengths, more = self.lazy_gradients(
            weighted,
            self.PATH_LENGTH_INTERVAL,
            self.g_optimizer,
            self.generator.trainable_variables,
            half.local_batch,
        )
        computed = tf.size(lengths) > 0
        new = self.sum_replicas(self.global_mean(lengths, half))
        step = 0.01 * (tf.cast(new, self.path_length_mean.dtype) - self.path_length_mean)
        self.path_length_mean.assign_add(tf.where(computed, step, 0.0))
        return add_gradients(gradients, more)

    def _path_lengths(self, draws):
        """‖Jᵀ y‖ of images by styles, for random images y: equation 4."""
        labels = None if self.num_classes is None else draws.labels(self.num_classes)
        styles = self._training_styles(labels, draws)
        direction = draws.normal(self.image_shape) / math.sqrt(math.prod(self.image_shape[:2]))
        with tf.GradientTape() as tape, draws:
            tape.watch(styles)
            images = self.generator.get_layer("synthesis")(styles, training=True)
            projected = tf.reduce_sum(images * tf.cast(direction, images.dtype))
        # (batch, layers, latent_dim); half precision would overflow when squared
        gradient = tf.cast(tape.gradient(projected, styles), self.variable_dtype)
        squared = tf.reduce_mean(tf.reduce_sum(tf.square(gradient), axis=2), axis=1)
        return tf.sqrt(tf.maximum(squared, 1e-12))
