"""Callbacks for `fit`: grids and walks of samples, checkpoints with exact resume, and watches."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.callbacks.checkpoint import Checkpoint
from kgan.callbacks.collapse_warning import CollapseWarning
from kgan.callbacks.generative_metrics import GenerativeMetrics
from kgan.callbacks.latent_walk import LatentWalk
from kgan.callbacks.periodic import Periodic
from kgan.callbacks.sample_grid import SampleGrid
from kgan.callbacks.terminate_on_divergence import TerminateOnDivergence

__all__ = [
    "Checkpoint",
    "CollapseWarning",
    "GenerativeMetrics",
    "LatentWalk",
    "Periodic",
    "SampleGrid",
    "TerminateOnDivergence",
]
