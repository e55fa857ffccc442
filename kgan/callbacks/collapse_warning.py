"""Signs that one player has won."""

import warnings

import numpy as np

from kgan.callbacks.periodic import Periodic, check_latent
from kgan.checks import whole
from kgan.errors import KganWarning
from kgan.latents import sample_latents

# Real data sets are far above it: MNIST 50, faces 60 levels of 255.
LEAST_DEVIATION = 4.0
# Of losses that are bounded by 0 below; log 2 x 2 = 1.39 is where a game of log losses begins.
SATURATED_LOSS = 0.01


class CollapseWarning(Periodic):
    """Warns when generated images hardly differ, or the discriminator has long ceased to err.

    Both are looked for every N epochs or N images. Training goes on: a GAN may recover, and it is
    for a person to decide.

    - Collapse: the standard deviation over 64 images of the generator as it is (not averaged), a
      mean over all pixels, is under 4 of 255 levels, after it had been above.
    - Saturation: the mean `d_loss` since the epoch began is under 0.01, `patience` times in a
      row. Not with the Wasserstein loss, which has no bound.

    Args:
        every_epochs: int; by default every epoch.
        every_images: int, images seen between two looks, instead of epochs.
        patience: int, looks in a row.

    Example:

    ```python
    model.fit(dataset, callbacks=[kgan.callbacks.CollapseWarning(every_images=50_000)])
    ```
    """

    def __init__(
        self, every_epochs: int | None = None, every_images: int | None = None, patience: int = 3
    ):
        if every_epochs is None and every_images is None:
            every_epochs = 1
        super().__init__(every_epochs, every_images)
        self.patience = whole(1).check("patience", patience)

    def on_train_begin(self, logs=None):
        check_latent(self, self.model)
        super().on_train_begin(logs)
        self._varied = False
        self._saturated = 0
        self._d_loss = None

    def on_train_batch_end(self, batch, logs=None):
        self._d_loss = (logs or {}).get("d_loss")
        super().on_train_batch_end(batch, logs)

    def act(self, images_seen: int) -> None:
        deviation = self._deviation()
        if deviation >= LEAST_DEVIATION:
            self._varied = True
        elif self._varied:
            self._warn(
                "the generator seems to have collapsed: 64 of its images differ by "
                f"{deviation:.2f} of 255 levels",
                images_seen,
            )
        loss = getattr(self.model, "adversarial_loss", None)  # not every model has one
        if self._d_loss is None or loss is None or not loss.bounded:
            return
        self._saturated = self._saturated + 1 if float(self._d_loss) < SATURATED_LOSS else 0
        if self._saturated >= self.patience:
            self._warn(
                f"the discriminator is always right: d_loss {float(self._d_loss):.2g}, under "
                f"{SATURATED_LOSS} in {self._saturated} looks in a row",
                images_seen,
            )

    def _deviation(self) -> float:
        """Standard deviation over images, a mean over pixels, in levels of 255."""
        model = self.model
        latents = sample_latents(0, 0, 64, model.latent_dim)
        inputs = latents
        if model.num_classes is not None:  # of one class: variety within it is what counts
            inputs = [latents, np.zeros(64, "int32")]
        images = np.asarray(model.generator(inputs, training=False), np.float64)
        return float(images.std(axis=0).mean() * 127.5)

    @staticmethod
    def _warn(what, images_seen):
        warnings.warn(
            f"After {images_seen:,} images {what}. What usually helps: a penalty (R1, WGANGP), "
            "augmentation of small data sets, a slower discriminator, an earlier snapshot.",
            KganWarning,
            stacklevel=2,
        )
