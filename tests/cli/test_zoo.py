"""`kgan zoo`."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from zoo.sound import METADATA as SOUND
from zoo.sound import make_preset

from kgan import files
from kgan.cli import main
from kgan.files import sha256
from kgan.zoo import graphs, preset
from kgan.zoo.metadata import METADATA, WEIGHTS


def zoo(*args, exit_code=0, **options):
    """What `kgan zoo *args` prints."""
    done = CliRunner().invoke(main, ["zoo", *map(str, args)], **options)
    assert done.exit_code == exit_code, done.output
    assert not [c for c in done.output if not (c.isprintable() or c == "\n")]
    return done.output


class TestPublish:
    @pytest.fixture(autouse=True)
    def _here(self, at_hub, tmp_path, monkeypatch, tiny_preset):
        monkeypatch.chdir(tmp_path)
        shutil.copytree(tiny_preset, tmp_path / "mine")

    def test_without_a_repository_nothing_is_uploaded(self, at_hub):
        said = zoo("publish", "mine")
        assert all(name in said for name in os.listdir("mine"))
        assert said.splitlines()[-1].startswith("Nothing was uploaded; name hf://owner/repo to do")
        assert not at_hub.requests and os.listdir() == ["mine"]

    def test_to_a_directory_for_a_web_server(self, at_hub):
        os.makedirs("zoo")
        os.rename("mine", "zoo/mine")
        said = zoo("publish", "zoo", "--out", "public/zoo")
        assert "KGAN_ZOO=public/zoo kgan list" in said
        assert sorted(os.listdir("public/zoo")) == ["README.md", "mine", "registry.json"]
        assert json.loads(Path("public/zoo/registry.json").read_text()) == {
            "mine": sha256("public/zoo/mine/metadata.json")
        }

    def test_a_place_with_a_space(self):
        assert "kgan sample 'my place'" in zoo("publish", "mine", "--out", "my place")

    @pytest.mark.parametrize("out", ["mine", "mine/x", ".", "zoo/..", "file", "other"])
    def test_nothing_is_written_over_others(self, tmp_path, out):
        make_preset(tmp_path / "other" / "inner")
        (tmp_path / "file").write_text("")
        before = sorted(tmp_path.rglob("*"))
        said = zoo("publish", "mine", "--out", out, exit_code=2 if out[0] in "m.z" else 1)
        assert said.startswith("Error: Expected") and said.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before

    def test_to_the_hub(self, at_hub, monkeypatch):
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        said = zoo("publish", "mine", "hf://me/faces", "--private", "--message", "First")
        there = at_hub.repositories["me/faces"]
        assert there.private and there.messages[-1] == "First"
        assert f"Uploaded to hf://me/faces, commit {there.refs['main']}" in said
        assert 'Others load it by: kgan.zoo.load("hf://me/faces")' in said
        assert "It is private: those who may read it set HF_TOKEN" in said
        assert "hf_writer" not in said
        # A zoo in a repository of a preset would break its card.
        os.makedirs("zoo")
        os.rename("mine", "zoo/mine")
        said = zoo("publish", "zoo", "hf://me/faces", exit_code=1)
        assert "Expected a repository of presets" in said and "Uploaded" not in said

    @pytest.mark.parametrize(
        "args, exit_code, said",
        [
            (("nowhere",), 1, "Expected the directory of a preset, or of presets. Received"),
            (("mine", "me/faces"), 1, "Expected hf://owner/repo or hf://owner/repo@revision"),
            (("mine", "hf://me/faces@a..b"), 1, "Expected a branch, a tag or the hash"),
            (("mine", "hf://me/faces"), 1, "a token with write access is needed: set HF_TOKEN"),
            (("mine", "--private"), 2, "Expected hf://owner/repo with --private"),
            (("mine", "--message", "x"), 2, "Expected hf://owner/repo with --message"),
            (("mine", "hf://me/faces", "--message", " "), 2, "Expected --message with a text"),
            (("mine", "hf://me/faces", "more"), 2, "unexpected extra argument"),
            (("mine\x1b[2J",), 1, r"Received: .*mine\x1b[2J"),
            ((), 2, "Missing argument 'DIR'"),
        ],
    )
    def test_bad_input_is_one_line(self, args, exit_code, said):
        output = zoo("publish", *args, exit_code=exit_code)
        assert said.replace(".*", "").split(": ")[-1] in output and output.count("\n") == 1


class TestCache:
    @pytest.fixture
    def cached(self, at_hub, tmp_path):
        """The cache with `faces`, from two addresses, and `cars`; the entries' directories."""
        for name in ("faces", "cars"):
            at_hub.publish(
                f"someone/{name}", make_preset(tmp_path / name, metadata={**SOUND, "name": name})
            )
        at_hub.repositories["someone/faces"].refs["v1"] = at_hub.repositories["someone/faces"].refs[
            "main"
        ]
        found = [preset.read(f"hf://someone/{name}") for name in ("faces", "cars", "faces@v1")]
        listed = found[0].metadata["files"]
        graphs.note(
            *(listed[name]["sha256"] for name in ("config.json", WEIGHTS)), {"generator": b"graph"}
        )
        graphs.note("of", "another", {"generator": b"graph"})
        return found[0].directory, found[1].directory

    def test_is_shown(self, cached, tmp_path):
        lines = zoo("cache").splitlines()
        assert lines[0].split() == ["NAME", "SIZE", "LAST", "USED", "HASH", "SOURCE"]
        assert lines[1].startswith("cars ") and lines[1].endswith("hf://someone/cars")
        assert lines[2].startswith("faces ") and lines[2].endswith("hf://someone/faces@v1")
        assert lines[3].startswith("2 presets and 2 graphs, ") and lines[3].endswith("cache")
        assert len(zoo("cache", "cars").splitlines()) == 2

    def test_as_json(self, cached):
        told = json.loads(zoo("cache", "--json"))
        assert [entry["name"] for entry in told["presets"]] == ["cars", "faces"]
        faces = told["presets"][1]
        assert faces["path"] == str(cached[0]) and faces["sha256"] == cached[0].name
        assert faces["size_bytes"] == files.size(cached[0]) and os.path.isfile(faces["graph"])
        assert {"hf://someone/faces", "hf://someone/faces@v1"} < set(faces["sources"])
        assert len(told["graphs"]) == 2 and told["downloads"] == []

    @pytest.mark.parametrize("by", ["name", "address", "hash"])
    def test_what_is_named_is_removed(self, cached, by):
        faces, cars = cached
        name = {"name": "faces", "address": "hf://someone/faces", "hash": faces.name[:12]}[by]
        assert zoo("cache", "--clear", name).startswith("Removed 1 preset, ")
        assert not faces.exists() and cars.exists()
        assert len(list((cars.parent / "graphs").iterdir())) == 1  # its graph has gone with it
        assert preset.read("hf://someone/faces").directory == faces

    def test_all_is_removed_but_asked_for(self, cached, tmp_path):
        said = zoo("cache", "--clear", input="n\n", exit_code=1)
        assert said.startswith("Remove 2 presets and 2 graphs, ") and cached[0].exists()
        zoo("cache", "--clear", input="", exit_code=1)
        assert cached[0].exists()
        zoo("cache", "--clear", "--yes")
        assert [path.name for path in (tmp_path / "cache").rglob("*")] == ["graphs"]
        assert zoo("cache", "--clear").startswith("Nothing to remove in ")

    def test_nothing_else_is_removed(self, cached, tmp_path):
        faces, cars = cached
        outside = tmp_path / "outside"
        outside.mkdir()
        kept = [outside / METADATA, faces.parent / "notes.txt"]
        kept += [faces.parent / (64 * "a") / "theirs", faces.parent / "graphs" / "mine.onnx"]
        for path in kept:
            path.parent.mkdir(exist_ok=True)
            path.write_text("{}")
        (faces.parent / (64 * "b")).symlink_to(outside)
        (faces / "link").symlink_to(outside)
        running = faces.parent / f".partial-01234567-{64 * 'c'}"
        (running / (64 * "c")).mkdir(parents=True)
        (running / (64 * "c") / WEIGHTS).write_text("half")
        with files.hold(running):
            assert "Being downloaded: 1" in zoo("cache")
            zoo("cache", "--clear", "--yes")
            assert running.exists() and not faces.exists() and not cars.exists()
        assert all(path.read_text() == "{}" for path in kept)
        assert (faces.parent / (64 * "b")).is_symlink()

    def test_graphs_elsewhere_are_left_alone(self, cached, tmp_path):
        place = cached[0].parent / "graphs"
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
        zoo("cache", "--clear", "--yes")
        assert len(list((tmp_path / "elsewhere").iterdir())) == 2

    def test_hostile_and_damaged_entries_are_shown(self, cached):
        faces, cars = cached
        values = json.loads((faces / METADATA).read_text())
        (faces / METADATA).write_text(json.dumps({**values, "name": "x\u202e\ny\u200f"}))
        (cars / METADATA).write_text("[")
        said = zoo("cache")
        assert "(damaged)" in said and len(said.splitlines()) == 4
        zoo("cache", "--json")
        zoo("cache", "--clear", "--yes")
        assert not faces.exists() and not cars.exists()

    @pytest.mark.parametrize("place", ["empty", "missing", "file"])
    def test_no_cache(self, tmp_path, monkeypatch, place):
        if place != "missing":
            (tmp_path / place).mkdir() if place == "empty" else (tmp_path / place).write_text("")
        monkeypatch.setenv("KGAN_CACHE", str(tmp_path / place))
        assert zoo("cache").startswith("0 presets and 0 graphs, 0.0 kB, in ")
        assert zoo("cache", "--clear", "--yes").startswith("Nothing to remove")

    @pytest.mark.parametrize(
        "args, exit_code, said",
        [
            (("--clear", "nobody"), 1, "Expected the name, address or hash of a preset in the"),
            (("--clear", "faces", "nobody"), 1, "Received: nobody; it has cars, faces"),
            (("--clear", "../faces"), 1, "Received: ../faces"),
            (("--clear", ""), 1, "Expected the name"),
            (("--clear", "\x1b[2J"), 1, r"Received: \x1b[2J"),
            (("--clear", "--json"), 2, "Expected --clear or --json"),
            (("--yes",), 2, "Expected --clear with --yes"),
        ],
    )
    def test_bad_input_is_one_line(self, cached, args, exit_code, said):
        output = zoo("cache", *args, exit_code=exit_code)
        assert said in output and output.count("\n") == 1
        assert cached[0].exists() and cached[1].exists()
