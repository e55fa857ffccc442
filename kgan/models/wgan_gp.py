"""WGAN-GP: Wasserstein GAN with gradient penalty.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", arXiv:1704.00028.
"""

import itertools
import warnings
from collections.abc import Iterator

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import KganWarning
from kgan.models import dcgan
from kgan.models.base import inputs
from kgan.models.gan import GAN, Examples


def _he_normal(seed: int) -> Iterator[keras.initializers.Initializer]:
    return (keras.initializers.HeNormal(s) for s in itertools.count(seed))


def build_critic(image_shape, width: int, seed: int) -> keras.Model:
    """DCGAN's discriminator without normalisation: images to scores (batch, 1).

    Batch normalisation would make the score of an image depend on the others of its batch, and
    the penalty is on each image's own gradient (section 4, "No critic batch normalization").
    """
    images = keras.Input(image_shape, name="images")
    init = _he_normal(seed)
    scores = dcgan.linear_output(dcgan.downsample(images, width, init), init)
    return keras.Model(images, scores, name="discriminator")


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
        latent_dim: int, dimensions of the latent.
        width: int, channels next to the image of kgan's own networks: DCGAN's generator, and its
            discriminator without normalisation.
        critic_steps: int, updates of the critic a step, n_critic in the paper.
        penalty_weight: float, λ in the paper.
        generator, discriminator: `keras.Model`s to take their place; a critic has no batch
            normalisation and can be differentiated twice.
        num_classes, ema_half_life, augment, seed: see `kgan.models.GAN`.

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
        inputs.check_int("critic_steps", critic_steps, 1)
        inputs.check_int("width", width, 1)
        if not penalty_weight >= 0:
            raise ValueError(f"Expected penalty_weight >= 0. Received: {penalty_weight!r}")
        users = (generator is not None, discriminator is not None)
        if not all(users):
            image_shape = inputs.check_image_shape(image_shape, dcgan.SIDES)
        seed = kwargs.get("seed", 0)
        if generator is None:
            latent_dim = 128 if latent_dim is None else latent_dim
            inputs.check_int("latent_dim", latent_dim, 1)
            generator = dcgan.build_generator(image_shape, latent_dim, width, 1000 * seed)
        if discriminator is None:
            discriminator = build_critic(image_shape, width, 1_000_003 + 1000 * seed)
        for layer in discriminator._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                raise ValueError(
                    "Expected a critic without batch normalisation, under which no image has a "
                    "gradient of its own to penalise; RMSNormalization may take its place. "
                    f"Received: {layer.name}"
                )
        super().__init__(
            image_shape,
            latent_dim,
            generator,
            discriminator,
            width=width,
            loss="wasserstein",
            **kwargs,
        )
        self._users_networks = users
        self.critic_steps = critic_steps
        self.penalty_weight = penalty_weight
        self._warned = False

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
        self._check_batch(batch.images.shape[0])
        for step in range(self.critic_steps):
            rows, part = draws.part(step, self.critic_steps)  # this update's alone
            real = Examples(*[None if x is None else x[rows] for x in (batch.images, batch.labels)])
            self.update_discriminator(real, self.forge(part), part)
        fakes = self.forge(part)
        self.update_generator(real, fakes, part)
        return self._with_estimate(self.end_step(draws, fakes))

    def test_step(self, data) -> dict:
        return self._with_estimate(super().test_step(data))

    @staticmethod
    def _with_estimate(logs):
        return {**logs, "wasserstein": -logs["d_loss"]}

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """`keras.Model.fit`; batches should be a multiple of `critic_steps`."""
        if hasattr(x, "dtype"):  # of arrays Keras makes batches whose size the step cannot see
            self._check_batch(min(batch_size or 32, len(x)))
        return super().fit(x, y, batch_size, *args, **kwargs)

    def _check_batch(self, size: int | None) -> None:
        """Refuses batches too small for every update to have an image; warns of a remainder."""
        if size is not None and size < self.critic_steps:
            raise ValueError(
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

    def get_config(self) -> dict:
        config = super().get_config()
        for name in ("loss", "r1_gamma", "r1_interval"):
            del config[name]
        config.update(critic_steps=self.critic_steps, penalty_weight=self.penalty_weight)
        return config
