"""What the page shows: presets, opened once, and runs, opened again as they go on."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kgan.cli.engines import computed_by
from kgan.cli.models import opened
from kgan.errors import KganError
from kgan.sampling import Sampling
from kgan.translating import Translating
from kgan.zoo import opening, registry
from kgan.zoo.preset import Preset

_MOST_OPEN = 16  # presets: each takes its weights twice


class Entry(NamedTuple):
    """One line of the page's menu.

    Attributes:
        source: what the command line calls it.
        run: the directory of a run; None of a preset.
    """

    source: str
    run: Path | None

    @classmethod
    def of(cls, source: str) -> "Entry":
        """The entry of a name; raises KganError if it is of no preset and no run."""
        run = opening.run_directory(source)
        if run is None:
            registry.resolve(source)
        return cls(source, run)


class Opened(NamedTuple):
    """A preset, and what computes its pictures."""

    preset: Preset
    model: Sampling | Translating


class Entries:
    """The entries of a page, by their places in its menu; safe to be used by several threads.

    Args:
        sources: names, preset directories or run directories; by default the whole zoo.

    Raises:
        KganError: if one is of no preset and no run.
    """

    def __init__(self, sources: Sequence[str] = ()):
        self.all = [Entry.of(source) for source in sources or registry.names()]
        self._opened: OrderedDict[tuple[int, str], Opened] = OrderedDict()
        self._lock = threading.Lock()  # of what is opened
        self._opening = threading.Lock()  # which may take seconds, for which others need not wait

    def __getitem__(self, place: int) -> Entry:
        if not 0 <= place < len(self.all):
            raise KganError(f"Expected one of {len(self.all)} entries. Received: {place}")
        return self.all[place]

    def open(self, place: int) -> Opened:
        """The preset at a place as it is now: of a run the newest."""
        entry = self[place]
        with self._opening:
            with self._lock:
                before = [o for (at, _), o in self._opened.items() if at == place]
            if before and entry.run is None:
                return before[0]
            preset = opened(entry.source)
            for found in before:
                if found.preset.weights_sha256 == preset.weights_sha256:
                    return found
            found = Opened(preset, computed_by(preset, "auto", None))
            with self._lock:
                self._opened[place, preset.weights_sha256] = found
                while len(self._opened) > _MOST_OPEN:
                    self._opened.popitem(last=False)
            return found

    def opened(self, place: int, weights_sha256: str) -> Opened:
        """The preset that a page has opened, whatever a run has come to since.

        Raises:
            KganError: if it is no longer there.
        """
        with self._lock:
            found = self._opened.get((place, weights_sha256))
        if found is None:
            found = self.open(place)
        if found.preset.weights_sha256 != weights_sha256:
            raise KganError(
                f"Expected the weights {weights_sha256[:12]}… of {self[place].source}. Received: "
                f"{found.preset.weights_sha256[:12]}…, which it has come to since: choose it again"
            )
        return found
