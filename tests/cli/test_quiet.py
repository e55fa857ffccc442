"""TensorFlow's noise is set aside, its errors are not."""

from pathlib import Path

import kgan.cli

BROKEN = """
import os
os.write(2, b"libsomething.so.1: cannot open shared object file\\n")
raise ImportError("tensorflow is broken", name="tensorflow")
"""


def test_what_a_broken_tensorflow_said_is_shown(run_python, tmp_path):
    (tmp_path / "tensorflow.py").write_text(BROKEN)
    code = "from kgan.cli.quiet import import_tensorflow; import_tensorflow()"
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 1
    assert "libsomething.so.1: cannot open shared object file" in done.stderr
    assert "tensorflow is broken" in done.stderr


def test_stderr_works_again_afterwards(run_python, tmp_path):
    code = (
        "import os; from kgan.cli.quiet import import_tensorflow; import_tensorflow(); "
        "os.write(2, b'heard')"
    )
    done = run_python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "heard")


def test_no_verb_opens_a_run_by_itself():
    """`kgan.cli.models.opened` imports in silence what a run without a preset needs."""
    folder = Path(kgan.cli.__file__).parent
    found = [path.name for path in folder.glob("*.py") if "opening.read(" in path.read_text()]
    assert found == ["models.py"]
