"""Memory of sampling 50,000 images, and its growth over 2,000 steps of training.

python tests/benchmarks/memory.py sample dcgan-celeba -n 50000
python tests/benchmarks/memory.py train --steps 2000
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil


def measure_sampling(name: str, number: int) -> None:
    """Runs `kgan sample NAME -n NUMBER --out x.npz` and prints its peak resident memory."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "samples.npz"
        command = [sys.executable, "-m", "kgan.cli", "sample", name, "-n", str(number)]
        start, peak = time.monotonic(), 0
        process = psutil.Popen([*command, "--out", str(out)])
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.05)
        seconds = time.monotonic() - start
        size = out.stat().st_size
    print(
        f"{number:,} images of {name}: {seconds:.0f} s, peak {peak / 1e9:.2f} GB, "
        f"file {size / 1e6:.0f} MB"
    )


def measure_training(steps: int) -> None:
    """Trains a small DCGAN and prints resident memory every tenth of the way."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    import kgan

    class Memory(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (batch + 1) % (steps // 10) == 0:
                rss = psutil.Process().memory_info().rss
                print(f"step {batch + 1:5d}: {rss / 1e6:.1f} MB", flush=True)

    images = np.random.default_rng(0).integers(0, 256, (6400, 28, 28, 1), dtype="uint8")
    model = kgan.models.DCGAN((28, 28, 1), width=16, augment="DiffAugment")
    model.compile()
    stream = kgan.data.ImageSet(images).stream(64)
    model.fit(stream, steps_per_epoch=steps, verbose=0, callbacks=[Memory()])


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    sample = verbs.add_parser("sample")
    sample.add_argument("name")
    sample.add_argument("-n", type=int, default=50_000)
    train = verbs.add_parser("train")
    train.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()
    if args.verb == "sample":
        measure_sampling(args.name, args.n)
    else:
        measure_training(args.steps)


if __name__ == "__main__":
    main()
