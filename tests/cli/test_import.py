"""`--import`: a GAN in one file of the user's own is all that kgan's own are."""

import json
import re
import shutil
import sys

import click.testing
import numpy as np
import pytest
from models.harness import CoreHarness
from PIL import Image

import kgan
from kgan import recipe as recipes
from kgan.cli import main
from kgan.zoo.metadata import read_json
from kgan.zoo.preset import complete

STAND_IN = '''
"""A stand-in: least squares between two networks of one layer, with a penalty of its own."""

import keras
from keras import layers

import kgan
from kgan.checks import number
from kgan.models.base.adversarial import output_dtype
from kgan.models.base.latent import LatentModel


@keras.saving.register_keras_serializable("stand_in")
class StandIn(kgan.models.GAN):
    ARGUMENTS = {**LatentModel.ARGUMENTS, "gamma": number(0, 100)}
    BATCH_SIZE = 8

    def __init__(self, image_shape=(16, 16, 3), latent_dim=4, gamma=1.0, **kwargs):
        super().__init__(image_shape, latent_dim, gamma=gamma, loss="least_squares", **kwargs)

    def build_generator(self):
        z = keras.Input((self.latent_dim,))
        height, width, channels = self.image_shape
        init = keras.initializers.HeNormal(next(self.initial_seeds("generator")))
        x = layers.Dense(height * width * channels, "tanh", kernel_initializer=init,
                         dtype=output_dtype())(z)
        return keras.Model(z, layers.Reshape(self.image_shape)(x))

    def build_discriminator(self):
        x = keras.Input(self.image_shape)
        init = keras.initializers.HeNormal(next(self.initial_seeds("discriminator")))
        y = layers.Dense(1, kernel_initializer=init, dtype=output_dtype())(layers.Flatten()(x))
        return keras.Model(x, y)

    def default_optimizers(self):
        return keras.optimizers.Adam(1e-3, 0.5), keras.optimizers.Adam(1e-3, 0.5)

    def penalty(self, real, fakes, draws):
        return self.gamma * kgan.losses.r1(
            lambda x: self.discriminate(x, real.labels, draws), real.images
        )
'''

