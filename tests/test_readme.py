"""The README's Python runs as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = Path(__file__).parent.parent / "README.md"
# What a reader cannot see: that the loaded model is the saved one, with its optimizers' state.
CHECK = """
import numpy as np
assert np.array_equal(model.sample(16, seed=0), images)
steps = int(model.g_optimizer.iterations.numpy())
assert steps == dataset.cardinality() > 0
momenta = [v for v in model.g_optimizer.variables if v.path.endswith("_momentum")]
assert momenta and all(np.abs(v.numpy()).max() > 0 for v in momenta)
model.fit(dataset.take(2))
assert int(model.g_optimizer.iterations.numpy()) == steps + 2
"""


def blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.slow
def test_first_example_as_printed(data_dir, tmp_path):
    """A whole epoch of MNIST: a minute."""
    first_example(blocks()[0], data_dir, tmp_path)


def test_first_example_on_a_part_of_the_data(data_dir, tmp_path):
    part = blocks()[0].replace('"tfds:mnist", ', '"tfds:mnist", split="train[:1920]", ')
    assert part != blocks()[0]
    first_example(part, data_dir, tmp_path)


def first_example(code, data_dir, tmp_path):
    run(code + CHECK, tmp_path, TFDS_DATA_DIR=str(data_dir / "tensorflow_datasets"))
    (grid,) = (tmp_path / "grids").iterdir()
    assert np.asarray(Image.open(grid)).shape == (8 * 30 + 2, 8 * 30 + 2)


def run(code, tmp_path, **environment):
    """Runs code in a directory, as a reader of the README would."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_own_images_example(tmp_path):
    """The second example on a folder of eight pictures, narrower, for one epoch."""
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for i in range(8):
        pixels = random.integers(0, 256, (70, 90, 3), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / f"photos/{i}.png")
    code = blocks()[1].replace("width=64", "width=2").replace("epochs=50", "epochs=1")
    code = code.replace("flip=True", "flip=True, batch_size=4")
    run(f"import kgan\n{code}", tmp_path)
    assert (tmp_path / "my-gan/metadata.json").is_file()


def test_sampler_example(tmp_path):
    check = "assert images.shape == (16, 64, 64, 3) and frames.shape == (60, 1, 64, 64, 3)"
    run(f"import kgan\n{blocks()[2]}\n{check}", tmp_path, KGAN_CACHE=str(tmp_path / "cache"))


@pytest.mark.slow
def test_classes_and_styles_example(data_dir, tmp_path):
    """The fourth example, on a part of the data."""
    part = blocks()[3].replace(
        '"tfds:fashion_mnist", ', '"tfds:fashion_mnist", split="train[:128]", '
    )
    part = part.replace("epochs=20", "epochs=1")
    assert part.count("train[:128]") == part.count("epochs=1") == 1
    check = "assert sneakers.shape == (16, 28, 28, 1) and image.shape == (1, 64, 64, 3)"
    run(f"import keras, kgan\n{part}\n{check}", tmp_path, KGAN_DATA_DIR=str(data_dir))
