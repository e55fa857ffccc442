"""The number of threads that a run computes with, on which the last bits of its weights depend."""

import os
from contextlib import suppress

from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

# isort: split
import tensorflow as tf

from kgan.checks import cores
from kgan.errors import say

_VARIABLE = "TF_NUM_INTRAOP_THREADS"  # TensorFlow's own


def use(threads: int | None) -> None:
    """Lets TensorFlow compute with a number of threads, unless it has begun.

    Sums are split between the threads of an operation: another number rounds them otherwise. How
    many operations run at once is of no account. What the user has set holds all the same.

    Args:
        threads: those that a run had up to now; None if they are not known.
    """
    if threads is None or _asked():
        return
    with suppress(RuntimeError):  # TensorFlow has begun
        tf.config.threading.set_intra_op_parallelism_threads(threads)


def told(before: int | None) -> int:
    """The number of threads that TensorFlow computes with.

    One line on stderr tells of one that is not the machine's own, or not the run's any more.

    Args:
        before: those that the run had up to now; None if they are not known.
    """
    here = _asked() or cores()
    if before not in (None, here):
        say(
            f"The run goes on with {_text(here)} in place of {before}, to slightly other weights",
            err=True,
        )
    elif before not in (None, cores()):
        say(
            f"The run keeps its {_text(here)}, where this machine has {cores()}: with {_VARIABLE}="
            f"{cores()} it would go on with these, to slightly other weights",
            err=True,
        )
    return here


def _asked():
    """What is set, for all of the process; 0 if nothing is."""
    return tf.config.threading.get_intra_op_parallelism_threads() or _from_environment()


def _text(number):
    return f"{number} thread{'s' if number > 1 else ''}"


def _from_environment():
    """What TensorFlow reads there; 0 for nothing that it takes."""
    try:
        return max(0, int(os.environ.get(_VARIABLE, "")))
    except ValueError:
        return 0
