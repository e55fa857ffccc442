"""`kgan ui`."""

import json
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from kgan.cli import main, ui
from kgan.cli.ui import server


def test_help_has_examples():
    done = CliRunner().invoke(main, ["ui", "--help"])
    assert done.exit_code == 0 and "kgan ui runs/x" in done.output


def test_a_name_of_nothing_is_refused_in_one_line():
    done = CliRunner().invoke(main, ["ui", "no-such-preset", "--no-browser"])
    assert done.exit_code == 1
    assert done.output.startswith("Error: Expected the name or the directory of a preset.")
    assert done.output.count("\n") == 1


def test_without_gradio_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    done = CliRunner().invoke(main, ["ui", "dcgan-mnist", "--no-browser"])
    assert done.exit_code == 1
    assert "pip install 'kgan[ui]'" in done.output and done.output.count("\n") == 1


def test_it_draws_without_tensorflow_and_ends_at_ctrl_c(interruptible, tmp_path):
    pytest.importorskip("gradio")
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'h5py', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "from kgan.cli import main\n"
        "main(['ui', 'stylegan-lite-celeba', '--no-browser'])\n"
    )
    process = interruptible(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")

        def get(path):
            with urllib.request.urlopen(address + path) as answer:
                return answer.read()

        weights = json.loads(get("kgan/presets/0"))["weights"]
        asked = {"start": 0, "end": 7, "label": None, "truncation": 0.7}
        query = urllib.parse.urlencode({"w": weights, "q": json.dumps(asked)})
        for kind in ("way", "mixes"):
            assert get(f"kgan/presets/0/strip/{kind}?{query}").startswith(b"\x89PNG")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "Stopped\n")


def test_it_opens_a_browser_unless_told_not_to(monkeypatch):
    @contextmanager
    def serving(sources, port):
        assert (sources, port) == (("dcgan-mnist",), 8000)
        yield "http://127.0.0.1:8000/"

    opened = []
    monkeypatch.setattr(ui.webbrowser, "open", opened.append)
    monkeypatch.setattr(server, "serving", serving)
    monkeypatch.setattr(server, "wait", lambda: None)
    for options, wanted in ((["--no-browser"], []), ([], ["http://127.0.0.1:8000/"])):
        done = CliRunner().invoke(main, ["ui", "dcgan-mnist", "--port", "8000", *options])
        assert done.exit_code == 0 and "http://127.0.0.1:8000/" in done.stdout
        assert opened == wanted
