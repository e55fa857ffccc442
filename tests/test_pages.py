"""The Python of README and docs runs as printed: `pytest -m slow tests/test_pages.py`.

docs/extending.md, whose blocks build on each other, and docs/export.md have tests of their own.
"""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
ELSEWHERE = {"extending.md", "export.md"}
FOLDERS = {  # those that the pages speak of, of pictures as large as (width, height)
    "photos": (90, 70),
    "outlines": (64, 64),
    "pictures": (64, 64),
    "held-out/outlines": (64, 64),
    "held-out/pictures": (64, 64),
    "horses": (80, 64),
    "zebras": (80, 64),
}
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


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {
    f"{page.name}-{i}": block
    for page in PAGES
    if page.name not in ELSEWHERE
    for i, block in enumerate(blocks(page))
}


def run(code, tmp_path, **environment):
    """Runs code in a directory, as a reader would."""
    environment = {"KGAN_CACHE": str(tmp_path / "cache"), **environment}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_block_runs_as_printed_in_a_new_process(name, data_dir, tmp_path):
    random = np.random.default_rng(0)
    asked = [int(size) for size in re.findall(r"batch_size=(\d+)", BLOCKS[name])]
    for folder, (width, height) in FOLDERS.items():
        (tmp_path / folder).mkdir(parents=True)
        for i in range(max([64, *asked])):  # a batch at least
            pixels = random.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i:02d}.png")
    run(BLOCKS[name], tmp_path, TFDS_DATA_DIR=str(data_dir / "tensorflow_datasets"))


@pytest.mark.parametrize("name", BLOCKS)
def test_block_says_all_that_it_needs(name):
    """It imports, or makes, every name that it uses."""
    tree = ast.parse(BLOCKS[name])
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(__builtins__))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            made |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    assert {node.id for node in names} <= made | set(__builtins__)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 900


def test_links_lead_somewhere():
    """Files that pages link to are there, and so are the headings."""
    missing = []
    for page in [*PAGES, ROOT / "zoo/README.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            path, _, heading = target.partition("#")
            if ":" in target:
                continue
            file = (page.parent / path) if path else page
            if not file.exists() or heading and heading not in headings(file):
                missing.append(f"{page.name}: {target}")
    assert not missing


def test_package_index_shows_no_broken_link():
    text = importlib.metadata.metadata("kgan").get_payload()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "docs/models.md" in text and len(links) > 5
    assert all(link.startswith("https:") for link in links)


def headings(page):
    """The anchors that GitHub gives a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in found} | {
        name for text in found for name in re.findall(r"^\[([\w-]+)\]", text)
    }


def test_first_example_on_a_part_of_the_data(data_dir, tmp_path):
    block = BLOCKS["README.md-0"]
    part = block.replace('"tfds:mnist", ', '"tfds:mnist", split="train[:640]", ')
    assert part != block
    run(part + CHECK, tmp_path, TFDS_DATA_DIR=str(data_dir / "tensorflow_datasets"))
    (grid,) = (tmp_path / "grids").iterdir()
    assert np.asarray(Image.open(grid)).shape == (8 * 30 + 2, 8 * 30 + 2)


def test_sampler_example(tmp_path):
    check = "assert images.shape == (16, 64, 64, 3) and frames.shape == (60, 1, 64, 64, 3)"
    run(f"{BLOCKS['README.md-2']}\n{check}", tmp_path)
