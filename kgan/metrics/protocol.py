"""The protocol of figures: which pictures, how many, and which seeds. Arithmetic alone.

A snapshot is selected with other real pictures and another seed than its published figures are
of, and samples, real pictures and floor are equally many. Where at least `LARGE` pictures are held
out, published figures compare with these, and a snapshot is selected by training pictures. Where
there are fewer, or none, training pictures serve both: in order of name those at even places
publish, those at odd places select and are the floor of what is published.
"""

from typing import NamedTuple

import numpy as np

from kgan.errors import KganError

SEEDS = (0, 1, 2)  # of the samples whose figures are published
SELECTION_SEED = 1000
LARGE = 5_000  # held-out pictures from which on they serve publication
MOST = 10_000  # pictures a side
MOST_FACES = 4_000  # by the extractor `faces`, so that all figures of faces are of as many
MOST_HELD_OUT = 1_000  # held-out pictures that recall and nearness look at
NEARNESS_SAMPLES = 1_000
NEIGHBOURS = 3  # of recall, which needs one image more
LEAST_NEARNESS = 0.97  # below it samples lie closer to training pictures than held-out ones do


class Places(NamedTuple):
    """Some pictures of a set.

    Attributes:
        held_out: whether the set is the held-out part; otherwise it is the training set.
        indices: int64 array (pictures,), ascending.
        text: what results say of them, to be read as "pictures at …".
    """

    held_out: bool
    indices: np.ndarray
    text: str


class Publication(NamedTuple):
    """The pictures that published figures are of.

    Attributes:
        real: what samples are compared with.
        floor: equally many in place of the samples, or None.
        recall: held-out pictures whose share within reach of as many samples is the recall; None
            where recall is that of the main comparison.
        recall_floor: as many in place of the samples.
    """

    real: Places
    floor: Places | None
    recall: Places | None = None
    recall_floor: Places | None = None


def evenly(places: np.ndarray | range, number: int) -> np.ndarray:
    """`number` of the places at even spaces, or all of them if there are no more.

    Args:
        places: array or range (places,).
        number: int >= 0.

    Returns:
        int64 array (at most `number`,), in the same order.

    Example:

    >>> evenly(range(10), 4)
    array([0, 2, 5, 7])
    """
    places = np.asarray(places, np.int64)
    number = min(number, len(places))
    return places[np.arange(number) * len(places) // max(number, 1)]


def most_images(extractor: str, number: int = MOST) -> int:
    """How many pictures a side are measured at most, by an extractor of a name.

    Args:
        extractor: name.
        number: int, what was asked for.
    """
    return min(number, MOST_FACES if extractor == "faces" else MOST)


def publication(training: int, held_out: int, most: int) -> Publication:
    """The pictures that published figures are of.

    Args:
        training: int, pictures trained on; 0 if they are not at hand.
        held_out: int, pictures held out; 0 if there are none.
        most: int, pictures a side at most; see `most_images`.

    Raises:
        KganError: if there are too few.
    """
    if held_out >= LARGE:
        number = min(most, held_out, training or held_out)
        real = _held_out(held_out, number)
        return Publication(real, of_training(training, number) if training else None)
    even, odd = _halves(training, most)
    if not held_out:
        return Publication(even, odd)
    number = min(held_out, MOST_HELD_OUT, len(odd.indices))
    if number <= NEIGHBOURS:
        return Publication(even, odd)
    fewer = odd._replace(indices=evenly(odd.indices, number))
    return Publication(even, odd, _held_out(held_out, number), fewer)


def others(training: int, others: int, most: int) -> Publication:
    """What figures against images of another source are of.

    Args:
        training: int, pictures trained on; 0 if they are not at hand.
        others: int, pictures of the other source.
        most: int, pictures a side at most.
    """
    number = min(most, others)
    real = Places(True, evenly(range(others), number), f"even spaces of {others:,} pictures")
    return Publication(real, of_training(training, number) if training >= number else None)


def against(pictures: int, number: int) -> Publication:
    """What figures of a folder against another are of.

    Args:
        pictures: int, those of the other.
        number: int, pictures a side.
    """
    if pictures < 2 * number:
        real = evenly(range(pictures), number)
        return Publication(Places(True, real, f"even spaces of {pictures:,} pictures"), None)
    return Publication(
        *(
            Places(
                True,
                evenly(range(first, pictures, 2), number),
                f"{name} places of {pictures:,} pictures",
            )
            for first, name in ((0, "even"), (1, "odd"))
        )
    )


def selection(training: int, held_out: int, most: int) -> Places:
    """The pictures by which the best snapshot of a training is selected.

    Args:
        training, held_out, most: see `publication`.

    Raises:
        KganError: if there are too few.
    """
    if held_out >= LARGE:
        return of_training(training, most)
    return _halves(training, most)[1]


def of_training(training: int, number: int) -> Places:
    """`number` training pictures at even spaces, or all that there are."""
    text = f"even spaces of {training:,} training pictures"
    return Places(False, evenly(range(training), number), text)


def nearness_held_out(held_out: int) -> np.ndarray:
    """Which held-out pictures say how near to training pictures is usual; int64 array."""
    return evenly(range(held_out), MOST_HELD_OUT)


def _held_out(held_out, number):
    text = f"even spaces of {held_out:,} held-out pictures"
    return Places(True, evenly(range(held_out), number), text)


def _halves(training, most):
    """Training pictures at even and at odd places, equally many."""
    if training < 4:
        raise KganError(
            "Expected at least 4 training pictures: those at even places to compare with, those at "
            f"odd ones for the floor. Received: {training}"
        )
    number = min(most, training // 2)
    return [
        Places(
            False,
            evenly(range(first, training, 2), number),
            f"{name} places of {training:,} training pictures",
        )
        for first, name in ((0, "even"), (1, "odd"))
    ]
