"""kgan: generative adversarial networks for Keras 3.

Sub-modules are imported on first use, so that `import kgan` is instant and silent.
"""

import importlib

__version__ = "0.2.0.dev0"

_SUBMODULES = (
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
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str):
    if name in _SUBMODULES:
        return importlib.import_module(f"kgan.{name}")
    raise AttributeError(f"module 'kgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
