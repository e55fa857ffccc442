"""Images for GANs: TensorFlow Datasets, folders and arrays, as batches of uint8.

Names are resolved on first use: a folder is checked without importing TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgan.data.folder import check
    from kgan.data.images import ImageSet, dataset, load
    from kgan.data.report import Report

_PLACES = {
    "ImageSet": "images",
    "Report": "report",
    "check": "folder",
    "dataset": "images",
    "load": "images",
}

__all__ = ["ImageSet", "Report", "check", "dataset", "load"]

if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in _PLACES:
            return getattr(importlib.import_module(f"kgan.data.{_PLACES[name]}"), name)
        raise AttributeError(f"module 'kgan.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
