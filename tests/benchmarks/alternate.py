"""Images a second of `fit` by two checkouts of kgan, in turns on the same machine.

    python tests/benchmarks/alternate.py dcgan OLD NEW --steps 12
    python tests/benchmarks/alternate.py stylegan-lite OLD NEW --steps 10

Each checkout has a process of its own, which builds the model once and then trains on demand.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

MODELS = {"dcgan": ("DCGAN", 64), "stylegan-lite": ("StyleGANLite", 32)}


def serve(kind: str, batch_size: int, steps: int) -> None:
    """Trains once for every line on stdin, and prints images a second."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np

    import kgan

    images = np.random.default_rng(0).integers(
        0, 256, (batch_size * steps, 64, 64, 3), dtype="uint8"
    )
    model = getattr(kgan.models, kind)((64, 64, 3))
    model.compile()
    dataset = kgan.data.ImageSet(images).dataset(batch_size)
    for _ in sys.stdin:
        start = time.perf_counter()
        model.fit(dataset, verbose=0)
        print(len(images) / (time.perf_counter() - start), flush=True)


def main() -> None:
    """Prints the rates of both, and their ratio round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("checkouts", nargs=2, metavar="CHECKOUT")
    parser.add_argument("--steps", type=int, default=12, help="a round")
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    kind, batch_size = MODELS[args.model]
    if os.environ.get("KGAN_ALTERNATE"):
        serve(kind, batch_size, args.steps)
        return
    servers = [
        subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:]],
            env={**os.environ, "PYTHONPATH": checkout, "KGAN_ALTERNATE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for checkout in args.checkouts
    ]
    rates: list[list[float]] = [[], []]
    for round_ in range(args.rounds + 1):
        for server, found in zip(servers, rates, strict=True):
            server.stdin.write("\n")
            server.stdin.flush()
            rate = float(server.stdout.readline())
            if round_:  # the first round traces
                found.append(rate)
    for server in servers:
        server.stdin.close()
    for checkout, found in zip(args.checkouts, rates, strict=True):
        each = " ".join(f"{rate:.0f}" for rate in found)
        print(f"{checkout}: {statistics.median(found):.1f} images/s, median of {each}")
    ratios = [new / old for old, new in zip(*rates, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"ratio of the medians {statistics.median(rates[1]) / statistics.median(rates[0]):.3f}")
    print(f"median of the ratios {middle:.3f} (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
