"""kgan.zoo.registry: names, and where presets are."""

import json
import os

import pytest

from kgan.errors import KganError
from kgan.zoo import preset, registry
from zoo.sound import change_metadata, make_preset


def test_directory_is_itself(faces):
    assert registry.resolve(faces) == (str(faces), None)


def test_name_is_found_in_a_registry(zoo):
    assert registry.resolve("digits") == (str(zoo / "digits"), None)


def test_names_are_those_of_all_registries(zoo, tmp_path, monkeypatch):
    make_preset(tmp_path / "more" / "cars")
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([str(zoo), str(tmp_path / "more")]))
    assert {"cars", "digits", "faces"} <= set(registry.names())


def test_earlier_registry_wins(zoo, tmp_path, monkeypatch):
    make_preset(tmp_path / "more" / "digits")
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([str(tmp_path / "more"), str(zoo)]))
    assert registry.resolve("digits")[0] == str(tmp_path / "more" / "digits")


def test_colons_of_urls_do_not_separate_registries(monkeypatch):
    given = ["https://host:8000/zoo", "2024/zoo", "hf://owner/repo#sha256=ab", "/zoo"]
    given += ["http://host", "http://host:80"]
    monkeypatch.setenv("KGAN_ZOO", "::" + ":".join(given))
    monkeypatch.setattr(registry.os, "pathsep", ":")
    assert registry.registries()[1:] == given


def test_unknown_name_suggests_the_nearest(zoo):
    with pytest.raises(KganError, match="Received: 'digit'; did you mean .*digits"):
        registry.resolve("digit")


def test_unknown_name_like_no_other_lists_them_all(zoo):
    with pytest.raises(KganError, match="Received: 'qqqq'; kgan has .*digits, faces"):
        registry.resolve("qqqq")


def test_unknown_name_without_any_preset_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("KGAN_ZOO", raising=False)
    monkeypatch.setattr(registry, "builtin_directory", lambda: tmp_path)  # an empty one
    with pytest.raises(KganError, match=r"Received: 'qqqq'; .*\w$"):
        registry.resolve("qqqq")


def test_directory_that_is_no_preset_is_refused(tmp_path):
    with pytest.raises(KganError, match="a preset: .*Received: .*, which has no metadata"):
        registry.resolve(tmp_path)


def test_pinned_metadata_is_read_as_it_was(zoo):
    registry.write(zoo)
    assert preset.read("faces").directory == zoo / "faces"


def test_changed_metadata_is_refused_if_pinned(zoo):
    registry.write(zoo)
    change_metadata(zoo / "faces", licence="CC0")
    with pytest.raises(KganError, match="Damaged preset: .*metadata.json.*registry expects"):
        preset.read("faces")


@pytest.mark.parametrize(
    "pins", [{"a/b": "0" * 64}, {"a": "0"}, {"a": 7}, {"\x1b": "0" * 64}, {"..\n": None}, []]
)
def test_odd_registry_is_refused(zoo, pins):
    (zoo / "registry.json").write_text(json.dumps(pins))
    with pytest.raises(KganError, match="Damaged.*registry.json"):
        registry.names()
