"""The ways to start the command line."""

import os
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from PIL import Image

import kgan
from kgan.cli import VERBS, main


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


def test_help_can_be_asked_for_again():
    """In one process: `kgan.cli.list`, imported by then, must not hide Python's."""
    said = [CliRunner().invoke(main, ["--help"]).stdout for _ in range(2)]
    assert said[0] == said[1] and "Commands:" in said[0]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_encoding_of_the_terminal(run_python, tmp_path, encoding):
    """What it lacks is escaped, in what is printed and in what is warned of and refused."""
    for name in ("日本", "café"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "photos/日本/0.png")
    script = (
        "import subprocess, sys; done = subprocess.run([sys.executable, '-m', 'kgan', 'data', "
        "'check', 'photos', '--labels', 'folders', *sys.argv[1:]], capture_output=True); "
        "print(done.returncode, ascii(done.stdout), ascii(done.stderr))"
    )
    said = run_python("-c", script, cwd=tmp_path, PYTHONIOENCODING=encoding).stdout
    shown = "日本".encode(encoding, "backslashreplace")
    assert said.startswith("0 ") and ascii(shown)[2:-1] in said and said.endswith("b''\n")
    options = ("--background", "日本")
    said = run_python("-c", script, *options, cwd=tmp_path, PYTHONIOENCODING=encoding).stdout
    assert said.startswith("1 b''") and ascii(shown)[2:-1].replace("\\", "\\") in said


@pytest.mark.parametrize("verb", ["list", "--help", "sample -h"])
def test_closed_pipe_ends_in_silence(run_python, tmp_path, verb):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "kgan", *verb.split()],
            cwd=tmp_path,
            stdout=closed,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb, code", [("list", 0), ("smaple", 2), ("info smaple", 1)])
def test_closed_streams(tmp_path, verb, code, closed):
    command = f"{shlex.quote(sys.executable)} -m kgan {verb} {closed}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code and len(done.stderr.splitlines()) == (
        code > 0 and closed == ">&-"
    )
    assert not list(tmp_path.iterdir())


def test_a_full_device_is_said_in_one_line(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m kgan list > /dev/full"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")


@pytest.mark.parametrize("module", ["codecs", "click", "kgan.errors", "kgan.cli.labels", "numpy"])
def test_interrupts_while_modules_are_imported(tmp_path, module, interruptible):
    """Of whatever import Ctrl-C comes upon, Python would show a traceback."""
    script = (
        "import builtins, os, signal, sys\n"
        "before = builtins.__import__\n"
        "def interrupting(name, *args, **kwargs):\n"
        f"    if name == {module!r} and 'kgan.cli.interrupts' in sys.modules:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return before(name, *args, **kwargs)\n"
        "builtins.__import__ = interrupting\n"
        "sys.modules.pop('codecs', None)\n"
        "from kgan.cli import main\n"
        "main(['sample', 'dcgan-mnist'])\n"
    )
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = interruptible([sys.executable, "-c", script], text=True, **options)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "Interrupted")


def test_importing_the_command_leaves_interrupts_as_they_are(interruptible):
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import kgan.cli; "
        "assert before is signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    assert interruptible([sys.executable, "-c", code]).wait(60) == 0


@pytest.mark.parametrize("value", ["1e300", "nan", "inf", "-1", "2.1", "x", "-inf", ""])
def test_truncations_that_are_none(value):
    for verb in ("sample", "evaluate"):
        done = CliRunner().invoke(main, [verb, "stylegan-lite-celeba", f"--truncation={value}"])
        assert done.exit_code == 2 and "Expected a number from 0 to 2. Received: " in done.output
