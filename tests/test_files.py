"""kgan.files: writes that happen whole or not at all."""

import errno
import hashlib
import os
import subprocess
import sys
import time

import pytest

from kgan import files
from kgan.files import (
    clear,
    partials,
    plain_name,
    recover,
    replacing,
    replacing_directory,
    sha256,
)


def test_sha256_is_that_of_the_content(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == sha256(str(tmp_path / "x"))
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


class TestReplacing:
    @pytest.mark.parametrize("there", [False, True])
    def test_the_file_appears_when_the_block_has_ended(self, tmp_path, there):
        path = tmp_path / "x.weights.h5"
        if there:
            path.write_text("old")
        with replacing(path) as partial:
            partial.write_text("new")
            assert partial.parent.parent == tmp_path and partial.name == path.name
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

    def test_the_content_is_on_the_disk_before_the_rename(self, tmp_path, monkeypatch):
        done = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *a, n=name, f=real: (done.append(n), f(*a)))
        with replacing(tmp_path / "x") as partial:
            partial.write_text("new")
        assert done == ["fsync", "replace", "fsync"]
        done.clear()
        with replacing_directory(tmp_path / "d") as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / "file").touch()
        # The file, its directory, the whole; then the place is free, taken, and noted.
        assert done == ["fsync"] * 3 + ["replace"] * 2 + ["fsync"]

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
            assert partial.name == name and partials(tmp_path) == [partial.parent]
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

    def test_a_pipe_is_written_to(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        code = "import sys; print(open(sys.argv[1]).read(), end='')"
        reader = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "pipe"], stdout=subprocess.PIPE, text=True
        )
        files.write(tmp_path / "pipe", "text")
        assert reader.communicate()[0] == "text"
        assert (tmp_path / "pipe").is_fifo() and os.listdir(tmp_path) == ["pipe"]

    @pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/dev/null"])
    def test_what_leads_to_a_descriptor_stays_so(self, tmp_path, place):
        """As root one could replace it, for all that runs on the machine."""
        before = os.lstat(place)
        code = f"print('said', flush=True)\nimport kgan.files\nkgan.files.write({place!r}, 'text')"
        with open(tmp_path / "out", "w") as out:
            subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
        assert (os.lstat(place).st_ino, os.lstat(place).st_mode) == (before.st_ino, before.st_mode)
        said = "said\n" if place == "/dev/null" else "said\ntext"
        assert (tmp_path / "out").read_text() == said

    def test_a_directory_is_not_replaced(self, tmp_path):
        (tmp_path / "x").mkdir()
        with pytest.raises(IsADirectoryError) as raised, replacing(tmp_path / "x"):
            pytest.fail("the block has run")
        assert raised.value.filename == str(tmp_path / "x")


def directory_of(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


class TestReplacingDirectory:
    @pytest.mark.parametrize("there", [False, True])
    def test_it_appears_when_the_block_has_ended(self, tmp_path, there):
        path = tmp_path / "x"
        if there:
            directory_of(path, "old")
        with replacing_directory(path) as partial:
            (partial / "file").write_text("new")
            assert (path / "file").read_text() == "old" if there else not path.exists()
        assert (path / "file").read_text() == "new" and os.listdir(tmp_path) == ["x"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FileNotFoundError])
    def test_whatever_ends_the_block_early_leaves_the_old_one_alone(self, tmp_path, error):
        directory_of(tmp_path / "x", "old")
        with pytest.raises(error), replacing_directory(tmp_path / "x") as partial:
            (partial / "file").write_text("ne")
            raise error
        assert (tmp_path / "x" / "file").read_text() == "old" and os.listdir(tmp_path) == ["x"]

    def test_a_link_stays_and_what_it_leads_to_is_replaced(self, tmp_path):
        (tmp_path / "far/real").mkdir(parents=True)
        (tmp_path / "far/real/old").touch()
        (tmp_path / "link").symlink_to("far/real")
        with replacing_directory(tmp_path / "link") as partial:
            (partial / "new").touch()
        assert (tmp_path / "link").is_symlink()
        assert os.listdir(tmp_path / "far/real") == ["new"]
        assert sorted(os.listdir(tmp_path)) == ["far", "link"]

    @pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
    @pytest.mark.parametrize("call", [1, 2])
    def test_an_interrupt_between_the_renames_costs_nothing(
        self, tmp_path, monkeypatch, call, error
    ):
        directory_of(tmp_path / "x", "old")
        replace, calls = os.replace, []

        def interrupted(*args):
            calls.append(args)
            if len(calls) == call:
                raise error
            replace(*args)

        monkeypatch.setattr(os, "replace", interrupted)
        with pytest.raises(error), replacing_directory(tmp_path / "x") as partial:
            (partial / "file").write_text("new")
        assert (tmp_path / "x" / "file").read_text() == "old" and os.listdir(tmp_path) == ["x"]


