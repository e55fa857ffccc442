"""Images for GANs: TensorFlow Datasets, folders and arrays, as batches of uint8.

Names are resolved on first use: a folder is checked without importing TensorFlow.
"""

import importlib

_PLACES = {
    "ImageSet": "images",
    "Report": "report",
    "check": "folder",
    "dataset": "images",
    "load": "images",
}

__all__ = ["ImageSet", "Report", "check", "dataset", "load"]


def __getattr__(name: str):
    if name in _PLACES:
        return getattr(importlib.import_module(f"kgan.data.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'kgan.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
