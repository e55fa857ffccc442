"""Conditional GAN."""

from kgan.models import ConditionalGAN
from models.harness import CoreHarness, Harness


class TestConditionalGAN(Harness):
    kind = ConditionalGAN
    config = {"latent_dim": 8, "width": 8, "num_classes": 3}
    smooth_config = {**config, "augment": "DiffAugment"}
    indifferent = ("logits/bias",)  # while no image is beyond the hinge


class TestConcat(CoreHarness):
    kind = ConditionalGAN
    config = {"latent_dim": 8, "width": 8, "num_classes": 3, "conditioning": "concat"}
    smooth_config = config
