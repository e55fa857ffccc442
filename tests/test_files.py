"""kgan.files: writes that happen whole or not at all."""

import errno
import hashlib
import os
import subprocess
import sys
import time

import pytest

from kgan.files import partials, plain_name, replacing, sha256


def test_sha256_is_that_of_the_content(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == sha256(str(tmp_path / "x"))
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


class TestReplacing:
    @pytest.mark.parametrize("flush", [False, True])
    @pytest.mark.parametrize("there", [False, True])
    def test_the_file_appears_when_the_block_has_ended(self, tmp_path, there, flush):
        path = tmp_path / "x.weights.h5"
        if there:
            path.write_text("old")
        with replacing(path, flush=flush) as partial:
            partial.write_text("new")
            assert partial.parent == tmp_path and partial.name.endswith("-x.weights.h5")
            assert (path.read_text() == "old") if there else not path.exists()
        assert path.read_text() == "new" and os.listdir(tmp_path) == [path.name]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_whatever_ends_the_block_early_leaves_the_old_file_alone(self, tmp_path, error):
        path = tmp_path / "x"
        path.write_text("old")
        with pytest.raises(error), replacing(path) as partial:
            partial.write_text("ne")
            raise error
        assert path.read_text() == "old" and os.listdir(tmp_path) == ["x"]

    def test_a_block_that_writes_nothing_fails(self, tmp_path):
        (tmp_path / "x").write_text("old")
        with pytest.raises(FileNotFoundError), replacing(tmp_path / "x"):
            pass
        assert (tmp_path / "x").read_text() == "old"

    def test_flush_comes_before_the_rename(self, tmp_path, monkeypatch):
        done = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *a, n=name, f=real: (done.append(n), f(*a)))
        for flush in (False, True):
            with replacing(tmp_path / "x", flush=flush) as partial:
                partial.write_text("new")
        assert done == ["replace", "fsync", "replace", "fsync"]

    def test_two_at_once_do_not_meet(self, tmp_path):
        with replacing(tmp_path / "x") as first, replacing(tmp_path / "x") as second:
            first.write_text("first")
            second.write_text("second")
        assert (tmp_path / "x").read_text() == "first"  # its block ended last
        assert os.listdir(tmp_path) == ["x"]

    def test_two_processes_at_once_leave_one_whole_file(self, tmp_path):
        code = (
            "import sys\n"
            "from kgan.files import replacing\n"
            "for _ in range(200):\n"
            "    with replacing('x') as partial, open(partial, 'w') as file:\n"
            "        for _ in range(50):\n"
            "            file.write(sys.argv[1])\n"
            "            file.flush()\n"
        )
        writers = [
            subprocess.Popen([sys.executable, "-c", code, letter], cwd=tmp_path) for letter in "ab"
        ]
        seen = set()
        while any(writer.poll() is None for writer in writers):
            if (tmp_path / "x").exists():
                seen.add((tmp_path / "x").read_text())
            time.sleep(0.001)
        assert [writer.returncode for writer in writers] == [0, 0]
        assert seen <= {"a" * 50, "b" * 50} and seen
        assert os.listdir(tmp_path) == ["x"]

    @pytest.mark.parametrize("name", ["x" * 251 + ".png", "é" * 125 + ".png", "[x]*?.png", "x.y-z"])
    def test_every_name_that_the_system_takes(self, tmp_path, name):
        with replacing(tmp_path / name) as partial:
            partial.write_text("new")
            assert partial.suffix == (tmp_path / name).suffix
            assert partials(tmp_path, name) == partials(tmp_path) == [partial]
        assert os.listdir(tmp_path) == [name]

    def test_a_directory_that_does_not_exist_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "missing" / "x"):
            pytest.fail("the block has run")
        assert raised.value.filename == str(tmp_path / "missing")
        assert raised.value.errno == errno.ENOENT and not list(tmp_path.iterdir())

    def test_a_file_in_place_of_the_directory_is_named(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(NotADirectoryError) as raised, replacing(tmp_path / "file" / "x"):
            pytest.fail("the block has run")
        assert raised.value.filename == str(tmp_path / "file")

    def test_a_directory_is_not_replaced(self, tmp_path):
        (tmp_path / "x").mkdir()
        with pytest.raises(IsADirectoryError) as raised, replacing(tmp_path / "x"):
            pytest.fail("the block has run")
        assert raised.value.filename == str(tmp_path / "x")


def test_partials_are_those_of_one_file_or_of_all(tmp_path):
    names = ["a.png", "a.png", "b-a.png", "b"]
    torn = [tmp_path / f".partial-{i:08d}-{name}" for i, name in enumerate(names)]
    for path in (*torn, tmp_path / "a.png", tmp_path / "partial-a.png", tmp_path / ".partial-mine"):
        path.touch()
    assert partials(tmp_path) == torn
    assert partials(tmp_path, "a.png") == torn[:2]
    assert partials(tmp_path, "*") == []


@pytest.mark.parametrize(
    "text, name",
    [
        ("dcgan-mnist", "dcgan-mnist"),
        ("two words.v2", "two words.v2"),
        ("日本", "日本"),
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("C:\\x\\y", "y"),
        ("..hidden", "hidden"),
        *(
            (text, "samples")
            for text in ("", ".", "..", "a/..", "x/", "a\x1b[31m", "a\nb", "\u202e")
        ),
    ],
)
def test_a_strangers_name_is_never_a_path(text, name):
    assert plain_name(text, "samples") == name
