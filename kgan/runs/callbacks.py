"""What `kgan train` writes and prints while it runs."""

import importlib.util
import sys
import time
import warnings
from pathlib import Path

import keras
import rich.console
import rich.progress
from rich.table import Column

from kgan import workers
from kgan.callbacks import SampleGrid
from kgan.callbacks.periodic import Periodic
from kgan.errors import KganError, KganWarning, printable, say
from kgan.files import write
from kgan.recipe import Recipe
from kgan.runs.curves import plot_curves
from kgan.runs.directory import make_way
from kgan.runs.log import IMAGES, SECONDS, table, whole_rows
from kgan.zoo import preset, saving

FIRST_GRID = 1000  # images
STEPS_BETWEEN_SIGNALS = 8  # until several processes ask one another for signals
NOTED = 1000  # lines of the log that a checkpoint holds
TELL_AFTER = 60  # seconds of training, until its rate is steady


class StopAt(keras.callbacks.Callback):
    """Stops once a number of images have been seen, or a signal has been received.

    Of several processes all stop at the same step, soon after one has received a signal.

    Attributes:
        interrupted: whether it was for a signal.
    """

    interrupted = False

    def __init__(self, images: int, batch_size: int, signals: list[int]):
        super().__init__()
        self.signals = signals
        self.images = images
        self.batch_size = batch_size

    def on_train_begin(self, logs=None):
        self._left = (self.images - int(self.model.images_seen.numpy())) // self.batch_size

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        strategy = self.model.distribute_strategy
        if workers.count(strategy) == 1 or self._left % STEPS_BETWEEN_SIGNALS == 0:
            self.interrupted = bool(workers.total(strategy, len(self.signals)))
        if self._left <= 0 or self.interrupted:
            self.model.stop_training = True


class RunLog(keras.callbacks.Callback):
    """A line in `log.csv` for every checkpoint: images seen, seconds of training, all logs.

    The last `NOTED` lines travel with the checkpoint, too: whatever is lost of the file, or was
    never written to it, a run that goes on has them.

    Args:
        path: of the file.
        notes: of the run's `Checkpoint`. For its line to be in there, `note` is called at the end
            of an epoch before the checkpoint is saved, and the log itself after that.
    """

    def __init__(self, path: Path, notes: dict | None = None):
        super().__init__()
        self.path = path
        self.notes = {} if notes is None else notes
        self._rows = []
        self._row = self._start = None
        self._before = 0.0

    def go_on(self, images_seen: int) -> None:
        """Takes up what is whole of a log, up to the images that the model has seen by now.

        A killed run may have logged more than it saved: that part is done again.
        """
        there = self.path.read_bytes() if self.path.is_file() else b""
        noted = str(self.notes.get("log", "")).encode()
        rows = {int(row[IMAGES]): row for row in (*whole_rows(there), *whole_rows(noted))}
        self._rows = [rows[seen] for seen in sorted(rows) if seen <= images_seen]
        self._before = float(self._rows[-1][SECONDS]) if self._rows else 0.0
        if not self._rows:
            self.path.unlink(missing_ok=True)
        elif table(self._rows).encode() != there:
            self._write()

    def on_train_begin(self, logs=None):
        self._start = time.monotonic()

    def note(self, epoch: int, logs: dict | None = None) -> None:
        """Puts the line of this epoch's end among the notes of the checkpoint of it."""
        self._row = {
            IMAGES: str(int(self.model.images_seen.numpy())),
            SECONDS: f"{self.seconds():.1f}",
            **{name: f"{float(value):.6g}" for name, value in (logs or {}).items()},
        }
        lines = table([*self._rows, self._row][-NOTED:])
        self.notes["log"] = lines.replace("\r", "")  # control characters are for no JSON of kgan's

    def on_epoch_end(self, epoch, logs=None):
        if self._row is None:
            self.note(epoch, logs)
        self._rows.append(self._row)
        self._row = None
        self._write()

    def seconds(self) -> float:
        """Time spent in training so far, over all sessions."""
        return self._before + (0 if self._start is None else time.monotonic() - self._start)

    def _write(self):
        write(self.path, table(self._rows))


class Snapshots(Periodic):
    """A preset beside every sample grid: the best pictures need not be the last.

    Args:
        directory: of the snapshots.
        recipe: of the run.
        log: which knows how long training has taken.
        judge: what measures snapshots on the same schedule, called before, or None. Its values are
            written into their metadata.
    """

    def __init__(self, directory: Path, recipe: Recipe, log: RunLog, judge=None):
        super().__init__(every_images=recipe.grid_images)
        self.directory = directory
        self.recipe = recipe
        self.log = log
        self.judge = judge

    def act(self, images_seen: int) -> None:
        selected = None
        if self.judge is not None:
            selected = self.judge.selected(self.judge.values[f"val_{self.judge.metric}"])
        self._save(self.model, images_seen, selected)

    def add(self, model) -> None:
        """A snapshot of the model as it is at the end, if there is none that is whole."""
        seen = int(model.images_seen.numpy())
        try:
            preset.read(self._path(seen))
        except KganError:
            self._save(model, seen, None)

    def _save(self, model, images_seen, selected):
        path, seconds = self._path(images_seen), self.log.seconds()
        try:
            make_way(path)
        except KganError as error:  # not worth the end of a training
            warnings.warn(f"The snapshot is left out: {error}", KganWarning, stacklevel=3)
            return
        saving.save(model, path, self.recipe, seconds, selected=selected)

    def _path(self, images_seen):
        return self.directory / f"images-{images_seen:09d}"


