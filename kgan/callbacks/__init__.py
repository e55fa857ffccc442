"""Callbacks for `fit`: sample grids, and checkpoints with exact resume."""

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)
from kgan.callbacks.checkpoint import Checkpoint
from kgan.callbacks.periodic import Periodic
from kgan.callbacks.sample_grid import SampleGrid

__all__ = ["Checkpoint", "Periodic", "SampleGrid"]
