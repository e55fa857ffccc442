"""`kgan mix`."""

import os
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import kgan
from kgan.cli import main
from kgan.images import enlarge, grid, read_provenance


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def run(style_preset, tiny_preset, tmp_path, monkeypatch):
    """Runs `kgan mix *args` in this process, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    places = os.pathsep.join(str(preset.parent) for preset in (style_preset, tiny_preset))
    monkeypatch.setenv("KGAN_ZOO", places)
    return lambda *args: CliRunner().invoke(main, ["mix", *map(str, args)])


@pytest.fixture(scope="module")
def sampler(style_preset):
    return kgan.zoo.sampler(style_preset)


@pytest.mark.parametrize("layers", ["coarse", "middle", "fine"])
def test_matrix(run, sampler, layers):
    """Sources in the first row and column; beyond them the mixtures of Python."""
    arguments = ("--rows", "0,5-6", "--cols", "7-8", "--layers", layers, "--labels", "dog\\, black")
    arguments = (*arguments[:-1], "1", "--truncation", 0.7, "--scale", 2)
    done = run("style", *arguments)
    assert (done.exit_code, done.output) == (0, "style-mix.png\n")
    options = {"labels": 1, "truncation": 0.7}
    mixed = sampler.mix([0, 5, 6], [7, 8], layers, **options)
    source = {seed: sampler.sample(1, seed=seed, **options) for seed in (0, 5, 6, 7, 8)}
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    cells = [white, source[7], source[8]]
    for row, seed in enumerate((0, 5, 6)):
        cells += [source[seed], mixed[row]]
    expected = grid(enlarge(np.concatenate(cells), 2, "lanczos"), 3, gap=4)
    apart = np.abs(_pixels("style-mix.png").astype(int) - expected)
    assert apart.max() <= 1  # sources are drawn in other places of a chunk
    facts = read_provenance("style-mix.png")
    wanted = {"verb": "mix", "rows": [0, 5, 6], "cols": [7, 8], "layers": layers, "labels": [1]}
    assert facts.items() >= {**wanted, "truncation": 0.7, "scale": 2}.items()


def test_class_of_the_first_row_by_default(run, sampler):
    run("style", "--rows", "4", "--cols", "4", "--out", "x.png")
    (image,) = sampler.sample(1, seed=4)
    picture = _pixels("x.png").astype(int)
    for top, left in ((2, 20), (20, 2), (20, 20)):
        assert np.abs(picture[top : top + 16, left : left + 16] - image).max() <= 1


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["tiny"], 1, "draws by styles, such as a StyleGANLite. Received: tiny, a DCGAN"),
        (["stile"], 1, r"did you mean .*style"),
        (["style", "--rows", "5-0"], 2, "'--rows': Expected seeds, such as 0-5,9. Received: 5-0"),
        (["style", "--cols", ""], 2, "'--cols': Expected seeds"),
        (["style", "--rows", "0-39", "--cols", "0-29"], 2, "at most 1024 images.*Received: 1271"),
        (["style", "--layers", "all"], 2, "'all' is not one of 'coarse', 'middle', 'fine'"),
        (["style", "--labels", "0-1"], 2, "--labels with one class.*Received: --labels 0-1"),
        (["style", "--labels", "cow"], 2, "Received: --labels cow"),
        (["style", "--truncation", "3"], 2, "a number from 0 to 2. Received: 3"),
        (["style", "--scale", "64", "--rows", "0-20", "--cols", "0-20"], 2, "268,435,456 pixels"),
        (["style", "--out", "x.gif"], 2, r"Expected --out with \.png. Received: --out x\.gif"),
        (["style", "--out", "/proc/x.png"], 1, "that can be written. Received: --out /proc/x"),
    ],
)
def test_bad_input(run, arguments, code, message):
    """One line on stderr, the right exit code, and nothing written."""
    done = run(*arguments)
    assert done.exit_code == code
    assert re.fullmatch(rf"Error: .*{message}.*\n", done.stderr)
    assert done.stdout == "" and os.listdir() == []
