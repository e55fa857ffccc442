"""Training curves: what is drawn of a log, and that a run draws them."""

import importlib.util
import sys

import numpy as np
import pytest
from PIL import Image

from kgan.errors import KganError, KganWarning
from kgan.recipe import Recipe
from kgan.runs.callbacks import Curves
from kgan.runs.curves import panels, plot_curves

LOG = """images_seen,seconds,d_loss,fake_score,g_loss,gradient_penalty,real_score,kernel_distance
100,1.0,1.4,-0.5,0.9,0.3,0.6,
200,2.0,1.2,-0.7,1.1,0.2,0.8,0.05
300,3.0,1.3,-0.6,1.0,nan,0.7,
400,4.0,1.1,-0.8,1.2,0.1,0.9,0.04
"""

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra kgan[plots]"
)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_panels_hold_the_losses_the_scores_and_each_other_column():
    names = ["images_seen", "seconds", "fake_score", "precision", "d_loss", "g_loss"]
    names += ["gradient_penalty", "real_score", "val_g_loss", "val_d_loss", "val_precision"]
    assert panels(names) == [
        ["d_loss", "val_d_loss", "g_loss", "val_g_loss"],
        ["real_score", "fake_score"],
        ["precision", "val_precision"],
        ["gradient_penalty"],
    ]


def _drawn(path):
    """A picture, and its panels: runs of rows with a spine, which are dark at the left."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    dark = (image.max(axis=2) < 30).sum(axis=0)  # (width,)
    spine = image[:, dark.argmax()].max(axis=1) < 30  # (height,)
    long = [len(run) for run in "".join("#" if s else " " for s in spine).split()]
    return image, sum(length > 50 for length in long)


@needs_matplotlib
def test_a_panel_for_each_kind_of_column(log, tmp_path):
    assert plot_curves(log, tmp_path / "c.png") == tmp_path / "c.png"
    image, drawn = _drawn(tmp_path / "c.png")
    assert drawn == 4
    for color in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):  # both curves of losses and scores
        assert (np.abs(image - color).max(axis=2) < 8).sum() > 300
    some = "\n".join(line.rsplit(",", 3)[0] for line in LOG.splitlines())
    log.write_text(some)
    plot_curves(log, tmp_path / "d.png")
    assert _drawn(tmp_path / "d.png")[1] == 2


@needs_matplotlib
def test_higher_values_are_drawn_higher(tmp_path):
    (tmp_path / "log.csv").write_text("images_seen,x\n0,0\n100,1\n")
    image, _ = _drawn(plot_curves(tmp_path / "log.csv", tmp_path / "c.png"))
    blue = np.abs(image - (0x00, 0x72, 0xB2)).max(axis=2) < 60
    rows, columns = np.nonzero(blue[40:])  # below the legend
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    assert np.ptp(columns) > image.shape[1] / 2


def _straightness(path, text):
    (path / "log.csv").write_text("images_seen,x\n" + text)
    image, _ = _drawn(plot_curves(path / "log.csv", path / "c.png"))
    rows, columns = np.nonzero(np.abs(image[40:] - (0x00, 0x72, 0xB2)).max(axis=2) < 60)
    return -np.corrcoef(rows, columns)[0, 1]


@needs_matplotlib
def test_values_of_many_magnitudes_are_drawn_by_their_logarithm(tmp_path):
    assert _straightness(tmp_path, "0,0.001\n100,0.1\n200,10\n") > 0.99
    assert _straightness(tmp_path, "0,-10\n100,-0.1\n200,-0.001\n") < 0.95  # no logarithm
    assert _straightness(tmp_path, "0,1\n100,1\n200,50\n") < 0.95  # nor a need of one


@needs_matplotlib
def test_pyplot_is_left_alone(log, tmp_path, run_python):
    code = f"""
import sys
from kgan.runs.curves import plot_curves
plot_curves({str(log)!r}, {str(tmp_path / "c.png")!r})
assert "matplotlib.pyplot" not in sys.modules and "tensorflow" not in sys.modules
"""
    done = run_python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "text", ["", "images_seen,seconds\n1,2\n", "a,b\n1,2\n", "images_seen,d_loss\n100,nan\n"]
)
@needs_matplotlib
def test_a_log_without_curves_is_refused(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(KganError, match="numbers beside images_seen. Received: .*log.csv with"):
        plot_curves(tmp_path / "log.csv", tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # what is None cannot be imported


def test_missing_matplotlib_is_said_to_who_asks_for_curves(log, tmp_path, no_matplotlib):
    with pytest.raises(KganError, match=r"pip install 'kgan\[plots\]'. Received: .*matplotlib"):
        plot_curves(log, tmp_path / "c.png")


class TestInARun:
    @pytest.fixture
    def curves(self, log):
        return Curves(log.parent, Recipe(name="x", model="GAN", images=1))

    @needs_matplotlib
    def test_are_drawn(self, curves, log):
        curves.act(400)
        assert _drawn(log.with_name("curves.png"))[1] == 4

    def test_missing_matplotlib_is_passed_over_in_silence(
        self, curves, log, no_matplotlib, recwarn
    ):
        curves.act(400)
        assert not recwarn.list and not log.with_name("curves.png").exists()

    def test_without_a_log_there_is_nothing_to_draw(self, curves, log, recwarn):
        log.unlink()
        curves.act(0)
        assert not recwarn.list

    @needs_matplotlib
    def test_a_failure_is_a_warning(self, curves, log):
        log.with_name("curves.png").mkdir()
        with pytest.warns(KganWarning, match="No .*curves.png was drawn: .*directory"):
            curves.act(400)
