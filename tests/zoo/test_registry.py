"""kgan.zoo.registry: names, and where presets are."""

import json
import os
import socket
import warnings
from pathlib import Path

import pytest

from kgan.errors import KganError, KganWarning
from kgan.zoo import exchange, opening, preset, registry
from zoo.sound import change_metadata, make_preset


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    """Nothing has been warned of yet."""
    monkeypatch.setattr(registry, "_failures", {})
    monkeypatch.setattr(registry, "_warned", set())
    registry._warn_once.cache_clear()


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
def test_odd_registry_is_left_out(zoo, tmp_path, monkeypatch, pins):
    make_preset(tmp_path / "more" / "cars")
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([str(zoo), str(tmp_path / "more")]))
    (zoo / "registry.json").write_text(json.dumps(pins))
    with pytest.warns(KganWarning, match="Left out the registry .*: Damaged.*registry.json"):
        names = registry.names()
    assert "cars" in names and "digits" not in names


@pytest.fixture
def failing(tmp_path, monkeypatch) -> str:
    """A registry that cannot be read, first in KGAN_ZOO; behind it are one more, and `zoo`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    make_preset(tmp_path / "more" / "cars")
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([url, str(tmp_path / "more")]))
    monkeypatch.setattr(exchange, "_PAUSES", ())
    return url


def test_unreachable_registry_is_left_out_with_one_warning(failing):
    with pytest.warns(KganWarning, match=f"Left out the registry {failing}: Cannot get") as caught:
        assert preset.read("cars").metadata["model"] == "DCGAN"
        assert "cars" in registry.names() and "dcgan-mnist" in registry.names()
    assert len(caught) == 1 and str(caught[0].message).isprintable()


def test_name_that_may_be_in_the_failing_registry_says_so(failing):
    with (
        pytest.warns(KganWarning),
        pytest.raises(KganError, match=f"'mine'; .*not looked up in the registry {failing}: Cann"),
    ):
        registry.resolve("mine")


def test_server_that_failed_is_not_waited_for_again_at_once(failing, monkeypatch):
    tries = []
    receive = exchange._receive
    monkeypatch.setattr(exchange, "_receive", lambda *args: tries.append(args) or receive(*args))
    with pytest.warns(KganWarning):
        for _ in range(3):
            registry.names()
    assert len(tries) == 1
    monkeypatch.setattr(registry, "_FORGIVEN", 0)
    registry.names()
    assert len(tries) == 2


def test_registries_are_not_asked_for_what_is_nearer(failing, tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "_receive", None)  # whoever goes out fails
    monkeypatch.chdir(tmp_path)
    builtin = registry.builtin_directory()
    assert registry.resolve("dcgan-mnist")[0] == str(builtin / "dcgan-mnist")
    for path in ("./more/cars", "more/cars", tmp_path / "more" / "cars", "more/cars/"):
        assert registry.resolve(path) == (str(Path(path).absolute()), None)
    (tmp_path / "runs" / "x" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "recipe.toml").write_text("")
    assert opening.run_directory("runs/x") == Path("runs/x")


@pytest.mark.parametrize(
    "entry",
    ["/nowhere/at/all", "http://example.org/x", "https://example.org/x#sha256=12", "FILE"]
    + ["hf://\x1b[2J", "https://[x"],
)
def test_mistyped_registry_is_left_out(zoo, tmp_path, monkeypatch, entry):
    (tmp_path / "file").write_text("")
    entry = entry.replace("FILE", str(tmp_path / "file"))
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([entry, str(zoo)]))
    with pytest.warns(KganWarning, match="Left out the registry") as caught:
        assert "digits" in registry.names()
        assert registry.resolve("faces")[0] == str(zoo / "faces")
    assert len(caught) == 1 and str(caught[0].message).isprintable()


def test_name_before_a_folder_is_said_once(zoo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_preset(tmp_path / "digits")
    with pytest.warns(KganWarning, match=r"digits is the preset of .*; .* is \./digits") as caught:
        assert registry.resolve("digits") == (str(zoo / "digits"), None)
        registry.resolve("digits")
    assert len(caught) == 1


def test_name_that_is_the_folder_itself_is_not_said(zoo, monkeypatch):
    monkeypatch.chdir(zoo)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.resolve("digits")[0] == str(zoo / "digits")
        assert registry.resolve("./digits")[0] == str(zoo / "digits")


def test_a_mistyped_variable_is_said(tmp_path, monkeypatch, tiny_preset):
    monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "typo"))
    with pytest.warns(KganWarning, match=r"typo: No such file or directory; KGAN_ZOO names it$"):
        registry.names()
    monkeypatch.setenv("KGAN_ZOO", str(tiny_preset))
    with pytest.warns(KganWarning, match="it is a preset, and .*the registry that it is in; KGAN"):
        registry.names()
