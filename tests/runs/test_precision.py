"""What runs compute in."""

import numpy as np
import pytest
import tensorflow as tf

import kgan
from kgan import recipe as recipes
from kgan.runs import precision
from kgan.runs import train as training
from kgan.zoo import building
from runs.squares import recipe, weights

SHORT = {"images": 16}


@pytest.fixture
def speeds(monkeypatch):
    """Sets the speeds that are measured of float32 and mixed_bfloat16, in steps a second."""

    def measure(**rates):
        monkeypatch.setattr(
            precision, "_rate", lambda model, steps, batch: rates[model.dtype_policy.name]
        )

    return measure


@pytest.fixture(scope="module")
def half(folder, tmp_path_factory):
    """A run in mixed_bfloat16."""
    run = tmp_path_factory.mktemp("runs") / "half"
    training.train(recipe(folder, **SHORT), run, precision="mixed_bfloat16")
    return run


def test_a_run_in_bfloat16(folder, half, tmp_path):
    assert recipes.read(half / "recipe.toml").precision == "mixed_bfloat16"
    assert "mixed_bfloat16" in (half / "preset/README.md").read_text()
    assert kgan.zoo.load(half).dtype_policy.name == "float32"
    plain = training.train(recipe(folder, **SHORT), tmp_path / "32")
    assert "precision" not in (tmp_path / "32/recipe.toml").read_text()
    assert "bfloat16" not in (plain / "README.md").read_text()
    assert weights(tmp_path / "32") != weights(half)


def test_a_run_keeps_its_precision(folder, half):
    with pytest.raises(ValueError, match="precision"):
        training.train(recipe(folder, **SHORT), half, resume=True)


def test_a_recipe_is_of_a_known_precision(folder):
    with pytest.raises(ValueError, match="precision .* float32, mixed_bfloat16, mixed_float16"):
        recipe(folder, precision="float8")


@pytest.mark.parametrize(
    "bfloat16, fastest", [(12.0, "mixed_bfloat16"), (10.5, "float32"), (5.0, "float32")]
)
def test_auto_takes_what_is_faster_by_a_tenth(speeds, folder, bfloat16, fastest, capsys):
    speeds(float32=10.0, mixed_bfloat16=bfloat16)
    batch = np.zeros((8, 16, 16, 1), "uint8")
    assert precision.fastest(recipe(folder), batch, tf.distribute.get_strategy()) == fastest
    said = capsys.readouterr().err
    assert f"{fastest} (images/s: float32 80, mixed_bfloat16 {8 * bfloat16:.0f})" in said


@pytest.mark.slow
def test_auto_measures_once_and_changes_nothing_else(folder, half, tmp_path, monkeypatch):
    measure = precision._rate

    def rate(model, steps, batch):
        measure(model, 1, batch)
        return 2.0 if model.dtype_policy.name == "mixed_bfloat16" else 1.0

    monkeypatch.setattr(precision, "_rate", rate)
    run = tmp_path / "auto"
    training.train(recipe(folder, **SHORT), run, precision="auto")
    assert (run / "recipe.toml").read_bytes() == (half / "recipe.toml").read_bytes()
    assert weights(run) == weights(half)
    monkeypatch.setattr(training, "fastest", None)
    training.train(recipe(folder, **SHORT), run, resume=True, precision="auto")


def test_a_model_of_python_is_saved_with_its_precision(tmp_path):
    arguments = {"image_shape": (16, 16, 1), "latent_dim": 4, "width": 4}
    model = kgan.models.DCGAN(**arguments, dtype="mixed_bfloat16")
    model.compile()
    model.save_to_preset(tmp_path / "preset")
    found = recipes.read(tmp_path / "preset/recipe.toml")
    assert found.precision == "mixed_bfloat16"
    assert building.build(found).dtype_policy.name == "mixed_bfloat16"
    assert kgan.zoo.load(tmp_path / "preset").dtype_policy.name == "float32"
