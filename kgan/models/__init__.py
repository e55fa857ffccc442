"""The GANs. Importing this package registers their classes with Keras."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.models.conditional_gan import ConditionalGAN
from kgan.models.cycle_gan import CycleGAN
from kgan.models.dcgan import DCGAN
from kgan.models.gan import GAN
from kgan.models.pix2pix import Pix2Pix
from kgan.models.r3gan import R3GAN
from kgan.models.stylegan_lite import StyleGANLite
from kgan.models.wgan_gp import WGANGP

__all__ = [
    "DCGAN",
    "GAN",
    "R3GAN",
    "WGANGP",
    "ConditionalGAN",
    "CycleGAN",
    "Pix2Pix",
    "StyleGANLite",
]
