"""Contestants, each in a process of its own, that take turns on the machine; tables and JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Contestant:
    """A process that has built what `contestants.py` makes of a specification.

    Args:
        name: of its row in tables.
        checkout: directory of the kgan to use, None for this one.
        **specification: see `contestants.py`.
    """

    def __init__(self, name: str, checkout: str | None = None, **specification: Any):
        self.name, self.specification = name, specification
        self.rates: list[float] = []
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "contestants.py"), json.dumps(specification)],
            env={**os.environ, "PYTHONPATH": str(Path(checkout or HERE.parents[1]).resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts: dict[str, Any] = self._reply()

    def _reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: {self.specification}")
        return json.loads(line)

    def turn(self, seconds: float = 0.0, images: int = 0) -> None:
        """Works for so long or so many images, and notes its rate and its memory's peak so far."""
        self.process.stdin.write(f"{seconds} {images}\n")
        self.process.stdin.flush()
        reply = self._reply()
        self.rates.append(reply.pop("rate"))
        self.facts |= reply

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()

    def row(self) -> dict[str, Any]:
        """What is known of it, for `report`."""
        middle = statistics.median(self.rates)
        low, _, high = statistics.quantiles(self.rates, n=4) if self.rates[1:] else (middle,) * 3
        figures = {"rate": middle, "low": low, "high": high, "rates": self.rates}
        return {"name": self.name, **self.specification, **self.facts, **figures}


def take_turns(
    contestants: list[Contestant], rounds: int, seconds: float = 0.0, images: int = 0
) -> list[dict[str, Any]]:
    """Lets all work in turns, never two at once, then ends them: a row of each."""
    for _ in range(rounds):
        for contestant in contestants:
            contestant.turn(seconds, images)
    for contestant in contestants:
        contestant.close()
    return [contestant.row() for contestant in contestants]


def markdown(rows: Iterable[dict[str, Any]], columns: dict[str, str]) -> str:
    """A table of rows: the format of each column by its key."""
    lines = [list(columns), ["---"] * len(columns)]
    for row in rows:
        found = ((row.get(key), how) for key, how in columns.items())
        lines.append(["" if value is None else format(value, how) for value, how in found])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> dict[str, Any]:
    """What figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    versions = {}
    for package in ("tensorflow", "keras", "torch", "onnxruntime"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "amx_bf16": "amx_bf16" in flags,
        **versions,
    }


def write(path: str | None, command: str, rows: list[dict[str, Any]]) -> None:
    """Writes rows, and what they were measured on, as JSON."""
    if path:
        found = {"command": command, "machine": machine(), "rows": rows}
        Path(path).write_text(json.dumps(found, indent=1) + "\n")
