"""Pictures of the page: each is what the command and the Python beside it make."""

import io
import shlex

import numpy as np
import pytest
from click.testing import CliRunner
from frames import frames_of

import kgan
from kgan.cli import main
from kgan.cli.ui import pictures
from kgan.cli.ui.entries import Entries
from kgan.errors import KganError
from kgan.images import read_provenance

PLAIN = [
    {"verb": "sample", "seed": 17},
    {"verb": "sample", "seed": 2**64 - 1, "scale": 3},
    {"verb": "walk", "start": 3, "end": 9, "frame": 17},
    {"verb": "walk", "start": 3, "end": 9, "frame": 5, "scale": 2},
    {"verb": "walk", "start": 3, "end": 9, "frame": None},
]
OF_STYLES = [
    {"verb": "sample", "seed": 4, "label": 1, "truncation": 0.7},
    {"verb": "sample", "seed": 4},
    {"verb": "walk", "start": 0, "end": 7, "frame": 31, "label": 2},
    {"verb": "mix", "start": 0, "end": 7, "layers": "fine", "truncation": 0.5},
    {"verb": "mix", "start": 0, "end": 7, "layers": "coarse", "label": 0, "scale": 2},
]


def opened(directory):
    return Entries([str(directory)]).open(0)


def pixels(file):
    return frames_of(file, "RGB")


@pytest.fixture(params=[("vivid", a) for a in PLAIN] + [("style", a) for a in OF_STYLES], ids=str)
def asked(request, vivid_preset, style_preset):
    """What is asked for, and the preset that it is asked of."""
    name, asked = request.param
    return asked, vivid_preset if name == "vivid" else style_preset


def test_the_command_makes_the_same_file(asked, tmp_path, monkeypatch):
    asked, directory = asked
    preset, model = opened(directory)
    facts = pictures.facts_of(preset, asked)
    content = pictures.file_of(model, facts)
    text = pictures.command_of(preset, str(directory), facts)
    command = shlex.split(text, comments=True)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, command[1:])
    assert done.exit_code == 0, done.output
    wanted = tmp_path / (text.rpartition("\n# ")[2] if "\n# " in text else command[-1])
    np.testing.assert_array_equal(pixels(io.BytesIO(content)), pixels(wanted))
    here = tmp_path / f"here{wanted.suffix}"
    here.write_bytes(content)
    assert read_provenance(here) == read_provenance(wanted)
    shown = CliRunner().invoke(main, ["inspect", str(here), "--preset", str(directory), "--verify"])
    assert shown.exit_code == 0 and "verified" in shown.output


def test_the_python_makes_the_same_pixels(asked):
    asked, directory = asked
    preset, model = opened(directory)
    facts = pictures.facts_of(preset, asked)
    names = {}
    exec(pictures.python_of(str(directory), facts), names)
    if "fps" in facts:
        frames = kgan.zoo.sampler(directory).interpolate([3, 9], frames=62)[:, 0]
        np.testing.assert_array_equal(names["images"], frames)
        return
    made = pixels(io.BytesIO(pictures.file_of(model, facts)))[0]
    if facts["verb"] == "mix":  # a matrix, of which it is the lower right
        height, width, _ = names["image"].shape
        gap = 2 * facts.get("scale", 1)
        made = made[-height - gap : -gap, -width - gap : -gap]
    np.testing.assert_array_equal(names["image"], made)


@pytest.mark.parametrize(
    "asked, words",
    [
        ({}, "Expected verb to be one of 'sample', 'walk', 'mix'. Received: verb=None"),
        ({"verb": "project"}, "Received: verb='project'"),
        ({"verb": "sample"}, "Expected seed to be an int >= 0. Received: seed=None"),
        ({"verb": "sample", "seed": -1}, "Received: seed=-1"),
        ({"verb": "sample", "seed": 0, "n": 10**9}, "Received: n"),
        ({"verb": "walk", "start": 0, "end": 1, "frame": 32}, "from 0 to 31"),
        ({"verb": "sample", "seed": 0, "scale": 17}, "from 1 to 16"),
        ({"verb": "sample", "seed": 0, "truncation": 3}, "from 0 to 2"),
        ({"verb": "mix", "start": 0, "end": 1, "layers": "../x"}, "'coarse', 'middle', 'fine'"),
    ],
)
def test_others_are_refused_in_a_sentence(vivid_preset, asked, words):
    preset = opened(vivid_preset).preset
    with pytest.raises(KganError) as caught:
        pictures.facts_of(preset, asked)
    assert words in str(caught.value)


class TestStrips:
    def test_a_wall_shows_the_first_image_of_each_seed(self, style_preset):
        model = opened(style_preset).model
        wall = pictures.wall(model, 5, 20, None, 0.5)
        wanted = [model.sample(1, seed=seed, truncation=0.5)[0] for seed in range(5, 25)]
        np.testing.assert_array_equal(wall, wanted)

    def test_the_last_seeds_are_fewer(self, vivid_preset):
        model = opened(vivid_preset).model
        assert len(pictures.wall(model, 2**64 - 3, 20, None, None)) == 3

    def test_a_way_leads_from_start_to_end(self, vivid_preset):
        model = opened(vivid_preset).model
        way = pictures.way(model, 3, 9, None, None)
        assert len(way) == pictures.STEPS + 1
        np.testing.assert_array_equal(way[0], model.sample(1, seed=3)[0])
        np.testing.assert_array_equal(way[-1], model.sample(1, seed=9)[0])
        np.testing.assert_array_equal(way, model.interpolate([3, 9], 62)[:32, 0])

    @pytest.mark.parametrize("label", [None, 2])
    def test_truncated_images_are_those_of_the_command_within_a_level(self, style_preset, label):
        model = opened(style_preset).model
        strip = pictures.truncated(model, 4, label).astype(int)
        for index in (0, 10, 20, 30):
            truncation = pictures.TRUNCATIONS[index]
            wanted = model.sample(1, seed=4, labels=label, truncation=truncation)[0].astype(int)
            assert np.abs(strip[index] - wanted).max() <= 1

    def test_mixes_are_of_all_layers(self, style_preset):
        model = opened(style_preset).model
        made = pictures.mixes(model, 0, 7, 1, None)
        for image, layers in zip(made, kgan.sampling.LAYERS, strict=True):
            np.testing.assert_array_equal(image, model.mix([0], [7], layers, 1)[0, 0])

    def test_it_says_what_drew_it(self, vivid_preset, tmp_path):
        preset, model = opened(vivid_preset)
        (tmp_path / "x.png").write_bytes(
            pictures.strip(preset, pictures.wall(model, 0, 4, None, None))
        )
        assert read_provenance(tmp_path / "x.png")["weights_sha256"] == preset.weights_sha256
        assert pixels(tmp_path / "x.png").shape == (1, 64, 16, 3)
