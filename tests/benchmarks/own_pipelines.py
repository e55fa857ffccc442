"""Images a second of `fit` on a user's own pipeline, call by call: no call may be a slow one.

    python tests/benchmarks/own_pipelines.py --calls 20
    python tests/benchmarks/own_pipelines.py --calls 20 --autotune      # as the user's options say

tf.data's autotuning makes half of the calls slow on two cores, which `fit` therefore turns off
(`kgan.models.base.pipelines`); `kgan.data` has it off as well, and stands beside it.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import kgan


def main() -> None:
    """Prints the rates of all calls of both pipelines, which take turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="a call")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--autotune", action="store_true")
    args = parser.parse_args()
    shape, size = (args.side, args.side, 3), 64
    images = np.random.default_rng(0).integers(0, 256, (size * args.steps, *shape), dtype="uint8")
    own = tf.data.Dataset.from_tensor_slices(images).batch(size, drop_remainder=True)
    if args.autotune:
        options = tf.data.Options()
        options.autotune.enabled = True
        own = own.with_options(options)
    pipelines = {"own": own, "kgan.data": kgan.data.ImageSet(images).dataset(size)}
    model = kgan.models.DCGAN(shape)
    model.compile()
    rates = {name: [] for name in pipelines}
    for call in range(args.calls + 1):
        for name, pipeline in pipelines.items():
            start = time.perf_counter()
            model.fit(pipeline, verbose=0)
            if call:  # the first one traces
                rates[name].append(len(images) / (time.perf_counter() - start))
    for name, values in rates.items():
        each = " ".join(f"{value:.0f}" for value in values)
        slow = sum(value < 0.75 * max(values) for value in values)
        print(f"{name:9} {statistics.median(values):6.1f} images/s, median of {each}; slow: {slow}")


if __name__ == "__main__":
    main()
