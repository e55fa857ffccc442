"""The ways to start the command line."""

import pytest

import kgan
from kgan.cli import VERBS


@pytest.mark.parametrize("module", ["kgan", "kgan.cli"])
def test_python_m_is_the_command(run_python, tmp_path, module):
    done = run_python("-m", module, "--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"kgan, version {kgan.__version__}\n"


def test_python_m_ends_as_the_command_does(run_python, tmp_path):
    done = run_python("-m", "kgan", "smaple", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "Error: No such command 'smaple'. (kgan --help shows more)\n"


def test_help_names_every_verb(run_python, tmp_path):
    said = run_python("-m", "kgan", "--help", cwd=tmp_path).stdout
    listed = said[said.index("Commands:") :].splitlines()[1:]
    assert [line.split()[0] for line in listed] == list(VERBS)
