"""What runs compute in."""

from dataclasses import replace

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


def test_a_run_in_bfloat16(folder, tmp_path):
    preset = training.train(recipe(folder, **SHORT), tmp_path / "run", precision="mixed_bfloat16")
    assert recipes.read(tmp_path / "run/recipe.toml").precision == "mixed_bfloat16"
    assert "mixed_bfloat16" in (preset / "README.md").read_text()
    assert kgan.zoo.load(preset).dtype_policy.name == "float32"
    again = training.train(recipe(folder, **SHORT), tmp_path / "32")
    assert "precision" not in (tmp_path / "32/recipe.toml").read_text()
    assert weights(tmp_path / "32") != weights(tmp_path / "run")
    assert "bfloat16" not in (again / "README.md").read_text()


def test_a_run_keeps_its_precision(folder, tmp_path):
    changed = recipe(folder, **SHORT, precision="mixed_bfloat16")
    training.train(changed, tmp_path / "run")
    with pytest.raises(ValueError, match="precision"):
        training.train(replace(changed, precision="float32"), tmp_path / "run", resume=True)


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


def test_auto_measures_once_and_changes_nothing_else(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "SECONDS", 0.01)
    monkeypatch.setattr(precision, "WORTH", 1e9)  # float32
    training.train(recipe(folder, **SHORT), tmp_path / "auto", precision="auto")
    training.train(recipe(folder, **SHORT), tmp_path / "plain")
    assert weights(tmp_path / "auto") == weights(tmp_path / "plain")

    chosen = []
    monkeypatch.setattr(
        training, "fastest", lambda *args: chosen.append("mixed_bfloat16") or chosen[-1]
    )
    changed = recipe(folder, **SHORT)
    training.train(changed, tmp_path / "run", precision="auto")
    assert recipes.read(tmp_path / "run/recipe.toml").precision == "mixed_bfloat16"
    training.train(recipe(folder, **SHORT), tmp_path / "run", resume=True, precision="auto")
    assert len(chosen) == 1


def test_a_model_of_python_is_saved_with_its_precision(tmp_path):
    arguments = {"image_shape": (16, 16, 1), "latent_dim": 4, "width": 4}
    model = kgan.models.DCGAN(**arguments, dtype="mixed_bfloat16")
    model.compile()
    model.save_to_preset(tmp_path / "preset")
    found = recipes.read(tmp_path / "preset/recipe.toml")
    assert found.precision == "mixed_bfloat16"
    assert building.build(found).dtype_policy.name == "mixed_bfloat16"
    assert kgan.zoo.load(tmp_path / "preset").dtype_policy.name == "float32"
