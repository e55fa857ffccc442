"""What a kill, a torn file or a full disk costs: nothing. The long form of the tests.

    python tests/benchmarks/nothing_lost.py kills
    python tests/benchmarks/nothing_lost.py disk
    python tests/benchmarks/nothing_lost.py cuts --every 50

`kills` needs strace, and ends a process with SIGKILL at each of the system calls by which it
writes a checkpoint, a preset over another and a run's snapshot, every call in a process of its own;
what is found afterwards must be whole, of before or of after, with nothing beside it once the next
write has ended. `disk` lets each writer fail at every size that a file may have, and, as root, on a
file system of a few kilobytes. `cuts` cuts every file of a run directory at every n-th byte; the
run goes on to the same weights, or says in one line what to do. Prints a table; exits 1 if
anything is lost.
"""

import argparse
import contextlib
import io
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from kill_test import content_hash

KINDS = ("checkpoint", "preset", "snapshot")
CALLS = "openat,mkdir,write,pwrite64,fsync,rename,renameat,renameat2,unlink,unlinkat,rmdir,close"
BEFORE, AFTER = 64, 128  # images that the model has seen


def tiny(images_seen: int):
    """A small model that has seen so many images, which its weights say too."""
    from kgan.models import DCGAN

    model = DCGAN((16, 16, 3), latent_dim=4, width=2)
    model.compile()
    model.images_seen.assign(images_seen)
    for variable in model.ema_generator.weights:
        variable.assign(variable * 0 + images_seen)
    return model


def write(kind: str, model, place: Path) -> None:
    """Writes what is to be whole."""
    from kgan import zoo
    from kgan.callbacks import Checkpoint

    seen = int(model.images_seen.numpy())
    if kind == "checkpoint":
        Checkpoint(place / "checkpoints").save(model, seen)
    elif kind == "preset":
        zoo.save(model, place / "preset")
    else:
        zoo.save(model, place / "snapshots" / f"images-{seen:09d}")


def found(kind: str, model, place: Path) -> int:
    """The images that the newest whole one has seen; its weights must agree."""
    from kgan import zoo
    from kgan.callbacks import Checkpoint
    from kgan.zoo import registry

    if kind == "checkpoint":
        Checkpoint(place / "checkpoints").restore(model)
    elif kind == "preset":
        model = zoo.load(place / "preset")
    else:
        names = sorted(path.name for path in (place / "snapshots").glob("images-*"))
        model = zoo.load(registry.resolve(place / "snapshots" / names[-1])[0])
    seen = int(model.images_seen.numpy())
    values = {float(v) for w in model.ema_generator.weights for v in w.numpy().ravel()}
    if values != {float(seen)}:
        raise ValueError(f"weights {values} of {seen} images")
    return seen


def leftovers(place: Path) -> list[str]:
    """What stands in a directory that no writer should have left."""
    return [str(path) for path in place.rglob(".*")]


CHILD = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
import nothing_lost
model = nothing_lost.tiny(nothing_lost.AFTER)
print("ready", flush=True)
sys.stdin.readline()
nothing_lost.write({kind!r}, model, Path({place!r}))
"""


def kills(args: argparse.Namespace) -> Counter:
    """Every system call of every kind of write, a process each."""
    outcome = Counter()
    model = tiny(0)
    for kind in KINDS:
        number, ends = 0, []
        while True:
            number += 1
            with tempfile.TemporaryDirectory(prefix="kgan-kill-") as scratch:
                place = Path(scratch)
                write(kind, tiny(BEFORE), place)
                code = CHILD.format(here=str(Path(__file__).parent), kind=kind, place=scratch)
                killed = killed_at(number, code)
                try:
                    seen = found(kind, model, place)
                    ends.append(seen)
                    write(kind, tiny(AFTER), place)
                    if found(kind, model, place) != AFTER or leftovers(place):
                        raise ValueError(f"left: {leftovers(place)}")
                    outcome[f"{kind}: whole, of {'before' if seen == BEFORE else 'after'}"] += 1
                except Exception as error:
                    outcome[f"{kind}: LOST"] += 1
                    print(f"{kind}, call {number}: {type(error).__name__}: {error}", flush=True)
            if not killed:
                break
        monotone = ends == sorted(ends)
        print(f"{kind}: {number - 1} calls; new from call {ends.index(AFTER) + 1} on", flush=True)
        if not monotone:
            outcome[f"{kind}: LOST"] += 1
    return outcome


def killed_at(number: int, code: str) -> bool:
    """Runs code that says when it begins to write, and kills it at the n-th system call.

    Returns:
        Whether it lived to that call.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    child.stdout.readline()
    inject = f"inject={CALLS}:signal=SIGKILL:when={number}"
    command = ["strace", "-p", str(child.pid), "-e", f"trace={CALLS}", "-e", inject]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()  # "attached"
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"\n")
        child.stdin.flush()
    tracer.communicate()
    return child.wait() != 0


