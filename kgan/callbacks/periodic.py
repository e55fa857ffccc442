"""The schedule that callbacks of kgan share: every N epochs, or every N images."""

import keras

from kgan import workers
from kgan.checks import or_none, whole
from kgan.errors import KganError


class Periodic(keras.callbacks.Callback):
    """Calls `act` every N epochs, or each time the model has seen another N images.

    Images are counted over the model's whole life, also across resumed runs, and without asking
    the device at every step.

    Args:
        every_epochs: int, or None.
        every_images: int, or None. One of the two must be given.

    Attributes:
        everywhere: whether all of several processes that train together act, or the chief alone.

    Raises:
        ValueError: if both or neither are given, or not positive.
    """

    everywhere = False

    def __init__(self, every_epochs: int | None = None, every_images: int | None = None):
        super().__init__()
        for name, every in (("every_epochs", every_epochs), ("every_images", every_images)):
            or_none(whole(1)).check(name, every)
        if (every_epochs is None) == (every_images is None):
            raise KganError(
                "Expected every_epochs >= 1 or every_images >= 1, not both. Received: "
                f"every_epochs={every_epochs!r}, every_images={every_images!r}"
            )
        self.every_epochs = every_epochs
        self.every_images = every_images

    def act(self, images_seen: int) -> None:
        """What is to be done; `images_seen` is the model's count."""
        raise NotImplementedError(f"{type(self).__name__} does not define act()")

    def call_act(self, images_seen: int) -> None:
        """Calls `act`, where it is to be called."""
        if self.everywhere or workers.is_chief(self.model.distribute_strategy):
            self.act(images_seen)

    def next_due(self, images_seen: int) -> int:
        """After how many images `act` is due next."""
        return (images_seen // self.every_images + 1) * self.every_images

    def on_train_begin(self, logs=None):
        self._seen = self._counted = int(self.model.images_seen.numpy())
        self._per_batch = None
        self._batches = 0

    def on_train_batch_end(self, batch, logs=None):
        if self.every_images is None:
            return
        self._batches += 1
        if self._per_batch is None:
            self._per_batch = (int(self.model.images_seen.numpy()) - self._counted) or 1
        due = self.next_due(self._seen)
        if self._counted + self._batches * self._per_batch >= due:
            self._counted, self._batches = int(self.model.images_seen.numpy()), 0
            if self._counted >= due:
                self._seen = self._counted
                self.call_act(self._seen)

    def on_epoch_end(self, epoch, logs=None):
        if self.every_epochs is not None and (epoch + 1) % self.every_epochs == 0:
            self.call_act(int(self.model.images_seen.numpy()))


def check_latent(callback: keras.callbacks.Callback, model) -> None:
    """Raises KganError unless a callback that draws samples has a model that makes them."""
    if not hasattr(model, "latent_dim"):
        raise KganError(
            f"Expected {type(callback).__name__} with a model that samples. Received: a "
            f"{type(model).__name__}, which translates; SampleGrid shows what becomes of pictures"
        )
