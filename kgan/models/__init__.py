"""The GANs. Importing this package registers their classes with Keras."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.models.dcgan import DCGAN
from kgan.models.gan import GAN

__all__ = ["DCGAN", "GAN"]
