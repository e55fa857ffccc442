"""kgan: generative adversarial networks for Keras 3.

Sub-modules are imported on first use, so that `import kgan` is instant and silent.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgan import (
        augment,
        callbacks,
        data,
        layers,
        losses,
        metrics,
        models,
        random,
        zoo,
    )

__version__ = "0.2.0.dev0"

__all__ = [
    "__version__",
    "augment",
    "callbacks",
    "data",
    "latents",
    "layers",
    "losses",
    "metrics",
    "models",
    "random",
    "zoo",
]

if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return importlib.import_module(f"kgan.{name}")
        raise AttributeError(f"module 'kgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
