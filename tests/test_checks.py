"""kgan.checks: values that several places share."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kgan import checks
from kgan.checks import SEED, WHOLE, as_array, check_box, or_none
from kgan.errors import KganError


def test_no_box_is_all_of_the_picture():
    assert check_box(None) == WHOLE == (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("box", [[0, 0.25, 1, 0.5], (0.1, 0.2, 0.3, 0.4), [0, 0, 1, 1]])
def test_box_comes_back_as_floats(box):
    checked = check_box(box)
    assert checked == tuple(box) and all(type(number) is float for number in checked)


@pytest.mark.parametrize(
    "box",
    [
        *([], [0, 0, 1], [0, 0, 1, 1, 1], "0,0,1,1", 0.5, {"left": 0}, [0, 0, "1", 1]),
        *([0, 0, True, 1], [0.5, 0, 0.5, 1], [0.6, 0, 0.5, 1], [0, 0.6, 1, 0.5], [-0.1, 0, 1, 1]),
        *([0, 0, 1, 1.001], [float("nan"), 0, 1, 1]),
    ],
    ids=str,
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(KganError, match=r"^Expected box = \[left, top, .*Received: .*"):
        check_box(box)


def test_pixels_get_a_hint():
    with pytest.raises(KganError, match=r"\[15, 40, 163, 188\]; divide pixels by"):
        check_box([15, 40, 163, 188])


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_ints_are_pythons(kind):
    assert type(or_none(SEED).check("seed", kind(3))) is int


def test_bfloat16_is_a_number():
    """Of models in mixed_bfloat16; NumPy has no kind for it."""
    array = as_array("real", tf.constant([1.5, 2.0], tf.bfloat16), "numbers")
    assert array.dtype == np.float32 and array.tolist() == [1.5, 2.0]
    with pytest.raises(KganError, match="dtype bfloat16"):
        as_array("labels", tf.constant([1.5], tf.bfloat16), "ints", "iu")


class TestFreeMemory:
    """In a container what its limit leaves, in whichever of the groups that the process is in."""

    @pytest.fixture
    def group(self, tmp_path, monkeypatch):
        read = Path.read_text
        monkeypatch.setattr(checks, "CONTROL_GROUPS", str(tmp_path))

        def of(line, place, **files):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (tmp_path / place / f"memory.{name}").write_text(content)

            def text(path, *args, **kwargs):
                return line if str(path) == "/proc/self/cgroup" else read(path, *args, **kwargs)

            monkeypatch.setattr(Path, "read_text", text)

        return of

    def test_of_version_2(self, group):
        files = {
            "max": "1000000\n",
            "current": "700000\n",
            "stat": "anon 5\ninactive_file 200000\n",
        }
        group("0::/a/b\n", "a", **files)  # the limit is of the group around it
        assert checks.free_memory() == 500000

    def test_of_version_1(self, group):
        files = {"limit_in_bytes": "1000\n", "usage_in_bytes": "1200\n"}
        files["stat"] = "inactive_file 7\ntotal_inactive_file 50\n"
        group("5:cpu:/\n4:memory:/docker/x\n", "memory", **files)  # whose own folder is not seen
        assert checks.free_memory() == 0

    @pytest.mark.parametrize("most", ["max\n", "9223372036854771712\n"])
    def test_without_a_limit(self, group, most):
        group("0::/\n", ".", max=most, current="7\n", stat="inactive_file 0\n")
        assert 1 << 20 < checks.free_memory() < 1 << 50

    def test_of_groups_that_say_something_else(self, group):
        group("0::/\n4:memory:/a\n", ".", max="1000\n", current="x\n", stat="")
        assert checks.free_memory() > 1 << 20
