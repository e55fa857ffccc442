"""Metrics of generated images while training runs."""

import os
from collections.abc import Sequence

import keras
import numpy as np

from kgan import workers
from kgan.callbacks.periodic import Periodic, check_latent
from kgan.checks import PATH, SEED, TEXT, or_none, whole
from kgan.data import load
from kgan.data.images import check_source
from kgan.metrics import extractor as find_extractor
from kgan.metrics.measuring import check_metrics, extract_features, measure
from kgan.metrics.protocol import evenly


class GenerativeMetrics(Periodic):
    """Measures samples of the averaged generator against held-out images, into Keras' logs.

    The values are in `logs` at the end of every epoch as `val_frechet_distance`,
    `val_kernel_distance` and so on, those of the last measurement, so that callbacks after this one
    use them as any other: `EarlyStopping`, `ModelCheckpoint(save_best_only=True)`, `CSVLogger`,
    `TensorBoard`. Put it first. Training itself is not changed by it. Of several processes that
    train together the chief measures, and all have its values.

    Args:
        data: held-out images: whatever `kgan.data.load` reads.
        extractor: of the features: see `kgan.metrics.extractor`; `"random"` is for any images.
        metrics: names among `kgan.metrics.METRICS`.
        images: int, how many generated images are measured, against as many of `data`, taken at
            even spaces; fewer if there are fewer. The Fréchet distance needs 250.
        every_epochs: int; by default every epoch.
        every_images: int, images seen between two measurements, instead of epochs.
        split: of a TFDS data set.
        seed: int, of the samples; the same every time.
        data_dir: see `kgan.data.load`.

    Raises:
        ValueError: for data that cannot be read, metrics or extractors that do not exist, both
            schedules at once, or, before training begins, too few images for a metric.

    Example:

    ```python
    metrics = kgan.callbacks.GenerativeMetrics("tfds:mnist", "digits", split="test")
    satisfied = keras.callbacks.EarlyStopping("val_kernel_distance", mode="min", patience=5)
    model.fit(dataset, epochs=100, callbacks=[metrics, satisfied])
    ```
    """

    everywhere = True

    def __init__(
        self,
        data,
        extractor: "str | keras.Model" = "random",
        metrics: Sequence[str] = ("frechet_distance", "kernel_distance"),
        images: int = 2000,
        every_epochs: int | None = None,
        every_images: int | None = None,
        split: str = "test",
        seed: int = 0,
        data_dir: str | os.PathLike | None = None,
    ):
        if every_epochs is None and every_images is None:
            every_epochs = 1
        super().__init__(every_epochs, every_images)
        check_source(data)
        whole(2).check("images", images)
        SEED.check("seed", seed)
        TEXT.check("split", split)
        or_none(PATH).check("data_dir", data_dir)
        check_metrics(metrics, images)
        self.metrics = tuple(metrics)
        self.extractor = find_extractor(extractor)
        self.data, self.split, self.data_dir = data, split, data_dir
        self.images, self.seed = images, seed
        self.values = {}
        self._real, self._shape = None, None

    def on_train_begin(self, logs=None):
        check_latent(self, self.model)
        self.values = {}  # which may be of another model
        super().on_train_begin(logs)
        if workers.is_chief(self.model.distribute_strategy):
            self._take_real(self.model)

    def act(self, images_seen: int) -> None:
        measured = workers.from_chief(
            self.model.distribute_strategy, lambda: self.measure(self.model)
        )
        self.values = {f"val_{name}": value for name, value in measured.items()}

    def measure(self, model) -> dict[str, float]:
        """The metrics of a model as it is now.

        Args:
            model: a `kgan.models.GAN` of images like those of the data.

        Returns:
            Values by name, such as `{"kernel_distance": 0.01}`.
        """
        self._take_real(model)
        fake = self._features(model.iter_samples(len(self._real.features), self.seed))
        return {name: value for name, (value, _) in measure(self._real, fake, self.metrics).items()}

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if not self.values:  # the callbacks that follow want them from the first epoch
            self.act(int(self.model.images_seen.numpy()))
        if logs is not None:
            logs.update(self.values)

    def _take_real(self, model):
        if self._shape == model.image_shape:
            return
        check_metrics(self.metrics, image_shape=model.image_shape)
        real = load(self.data, model.image_shape, self.split, self.data_dir).images
        number = min(self.images, len(real))
        check_metrics(self.metrics, number)
        self._real = self._features([real[evenly(range(len(real)), number)]])
        self._shape = model.image_shape

    def _features(self, batches):
        keep = "sliced_wasserstein" in self.metrics
        return extract_features(map(np.asarray, batches), self.extractor, keep)
