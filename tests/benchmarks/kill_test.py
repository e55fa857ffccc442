"""Five SIGKILLs at random moments of `kgan train dcgan-mnist`: the end is the same to the bit.

Two uninterrupted runs are compared with one that is killed after its first checkpoint of each
session and resumed. Prints where each session began and ended, and the hashes of the last
checkpoints' contents. Needs KGAN_DATA_DIR; takes some minutes:

    python tests/benchmarks/kill_test.py --images 51200
"""

import argparse
import hashlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py


def start(run: Path, images: int, interval: int) -> subprocess.Popen:
    """`kgan train dcgan-mnist … --resume` in the background."""
    command = [sys.executable, "-m", "kgan.cli", "train", "dcgan-mnist", "--out", str(run)]
    options = ["--images", images, "--checkpoint-images", interval, "--resume"]
    return subprocess.Popen(
        [*command, *map(str, options)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def checkpoints(run: Path) -> list[int]:
    """Images seen at each whole checkpoint, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in run.glob("checkpoints/images-*.json"))


def content_hash(path: Path) -> str:
    """Of all names and values in an HDF5 file (its bytes also hold times)."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                digest.update(name.encode() + item[()].tobytes())
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return digest.hexdigest()


def main() -> None:
    """Runs the test; exits 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=51_200)
    parser.add_argument("--interval", type=int, default=1280)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None, help="of the moments")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    root = Path(tempfile.mkdtemp(prefix="kgan-kill-"))
    for name in ("first", "second"):
        process = start(root / name, args.images, args.interval)
        process.communicate()
        assert process.returncode == 0

    run, lost = root / "killed", 0
    for kill in range(args.kills):
        before = checkpoints(run)
        process = start(run, args.images, args.interval)
        while checkpoints(run)[-1:] == before[-1:] and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1]
        began = re.search(r"Going on from ([\d,]+) images", said)
        began = int(began[1].replace(",", "")) if began else 0
        assert began == (before[-1] if before else 0) and (began > 0) == (kill > 0)
        lost += args.interval  # at most: the next checkpoint was not there yet
        print(f"session {kill + 1}: began at {began:,}, killed after {checkpoints(run)[-1]:,}")
    process = start(run, args.images, args.interval)
    process.communicate()
    assert process.returncode == 0

    last = f"checkpoints/images-{args.images:09d}.weights.h5"
    hashes = {name: content_hash(root / name / last) for name in ("first", "second", "killed")}
    for name, value in hashes.items():
        print(f"{name:8} {value}")
    print(f"steps done twice: at most {lost // 64} of {args.images // 64}")
    if len(set(hashes.values())) > 1:
        sys.exit("The runs differ.")


if __name__ == "__main__":
    main()
