"""Streams of batches whose order is a pure function of (seed, step)."""

import numpy as np
import tensorflow as tf

from kgan.checks import FLAG, SEED, whole
from kgan.data.cache import Stored
from kgan.errors import KganError
from kgan.pipelines import Epochs, counted, same_everywhere, steady

_FLIP, _SHUFFLE = 1, 0


class Batched:
    """What sets of images have in common: an epoch a pass, or an endless stream.

    A subclass has a length, which is that of an epoch, and says in `parts` what a batch has.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define its length")

    def parts(self) -> list[tuple[np.ndarray | Stored, int]]:
        """What a batch has: arrays, each with the number of the order in which it is gone through.

        Arrays of one order are of one length and stay together. In each order images are mirrored
        or not by decisions of its own; what is no image never is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define parts()")

    @property
    def failure(self) -> KganError | None:
        """What was found wrong with a cache while batches were read from it."""
        failures = (getattr(array, "failure", None) for array, _ in self.parts())
        return next(filter(None, failures), None)

    def dataset(
        self, batch_size: int = 64, shuffle: bool = True, flip: bool = False, seed: int = 0
    ) -> tf.data.Dataset:
        """One epoch a pass, each in an order of its own, the same in every process.

        `fit` with an `initial_epoch` goes on in the order of that epoch.

        Args:
            batch_size: int. When shuffled, a last partial batch is left out.
            shuffle: whether to change the order at each pass.
            flip: whether to mirror images left to right, each with probability 1/2.
            seed: int, of order and flips.

        Returns:
            `tf.data.Dataset` of uint8 images (batch, height, width, channels), of
            (images, labels), or of the images (a, b) of two kinds.
        """
        check_order(batch_size, shuffle, flip, seed)
        batch_size = int(batch_size)  # of NumPy's small ones the negative overflows
        self.check_batch(batch_size if shuffle else 1)
        steps = len(self) // batch_size if shuffle else -(-len(self) // batch_size)
        epochs = Epochs()

        def one_epoch(epoch):
            numbers = tf.data.Dataset.range(steps).map(lambda step: epoch * steps + step)
            return self._batches(numbers, orders)

        orders = self._orders(batch_size, shuffle, flip, seed)
        passes = tf.data.Dataset.from_tensors(0).map(
            lambda _: tf.ensure_shape(tf.numpy_function(epochs.take, [], tf.int64), ())
        )
        batches = counted(passes, epochs).flat_map(one_epoch)
        return _ahead(batches.apply(tf.data.experimental.assert_cardinality(steps)))

    def stream(
        self, batch_size: int = 64, flip: bool = False, seed: int = 0, start_step: int = 0
    ) -> tf.data.Dataset:
        """An endless shuffled stream whose batch s is a pure function of (seed, s).

        Args:
            batch_size, flip, seed: as for `dataset`.
            start_step: int, the step to begin at.

        Returns:
            `tf.data.Dataset` as from `dataset`.
        """
        check_order(batch_size, True, flip, seed)
        whole(0).check("start_step", start_step)
        self.check_batch(batch_size)
        orders = self._orders(batch_size, True, flip, seed)
        batches = self._batches(tf.data.Dataset.range(start_step, 2**62), orders)
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return _ahead(batches.apply(endless))

    def _orders(self, batch_size, shuffle, flip, seed):
        """An `_Order` for each part of a batch."""
        found = {}
        for array, number in self.parts():
            if number not in found:
                more = (batch_size, shuffle, flip, seed, number)
                found[number] = _Order(len(array), len(self), *more)
        return [found[number] for _, number in self.parts()]

    def _batches(self, steps, orders):
        # Every shuffled batch is full; a step traced for that very size is faster by some percent.
        size = orders[0].batch_size if orders[0].shuffle else None
        arrays = [array for array, _ in self.parts()]
        types = [tf.as_dtype(array.dtype) for array in arrays]

        def gather(step):
            found = []
            for array, order in zip(arrays, orders, strict=True):
                indices, flips = order.places(int(step))
                batch = array[indices]
                if flips is not None and array.ndim == 4:  # (batch, height, width, channels)
                    batch[flips] = batch[flips, :, ::-1]
                found.append(batch)
            return found

        def fetch(step):
            batch = tf.numpy_function(gather, [step], types)
            parts = [
                tf.ensure_shape(part, (size, *array.shape[1:]))
                for part, array in zip(batch, arrays, strict=True)
            ]
            return tuple(parts) if len(parts) > 1 else parts[0]

        return steps.map(fetch)

    def check_batch(self, batch_size: int) -> None:
        """Raises ValueError unless there are images for at least one batch."""
        whole(1).check("batch_size", batch_size)
        fewest = min(len(array) for array, _ in self.parts())
        if fewest < batch_size:
            raise KganError(
                f"Expected at least one batch of {batch_size} images. Received: {fewest} "
                "images; choose a smaller batch size"
            )


def check_order(batch_size: int, shuffle: bool, flip: bool, seed: int) -> None:
    """Raises ValueError unless these can be arguments of `Batched.dataset`."""
    whole(1).check("batch_size", batch_size)
    for name, value in (("shuffle", shuffle), ("flip", flip)):
        FLAG.check(name, value)
    SEED.check("seed", seed)


def _ahead(batches):
    """Prepares two batches ahead."""
    return steady(same_everywhere(batches.prefetch(2)))


class _Order:
    """Which of a number of images a step sees, and which of them mirrored.

    In an epoch longer than their number they go round again, each time in another order.
    """

    def __init__(self, images, epoch, batch_size, shuffle, flip, seed, number):
        self.images = images
        self.epoch = epoch  # its length in images
        self.steps = epoch // batch_size if shuffle else -(-epoch // batch_size)
        self.rounds = -(-epoch // images)  # of an epoch
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.flip = flip
        self.seed = seed
        self.number = number
        self._kept = (None, None, None)  # round, permutation, flips

    def places(self, step: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Indices of images, and of each whether it is mirrored, or None."""
        epoch, step = divmod(step, self.steps)
        start = step * self.batch_size
        stop = min(start + self.batch_size, self.epoch)
        found = []
        while start < stop:
            rounds, place = divmod(start, self.images)
            end = min(place + stop - start, self.images)
            permutation, flips = self._round(epoch * self.rounds + rounds)
            found.append((permutation[place:end], flips if flips is None else flips[place:end]))
            start += end - place
        if len(found) == 1:
            return found[0]
        indices, flips = zip(*found, strict=True)
        return np.concatenate(indices), np.concatenate(flips) if self.flip else None

    def _round(self, number):
        # Read and replaced as one: passes may run in several threads at once.
        kept, permutation, flips = self._kept
        if number != kept:
            permutation, flips = np.arange(self.images), None
            if self.shuffle:
                permutation = self._random(number, _SHUFFLE).permutation(self.images)
            if self.flip:
                flips = self._random(number, _FLIP).random(self.images) < 0.5
            self._kept = (number, permutation, flips)
        return permutation, flips

    def _random(self, number, what):
        key = np.array([self.seed, 2 * number + what], np.uint64)
        # Far from what any order draws: 2^192 numbers lie between two.
        counter = np.array([0, 0, 0, self.number], np.uint64)
        return np.random.Generator(np.random.Philox(counter=counter, key=key))
