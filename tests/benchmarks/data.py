"""Images a second read from a folder, from its cache, and out of the pipeline of batches.

    python tests/benchmarks/data.py                       celeba/train in KGAN_DATA_DIR, 64x64x3
    python tests/benchmarks/data.py FOLDER --size 128

Beside the rate it prints the CPU time an image took: on a busy machine that, and not the clock,
tells what idle cores would do. Run it alone for figures.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kgan.data import load
from kgan.data.folder import load_folder
from kgan.data.listing import find_folder
from kgan.data.resize import Rule


def main() -> None:
    """Prints every pass, and the goals that are missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default="celeba/train")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    shape, folder = (args.size, args.size, 3), find_folder(args.folder)
    print(f"{folder} at {args.size}x{args.size}x3; load of the machine {os.getloadavg()[0]:.1f}")

    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory) / "cache"

        def read(path=None):
            images = load_folder(folder, Rule.checked(shape), cache=path)[0]
            images.max()  # every pixel has come in
            return len(images)

        def fill():
            cache.unlink(missing_ok=True)
            return read(cache)

        rates = {}
        for name, run in (
            ("folder to memory", read),
            ("folder to cache", fill),
            ("cache", lambda: read(cache)),
        ):
            rates[name] = max(measure(name, run) for _ in range(args.rounds))
        for name, path in (("batches from memory", None), ("batches from the cache", cache)):
            batches = load(folder, shape, cache=path).stream(64, flip=True)
            for _ in range(args.rounds):
                measure(name, lambda batches=batches: drain(batches))
    ratio = rates["cache"] / rates["folder to memory"]
    print(f"the cache is {ratio:.1f} times as fast as the folder (goal: 10)")


def drain(batches) -> int:
    """Takes 500 batches."""
    return sum(len(batch) for batch in batches.take(500).as_numpy_iterator())


def measure(name, run) -> float:
    """Runs once, prints images a second and CPU time an image; returns the rate by the clock."""
    cpu, start = time.process_time(), time.perf_counter()
    images = run()
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
    cores = os.cpu_count() or 1
    print(
        f"{name:22} {images / seconds:9,.0f} images/s, {1e6 * cpu / images:6.1f} us of CPU each "
        f"({cores * images / cpu:,.0f} images/s if {cores} cores did nothing else)"
    )
    return images / seconds


if __name__ == "__main__":
    main()
