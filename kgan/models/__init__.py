"""The GANs. Importing this package registers their classes with Keras."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.models.conditional_gan import ConditionalGAN
from kgan.models.dcgan import DCGAN
from kgan.models.gan import GAN
from kgan.models.stylegan_lite import StyleGANLite
from kgan.models.wgan_gp import WGANGP

__all__ = ["DCGAN", "GAN", "WGANGP", "ConditionalGAN", "StyleGANLite"]

from kgan.models.base import shim, two_player

shim.install(two_player.TwoPlayerModel, [DCGAN, GAN, WGANGP, ConditionalGAN, StyleGANLite])
