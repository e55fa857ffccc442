"""What it takes to get pictures out of a preset: from nothing, and in a server.

python tests/benchmarks/sampling.py cold                        # cold processes, in turns
python tests/benchmarks/sampling.py cold --before OLD_CHECKOUT  # beside another checkout of kgan
python tests/benchmarks/sampling.py server dcgan-celeba         # memory of one that samples on

How many images a second: `speed.py sampling`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import click
import psutil
from turns import Contestant


@click.group(help=__doc__)
def main() -> None:
    """Nothing is shared by the commands."""


@main.command()
@click.option("--runs", default=10, show_default=True)
@click.option("--before", type=click.Path(exists=True, file_okay=False))
@click.option("--name", default="dcgan-celeba", show_default=True)
def cold(runs: int, before: str | None, name: str) -> None:
    """Seconds of cold processes, medians, beside a bare import of TensorFlow."""
    with tempfile.TemporaryDirectory() as directory:
        kgan = ["-m", "kgan.cli"]
        sample = [*kgan, "sample", name, "-n", "16", "--out", f"{directory}/samples.png"]
        commands = {
            "import tensorflow": ["-c", "import tensorflow"],
            f"kgan sample {name} -n 16": sample,
            "… --engine keras": [*sample, "--engine", "keras"],
            "kgan --help": [*kgan, "--help"],
            "kgan list": [*kgan, "list"],
            f"kgan info {name}": [*kgan, "info", name],
        }
        places = dict.fromkeys(commands, os.getcwd())
        if before:
            for what in list(commands)[1::]:
                if "--engine" not in what:
                    commands[f"before: {what}"] = commands[what]
                    places[f"before: {what}"] = before
        seconds = {what: [] for what in commands}
        for run in range(runs + 1):
            for what, arguments in commands.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments],
                    env={**os.environ, "PYTHONPATH": places[what], "TF_CPP_MIN_LOG_LEVEL": "3"},
                    cwd=directory,
                    check=True,
                    capture_output=True,
                )
                if run:  # the first reads the files from the disk
                    seconds[what].append(time.perf_counter() - start)
    bare = statistics.median(seconds["import tensorflow"])
    for what, each in seconds.items():
        middle = statistics.median(each)
        click.echo(
            f"{what:40} {middle:6.3f} s, {middle / bare:5.3f} of the import "
            f"({min(each):.3f} to {max(each):.3f})"
        )


@main.command()
@click.argument("name")
@click.option("-n", "number", default=20_000, show_default=True, help="Images in all.")
def server(name: str, number: int) -> None:
    """Resident memory of a process that samples in a loop."""
    for engine, graph in (("ONNX Runtime", True), ("Keras", False)):
        process = Contestant(engine, engine="sampling", model=name, graph=graph)
        for part in range(1, 11):
            process.turn(images=number // 10)
            resident = psutil.Process(process.process.pid).memory_info().rss
            if part in (1, 2, 5, 10):
                drawn = part * number // 10
                click.echo(f"{engine}: {resident / 1e6:.0f} MB after {drawn:,} images")
        process.close()


if __name__ == "__main__":
    main()
