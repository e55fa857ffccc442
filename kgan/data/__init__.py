"""Images for GANs: TensorFlow Datasets, folders and arrays, as batches of uint8."""

from kgan.data.images import ImageSet, dataset, load

__all__ = ["ImageSet", "dataset", "load"]
