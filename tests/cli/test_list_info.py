"""`kgan list` and `kgan info`."""

import json
import re
import shutil

import pytest
from rich.cells import cell_len

import kgan
from kgan import recipe as recipes
from kgan.cli import VERBS
from kgan.cli.list import table
from kgan.recipe import Data
from kgan.zoo import preset, results


@pytest.fixture
def licensed(tiny_preset, tmp_path):
    """The tiny preset, trained on data that has a licence."""
    directory = shutil.copytree(tiny_preset, tmp_path / "zoo" / "licensed")
    recipe = recipes.read(directory / "recipe.toml")
    recipe.data = Data("x", title="Faces", licence="Research only", licence_note="Ask\nthem.")
    (directory / "recipe.toml").write_text(recipe.to_toml())
    metadata = json.loads((directory / "metadata.json").read_text())
    preset.complete(
        directory,
        {**metadata, "name": "licensed", "dataset": "Faces", "licence": "Research only"},
    )
    return directory


def test_list_has_a_line_for_every_preset(run_kgan, tiny_preset):
    done = run_kgan("list", KGAN_ZOO=str(tiny_preset.parent), COLUMNS="250")
    header, *lines = done.stdout.splitlines()
    size = sum(path.stat().st_size for path in tiny_preset.iterdir())
    assert re.split(r"\s{2,}", header) == [
        *("NAME", "MODEL", "SHAPE", "SIZE"),
        *("FRECHET", "PRECISION", "RECALL", "LABELS", "DATA", "LICENCE"),
    ]
    assert f"tiny DCGAN 16x16x3 {size / 1e6:.1f} MB" in [" ".join(line.split()) for line in lines]
    assert (done.returncode, done.stderr) == (0, "")


def test_list_shows_data_and_licence(run_kgan, licensed):
    done = run_kgan("list", KGAN_ZOO=str(licensed.parent), COLUMNS="250")
    assert re.search(r"^licensed .* Faces +Research only$", done.stdout, re.MULTILINE)


def test_list_shows_figures_with_their_floors(run_kgan, licensed):
    metadata = json.loads((licensed / "metadata.json").read_text())
    metadata["metrics"] = [
        {"metric": "frechet_distance", "class": "seven", "value": 77.0, "floor": None},
        {"metric": "frechet_distance", "value": 1.234, "floor": 0.567},
        {"metric": "recall", "value": 0.5, "floor": None},
        {"metric": "precision", "value": "high", "floor": 1.0},  # untrusted
    ]
    (licensed / "metadata.json").write_text(json.dumps(metadata))
    done = run_kgan("list", KGAN_ZOO=str(licensed.parent), COLUMNS="250")
    line = next(line for line in done.stdout.splitlines() if line.startswith("licensed"))
    assert re.split(r"\s{2,}", line)[4:] == ["1.23 (0.57)", "0.50", "Faces", "Research only"]


def test_list_fits_where_there_is_no_terminal(run_kgan):
    header, *lines = run_kgan("list").stdout.splitlines()
    assert header.split() == ["NAME", "SHAPE", "FRECHET", "DATA", "LICENCE"]
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines] == kgan.zoo.names()


ROWS = [
    (
        "NAME",
        "MODEL",
        "SHAPE",
        "SIZE",
        "FRECHET",
        "PRECISION",
        "RECALL",
        "LABELS",
        "DATA",
        "LICENCE",
    ),
    ("stylegan-lite-faces-of-all", "StyleGANLite", "64x64x3", "7.6 MB", "0.38 (0.17)")
    + ("0.93 (0.91)", "", "", "顔" * 40, "Research only, and nothing else"),
    ("b", "GAN", "28x28x1", "7.6 MB", "", "", "", "", "", ""),
]


@pytest.mark.parametrize("width", [*range(1, 140, 7), 250])
def test_list_fits_the_terminal(width):
    header, *lines = table(ROWS, width)
    assert lines[0].startswith("stylegan-lite-faces-of-all") and lines[1].startswith("b")
    assert max(map(cell_len, [header, *lines])) <= max(width, len("stylegan-lite-faces-of-all"))
    if width == 250:
        assert lines[0].endswith("顔  Research only, and nothing else") and "…" not in lines[0]


def test_info_has_figures(run_kgan):
    done = run_kgan("info", "dcgan-celeba")
    value, floor = results.summary(kgan.zoo.info("dcgan-celeba")["metrics"])["recall"]
    assert f"recall {value:.4g} ({floor:.4g})" in " ".join(done.stdout.split())


@pytest.mark.parametrize("by", ["name", "directory"])
def test_info_says_what_is_known(run_kgan, tiny_preset, by):
    source = "tiny" if by == "name" else tiny_preset
    done = run_kgan("info", source, KGAN_ZOO=str(tiny_preset.parent))
    facts = dict(re.split(r":\s+", line, maxsplit=1) for line in done.stdout.splitlines())
    assert facts["Name"] == "tiny"
    assert facts["Model"] == "DCGAN"
    assert facts["Images"] == "16x16x3"
    assert facts["Classes"] == "none (unconditional)"
    assert facts["Images seen"] == "0"
    assert facts["Path"] == str(tiny_preset)
    assert f"kgan {kgan.__version__}," in facts["Made with"]
    assert (done.returncode, done.stderr) == (0, "")


def test_info_counts_parameters(run_kgan, tiny_preset):
    # Layer by layer; a batch normalisation has 4 values a channel.
    generator = (8 * 4 * 4 * 8) + (4 * 8) + (4 * 4 * 8 * 4) + (4 * 4) + (4 * 4 * 4 * 3 + 3)
    discriminator = (4 * 4 * 3 * 4 + 4) + (4 * 4 * 4 * 8) + (4 * 8) + (4 * 4 * 8 + 1)
    line = f"{generator + discriminator:,} (generator {generator:,}, discriminator {discriminator})"
    assert line in run_kgan("info", tiny_preset).stdout


def test_info_tells_the_licence_of_the_weights(run_kgan, licensed):
    told = run_kgan("info", licensed).stdout
    assert "Licence:      Research only\n" in told and "Ask\nthem." in told


def test_unknown_name_is_one_line_with_the_nearest(run_kgan, tiny_preset):
    done = run_kgan("info", "tinny", KGAN_ZOO=str(tiny_preset.parent))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: .*Received: 'tinny'; did you mean tiny\?\n", done.stderr)


def test_directory_that_is_no_preset_is_one_line(run_kgan, tmp_path):
    done = run_kgan("info", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: Expected a preset.*has no metadata\.json\n", done.stderr)


@pytest.mark.parametrize("arguments", [["--nope"], ["smaple"], ["info"], ["info", "a", "b"]])
def test_wrong_usage_is_one_line(run_kgan, arguments):
    done = run_kgan(*arguments)
    assert done.returncode == 2
    assert re.fullmatch(r"Error: .*\n", done.stderr)


def test_version(run_kgan):
    assert run_kgan("--version").stdout == f"kgan, version {kgan.__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(run_kgan, verb):
    assert re.search(rf"Examples?:\s+kgan {verb}", run_kgan(verb, "--help").stdout)
