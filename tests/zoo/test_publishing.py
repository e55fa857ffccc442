"""kgan.zoo.publishing: what others get, and real huggingface_hub against a stand-in of the hub."""

import json
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import kgan
from kgan.errors import KganError, KganWarning
from kgan.files import sha256
from kgan.recipe import Data, Recipe
from kgan.zoo import hub_card, metadata, preset, publishing, registry, saving, weights
from kgan.zoo.metadata import CARD, METADATA, SAMPLES, WEIGHTS
from zoo import stand_in
from zoo.sound import METADATA as SOUND
from zoo.sound import RECIPE, change_metadata, flip_byte, make_preset


@pytest.fixture
def mine(tiny_preset, tmp_path):
    """A preset of one's own, beside which there are files that are nobody's business."""
    directory = tmp_path / "mine"
    shutil.copytree(tiny_preset, directory)
    (directory / ".env").write_text("SECRET=1")
    return directory


@pytest.fixture
def writer(at_hub, monkeypatch):
    """A hub that may be written to by huggingface_hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    return at_hub


@pytest.fixture
def light(monkeypatch):
    """Models of presets are taken for right: the presets of these tests have none."""
    monkeypatch.setattr(saving, "load", lambda found: SimpleNamespace(sample=lambda n, seed: None))
    monkeypatch.setattr(weights, "note_size", lambda model: None)


def publish(source, target, out, private=False, message=""):
    destination = publishing.look(target, private)
    out.mkdir()
    prepared = publishing.prepare(publishing.find(source), out, destination)
    return publishing.upload(prepared, destination, private, message)


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


class TestPrepare:
    def test_copy_has_the_same_weights_and_its_own_card(self, mine, tmp_path):
        before = contents(mine)
        (tmp_path / "out").mkdir()
        prepared = publishing.prepare(publishing.find(mine), tmp_path / "out")
        assert contents(mine) == before
        assert prepared.paths == sorted(before.keys() - {".env"}) and not prepared.is_zoo
        after = contents(tmp_path / "out")
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {CARD, METADATA}
        assert after[CARD].startswith(b'---\nlibrary_name: "kgan"\n')
        assert after[CARD].endswith(before[CARD])
        found = preset.read(tmp_path / "out")
        assert found.weights_sha256 == sha256(mine / WEIGHTS)
        said = metadata.read(mine / METADATA, own=True)
        assert {**found.metadata, "files": 0} == {**said, "files": 0}

    @pytest.mark.parametrize("name", [WEIGHTS, SAMPLES, METADATA, CARD])
    def test_damaged_preset_is_refused(self, mine, tmp_path, name):
        flip_byte(mine / name)
        (tmp_path / "out").mkdir()
        with pytest.raises(KganError, match="Damaged|Incomplete"):
            publishing.prepare(publishing.find(mine), tmp_path / "out")

    def test_preset_without_a_model_is_refused(self, faces, tmp_path):
        (tmp_path / "out").mkdir()
        with pytest.raises(KganError, match="Expected a table of arguments"):
            publishing.prepare(publishing.find(faces), tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())

    @pytest.mark.parametrize("what", ["missing", "a file", "empty", "other files", "a broken link"])
    def test_what_is_no_preset_is_one_line(self, tmp_path, what):
        source = tmp_path / "\x1b[2J"
        if what == "a file":
            source.write_text("")
        elif what != "missing":
            source.mkdir()
        if what == "other files":
            (source / "photo.png").write_bytes(b"")
            (source / "folder").mkdir()
        if what == "a broken link":
            (source / METADATA).symlink_to("nowhere")
        with pytest.raises(KganError) as caught:
            publishing.prepare(publishing.find(source), tmp_path / "out")
        assert str(caught.value).isprintable() and r"\x1b" in str(caught.value)

    @pytest.mark.parametrize("name", ["README.md", "registry.json", ".hidden", "a\\b"])
    def test_names_that_no_entry_can_have_are_refused(self, tmp_path, name):
        make_preset(tmp_path / "zoo" / name)
        with pytest.raises(KganError):
            publishing.prepare(publishing.find(tmp_path / "zoo"), tmp_path / "out")

    def test_entry_that_its_registry_does_not_know_is_refused(self, mine, tmp_path):
        (tmp_path / "zoo").mkdir()
        mine.rename(tmp_path / "zoo" / "mine")
        registry.write(tmp_path / "zoo")
        change_metadata(tmp_path / "zoo" / "mine", licence="CC0")
        with pytest.raises(KganError, match="registry expects"):
            publishing.prepare(publishing.find(tmp_path / "zoo"), tmp_path / "out")

    def test_folders_of_this_machine_are_told(self, tmp_path):
        for source in ("/home/me/photos", ["tfds:mnist", "~/photos"]):
            with pytest.warns(
                KganWarning, match="x says where its images were, for all to read: [/~]"
            ):
                publishing._warn_of_folders("x", Recipe(name="x", model="DCGAN", data=Data(source)))
        parent = {"name": "y", "source": "/home/me/y", "images_seen": 1, "weights_sha256": 64 * "a"}
        with pytest.warns(KganWarning, match="a preset that it began from was, .*: /home/me/y"):
            publishing._warn_of_folders("x", Recipe(name="x", model="DCGAN", parent=parent))
        parent = {**parent, "source": "y", "parent": {**parent, "source": "/home/me/z"}}
        with pytest.warns(KganWarning, match="a preset that it began from was, .*: /home/me/z"):
            publishing._warn_of_folders("x", Recipe(name="x", model="DCGAN", parent=parent))

    def test_large_weights_are_told(self, mine, tmp_path, monkeypatch):
        monkeypatch.setenv("KGAN_MOST_WEIGHTS", "0")
        (tmp_path / "out").mkdir()
        with pytest.warns(KganWarning, match="only for those who set KGAN_MOST_WEIGHTS=1"):
            publishing.prepare(publishing.find(mine), tmp_path / "out")


FIGURE = {
    "metric": "kernel_distance",
    "value": 2e-05,
    "floor": 0.0,
    "extractor": "faces",
    "extractor_version": "1",
    "extractor_sha256": 64 * "a",
    "resize": "none",
    "seeds": [0],
}


class TestHeader:
    @pytest.mark.parametrize(
        "licence, expected",
        [
            ("MIT (Fashion-MNIST: Zalando SE)", {"license": "mit"}),
            ("CC BY-SA 3.0 (MNIST: Yann LeCun)", {"license": "cc-by-sa-3.0"}),
            ("Apache-2.0", {"license": "apache-2.0"}),
            ("My: own\n# 'words' \"é\"", {"license": "other", "license_name": "my-own-words"}),
            ("顔", {"license": "other", "license_name": "not-named"}),
            (None, {}),
            ("", {}),
        ],
    )
    def test_licence(self, licence, expected):
        found = _parsed(hub_card.header({**SOUND, "licence": licence}, Recipe("x", "DCGAN")))
        assert {k: v for k, v in found.items() if k.startswith("license")} == expected

    def test_all_that_the_hub_shows(self):
        values = {**SOUND, "dataset": 'Faces: "mine"\t#1 é', "metrics": [FIGURE]}
        recipe = Recipe("x", "DCGAN", data=Data(["tfds:mnist#test", "photos"], licence_note="No."))
        found = _parsed(hub_card.header(values, recipe))
        assert found["license"] == "other" and found["license_link"] == "LICENSE"
        assert found["library_name"] == "kgan" and found["tags"] == [
            "kgan",
            "keras",
            "gan",
            "dcgan",
        ]
        assert found["pipeline_tag"] == "unconditional-image-generation"
        assert found["datasets"] == ["mnist"] and found["metrics"] == ["kernel_distance"]
        (index,) = found["model-index"]
        (result,) = index["results"]
        assert index["name"] == "faces" and result["dataset"]["name"] == values["dataset"]
        assert result["metrics"][0]["value"] == 2e-05
        assert result["metrics"][0]["name"] == "Kernel distance, features: faces 1"

    def test_what_makes_no_pictures_of_its_own_is_a_translation(self):
        found = _parsed(hub_card.header({**SOUND, "samples": 0}, Recipe("x", "DCGAN")))
        assert found["pipeline_tag"] == "image-to-image"

    def test_huggingface_hub_reads_it(self):
        library = pytest.importorskip("huggingface_hub")
        header = hub_card.header({**SOUND, "metrics": [FIGURE]}, RECIPE)
        data = library.ModelCard(header + "# Card").data
        assert data.license == "other" and data.pipeline_tag == "unconditional-image-generation"
        assert [result.metric_value for result in data.eval_results] == [2e-05]

    def test_presets_of_the_zoo(self):
        for name in registry.entries_of(registry.builtin_directory()):
            found = preset.read(name)
            parsed = _parsed(hub_card.header(found.metadata, found.recipe))
            assert parsed["license"] in ("mit", "cc-by-sa-3.0", "cc-by-sa-4.0", "other"), name
            assert parsed["model-index"] and parsed["tags"]


def _parsed(header):
    assert header.startswith("---\n") and header.endswith("\n---\n\n")
    return pytest.importorskip("yaml").safe_load(header.strip("-\n"))


def test_others_load_it(mine, writer, tmp_path, monkeypatch):
    commit = publish(mine, "hf://me/faces", tmp_path / "out", message="Faces, at last")
    there = writer.repositories["me/faces"]
    assert there.messages == ["initial commit", "Faces, at last"] and not there.private
    assert there.refs["main"] == commit
    assert there.commits[commit].keys() == {".gitattributes", *os.listdir(mine)} - {".env"}
    assert b'kgan.zoo.load("hf://me/faces")' in there.commits[commit][CARD]
    assert there.commits[commit][WEIGHTS] == (mine / WEIGHTS).read_bytes()
    monkeypatch.delenv("HF_TOKEN")
    expected = kgan.zoo.load(mine).sample(2, seed=1)
    for address in ("hf://me/faces", f"hf://me/faces@{commit}"):
        np.testing.assert_array_equal(kgan.zoo.load(address).sample(2, seed=1), expected)


@pytest.mark.usefixtures("light")
class TestUpload:
    def test_again_and_to_a_branch(self, faces, writer, tmp_path):
        first = publish(faces, "hf://me/faces", tmp_path / "1")
        change_metadata(faces, licence="MIT")
        second = publish(faces, "hf://me/faces@next/try", tmp_path / "2")
        there = writer.repositories["me/faces"]
        assert there.refs == {"main": first, "next/try": second}
        assert preset.read("hf://me/faces@next/try").metadata["licence"] == "MIT"
        assert (
            preset.read("hf://me/faces").metadata["licence"]
            == "CelebA: non-commercial research only"
        )

    def test_to_a_branch_of_a_new_repository(self, faces, writer, tmp_path):
        publish(faces, "hf://me/faces@v1", tmp_path / "1")
        assert preset.read("hf://me/faces@v1").metadata["model"] == "DCGAN"

    def test_private(self, faces, writer, tmp_path, monkeypatch):
        publish(faces, "hf://me/faces", tmp_path / "1", private=True)
        assert writer.repositories["me/faces"].private
        assert publishing.look("hf://me/faces").private
        assert preset.read("hf://me/faces").metadata["model"] == "DCGAN"
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(KganError, match="private or not there"):
            preset.read("hf://me/faces")

    def test_private_is_never_uploaded_in_public(self, faces, writer, tmp_path):
        writer.repositories["me/faces"] = stand_in.Repository()
        writer.repositories["me/faces"].commit({".gitattributes": b""})
        with pytest.raises(KganError, match="Expected a repository that is private.*everyone can"):
            publish(faces, "hf://me/faces", tmp_path / "1", private=True)
        assert len(writer.repositories["me/faces"].commits) == 1

    @pytest.mark.parametrize("others", [{CARD: b"# Mine"}, {METADATA: b"{}"}, {WEIGHTS: b""}])
    def test_files_of_others_are_not_replaced(self, faces, writer, tmp_path, others):
        writer.repositories["me/other"] = stand_in.Repository()
        writer.repositories["me/other"].commit({"notes.txt": b"x", **others})
        with pytest.raises(KganError, match=f"other files called {next(iter(others))}"):
            publish(faces, "hf://me/other", tmp_path / "1")
        assert len(writer.repositories["me/other"].commits) == 1

    def test_other_files_stay(self, faces, writer, tmp_path):
        writer.repositories["me/other"] = stand_in.Repository()
        writer.repositories["me/other"].commit({"notes.txt": b"x", "a/README.md": b"y"})
        for out in ("1", "2"):
            publish(faces, "hf://me/other", tmp_path / out)
        there = writer.repositories["me/other"]
        assert there.commits[there.refs["main"]]["notes.txt"] == b"x"
        assert there.commits[there.refs["main"]]["a/README.md"] == b"y"

    def test_what_is_committed_meanwhile_is_not_lost(self, faces, writer, tmp_path):
        publish(faces, "hf://me/faces", tmp_path / "1")
        destination = publishing.look("hf://me/faces")
        (tmp_path / "2").mkdir()
        prepared = publishing.prepare(publishing.find(faces), tmp_path / "2", destination)
        writer.repositories["me/faces"].commit({CARD: b"by hand"})
        with pytest.raises(KganError, match="HTTP 412: A commit has happened since"):
            publishing.upload(prepared, destination)


@pytest.mark.usefixtures("light")
class TestZoo:
    @pytest.fixture
    def zoo(self, faces, tmp_path):
        (tmp_path / "zoo" / "photos").mkdir(parents=True)
        (tmp_path / "zoo" / "photos" / "me.png").write_bytes(b"")
        shutil.copytree(faces, tmp_path / "zoo" / "faces")
        return tmp_path / "zoo"

    def test_others_load_it_by_names(self, zoo, writer, tmp_path, monkeypatch):
        publish(zoo, "hf://me/zoo", tmp_path / "1")
        there = writer.repositories["me/zoo"]
        (zoo / "faces").rename(zoo / "cars")
        commit = publish(zoo, "hf://me/zoo", tmp_path / "2")
        files = there.commits[commit]
        assert {path.partition("/")[0] for path in files} == {
            *(".gitattributes", CARD, registry.REGISTRY, "faces", "cars")
        }
        assert b"KGAN_ZOO=hf://me/zoo" in files[f"cars/{CARD}"]
        assert b"kgan sample cars" in files[f"cars/{CARD}"]  # not what it is called in itself
        assert json.loads(files[f"cars/{METADATA}"])["name"] == "cars"
        assert b"[cars](#cars)" in files[CARD]
        page = files[CARD].decode()
        assert page.startswith("---\n") and "Also here: [faces](faces/README.md)." in page
        monkeypatch.setenv("KGAN_ZOO", "hf://me/zoo")
        assert {"cars", "faces"} <= set(kgan.zoo.names())
        assert preset.read("faces").content[WEIGHTS] == (zoo / "cars" / WEIGHTS).read_bytes()

    def test_one_that_was_prepared_is_a_registry(self, zoo, tmp_path, monkeypatch):
        (tmp_path / "out").mkdir()
        publishing.prepare(publishing.find(zoo), tmp_path / "out")
        monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "out"))
        assert preset.read("faces").directory == tmp_path / "out" / "faces"
        pins = json.loads((tmp_path / "out" / registry.REGISTRY).read_text())
        assert pins == {"faces": sha256(tmp_path / "out" / "faces" / METADATA)}

    def test_presets_and_zoos_are_not_mixed(self, zoo, faces, writer, tmp_path):
        publish(faces, "hf://me/faces", tmp_path / "1")
        publish(zoo, "hf://me/zoo", tmp_path / "2")
        with pytest.raises(KganError, match="Expected a repository of presets.*the preset faces"):
            publish(zoo, "hf://me/faces", tmp_path / "3")
        with pytest.raises(KganError, match="Expected the repository of a preset.*has several"):
            publish(faces, "hf://me/zoo", tmp_path / "4")


@pytest.mark.usefixtures("light")
class TestRefusals:
    def said(self, target="hf://me/faces", **options):
        with pytest.raises(KganError) as caught:
            publishing.look(target, **options)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 600
        assert "hf_" not in str(caught.value)
        return str(caught.value)

    def test_addresses(self, writer):
        assert "Expected hf://owner/repo" in self.said("me/faces")
        assert "Expected hf://owner/repo" in self.said("https://huggingface.co/me/faces")
        assert "Expected a branch, a tag" in self.said("hf://me/faces@a..b")
        assert "Expected a branch to publish to" in self.said(f"hf://me/faces@{40 * 'a'}")
        assert not writer.requests

    def test_tokens(self, at_hub, writer, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        assert "HTTP 401" in self.said() and "write access" in self.said()
        monkeypatch.setenv("HF_TOKEN", "hf_a\nhf_b")
        assert "Expected a token of the hub" in self.said()
        monkeypatch.delenv("HF_TOKEN")
        assert "a token with write access is needed: set HF_TOKEN" in self.said()

    def test_token_that_may_only_read(self, faces, writer, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_reader")
        with pytest.raises(KganError, match="HTTP 403: You don't have the rights.*write access"):
            publish(faces, "hf://me/faces", tmp_path / "1")
        writer.repositories["me/faces"] = stand_in.Repository()
        writer.repositories["me/faces"].commit({".gitattributes": b""})
        with pytest.raises(KganError, match=r"HTTP 403: .*Forbidden: \[token\] may not write"):
            publish(faces, "hf://me/faces", tmp_path / "2")

    def test_no_hub(self, writer, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "https://localhost.invalid:1")
        library = pytest.importorskip("huggingface_hub")
        monkeypatch.setattr(library.HfApi, "model_info", _refused)
        assert self.said().endswith("Cannot publish to hf://me/faces: Connection refused")

    def test_offline(self, writer, monkeypatch):
        monkeypatch.setenv("KGAN_OFFLINE", "1")
        assert "KGAN_OFFLINE is set" in self.said()

    def test_not_installed(self, writer, monkeypatch):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        assert 'pip install "kgan[hub]"' in self.said()

    def test_damaged_preset_makes_no_repository(self, faces, writer, tmp_path):
        flip_byte(faces / WEIGHTS)
        with pytest.raises(KganError, match="Damaged preset"):
            publish(faces, "hf://me/faces", tmp_path / "1")
        assert not writer.repositories


def _refused(*args, **kwargs):
    raise ConnectionError("Connection refused")
