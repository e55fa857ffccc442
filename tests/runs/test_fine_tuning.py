"""`kgan train --from`: weights, classes, licence and lineage of a parent, and all else anew."""

import json
import re
import shutil

import click.testing
import numpy as np
import pytest
from PIL import Image
from untrusted import hostile

import kgan
from kgan import recipe as recipes
from kgan.cli import main
from kgan.runs import train as training
from kgan.zoo import building, preset
from runs.squares import recipe

SCHEDULE = {"name": "CosineDecay", "initial_learning_rate": 1e-2, "decay_steps": 20}
ADAM = {"name": "Adam", "learning_rate": SCHEDULE}


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def parent(folder, tmp_path_factory):
    """A parent of few images, trained with a schedule and restricted in its use."""
    asked = recipe(folder, name="squares", images=40, g_optimizer=ADAM, d_optimizer=ADAM)
    asked.data.licence, asked.data.licence_note = "squares only", "For squares only."
    return training.train(asked, tmp_path_factory.mktemp("parent") / "run")


@pytest.fixture(scope="module")
def child(parent, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("child") / "run"
    done = run("--from", parent, "--data", folder, "--images", 80, "--freeze-d", 1, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done


def test_the_recipe_is_the_parents_with_a_tenth_of_its_rates(child, parent):
    made = recipes.read(child[0] / "recipe.toml")
    assert (made.model, made.name, made.images) == ("DCGAN", "my-squares", 80)
    assert made.arguments == {**preset.read(parent).recipe.arguments}
    for table in (made.g_optimizer, made.d_optimizer):  # 40 images became 80: 20 steps become 40
        assert table["learning_rate"] == {
            **SCHEDULE,
            "initial_learning_rate": 1e-3,
            "decay_steps": 40,
        }
    assert "g_optimizer follows the 80 images: decay_steps 40 in place of 20" in child[1].stderr


@pytest.mark.parametrize("what", [[], ["stylegan-lite"]])
def test_what_d_sees_is_not_blurred_again(what, folder, tmp_path, monkeypatch):
    arguments = {"image_shape": [16, 16, 1], "latent_dim": 4, "width": 4, "blur_images": 40}
    model = kgan.models.StyleGANLite(**arguments)
    model.images_seen.assign(200)
    asked = recipe(folder, name="squares", images=200)
    asked.model, asked.arguments = "StyleGANLite", arguments
    kgan.zoo.save(model, tmp_path / "parent", asked)
    trained = []
    monkeypatch.setattr(training, "train", lambda recipe, *_: trained.append(recipe))
    run(*what, "--from", tmp_path / "parent", "--data", folder, "--images", 80)
    expected = {key: arguments[key] for key in ("image_shape", "latent_dim", "width")}
    assert trained[0].arguments == expected


@pytest.mark.parametrize("what, decay", [([], 400), (["r3gan"], None)])
def test_what_counts_a_training_is_of_its_own(what, decay, folder, tmp_path, monkeypatch):
    """`kgan.runs.train` stretches the former, and fills in the latter."""
    arguments = {"image_shape": [16, 16, 1], "latent_dim": 4, "width": 4, "decay_images": 400}
    asked = recipe(folder, name="squares", images=400)
    asked.model, asked.arguments = "R3GAN", arguments
    kgan.zoo.save(kgan.models.R3GAN(**arguments), tmp_path / "parent", asked)
    trained = []
    monkeypatch.setattr(training, "train", lambda recipe, *_: trained.append(recipe))
    run(*what, "--from", tmp_path / "parent", "--data", folder, "--images", 80)
    assert trained[0].arguments.get("decay_images") == decay


def test_of_a_run_it_has_another_name_than_the_run(child, folder, tmp_path, monkeypatch):
    """By which its directory is called, if no other is asked for."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(child[0], "runs/my-squares")
    done = run("--from", "runs/my-squares", "--data", folder, "--images", 8)
    assert done.exit_code == 0, done.output
    assert recipes.read("runs/my-squares-tuned/recipe.toml").name == "my-squares-tuned"


def test_licence_and_lineage_come_along(child, parent):
    found = preset.read(child[0] / "preset")
    assert found.recipe.parent == preset.read(parent).lineage
    assert found.recipe.parent["source"] == str(parent)
    assert found.metadata["licence"] == "squares only"
    assert (child[0] / "preset/LICENSE").read_text() == "For squares only.\n"
    assert "Fine-tuned from squares (40 images seen" in (child[0] / "preset/README.md").read_text()
    shown = click.testing.CliRunner().invoke(main, ["info", str(child[0])])
    assert "Fine-tuned:   from squares (40 images seen, weights " in shown.output


def test_images_count_anew(child):
    assert int(kgan.zoo.load(child[0]).images_seen) == 80


def test_begins_from_the_averaged_weights(parent, folder, tmp_path):
    """At a rate of 0 the weights at the end are those of the beginning, average included."""
    still = {"name": "SGD", "learning_rate": 0.0}
    asked = recipe(folder, images=16, g_optimizer=still, d_optimizer=still)
    asked.parent = preset.read(parent).lineage
    made = kgan.zoo.load(training.train(asked, tmp_path / "run"))
    begun = kgan.zoo.load(parent)
    for name in ("ema_generator", "discriminator"):
        for one, other in zip(
            getattr(made, name).weights, getattr(begun, name).weights, strict=True
        ):
            if "moving" not in one.path:
                np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)


def test_the_average_has_no_ramp(parent, folder):
    """One step of a long half-life leaves nearly all of the parent in it."""
    asked = recipe(folder, images=16)
    asked.arguments = {**asked.arguments, "ema_half_life": 1e6}
    asked.parent = preset.read(parent).lineage
    model = building.build(asked)
    building.begin_from(model, preset.read(parent))
    before = [np.array(w) for w in model.ema_generator.weights]
    for weight in model.generator.weights:
        weight.assign(weight + 1.0)
    model.update_ema(8)
    kept = 1 - 0.5 ** (8 / 1e6)
    for one, other in zip(model.ema_generator.weights, before, strict=True):
        np.testing.assert_allclose(np.array(one) - other, kept, atol=1e-6)


@pytest.mark.parametrize("first", [None, "AdaptiveAugment"])
@pytest.mark.parametrize("then", [None, "AdaptiveAugment"])
def test_the_augmentation_is_the_recipes(folder, tmp_path, first, then):
    """A parent's, and how strong it had become, was for the parent's images."""

    def augmented(name, strength):
        asked = recipe(folder)
        asked.arguments = {k: v for k, v in asked.arguments.items() if k != "augment"}
        if name:
            asked.arguments["augment"] = {"name": name, "strength": strength}
        return asked

    parent = building.build(augmented(first, 0.5))
    kgan.zoo.save(parent, tmp_path / "parent")
    asked = augmented(then, 0.25)
    asked.parent = preset.read(tmp_path / "parent").lineage
    for change in (lambda directory: None, hostile.to_format_1):  # as kgan writes it, as 0.1 did
        change(tmp_path / "parent")
        model = building.build(asked)
        building.begin_from(model, preset.read(tmp_path / "parent"))
        one, other = (thing.ema_generator.get_weights() for thing in (model, parent))
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert (model.augment is not None) == bool(then)
        if then:
            assert float(model.augment.strength) == 0.25


def test_frozen_layers_stay(child, parent):
    one, other = (kgan.zoo.load(p).discriminator for p in (child[0], parent))
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    ]
    first = len(next(layer for layer in one.layers if layer.weights).weights)
    assert not any(moved[:first]) and all(moved[first:])


def test_freeze_counts_from_the_image(folder):
    asked = recipe(folder)
    asked.freeze_d = 2
    model = building.build(asked)
    layers = [layer for layer in model.discriminator.layers if layer.weights]
    assert [layer.trainable for layer in layers] == [False, False] + [True] * (len(layers) - 2)
    asked.freeze_d = len(layers)
    with pytest.raises(ValueError, match=f"fewer frozen layers than the {len(layers)} .*freeze_d"):
        building.build(asked)


def test_goes_on_without_the_parent(parent, folder, tmp_path):
    """What a run begins from it holds itself."""
    copy = shutil.copytree(parent, tmp_path / "parent")
    out = tmp_path / "run"
    first = run("--from", copy, "--data", folder, "--images", 40, "--out", out)
    assert first.exit_code == 0, first.output
    shutil.rmtree(copy)
    shutil.rmtree(out / "preset")
    again = run(out)
    assert again.exit_code == 0, again.output
    assert int(kgan.zoo.load(out).images_seen) == 40


@pytest.mark.parametrize("what", ["its recipe", "the run"])
def test_on_other_data_too_the_licence_stays(child, folder, tmp_path, what):
    copy = shutil.copytree(folder, tmp_path / "others")
    out, more = tmp_path / "run", ("--override",)
    if what == "its recipe":
        source, more = child[0] / "recipe.toml", ("--out", out)
    else:
        source = shutil.copytree(child[0], out)
    done = run(source, "--data", copy, "--images", 88, *more)
    assert done.exit_code == 0, done.output
    for place in (out, out / "preset"):
        assert recipes.read(place / "recipe.toml").data.licence == "squares only"
    assert (out / "preset/LICENSE").read_text() == "For squares only.\n"
    assert preset.read(out / "preset").metadata["licence"] == "squares only"


def test_a_run_on_other_data_keeps_the_licence_of_those_before(folder, tmp_path):
    asked = recipe(folder, images=16)
    asked.data.licence = "of some"
    training.train(asked, tmp_path / "run")
    done = run(
        tmp_path / "run",
        "--data",
        shutil.copytree(folder, tmp_path / "others"),
        "--images",
        24,
        "--override",
    )
    assert done.exit_code == 0, done.output
    assert preset.read(tmp_path / "run/preset").metadata["licence"] == "of some"


@pytest.mark.slow
def test_a_recipe_of_a_fine_tuning_is_trained_again(child, parent, tmp_path):
    """The same weights, if the parent is as it was."""
    again = run(child[0] / "recipe.toml", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    one, other = (preset.read(p / "preset") for p in (child[0], tmp_path / "again"))
    assert one.weights_sha256 == other.weights_sha256


def test_another_parent_than_was_meant_is_refused(child, parent, folder, tmp_path):
    made = recipes.read(child[0] / "recipe.toml")
    made.parent = {**made.parent, "weights_sha256": 64 * "0"}
    with pytest.raises(ValueError, match="Expected the weights 000000000000… of .* Received: "):
        training.train(made, tmp_path / "run")


class TestRefused:
    @pytest.mark.parametrize(
        "arguments, said",
        [
            (["--size", 32], "Expected images of 16x16x1, as .* leave --size and --channels out"),
            (["--channels", 3], "Expected images of 16x16x1.*Received: 16x16x3"),
        ],
    )
    def test_another_shape(self, parent, folder, arguments, said, tmp_path):
        done = run("--from", parent, "--data", folder, *arguments, "--out", tmp_path / "run")
        assert done.exit_code == 2
        assert re.search(said, done.stderr)
        assert not (tmp_path / "run").exists()

    def test_another_model(self, parent, folder, tmp_path):
        done = run("wgan-gp", "--from", parent, "--data", folder, "--out", tmp_path / "run")
        assert done.exit_code == 1
        assert "Expected a recipe of a DCGAN of 16x16x1" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_other_networks(self, parent, folder, tmp_path):
        asked = recipe(folder)
        asked.arguments = {**asked.arguments, "width": 8}
        (tmp_path / "wide.toml").write_text(asked.to_toml())
        done = run(tmp_path / "wide.toml", "--from", parent, "--out", tmp_path / "run")
        assert done.exit_code == 1
        assert "Expected a model with the networks of" in done.stderr
        assert len(done.stderr.splitlines()[-1]) < 600

    def test_freezing_what_is_not_trained(self, folder, tmp_path):
        done = run("dcgan", "--data", folder, "--freeze-d", 1, "--out", tmp_path / "run")
        assert done.exit_code == 2 and "Expected --freeze-d beside --from" in done.stderr

    def test_nothing_to_train(self):
        done = run()
        assert done.exit_code == 2 and "Expected WHAT to train, or --from PRESET" in done.stderr


def test_a_preset_on_other_data_says_that_it_begins_anew(parent, tmp_path, monkeypatch):
    shutil.copytree(parent, tmp_path / "zoo/squares")
    monkeypatch.setenv("KGAN_ZOO", str(tmp_path / "zoo"))
    done = run("squares", "--data", "nowhere", "--out", tmp_path / "run")
    said = "squares is trained anew, on nowhere; to begin from its weights: kgan train --from sq"
    assert said in done.stderr


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    place = tmp_path_factory.mktemp("pets")
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (place / name).mkdir()
        for i in range(8):
            pixels = random.integers(0, 255, (16, 16), "uint8")
            Image.fromarray(pixels).save(place / name / f"{i}.png")
    return place


def test_a_model_by_name_takes_the_parents_networks_classes_and_the_papers_rates(pets, tmp_path):
    arguments = {"image_shape": [16, 16, 1], "latent_dim": 4, "width": 2, "num_classes": 2}
    asked = recipe(pets, model="ConditionalGAN", arguments=arguments)
    asked.data.class_names = ["cat", "dog"]
    kgan.zoo.save(building.build(asked), tmp_path / "parent", asked)
    out = tmp_path / "run"
    options = ["--labels", "folders", "--images", 16, "--batch-size", 8, "--out", out]
    done = run("cgan", "--from", tmp_path / "parent", "--data", pets, *options)
    assert done.exit_code == 0, done.output
    made = recipes.read(out / "recipe.toml")
    assert made.arguments == arguments and not made.g_optimizer
    assert json.loads((out / "preset/metadata.json").read_text())["class_names"] == ["cat", "dog"]
