"""What the training steps of all GANs are made of."""

from typing import NamedTuple

import keras
import tensorflow as tf

from kgan.models.base import inputs
from kgan.models.base.two_player import TwoPlayerModel
from kgan.random import Draws

EMA_RAMP = 0.05  # of the images seen: the longest half-life of the moving average


class Examples(NamedTuple):
    """What the discriminator is shown.

    Attributes:
        images: float tensor (batch, height, width, channels) in [-1, 1].
        labels: int32 tensor (batch,), or None for an unconditional model.
        tape: `tf.GradientTape` under which the generator made the images; None of real ones.
    """

    images: tf.Tensor
    labels: tf.Tensor | None = None
    tape: tf.GradientTape | None = None


class SteppingModel(TwoPlayerModel):
    """Data, randomness, averages over replicas, lazy penalties and the moving average of a step.

    A subclass sets what `TwoPlayerModel` asks for, and `seed`, `ema_half_life`, `images_tested`
    and `diverged`.
    """

    watches_divergence = False

    def begin_step(self, data) -> tuple[Examples, Draws]:
        """The real examples of a training step, and its randomness."""
        real = self.unpack(data)
        draws = self.draws(real.images, self.images_seen)
        self.seed_layers(draws)
        return real, draws

    def end_step(self, draws: Draws, fakes: Examples) -> dict:
        """Moves the average, counts the images, returns the logs."""
        self.update_ema(draws.global_batch)
        self.images_seen.assign_add(tf.cast(draws.global_batch, tf.int64))
        if self.watches_divergence:
            self.note_divergence(fakes)
        return self.logs()

    def note_divergence(self, fakes: Examples) -> None:
        """Records after how many images fakes, D and G were first not finite.

        Only `diverged` is written, on the device; `kgan.callbacks.TerminateOnDivergence` asks for
        it and reads it. A gradient that is not finite shows in the weights of the same step.

        Args:
            fakes: images that G made before it was updated: if these are not finite, it is G that
                has diverged, and D has it from them.
        """
        sums = [tf.cast(tf.reduce_sum(fakes.images), tf.float32)]
        for loss, network in (("d_loss", self.discriminator), ("g_loss", self.generator)):
            weights = [tf.cast(tf.reduce_sum(w), tf.float32) for w in network.trainable_variables]
            sums.append(tf.add_n(weights) + tf.cast(self._means[loss].total, tf.float32))
        bad = self.sum_replicas(tf.cast(~tf.math.is_finite(tf.stack(sums)), tf.float32)) > 0
        first = bad & (self.diverged == 0)
        self.diverged.assign(tf.where(first, self.images_seen, self.diverged))

    def unpack(self, data) -> Examples:
        """Images as floats in [-1, 1] (uint8 is scaled here, on the device), and labels."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs.check_static(images.shape, images.dtype, self.image_shape)
        dtype = self.variable_dtype
        scaled = tf.cast(images, dtype)
        if images.dtype == tf.uint8:
            scaled = scaled / 127.5 - 1.0
        if self.num_classes is None:
            return Examples(scaled)
        inputs.check_labels(labels, self.num_classes)
        return Examples(scaled, tf.reshape(tf.cast(labels, tf.int32), (-1,)))

    def draws(self, images, counter, stream: int = 0) -> Draws:
        """This step's randomness, drawn for the global batch of which `images` is a slice."""
        local = images.shape[0] or tf.shape(images)[0]
        seed = 2 * self.seed + stream
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return Draws(seed, counter, local)
        # The last batch of a data set need not be cut evenly: ask every replica for its share.
        index = replicas.replica_id_in_sync_group
        share = tf.one_hot(index, replicas.num_replicas_in_sync, dtype=tf.float32)
        shares = replicas.all_reduce("SUM", share * tf.cast(local, tf.float32))
        shares = tf.cast(tf.round(shares), tf.int32)
        offset = tf.cumsum(shares, exclusive=True)[index]
        return Draws(seed, counter, local, tf.reduce_sum(shares), offset)

    def seed_layers(self, draws: Draws) -> None:
        """Sets the state of dropout and the like from the counter: Keras does not save it."""
        first_image = tf.cast(draws.counter, tf.int64) + tf.cast(draws.offset, tf.int64)
        for index, generator in enumerate(seed_generators(self.generator, self.discriminator)):
            state = tf.stack([tf.constant(self.seed * 256 + index, tf.int64), first_image * 256])
            generator.state.assign(tf.cast(state, generator.state.dtype))

    def lazy_gradients(self, function, interval: int, optimizer, variables) -> tuple:
        """Gradients of a penalty that is computed every `interval` steps only.

        A penalty that is so much heavier and so much rarer does the same at a fraction of the
        cost (Karras et al. 2020, arXiv:1912.04958, section 3.1).

        Args:
            function: of no arguments, gives the penalty's part of the loss, and values to report.
            interval: int; 1 for every step.
            optimizer, variables: of the network whose penalty it is.

        Returns:
            The values (none of them if the penalty was not due), and a gradient for each variable.
        """

        def due():
            with tf.GradientTape() as tape:
                loss, values = function()
                loss = optimizer.scale_loss(interval * loss)
            gradients = tape.gradient(loss, variables)
            pairs = zip(gradients, zeros(), strict=True)
            # Of an embedding's rows TensorFlow gives those alone that were looked up.
            return values, [zero if g is None else tf.convert_to_tensor(g) for g, zero in pairs]

        def not_due():
            return tf.zeros((0,), self.variable_dtype), zeros()

        def zeros():
            return [tf.zeros(v.shape, v.dtype) for v in variables]

        if interval == 1:
            return due()
        # Only gradients leave the conditional: an optimizer inside would fail under a strategy.
        return tf.cond(optimizer.iterations % interval == 0, due, not_due)

    def global_mean(self, per_example, draws: Draws):
        """The share of this replica in the mean over the global batch (gradients are summed)."""
        count = tf.cast(draws.global_batch, per_example.dtype)
        return tf.math.divide_no_nan(tf.reduce_sum(per_example), count)

    def sum_replicas(self, value):
        """The sum of a tensor over all replicas, on each of them."""
        replicas = tf.distribute.get_replica_context()
        if replicas is None or replicas.num_replicas_in_sync == 1:
            return value
        return replicas.all_reduce("SUM", value)

    def update_ema(self, batch) -> None:
        """Moves the average of weights and normalisation statistics towards the generator.

        The weight of the past halves every `ema_half_life` images: 0.5 ** (batch / half-life).
        Early on it halves every `EMA_RAMP` times the images seen so far, if that is sooner: the
        average forgets the untrained generator, which it starts from (Karras et al. 2020,
        arXiv:2006.06676, in the official code; at the first step it is the generator itself).
        """
        if self.ema_half_life is None:
            return
        for average, value in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            seen = tf.cast(self.images_seen, average.dtype)  # before this step
            half_life = tf.minimum(tf.cast(self.ema_half_life, average.dtype), EMA_RAMP * seen)
            keep = 0.5 ** (tf.cast(batch, average.dtype) / half_life)
            average.assign(value + keep * (average - value))

    def reset_ema(self) -> None:
        """Sets the moving average to the generator as it is."""
        self.ema_generator.set_weights(self.generator.get_weights())

    def add_state(self, name: str, dtype: str = "float32", shape: tuple[int, ...] = ()):
        """A weight that starts at 0 and that the step sets, alike on all replicas."""
        return self.add_weight(
            shape=shape,
            initializer="zeros",
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )


def seed_generators(*networks) -> list:
    """The random states of dropout and the like inside the networks, in a fixed order."""
    return [
        generator
        for network in networks
        for layer in network._flatten_layers()
        for generator in layer._seed_generators
    ]


def add_gradients(gradients: list, more: list) -> list:
    """Sums by variable; a loss that does not depend on a variable has None for it."""
    return [m if g is None else g + m for g, m in zip(gradients, more, strict=True)]
