"""What names mean on the page."""

import shutil

import pytest

from kgan.cli.ui.entries import Entries
from kgan.errors import KganError


def test_without_names_it_is_the_zoo(vivid_preset, monkeypatch):
    monkeypatch.setenv("KGAN_ZOO", str(vivid_preset.parent))
    names = [entry.source for entry in Entries().all]
    assert "dcgan-mnist" in names and "vivid" in names


def test_a_name_of_nothing_is_refused_before_the_page_is_there():
    with pytest.raises(KganError, match="Received: 'dcgan-mnits'; did you mean dcgan-mnist"):
        Entries(["dcgan-mnist", "dcgan-mnits"])


def test_a_run_is_told_from_a_preset(run, vivid_preset):
    preset, of_run = Entries([str(vivid_preset), str(run)]).all
    assert preset.run is None and of_run.run == run


def test_no_other_place_is_reached(vivid_preset):
    for place in (1, -1):
        with pytest.raises(KganError, match="Expected one of 1 entries"):
            Entries([str(vivid_preset)])[place]


def test_a_preset_is_opened_once(vivid_preset):
    entries = Entries([str(vivid_preset)])
    assert entries.open(0) is entries.open(0)


def test_a_run_is_opened_as_it_is_now_and_a_page_keeps_what_it_has(run, vivid_preset, style_preset):
    entries = Entries([str(run)])
    shutil.copytree(vivid_preset, run / "preset")
    before = entries.open(0)
    shutil.rmtree(run / "preset")
    shutil.copytree(style_preset, run / "preset")
    now = entries.open(0)
    assert (before.model.kind, now.model.kind) == ("DCGAN", "StyleGANLite")
    assert entries.opened(0, before.preset.weights_sha256) is before
    with pytest.raises(KganError, match="which it has come to since: choose it again"):
        Entries([str(run)]).opened(0, before.preset.weights_sha256)
