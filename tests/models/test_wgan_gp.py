"""WGAN-GP."""

from kgan.models import WGANGP
from models.harness import Harness


class TestWGANGP(Harness):
    kind = WGANGP
    config = {"latent_dim": 8, "width": 8, "critic_steps": 2}
    smooth_config = {**config, "augment": "DiffAugment"}
    indifferent = ("logits/bias",)  # it cancels in D(x) - D(G(z))