# Beside the file, a line for every time that it is run.
COUNTED = f"""{STAND_IN}
from pathlib import Path

with Path(__file__).with_suffix(".ran").open("a") as file:
    file.write("once\\n")
"""


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def one_line(result, code):
    """The error of a command, known to be one line without a traceback."""
    assert result.exit_code == code, result.output
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and "Traceback" not in line
    return line


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the file, pictures, and a run that was trained and resumed."""
    cwd = tmp_path_factory.mktemp("import")
    (cwd / "stand_in.py").write_text(COUNTED)
    (cwd / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(16):
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(cwd / f"photos/{i:02d}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        for name in ("KGAN_ZOO", "KGAN_DATA_DIR"):
            patch.delenv(name, raising=False)
        train = "train --import stand_in.py stand-in --data photos --size 16 --out run"
        first = run(*train.split(), "--epochs", 1)
        again = run(*train.split(), "--epochs", 2, "--resume", "--override")
    assert "stand_in" in sys.modules
    yield cwd, first, again
    sys.modules.pop("stand_in", None)


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    monkeypatch.delenv("KGAN_ZOO", raising=False)
    return trained[0]


def test_trains_and_resumes(trained):
    cwd, first, again = trained
    assert (first.exit_code, first.stdout) == (0, "run/preset\n"), first.output
    assert (again.exit_code, again.stdout) == (0, "run/preset\n"), again.output
    recipe = recipes.read(cwd / "run/recipe.toml")
    assert (recipe.model, recipe.batch_size, recipe.images) == ("StandIn", 8, 32)
    assert "stand_in.py" not in (cwd / "run/recipe.toml").read_text()


def test_preset_is_a_model_with_its_arguments(here):
    model = kgan.zoo.load("run/preset")
    assert type(model).__name__ == "StandIn"
    assert (model.gamma, model.latent_dim, int(model.images_seen)) == (1.0, 4, 32)
    assert model.sample(2, seed=0).shape == (2, 16, 16, 3)


@pytest.mark.slow
def test_a_run_that_has_no_preset_yet_is_sampled_in_silence(here, run_kgan, tmp_path):
    """Its checkpoint is made a preset of, for which TensorFlow and the class are needed at once."""
    shutil.copytree(here / "run", tmp_path / "run")
    for place in ("preset", "snapshots"):
        shutil.rmtree(tmp_path / "run" / place, ignore_errors=True)
    shutil.copy(here / "stand_in.py", tmp_path)
    done = run_kgan("sample", "run", "--import", "stand_in.py", "-n", 4, "--out", "x.png")
    assert (done.returncode, done.stdout, done.stderr) == (0, "x.png\n", "")
    seen = run_kgan("inspect", "x.png", "--import", "stand_in.py", "--preset", "run", "--verify")
    assert seen.returncode == 0 and "verified: " in seen.stdout, seen


@pytest.mark.parametrize("gamma", [-1, 101, "much", None])
def test_preset_with_an_argument_out_of_its_bounds_is_refused(here, tmp_path, gamma):
    preset = changed(here / "run/preset", tmp_path / "p", lambda c: c["config"].update(gamma=gamma))
    with pytest.raises(ValueError, match="gamma to be a number from 0 to 100. Received"):
        kgan.zoo.load(preset)
    for verb in ("sample", "info"):
        line = one_line(run(verb, "--import", "stand_in.py", preset), 1)
        assert "Expected gamma to be a number from 0 to 100. Received: gamma=" in line


def test_recipe_with_an_argument_out_of_its_bounds_is_refused(here, tmp_path):
    recipe = (here / "run/recipe.toml").read_text()
    assert recipe.count("[arguments]\n") == 1
    text = recipe.replace("[arguments]\n", "[arguments]\ngamma = 101\n")
    (tmp_path / "r.toml").write_text(text)
    line = one_line(run("train", "--import", "stand_in.py", tmp_path / "r.toml"), 1)
    assert "Expected gamma to be a number from 0 to 100. Received: gamma=101" in line


def test_samples(here, tmp_path):
    result = run("sample", "--import", "stand_in.py", "run/preset", "--out", tmp_path / "s.npz")
    assert result.exit_code == 0, result.output
    expected = kgan.zoo.load("run/preset").sample(16, seed=0)
    np.testing.assert_array_equal(np.load(tmp_path / "s.npz")["images"], expected)


def test_evaluates(here, tmp_path):
    options = "--data photos --metrics precision_recall --extractor random --seeds 0 --json"
    result = run(
        "evaluate", "--import", "stand_in.py", "run/preset", *options.split(), tmp_path / "f.json"
    )
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert [figure["metric"] for figure in figures] == ["precision", "recall"]


def test_info(here):
    result = run("info", "--import", "stand_in.py", "run/preset")
    assert result.exit_code == 0, result.output
    assert re.search(r"^Model: +StandIn$", result.stdout, re.M)
    assert re.search(r"^Images seen: +32$", result.stdout, re.M)


def test_file_is_run_once(here):
    """However many commands of a process name it, and by whatever path."""
    for path in ("stand_in.py", "photos/../stand_in.py", here / "stand_in.py"):
        assert run("info", "--import", path, "run/preset").exit_code == 0
    assert (here / "stand_in.ran").read_text() == "once\n"


def test_file_may_import_its_neighbours(here, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_neighbour.py").write_text("seen = []\n")
    (tmp_path / "my_model.py").write_text("import my_neighbour\nmy_neighbour.seen.append(1)\n")
    result = run("info", "--import", tmp_path / "my_model.py", "run/preset")
    assert result.exit_code == 0, result.output
    assert sys.modules["my_neighbour"].seen == [1]
    del sys.modules["my_model"], sys.modules["my_neighbour"]


class TestFromStrangers:
    """A recipe or a preset names a class; its file, though it lies beside them, is not run."""

    @pytest.fixture
    def stranger(self, here, tmp_path):
        text = COUNTED.replace("StandIn", "Stranger")
        (tmp_path / "stranger.py").write_text(text)
        (tmp_path / "Stranger.py").write_text(text)
        yield tmp_path
        assert not list(tmp_path.glob("*.ran"))

    def test_recipe(self, here, stranger):
        recipe = (here / "run/recipe.toml").read_text()
        (stranger / "r.toml").write_text(recipe.replace('"StandIn"', '"Stranger"'))
        line = one_line(run("train", stranger / "r.toml"), 1)
        assert "(--import FILE). Received: model = 'Stranger'" in line

    @pytest.mark.parametrize("verb", ["sample", "evaluate"])
    def test_preset(self, here, stranger, verb):
        preset = changed(
            here / "run/preset", stranger / "p", lambda c: c.update({"class": "Stranger"})
        )
        line = one_line(run(verb, preset), 1)
        assert "Received: class 'Stranger'" in line and "(--import FILE)" in line


class TestFilesThatCannotBeImported:
    @pytest.mark.parametrize(
        "text, said",
        [
            ("raise RuntimeError('no luck')", "broken.py: RuntimeError: no luck"),
            ("raise RuntimeError('two\\nlines')", "broken.py: RuntimeError: two lines"),
            ("import sys; sys.exit(0)", "broken.py: SystemExit: 0"),
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("def f(:", "broken.py: SyntaxError: "),
        ],
        ids=["raises", "lines", "exits", "imports", "syntax"],
    )
    def test_one_line(self, here, tmp_path, text, said):
        (tmp_path / "broken.py").write_text(text)
        line = one_line(
            run("train", "--import", tmp_path / "broken.py", "broken", "--data", "photos"), 1
        )
        assert "Expected --import with a file that can be imported. Received: " in line
        assert said in line
        assert "broken" not in sys.modules

    def test_may_be_mended(self, here, tmp_path):
        (tmp_path / "mended.py").write_text("raise RuntimeError")
        assert run("info", "--import", tmp_path / "mended.py", "run/preset").exit_code == 1
        (tmp_path / "mended.py").write_text("x = 1  # longer than before, whatever the clock says")
        assert run("info", "--import", tmp_path / "mended.py", "run/preset").exit_code == 0
        del sys.modules["mended"]

    @pytest.mark.parametrize("verb", ["train", "sample", "evaluate", "info"])
    def test_no_such_file(self, here, verb):
        line = one_line(run(verb, "--import", "nowhere.py", "run/preset"), 2)
        assert "--import" in line and "'nowhere.py' does not exist" in line

    def test_not_python(self, here, tmp_path):
        (tmp_path / "model.txt").write_text("x = 1")
        line = one_line(run("info", "--import", tmp_path / "model.txt", "run/preset"), 1)
        assert "Expected --import with a Python file, .py. Received" in line

    def test_no_class_of_that_name(self, here):
        line = one_line(run("train", "--import", "stand_in.py", "nobody", "--data", "photos"), 1)
        assert "'nobody'" in line and re.search(r"or one of .*dcgan.*stand-in", line)

    def test_class_that_is_not_registered(self, here, tmp_path):
        lines = [line for line in STAND_IN.splitlines() if not line.startswith("@")]
        text = "\n".join(lines).replace("StandIn", "Unregistered")
        (tmp_path / "unregistered.py").write_text(text)
        line = one_line(
            run("train", "--import", tmp_path / "unregistered.py", "unregistered", "--data", "p"), 1
        )
        assert "Expected a class with @keras.saving.register_keras_serializable" in line
        del sys.modules["unregistered"]


def changed(preset, copy, change):
    """A copy of a preset, whole, with another configuration."""
    shutil.copytree(preset, copy)
    config = read_json(copy / "config.json")
    change(config)
    (copy / "config.json").write_text(json.dumps(config))
    complete(copy, {**read_json(copy / "metadata.json"), "model": config["class"]})
    return copy


def defined(name):
    """The stand-in as a class of that name, as the file of a test would have it."""
    names = {"__name__": "test"}
    exec(STAND_IN.replace("StandIn", name), names)
    return names[name]


class TestStandIn(CoreHarness):
    kind = defined("InHarness")
    config = smooth_config = {"latent_dim": 8}
    run_eagerly = True
