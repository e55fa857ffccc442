"""WGAN-GP: Wasserstein GAN with gradient penalty.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", arXiv:1704.00028.
"""

import warnings
from typing import Any, ClassVar

import keras
import tensorflow as tf

from kgan import losses
from kgan.checks import Bound, number, or_none, whole
from kgan.errors import KganError, KganWarning
from kgan.models import dcgan
from kgan.models.base import inputs
from kgan.models.base.adversarial import Batch
from kgan.models.base.latent import LatentModel
from kgan.models.gan import GAN


@keras.saving.register_keras_serializable("kgan")
class WGANGP(GAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017).

    The critic, `discriminator`, scores images so that the mean score of data exceeds that of
    fakes by as much as a function of slope 1 can: an estimate of their Wasserstein distance,
    which is logged as `wasserstein`. The slope is held by a penalty on the critic's gradient at
    random points between data and fakes.

    A step is algorithm 1: `critic_steps` updates of the critic, each on images and fakes of its
    own, then one of the generator. The batch is dealt out to the updates: batches of 5 x 64 give
    the paper's 64 to each of 5. A learning rate schedule of the critic's optimizer counts its
    updates, `critic_steps` a step.

    Args:
        image_shape: tuple (height, width, channels); for kgan's own networks a square with a side
            among 16, 28, 32, 56, 64, 112 and 128.
        latent_dim: int, dimensions of the latent. By default 128, or what `generator` takes.
        generator, discriminator: `keras.Model`s to take the place of kgan's; a critic has no batch
            normalisation and can be differentiated twice.
        width: int, channels next to the image of kgan's own networks: DCGAN's generator, and its
            discriminator without normalisation.
        critic_steps: int, updates of the critic a step, n_critic in the paper.
        penalty_weight: float, λ in the paper.
        **kwargs: `num_classes`, `ema_half_life`, `augment` and `seed` of `kgan.models.GAN`.

    Raises:
        ValueError: for networks that do not fit, a critic with batch normalisation, or at
            `compile` one that TensorFlow cannot differentiate twice.

    Example:

    ```python
    model = kgan.models.WGANGP(image_shape=(28, 28, 1))
    model.compile()
    model.fit(kgan.data.dataset("tfds:mnist", (28, 28, 1), batch_size=5 * 64), epochs=50)
    ```
    """

    ARGUMENTS: ClassVar[dict[str, Bound]] = {
        **LatentModel.ARGUMENTS,
        "width": GAN.ARGUMENTS["width"],
        "critic_steps": whole(1, 1000),
        "penalty_weight": number(0, 1e9),
    }
    TEST_LOGS = (*GAN.LOGS, "wasserstein")
    COMMAND = "wgan-gp"
    BATCH_SIZE = 5 * 64

    def __init__(
        self,
        image_shape=(28, 28, 1),
        latent_dim: int | None = None,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        width: int = 64,
        critic_steps: int = 5,
        penalty_weight: float = 10.0,
        **kwargs,
    ):
        if "loss" in kwargs:
            received = f"Received: loss={kwargs['loss']!r}"
            raise KganError(f"Expected no loss beside WGANGP's own. {received}")
        if latent_dim is None and generator is None:
            latent_dim = 128
        super().__init__(
            image_shape,
            latent_dim,
            generator,
            discriminator,
            width=width,
            loss="wasserstein",
            critic_steps=critic_steps,
            penalty_weight=penalty_weight,
            **kwargs,
        )
        for layer in self.discriminator._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                raise KganError(
                    "Expected a critic without batch normalisation, under which no image has a "
                    "gradient of its own to penalise; RMSNormalization may take its place. "
                    f"Received: {layer.name}"
                )
        self._warned = False

    def build_generator(self) -> keras.Model:
        """DCGAN's: latents (batch, latent_dim) to images in [-1, 1]."""
        dcgan.DCGAN.ARGUMENTS["image_shape"].check("image_shape", self.image_shape)
        latents = keras.Input((self.latent_dim,), name="latents")
        init = dcgan.initializers(self.initial_seeds("generator"))
        images = dcgan.upsample(latents, self.image_shape, self.width, init)
        return keras.Model(latents, images, name="generator")

    def build_discriminator(self) -> keras.Model:
        """DCGAN's discriminator without normalisation: images to scores (batch, 1).

        Batch normalisation would make the score of an image depend on the others of its batch,
        and the penalty is on each image's own gradient (section 4, "No critic batch
        normalization").
        """
        dcgan.DCGAN.ARGUMENTS["image_shape"].check("image_shape", self.image_shape)
        images = keras.Input(self.image_shape, name="images")
        init = dcgan.initializers(self.initial_seeds("discriminator"), "he")
        scores = dcgan.linear_output(dcgan.downsample(images, self.width, init), init)
        return keras.Model(images, scores, name="discriminator")

    def default_optimizers(self) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
        """Adam with a learning rate of 1e-4 and betas 0 and 0.9 (algorithm 1)."""
        return keras.optimizers.Adam(1e-4, 0.0, 0.9), keras.optimizers.Adam(1e-4, 0.0, 0.9)

    def train_step(self, data) -> dict:
        """Algorithm 1: `critic_steps` updates of the critic, then one of the generator.

        Returns:
            Dict of scalars: those of `kgan.models.GAN`, `wasserstein`, the critic's estimate
            E D(x) - E D(G(z)), and `gradient_penalty`, before its weight.
        """
        batch, draws = self.begin_step(data)
        self._check_size(batch.images.shape[0])
        for step in range(self.critic_steps):
            rows, part = draws.part(step, self.critic_steps)  # this update's alone
            real = Batch(*[None if x is None else x[rows] for x in (batch.images, batch.labels)])
            labels = self._labels_to_fake(real)
            self.update_discriminator(real, self.generate_batch(part, labels), part)
        fakes = self.generate_batch(part, labels)
        self.update_generator(real, fakes, part)
        return self._with_estimate(self.end_step(draws, fakes))

    def _labels_to_fake(self, real):
        """The classes of the data: the penalty mixes an image and a fake of one class."""
        return real.labels

    def test_step(self, data) -> dict:
        return self._with_estimate(super().test_step(data))

    @staticmethod
    def _with_estimate(logs):
        return {**logs, "wasserstein": -logs["d_loss"]}

    def updates(self, optimizer: str, images: int, batch_size: int) -> int:
        steps = super().updates(optimizer, images, batch_size)
        return steps * (self.critic_steps if optimizer == "d_optimizer" else 1)

    def fit(self, x: Any = None, y: Any = None, batch_size=None, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.fit`; batches should be a multiple of `critic_steps`.

        One too small for all updates, as the last one may be, is left out.
        """
        or_none(whole(1)).check("batch_size", batch_size)
        x, y = inputs.split(x, y)
        if hasattr(x, "dtype"):  # of arrays Keras makes batches whose size the step cannot see
            self._check_size(min(batch_size or 32, len(x)))
        return super().fit(x, y, batch_size, *args, **kwargs)

    def is_enough(self, images):
        # A device has that many rows at least, less those that are left over, which are its last.
        left_over = images % self.critic_steps
        devices = self.distribute_strategy.num_replicas_in_sync
        return images >= devices * (self.critic_steps + left_over)

    def _check_size(self, size: int | None) -> None:
        """Refuses batches too small for every update to have an image; warns of a remainder."""
        if size is not None and size < self.critic_steps:
            raise KganError(
                f"Expected batches of at least critic_steps={self.critic_steps} images, a multiple "
                f"of it if possible: every update takes its own. Received: batches of {size}"
            )
        if size is not None and size % self.critic_steps and not self._warned:
            self._warned = True
            warnings.warn(
                f"Each of the {self.critic_steps} critic updates takes {size // self.critic_steps} "
                f"of a batch of {size} images; {size % self.critic_steps} are left over. Batches "
                f"of a multiple of {self.critic_steps} waste none.",
                KganWarning,
                stacklevel=3,
            )

    def penalty(self, real, fakes, draws):
        """(‖∇ D(x̂)‖₂ - 1)² at random points x̂ between data and fakes: equation 3."""
        mix = draws.uniform((1, 1, 1), dtype=real.images.dtype)
        return losses.gradient_penalty(
            lambda x: self.discriminate(x, real.labels, draws),
            real.images,
            tf.stop_gradient(fakes.images),
            mix,
        )
