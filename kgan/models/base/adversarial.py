"""TEMPORARY shim: the base class of all models under its coming name."""

from kgan.models.gan import GAN as AdversarialModel

__all__ = ["AdversarialModel"]
