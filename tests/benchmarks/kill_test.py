"""SIGKILLs at random moments of `kgan train dcgan-mnist`: the end is the same to the bit.

An uninterrupted run is compared with one that is killed again and again and resumed: one session
in three at any moment up to the time a run takes to its first checkpoint, the others within two
seconds after a checkpoint of their own. With --truncate the newest checkpoint, the log and the
recipe are cut off at random bytes before every resume. Prints where each session began and ended,
and the hashes of the last checkpoints' contents and of the logs, times aside. Needs KGAN_DATA_DIR;
takes minutes:

    python tests/benchmarks/kill_test.py
    python tests/benchmarks/kill_test.py --truncate
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

from kgan.runs.log import SECONDS, whole_rows


def start(run: Path, images: int, interval: int) -> subprocess.Popen:
    """`kgan train dcgan-mnist … --resume` in the background."""
    command = [sys.executable, "-m", "kgan.cli", "train", "dcgan-mnist", "--out", str(run)]
    options = ["--images", images, "--checkpoint-images", interval, "--resume"]
    return subprocess.Popen(
        [*command, *map(str, options)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> str:
    """What a process that must end well says on stderr."""
    said = process.communicate()[1]
    if process.returncode:
        sys.exit(f"kgan train ended with {process.returncode}: {said}")
    return said


def checkpoints(run: Path) -> list[int]:
    """Images seen at each checkpoint, in order."""
    return sorted(int(path.stem.split("-")[1]) for path in run.glob("checkpoints/images-*.json"))


def weights(run: Path, images: int) -> Path:
    """The file of a checkpoint."""
    return run / f"checkpoints/images-{images:09d}.weights.h5"


def truncate(run: Path, moments: random.Random) -> str:
    """Cuts the newest checkpoint off, the log and the recipe; returns the checkpoint's name."""
    newest = weights(run, checkpoints(run)[-1])
    for path in (newest, run / "log.csv", run / "recipe.toml"):
        content = path.read_bytes()
        path.write_bytes(content[: moments.randrange(len(content))])
    return newest.name


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


def log_hash(run: Path) -> str:
    """Of all whole rows of a log, but for the times in them."""
    rows = whole_rows((run / "log.csv").read_bytes())
    told = [sorted((name, text) for name, text in row.items() if name != SECONDS) for row in rows]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def began(said: str) -> int:
    """Images at which a session began."""
    found = re.search(r"Going on from ([\d,]+) images", said)
    return int(found[1].replace(",", "")) if found else 0


def main() -> None:
    """Runs the test; exits 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=102_400)
    parser.add_argument("--interval", type=int, default=1280)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--truncate", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    root = Path(tempfile.mkdtemp(prefix="kgan-kill-"))
    before = time.monotonic()
    process = start(root / "whole", args.images, args.interval)
    wait_for_checkpoint(root / "whole", process, [0])
    usual = time.monotonic() - before
    finish(process)

    run, kills = root / "killed", 0
    while True:
        whole = checkpoints(run)
        damaged = None
        if args.truncate and len(whole) > 1:
            damaged = truncate(run, moments)
        process = start(run, args.images, args.interval)
        if kills < args.kills:
            if moments.random() < 1 / 3:
                time.sleep(moments.uniform(0, usual))
            else:
                wait_for_checkpoint(run, process, whole)
                time.sleep(moments.uniform(0, 2))
            process.send_signal(signal.SIGKILL)
        said = process.communicate()[1]
        if process.returncode not in (0, -signal.SIGKILL):
            sys.exit(f"kgan train ended with {process.returncode}: {said}")
        check(said, whole[:-1] if damaged else whole, damaged, args.images, process.returncode == 0)
        if process.returncode == 0:
            break
        kills += 1
        print(
            f"kill {kills}: "
            + (f"{damaged} cut off; " if damaged else "")
            + (f"began at {began(said):,}; " if "Going on" in said else "")
            + f"checkpoints {checkpoints(run)}",
            flush=True,
        )
    print(f"{kills} kills; the last session began at {began(said):,}")
    if kills < args.kills:
        sys.exit("It ended before the last kill: more --images are needed.")

    hashes = {name: content_hash(weights(root / name, args.images)) for name in ("whole", "killed")}
    logs = {name: log_hash(root / name) for name in ("whole", "killed")}
    for name in hashes:
        print(f"{name:8} {hashes[name]}, log {logs[name]}")
    if len(set(hashes.values())) > 1:
        sys.exit("The runs differ.")
    if len(set(logs.values())) > 1:
        sys.exit("The logs differ.")


def wait_for_checkpoint(run: Path, process: subprocess.Popen, before: list[int]) -> None:
    """Until a run has a newer checkpoint than those of before, or its process has ended."""
    while checkpoints(run)[-1:] <= before[-1:] and process.poll() is None:
        time.sleep(0.01)


def check(said: str, whole: list[int], damaged: str | None, images: int, ended: bool) -> None:
    """Exits unless a session went on from the newest whole checkpoint and named a damaged one.

    Args:
        said: its stderr; a session that was killed early has said nothing.
        whole: images at each whole checkpoint.
        damaged: name of a damaged one.
        images: at which there is nothing left to do.
        ended: whether the session was not killed.
    """
    newest = whole[-1] if whole else 0
    speaks = ended or "Going on" in said
    if speaks and newest < images and began(said) != newest:
        sys.exit(f"Expected to go on from {newest:,} images. Received: {said}")
    if speaks and damaged and damaged not in said:
        sys.exit(f"Expected a warning that names {damaged}. Received: {said}")


if __name__ == "__main__":
    main()
