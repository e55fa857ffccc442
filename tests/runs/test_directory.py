"""kgan.runs.directory: the recipe of a run, and what it says of the code that trained it."""

import json

import pytest

from kgan import recipe as recipes
from kgan.errors import KganError
from kgan.runs import directory as run_directory

OLD, NEW = {"kgan": "0.1", "commit": "a"}, {"kgan": "0.2", "commit": "b"}


def noted(directory):
    return json.loads((directory / run_directory.VERSIONS).read_text())


def test_only_other_code_than_before_is_noted(tmp_path):
    for images_seen, versions in ((0, OLD), (64, OLD), (128, NEW), (192, NEW), (256, OLD)):
        run_directory.note_versions(tmp_path, images_seen, versions)
    assert noted(tmp_path) == [
        {"images_seen": 0, **OLD},
        {"images_seen": 128, **NEW},
        {"images_seen": 256, **OLD},
    ]


def test_code_of_a_checkout_that_is_installed_now_is_other_code(tmp_path):
    installed = {"kgan": "0.2"}
    for images_seen, versions in ((0, NEW), (64, installed)):
        run_directory.note_versions(tmp_path, images_seen, versions)
    assert noted(tmp_path) == [{"images_seen": 0, **NEW}, {"images_seen": 64, **installed}]


@pytest.mark.parametrize("content", ["", "[{", "{}", "3", "[3]"])
def test_a_note_that_is_damaged_does_not_stop_a_run(tmp_path, content):
    (tmp_path / run_directory.VERSIONS).write_text(content)
    run_directory.note_versions(tmp_path, 64, OLD)
    assert noted(tmp_path) == [{"images_seen": 64, **OLD}]


@pytest.mark.parametrize("there", ["fit", "resize"])
def test_a_run_whose_recipe_says_fit_goes_on_with_one_that_says_resize(tmp_path, there):
    text = 'format = 1\nname = "x"\nmodel = "DCGAN"\n[data]\nsource = "a"\n'
    (tmp_path / run_directory.RECIPE).write_text(f'{text}{there} = "pad"\n')
    now = recipes.from_toml(f'{text}resize = "pad"\n')
    run_directory.claim(tmp_path, now, override=False)
    assert f'{there} = "pad"' in (tmp_path / run_directory.RECIPE).read_text()  # left alone
    now.data.resize = "stretch"
    with pytest.raises(KganError, match="'resize': 'pad'.* there, .*'resize': 'stretch'.* now"):
        run_directory.claim(tmp_path, now, override=False)