# Writes "new" over whatever is at x, as a file or a directory, and is killed by its n-th call of
# one of the functions that change a directory.
KILLED = """
import os, pathlib, shutil, signal, sys
from kgan import files
calls, last, kind = 0, int(sys.argv[1]), sys.argv[2]
def counted(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
for name in ("mkdir", "replace", "fsync", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
if kind == "file":
    files.write("x", "new")
else:
    with files.replacing_directory("x") as partial:
        (partial / "file").write_text("new")
"""


class TestKilled:
    @pytest.mark.parametrize("kind", ["file", "directory"])
    def test_at_any_call_leaves_the_old_or_the_new_and_nothing_else(self, tmp_path, kind):
        ends = []
        for last in range(1, 30):
            place = tmp_path / str(last)
            place.mkdir()
            target = place / "x" if kind == "file" else directory_of(place / "x", "old") / "file"
            target.write_text("old")
            done = subprocess.run([sys.executable, "-c", KILLED, str(last), kind], cwd=place)
            recover(place / "x")
            ends.append(target.read_text())
            with replacing(place / "other") as partial:
                partial.touch()
            assert sorted(os.listdir(place)) == ["other", "x"]
            if done.returncode == 0:
                break
        # mkdir, fsync, replace, fsync, unlink or rmdir; of a directory with more of each.
        assert last > 4 and done.returncode == 0
        assert ends == sorted(ends, reverse=True) and set(ends) == {"old", "new"}

    def test_what_was_taken_away_is_put_back_unless_something_has_come_in_its_place(self, tmp_path):
        room = tmp_path / ".partial-0123abcd-x"
        (room / "old").mkdir(parents=True)
        directory_of(room / "old" / "x", "old")
        recover(tmp_path / "x")
        assert (tmp_path / "x" / "file").read_text() == "old" and os.listdir(tmp_path) == ["x"]
        (room / "old").mkdir(parents=True)
        directory_of(room / "old" / "x", "older")
        recover(tmp_path / "x")  # which is there
        clear(tmp_path)
        assert (tmp_path / "x" / "file").read_text() == "old" and os.listdir(tmp_path) == ["x"]


class TestClear:
    def test_what_is_held_stays_until_it_is_held_no_longer(self, tmp_path):
        with replacing(tmp_path / "x") as partial:
            partial.touch()
            for other in range(3):  # in this process or in another
                with replacing(tmp_path / "y") as another:
                    another.write_text(str(other))
            code = "from kgan import files; files.write('z', 'z'); files.clear('.')"
            subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
            assert partial.exists()
        assert sorted(os.listdir(tmp_path)) == ["x", "y", "z"]

    def test_nothing_but_what_kgan_has_left_is_removed(self, tmp_path):
        names = [
            ".partial-mine",
            ".partial-0123abcd",
            ".partial-0123ABCD-x",
            ".partial-012345678-x",
            "partial-0123abcd-x",
            "a.partial-0123abcd-x",
        ]
        for name in names:
            directory_of(tmp_path / name, "mine")
        directory_of(tmp_path / ".partial-0123abcd-others", "a file that is called otherwise")
        (tmp_path / ".partial-89abcdef-x").write_text("a file")
        target = directory_of(tmp_path / "target", "old")
        (target / "x").mkdir()
        (tmp_path / ".partial-01234567-x").symlink_to(target)
        before = sorted(os.listdir(tmp_path))
        clear(tmp_path)
        assert sorted(os.listdir(tmp_path)) == before and (target / "x").is_dir()

    def test_files_of_kgan_before_are_removed_after_a_day(self, tmp_path):
        torn = [tmp_path / f".partial-{i:08d}-x.h5" for i in range(2)]
        for path in torn:
            path.touch()
        os.utime(torn[0], (0, 0))
        clear(tmp_path)
        assert partials(tmp_path) == torn[1:]

    def test_a_directory_that_is_not_there_has_nothing_to_clear(self, tmp_path):
        clear(tmp_path / "missing")
        recover(tmp_path / "missing" / "x")
        assert not list(tmp_path.iterdir())


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


def test_size_is_of_all_files_and_no_links(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x").write_bytes(b"123")
    (tmp_path / "a" / "b" / "y").write_bytes(b"45")
    (tmp_path / "z").write_bytes(b"6789")
    (tmp_path / "a" / "file").symlink_to(tmp_path / "z")
    (tmp_path / "a" / "folder").symlink_to(tmp_path)
    assert files.size(tmp_path / "a") == 5
