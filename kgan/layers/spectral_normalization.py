"""Spectral normalisation."""

import keras
import tensorflow as tf

from kgan.checks import SEED, or_none
from kgan.layers.convolution import Conv2D
from kgan.layers.reparametrized import Reparametrized


class _SpectrallyNormalized(Reparametrized):
    """Mixed into a Keras layer: its kernel divided by its largest singular value.

    Keras' own `SpectralNormalization` assigns the kernel during the call, so that no gradient
    flows through the singular value and the weights change in every forward pass. Here W / σ is
    a function of W, and only the vector of the power iteration is stored.
    """

    def __init__(self, *args, seed: int | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed = or_none(SEED).check("seed", seed)

    def build(self, input_shape):
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            shape=(self._matrix().shape[1],),
            initializer=keras.initializers.RandomNormal(0, 1, self.seed),
            trainable=False,
            # Replicas hold the same kernel, and each iterates on it by itself.
            aggregation="none",
            name="singular_vector",
        )

    def _matrix(self):
        """The kernel as a matrix (inputs, outputs), in float32 where float16 would overflow."""
        weights = tf.cast(self._weights_to_normalize(), self.variable_dtype)
        return tf.reshape(weights, (-1, weights.shape[-1]))

    def _iterate(self):
        matrix = tf.stop_gradient(self._matrix())
        vector = tf.linalg.matvec(matrix, self._vector())
        vector = tf.linalg.matvec(matrix, vector, transpose_a=True)
        vector = tf.math.l2_normalize(vector, epsilon=1e-12)
        # A kernel of zeros has no direction: from a vector of zeros none would be found again.
        self.singular_vector.assign(tf.where(tf.norm(vector) > 0, vector, self._vector()))

    def _vector(self):
        return tf.cast(self.singular_vector, self.variable_dtype)

    def _normalized(self):
        matrix = self._matrix()
        right = tf.math.l2_normalize(self._vector())
        left = tf.stop_gradient(tf.math.l2_normalize(tf.linalg.matvec(matrix, right)))
        # σ = uᵀ W v with u and v held fixed: Miyato et al. 2018, equations 11 and 12.
        sigma = tf.tensordot(left, tf.linalg.matvec(matrix, right), 1)
        weights = tf.convert_to_tensor(self._weights_to_normalize())
        return weights / tf.cast(tf.where(sigma > 0, sigma, 1.0), weights.dtype)

    def call(self, inputs, training=False):
        """Computes what Keras' layer does, with the normalised kernel.

        Args:
            inputs: float tensor (batch, ..., features) for `SpectralDense`, (batch, height, width,
                channels) for `SpectralConv2D`; int tensor (batch, ...) for `SpectralEmbedding`.
            training: bool, whether to take a step of the power iteration first.

        Returns:
            Float tensor (batch, ..., units), (batch, new height, new width, filters) or
            (batch, ..., output_dim).
        """
        if training:
            self._iterate()
        return super().call(inputs)

    def compute_output_spec(self, inputs, training=False):
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


class _SpectralKernel(_SpectrallyNormalized):
    def _weights_to_normalize(self):
        return self._kernel

    @property
    def kernel(self):
        return self._normalized()


@keras.saving.register_keras_serializable("kgan")
class SpectralDense(_SpectralKernel, keras.layers.Dense):
    """`keras.layers.Dense` with spectral normalisation: its Lipschitz constant is 1.

    The kernel is divided by its largest singular value, estimated by one power iteration in every
    training call (Miyato et al. 2018, arXiv:1802.05957, algorithm 1); the gradient flows through
    that value.

    Args:
        units: int, and every other argument of `keras.layers.Dense`.
        seed: int, of the vector that the power iteration starts from.

    Example:

    >>> logits = kgan.layers.SpectralDense(1)(features, training=True)
    """


@keras.saving.register_keras_serializable("kgan")
class SpectralConv2D(_SpectralKernel, Conv2D):
    """`keras.layers.Conv2D` with spectral normalisation; see `SpectralDense`.

    The kernel is taken as a matrix (height x width x inputs, outputs), as the paper does.

    Args:
        filters, kernel_size: ints, and every other argument of `keras.layers.Conv2D`.
        seed: int, of the vector that the power iteration starts from.

    Example:

    >>> x = kgan.layers.SpectralConv2D(64, 4, 2, padding="same")(images, training=True)
    """


@keras.saving.register_keras_serializable("kgan")
class SpectralEmbedding(_SpectrallyNormalized, keras.layers.Embedding):
    """`keras.layers.Embedding` with spectral normalisation; see `SpectralDense`.

    Args:
        input_dim, output_dim: ints, and every other argument of `keras.layers.Embedding` but
            `weights`.
        seed: int, of the vector that the power iteration starts from.

    Example:

    >>> vectors = kgan.layers.SpectralEmbedding(10, 64)(labels, training=True)
    """

    def _weights_to_normalize(self):
        return self._embeddings

    @property
    def embeddings(self):
        return self._normalized()