def disk(args: argparse.Namespace) -> Counter:
    """Every writer at every n-th size of a file, and on a full file system."""
    outcome = Counter()
    model = tiny(AFTER)
    for kind in KINDS[:2]:
        with tempfile.TemporaryDirectory(prefix="kgan-disk-") as scratch:
            place = Path(scratch)
            write(kind, tiny(BEFORE), place)
            largest = max(path.stat().st_size for path in place.rglob("*") if path.is_file())
            for size in [*range(0, largest, args.every), largest - 1]:
                before = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
                outcome[refusal(kind, model, place, before)] += 1
    if os.geteuid() == 0:
        for kind in KINDS[:2]:
            outcome += on_full_file_system(kind, model)
    return outcome


def refusal(kind, model, place, limit) -> str:
    """What a write that cannot succeed comes to."""
    try:
        write(kind, model, place)
        said = "was written"
    except (ValueError, OSError) as error:
        said = "" if "\n" not in str(error) else "more than a line"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    whole = found(kind, tiny(0), place) == BEFORE and not leftovers(place)
    return f"{kind}: {'one line, whole' if whole and not said else f'LOST ({said})'}"


def on_full_file_system(kind, model) -> Counter:
    """A write of each kind on file systems that have ever less room."""
    outcome = Counter()
    with tempfile.TemporaryDirectory(prefix="kgan-disk-") as scratch:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", scratch], check=True)
        try:
            place = Path(scratch)
            write(kind, tiny(BEFORE), place)
            free = shutil.disk_usage(place).free
            for left in range(0, 200_000, 4096):
                with open(place / "filler", "wb") as filler, contextlib.suppress(OSError):
                    os.posix_fallocate(filler.fileno(), 0, max(free - left, 1))
                try:
                    write(kind, model, place)
                    (place / "filler").unlink()
                    outcome[f"{kind}, file system: written with {left // 4096:3} pages"] += 1
                    break
                except (ValueError, OSError) as error:
                    whole = found(kind, tiny(0), place) == BEFORE
                    left_over = leftovers(place)
                    fine = whole and not left_over and "\n" not in str(error)
                    outcome[f"{kind}, file system: {'one line, whole' if fine else 'LOST'}"] += 1
                (place / "filler").unlink()
        finally:
            subprocess.run(["umount", scratch], check=True)
    return outcome


def cuts(args: argparse.Namespace) -> Counter:
    """Every file of a run directory, cut at every n-th byte, and the run resumed."""
    from PIL import Image

    from kgan import recipe as recipes
    from kgan.errors import KganError
    from kgan.runs.train import train

    outcome = Counter()
    with tempfile.TemporaryDirectory(prefix="kgan-cut-") as scratch:
        root = Path(scratch)
        (root / "photos").mkdir()
        for i, image in enumerate(np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3))):
            Image.fromarray(image.astype(np.uint8)).save(root / "photos" / f"{i}.png")

        def recipe(images):
            return recipes.from_dict(
                {
                    "format": 1,
                    "name": "cut",
                    "model": "DCGAN",
                    "images": images,
                    "batch_size": 4,
                    "checkpoint_images": 8,
                    "grid_images": 8,
                    "arguments": {"image_shape": [16, 16, 3], "latent_dim": 4, "width": 2},
                    "data": {"source": str(root / "photos")},
                },
                "a test",
            )

        def go(directory):
            # The run is of 24 images, of which 16 are done: as if it had been killed there.
            with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                train(recipe(24), directory, resume=True, override=True)
            return weights_of(directory)

        with contextlib.redirect_stderr(io.StringIO()):
            train(recipe(16), root / "run")
        shutil.rmtree(root / "run" / "preset")
        shutil.copytree(root / "run", root / "whole")
        expected = go(root / "whole")
        files = sorted(path for path in (root / "run").rglob("*") if path.is_file())
        for file in files:
            name, content = file.relative_to(root / "run"), file.read_bytes()
            generic = re.sub(r"\d{6,}", "N", str(name))
            points = {*range(0, len(content), max(args.every, len(content) // args.most))}
            for point in sorted(points | {max(len(content) - 1, 0)}):
                shutil.copytree(root / "run", root / "cut")
                (root / "cut" / name).write_bytes(content[:point])
                try:
                    same = go(root / "cut") == expected
                    what = "same weights" if same else "LOST: other weights"
                except KganError as error:
                    what = "one line" if "\n" not in str(error) else "LOST: more than a line"
                except Exception as error:
                    what = f"LOST: {type(error).__name__}: {error}"
                outcome[f"{generic}: {what}"] += 1
                shutil.rmtree(root / "cut")
            print(f"{name}: {len(points)} points", flush=True)
    return outcome


def weights_of(run: Path) -> str:
    """Hash of all values of the last checkpoint of a run."""
    return content_hash(sorted((run / "checkpoints").glob("*.weights.h5"))[-1])


def main() -> None:
    """Runs one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "disk", "cuts"])
    parser.add_argument("--every", type=int, default=50, help="bytes between two points")
    parser.add_argument("--most", type=int, default=20, help="points of a file in `cuts`")
    args = parser.parse_args()
    outcome = globals()[args.what](args)
    for what, times in sorted(outcome.items()):
        print(f"{times:6}  {what}")
    if any("LOST" in what for what in outcome):
        sys.exit(1)


if __name__ == "__main__":
    main()
