"""An end to trainings that have become meaningless."""

import keras

from kgan.errors import KganError


class Divergence(KganError):
    """A loss or weight that is not finite."""


class TerminateOnDivergence(keras.callbacks.Callback):
    """Stops at the first step after which a loss or a weight is not a finite number.

    Keras' `TerminateOnNaN` looks at one loss that GANs do not have. Here the training step itself
    keeps watch over both losses and both networks' weights, on the device, and this callback reads
    the result after every step. Put it before callbacks that save, which then keep the last good
    state.

    Raises:
        ValueError: out of `fit`, naming the network, the step, and what usually helps.

    Example:

    ```python
    model.fit(dataset, callbacks=[kgan.callbacks.TerminateOnDivergence(), checkpoint])
    ```
    """

    def on_train_begin(self, logs=None):
        model = self.model
        model.diverged.assign([0, 0, 0])
        if not model.watches_divergence:
            model.watches_divergence = True
            model.make_train_function(force=True)  # `fit` may have traced a step that does not

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        diverged = self.model.diverged.numpy()
        if diverged.any():
            # In the order of a step: a network poisons what comes after it.
            players = self.model.PLAYERS
            generators, discriminators = (
                " or ".join(players[name]) for name in ("g_optimizer", "d_optimizer")
            )
            names = (generators, discriminators, generators)
            name, images = next(pair for pair in zip(names, diverged, strict=True) if pair[1])
            raise Divergence(
                f"Expected finite losses and weights. Received: NaN or infinity in the {name}, "
                f"first after {images:,} images (epoch {self._epoch + 1}, step {batch + 1}). What "
                "usually helps: a lower learning rate, images without NaN, float32 instead of "
                "float16, a penalty (WGANGP, R1). The last checkpoint before it is good"
            )
