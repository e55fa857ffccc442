"""Images for GANs: TensorFlow Datasets, folders, arrays and pairs, as batches of uint8.

Names are resolved on first use: a folder is checked without importing TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgan.data.folder import check
    from kgan.data.images import ImageSet, dataset, load
    from kgan.data.pair_set import PairSet, domains, load_pairs, pairs
    from kgan.data.pairing import check_pairs
    from kgan.data.report import PairReport, Report

_PLACES = {
    "ImageSet": "images",
    "PairReport": "report",
    "PairSet": "pair_set",
    "Report": "report",
    "check": "folder",
    "check_pairs": "pairing",
    "dataset": "images",
    "domains": "pair_set",
    "load": "images",
    "load_pairs": "pair_set",
    "pairs": "pair_set",
}

__all__ = [
    "ImageSet",
    "PairReport",
    "PairSet",
    "Report",
    "check",
    "check_pairs",
    "dataset",
    "domains",
    "load",
    "load_pairs",
    "pairs",
]

if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name in _PLACES:
            return getattr(importlib.import_module(f"kgan.data.{_PLACES[name]}"), name)
        raise AttributeError(f"module 'kgan.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
