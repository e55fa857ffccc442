"""Runs of models that turn images of one kind into images of another."""

import csv
import shutil

import click.testing
import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.cli import main
from kgan.errors import KganError
from kgan.runs import evaluate as evaluation
from kgan.runs import train as training
from kgan.zoo import building
from runs.squares import weights

SIDE = 32


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Outlines of squares, and the squares filled, of the same names."""
    folder = tmp_path_factory.mktemp("kinds")
    random = np.random.default_rng(0)
    for name in ("a", "b", "halves"):
        (folder / name).mkdir()
    for i in range(20):
        a = np.full((SIDE, SIDE, 3), 255, np.uint8)
        top, left = random.integers(0, SIDE - 12, 2)
        a[top : top + 12, left : left + 12] = 0
        b = a.copy()
        a[top + 1 : top + 11, left + 1 : left + 11] = 255
        b[..., 0] = 255
        Image.fromarray(a).save(folder / f"a/{i:02d}.png")
        Image.fromarray(b).save(folder / f"b/{i:02d}.png")
        Image.fromarray(np.concatenate([a, b], axis=1)).save(folder / f"halves/{i:02d}.png")
    return folder


def recipe(kinds, model="Pix2Pix", **data):
    return recipes.from_dict(
        {
            "format": 1,
            "name": "kinds",
            "model": model,
            "images": 16,
            "batch_size": 4,
            "checkpoint_images": 8,
            "grid_images": 16,
            "arguments": {
                "image_shape": [SIDE, SIDE, 1],
                "width": 2,
                **(
                    {"max_channels": 4, "target_channels": 3}
                    if model == "Pix2Pix"
                    else {"residual_blocks": 1, "pool_size": 3}
                ),
            },
            "data": {"source": str(kinds / "a"), "target": str(kinds / "b"), "flip": True, **data},
        },
        "a test",
    )


@pytest.fixture(scope="module")
def run(kinds, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "pix"
    training.train(recipe(kinds, held_out={"names": "*0.png"}), run)
    return run


def test_a_run_directory(run):
    """Everything that a run of a latent model has, but samples."""
    written = recipes.read(run / "recipe.toml")
    assert written.data.paired == "names" and written.data.held_out == {"names": "*0.png"}
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [int(row["images_seen"]) for row in rows] == [8, 16]
    assert set(kgan.models.Pix2Pix.LOGS) < set(rows[0])
    assert (run / "data.txt").read_text().startswith("Pairs:    18 by file name\n")
    with Image.open(run / "data.png") as picture:
        assert picture.mode == "RGB" and picture.width == 8 * (SIDE + 2) + 2
    grids = sorted((run / "grids").iterdir())
    assert [path.name for path in grids] == [f"images-{n:09d}.png" for n in (0, 16)]
    model = kgan.zoo.load(run / "preset")
    assert int(model.images_seen.numpy()) == 16
    images = np.full((2, SIDE, SIDE, 1), 255, np.uint8)
    assert model.translate(images).shape == (2, SIDE, SIDE, 3)
    assert kgan.zoo.info(run / "snapshots/images-000000016")["model"] == "Pix2Pix"


def test_resumed_it_goes_on_as_if_it_had_not_stopped(run, kinds, tmp_path):
    """From amid an epoch; the recipe is asked for as it was given, without `paired`."""
    again = tmp_path / "again"
    shutil.copytree(run, again)
    for path in (*again.glob("checkpoints/*16.*"), *again.glob("snapshots/*16")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(again / "preset")
    training.train(recipe(kinds, held_out={"names": "*0.png"}), again, resume=True)
    assert weights(again) == weights(run) and (again / "preset").is_dir()


def test_resumed_after_its_end_it_stays(run, kinds, capsys):
    """Its figures too, and the pictures of its card."""
    before = weights(run)
    results = evaluation.evaluate(run / "preset", metrics=["mean_absolute_error"])
    evaluation.update_card(run / "preset", results)
    card = (run / "preset/README.md").read_text()
    assert "translations.png" in card
    training.train(recipe(kinds, held_out={"names": "*0.png"}), run, resume=True)
    assert weights(run) == before and "measured" not in capsys.readouterr().err
    assert kgan.zoo.info(run / "preset")["metrics"] == results
    assert (run / "preset/README.md").read_text() == card


def test_other_files_on_either_side_are_noticed(run, kinds, tmp_path):
    for folder in "ab":
        shutil.copytree(kinds / folder, tmp_path / folder)
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "b/03.png")
    asked = recipe(tmp_path, held_out={"names": "*0.png"})
    with pytest.raises(KganError, match=r"Received: 1 file changed \(b/03.png\)"):
        training.train(asked, run, resume=True)


@pytest.mark.parametrize(
    "data, paired, text",
    [
        ({}, "no", "Kinds:    20 of a and 20 of b\n"),
        ({"paired": "names"}, "names", "Pairs:    20 by file name\n"),
        ({"source": "halves", "target": ""}, "halves", "Pairs:    20 of two halves, the left"),
    ],
)
def test_how_a_cyclegans_pictures_are_paired(kinds, tmp_path, monkeypatch, data, paired, text):
    """Without a target they are halves, with one not paired, unless the recipe says so."""
    monkeypatch.setattr(training, "_go_on", lambda *given: given)
    more = {"data_dir": kinds, "cache": tmp_path / "images.cache"}
    asked, place, model, found, *_ = training.train(
        recipe(kinds, "CycleGAN", **data), tmp_path / "run", **more
    )
    (grids,) = training._watches(place, asked, model, found, kinds)  # of a cache, which is no array
    assert [len(side) for side in grids.held_out] == [20, 20]
    assert (found.paired, found.targets.shape) == (paired, (20, SIDE, SIDE, 1))
    assert recipes.read(tmp_path / "run/recipe.toml").data.paired == paired
    assert (tmp_path / "run/data.txt").read_text().startswith(text)


def test_from_a_preset(run, kinds, tmp_path, monkeypatch):
    """Its networks fit, b's channels and all; the pictures are others."""
    monkeypatch.setattr("kgan.runs.train.train", lambda recipe, *_: found.append(recipe))
    found = []
    options = ("--from", run / "preset", "--data", kinds / "halves")
    done = click.testing.CliRunner().invoke(main, ["train", *map(str, options)])
    assert done.exit_code == 0, done.output
    (asked,) = found
    assert asked.parent["name"] == "kinds" and asked.arguments["target_channels"] == 3
    assert asked.data == recipes.Data(str(kinds / "halves"), flip=True)
    model = building.build(asked)
    building.begin_from(model, kgan.zoo.preset.read(run / "preset"))


@pytest.mark.parametrize(
    "model, data, more, message",
    [
        ("Pix2Pix", {"paired": "no"}, {}, "pairs of images, from which a Pix2Pix learns"),
        ("Pix2Pix", {}, {"select": "kernel_distance"}, "no select in a recipe of a Pix2Pix"),
        ("DCGAN", {}, {}, "images of one kind, since a DCGAN"),
        ("DCGAN", {"target": "", "paired": "halves"}, {}, "images of one kind"),
        ("CycleGAN", {"target": "", "source": "tfds:mnist"}, {}, "images of two kinds"),
    ],
)
def test_refused_before_anything_is_built(kinds, tmp_path, monkeypatch, model, data, more, message):
    monkeypatch.setattr("kgan.zoo.building.build", lambda *_: pytest.fail("was built"))
    asked = recipe(kinds, model, **data)
    for name, value in more.items():
        setattr(asked, name, value)
    with pytest.raises(KganError, match=message):
        training.train(asked, tmp_path / "run")
    assert not (tmp_path / "run").exists()
