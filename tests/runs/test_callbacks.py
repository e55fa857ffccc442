"""What a run draws and prints while it trains."""

import io
import re
import time
import types

import pytest

from kgan.runs import callbacks
from kgan.runs.callbacks import Grids, Progress

LOGS = {"d_loss": 1.386, "fake_score": -0.123, "g_loss": 0.693, "real_score": 0.456}


class TestGrids:
    def moments(self, every, last, step=50):
        grids, seen = Grids("grids", every_images=every), [0]
        while seen[-1] < last:
            due = grids.next_due(seen[-1])
            assert due > seen[-1]
            seen.append(-(-due // step) * step)
        return seen

    def test_double_from_1000_until_the_schedule(self):
        assert self.moments(20_000, 60_000) == [
            *(0, 1000, 2000, 4000, 8000, 16_000),
            *(20_000, 32_000, 40_000, 60_000),
        ]

    def test_a_dense_schedule_is_as_asked(self):
        assert self.moments(500, 2000) == [0, 500, 1000, 1500, 2000]


def clocked(monkeypatch, seconds):
    """A clock that goes on by so much each time it is read."""
    now = iter(range(10**9))
    fake = types.SimpleNamespace(monotonic=lambda: next(now) * seconds)
    monkeypatch.setattr(callbacks, "time", fake)


def trained(progress, steps, seen=0):
    progress.set_model(types.SimpleNamespace(images_seen=types.SimpleNamespace(numpy=lambda: seen)))
    with progress:
        progress.on_train_begin()
        for batch in range(steps):
            progress.on_train_batch_end(batch, LOGS)
        progress.on_epoch_end(0, LOGS)


class TestProgress:
    def test_without_a_terminal_a_line_a_checkpoint(self, capsys):
        trained(Progress(1600, 8), steps=20, seen=800)
        said = capsys.readouterr().err.splitlines()
        assert said[0] == "Going on from 800 images"
        line = r"960 of 1,600 images  \d+ images/s  \d+:\d\d left  d_loss 1.386  .*real_score 0.456"
        assert len(said) == 2 and re.fullmatch(line, said[1])

    def test_after_a_minute_it_says_how_long_all_of_it_takes(self, monkeypatch, capsys):
        clocked(monkeypatch, 2.0)
        trained(Progress(80_000, 8), steps=100)
        told = [line for line in capsys.readouterr().err.splitlines() if "take about" in line]
        # 8 images in every 4 seconds or so
        assert len(told) == 1
        hours = re.fullmatch(
            r"All 80,000 images take about (\d+):\d\d:\d\d on this machine", told[0]
        )
        assert 5 <= int(hours[1]) <= 12

    def test_a_short_run_says_nothing_of_it(self, capsys):
        trained(Progress(800, 8), steps=100)
        assert "take about" not in capsys.readouterr().err

    @pytest.mark.parametrize("width", [40, 60, 80, 132])
    def test_rate_and_time_left_fit_any_terminal(self, monkeypatch, width):
        screen = io.StringIO()
        screen.isatty = lambda: True
        monkeypatch.setattr(callbacks.sys, "stderr", screen)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        clocked(monkeypatch, 0.3)
        trained(Progress(1_000_000, 64), steps=2000)
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
        lines = [line.rstrip() for line in re.split("[\r\n]", shown) if "left" in line]
        assert lines and all(len(line) <= width for line in lines)
        assert re.search(r"13%  ?\d+:\d\d(:\d\d)? left  \d+ images/s", lines[-1]), lines[-1]
        if width >= 80:
            assert "d_loss" in lines[-1]

    def test_a_bar_ends_when_training_fails(self, monkeypatch):
        screen = io.StringIO()
        screen.isatty = lambda: True
        monkeypatch.setattr(callbacks.sys, "stderr", screen)
        progress = Progress(800, 8)
        progress.set_model(types.SimpleNamespace(images_seen=types.SimpleNamespace(numpy=int)))
        with pytest.raises(ValueError), progress:
            progress.on_train_begin()
            raise ValueError
        length = len(screen.getvalue())
        time.sleep(0.7)
        assert len(screen.getvalue()) == length