class Curves(Periodic):
    """`curves.png` from `log.csv`, at every sample grid and at the end, if matplotlib is there."""

    def __init__(self, directory: Path, recipe: Recipe):
        super().__init__(every_images=recipe.grid_images)
        self.directory = directory

    def act(self, images_seen: int) -> None:
        log = self.directory / "log.csv"
        if importlib.util.find_spec("matplotlib") is None or not log.exists():
            return  # it is an extra; nothing has been logged yet
        try:
            plot_curves(log, self.directory / "curves.png")
        except Exception as error:  # whatever it is, a picture is not worth a night's training
            warnings.warn(
                f"No {self.directory / 'curves.png'} was drawn: {error}", KganWarning, stacklevel=2
            )

    def on_train_end(self, logs=None):
        self.call_act(int(self.model.images_seen.numpy()))


class Grids(SampleGrid):
    """Sample grids from early on: after 1, 2, 4, … thousand images, and every `every_images`.

    What a model has come to is drawn as well when training ends, or is stopped.
    """

    def next_due(self, images_seen: int) -> int:
        early = FIRST_GRID
        while early <= images_seen:
            early *= 2
        return min(early, super().next_due(images_seen))

    def act(self, images_seen: int) -> None:
        self._drawn = images_seen
        super().act(images_seen)

    def on_train_begin(self, logs=None):
        self._drawn = None
        super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        seen = int(self.model.images_seen.numpy())
        if seen != self._drawn:
            self.call_act(seen)


class Progress(keras.callbacks.Callback):
    """Images, rate, time left and losses: a bar on a terminal, else a line a checkpoint.

    After a minute of training it says how long all of it will take. A context, at whose end the bar
    is finished, however training ends.

    Args:
        images: int, to be seen in all.
        batch_size: int, images a step.
    """

    def __init__(self, images: int, batch_size: int):
        super().__init__()
        self.images = images
        self.batch_size = batch_size
        self._bar = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self._bar is not None:  # else it would go on in a thread of its own
            self._bar.stop()

    def on_train_begin(self, logs=None):
        self._first = self._seen = int(self.model.images_seen.numpy())
        self._start = time.monotonic()
        self._shown = self._start
        self._traced = self._told = False
        console = rich.console.Console(stderr=True, highlight=False)
        if sys.stderr.isatty() or console.is_jupyter:
            self._bar = rich.progress.Progress(
                rich.progress.BarColumn(bar_width=console.width // 8),
                rich.progress.TaskProgressColumn(),
                # What a narrow terminal cuts off are the losses.
                rich.progress.TextColumn(
                    "{task.description}", table_column=Column(no_wrap=True, ratio=1)
                ),
                console=console,
                expand=True,
                refresh_per_second=2,
            )
            self._task = self._bar.add_task("", total=self.images, completed=self._seen)
            self._bar.start()
        if self._seen:
            self._say(f"Going on from {self._seen:,} images")

    def on_train_batch_end(self, batch, logs=None):
        self._seen += self.batch_size
        if not self._traced:  # tracing is not training
            self._traced = True
            self._first, self._start = self._seen, time.monotonic()
            return
        now = time.monotonic()
        if not self._told and now - self._start > TELL_AFTER:
            self._told = True
            whole = clock(self.images / self._rate())
            self._say(f"All {self.images:,} images take about {whole} on this machine")
        if self._bar is not None and now - self._shown > 0.5:
            self._show(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._show(logs)

    def _show(self, logs):
        self._shown = time.monotonic()
        rate = self._rate()
        left = f"{clock((self.images - self._seen) / rate)} left" if rate else ""
        pace, count = f"{rate:.0f} images/s", f"{self._seen:,} of {self.images:,} images"
        losses = [f"{name} {float(value):.3f}" for name, value in (logs or {}).items()]
        if self._bar is None:
            self._say("  ".join([count, pace, left, *losses]))
        else:
            line = printable("  ".join([left, pace, count, *losses]))
            self._bar.update(self._task, completed=self._seen, description=line)

    def _rate(self):
        """Images a second since training went on."""
        return (self._seen - self._first) / max(time.monotonic() - self._start, 1e-9)

    def _say(self, line):
        say(line, err=True)  # above the bar, which rich sees to


def clock(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
