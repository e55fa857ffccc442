"""An end to trainings that have become meaningless."""

import keras

from kgan.errors import KganError


class Divergence(KganError):
    """A loss or weight that is not finite."""


class TerminateOnDivergence(keras.callbacks.Callback):
    """Stops at the first step after which a loss or a weight is not a finite number.

    Keras' `TerminateOnNaN` looks at one loss that GANs do not have. Here the training step itself
    keeps watch over both losses and both networks' weights, on the device, and this callback reads
    the result after every step. It comes before callbacks that save, which then keep the last good
    state.

    Raises:
        ValueError: out of `fit`, naming the network and the step, and what usually helps.

    Example:

    ```python
    model.fit(dataset, callbacks=[kgan.callbacks.TerminateOnDivergence(), checkpoint])
    ```
    """

    def on_train_begin(self, logs=None):
        self._step = 0
        self.model.diverged.assign([0, 0, 0])

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1
        diverged = self.model.diverged.numpy()
        if diverged.any():
            # In the order of a step: a network poisons what comes after it.
            names = ("generator", "discriminator", "generator")
            name, images = next(pair for pair in zip(names, diverged, strict=True) if pair[1])
            raise Divergence(
                f"Expected finite losses and weights. Received: NaN or infinity in the {name}, "
                f"first after {images:,} images (step {self._step:,} of this fit). What usually "
                "helps: a lower learning rate, images without NaN, float32 instead of float16, a "
                "penalty (WGANGP, R1). The last checkpoint before it is good"
            )
