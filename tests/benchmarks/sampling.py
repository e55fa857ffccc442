"""What it takes to get pictures out of a preset: from nothing, many of them, and in a server.

python tests/benchmarks/sampling.py cold                        # cold processes, in turns
python tests/benchmarks/sampling.py cold --before OLD_CHECKOUT  # beside another checkout of kgan
python tests/benchmarks/sampling.py many dcgan-celeba           # by both engines, in turns
python tests/benchmarks/sampling.py server dcgan-celeba         # memory of one that samples on
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import click
import psutil

SERVE = """
import sys, time
import kgan
drawn_by = kgan.zoo.{loader}({name!r})
for line in sys.stdin:
    start = time.perf_counter()
    n = sum(map(len, drawn_by.iter_samples(int(line), seed=0)))
    print(n / (time.perf_counter() - start), flush=True)
"""


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
@click.option("-n", "number", default=10_000, show_default=True, help="Images by each engine.")
@click.option("--rounds", default=5, show_default=True)
def many(name: str, number: int, rounds: int) -> None:
    """Images a second of both engines, in turns."""
    servers = {loader: _server(name, loader) for loader in ("load", "sampler")}
    rates = {loader: [] for loader in servers}
    for round_ in range(rounds + 1):
        for loader, server in servers.items():
            rate = _draw(server, number // rounds)
            if round_:  # the first traces
                rates[loader].append(rate)
    for loader, engine in (("load", "Keras"), ("sampler", "ONNX Runtime")):
        servers[loader].stdin.close()
        each = " ".join(f"{rate:.0f}" for rate in rates[loader])
        click.echo(f"{engine:12}: {statistics.median(rates[loader]):.0f} images/s ({each})")
    ratio = statistics.median(rates["sampler"]) / statistics.median(rates["load"])
    click.echo(f"ratio of the medians: {ratio:.2f}")


@main.command()
@click.argument("name")
@click.option("-n", "number", default=20_000, show_default=True, help="Images in all.")
def server(name: str, number: int) -> None:
    """Resident memory of a process that samples in a loop."""
    for loader in ("sampler", "load"):
        process = _server(name, loader)
        for part in range(1, 11):
            _draw(process, number // 10)
            resident = psutil.Process(process.pid).memory_info().rss
            if part in (1, 2, 5, 10):
                drawn = part * number // 10
                click.echo(f"kgan.zoo.{loader}: {resident / 1e6:.0f} MB after {drawn:,} images")
        process.stdin.close()


def _server(name, loader):
    return subprocess.Popen(
        [sys.executable, "-c", SERVE.format(name=name, loader=loader)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _draw(process, number):
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    main()
