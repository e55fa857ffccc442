"""StyleGAN, lite."""

from kgan.models import StyleGANLite
from models.harness import CoreHarness, Harness


class TestStyleGANLite(Harness):
    kind = StyleGANLite
    config = {"latent_dim": 8, "width": 4, "max_channels": 8, "r1_interval": 2}
    smooth_config = {**config, "path_length_weight": 2.0}
    last_batch = 8  # groups of the minibatch's deviation would be cut


class TestConditionalStyleGANLite(CoreHarness):
    kind = StyleGANLite
    config = {"latent_dim": 8, "width": 4, "max_channels": 8, "num_classes": 3}
    smooth_config = config
    last_batch = 8
