"""One of the processes of test_workers.py: `python worker.py OUT NAME …` of tests/models/every.py.

It trains every class of these names by both optimizers, and writes what came of it to OUT.
"""

import sys

import conftest  # noqa: F401  (it sets TensorFlow up)
import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else of TensorFlow

from models import every  # noqa: E402

if __name__ == "__main__":
    out, *names = sys.argv[1:]
    found = {}
    for name in names:
        for optimizer in every.OPTIMIZERS:
            state = every.trained(name, optimizer, strategy)
            found |= {f"{name}|{optimizer}|{key.replace('/', ':')}": v for key, v in state.items()}
    np.savez(out, **found)
