"""The notebooks in examples/: what is committed, and that they run."""

import re

import nbformat
import notebooks
import pytest

EACH = pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


@EACH
def test_what_is_committed_is_executed_small_and_of_no_machine(path):
    text = path.read_text("utf-8")
    assert len(text.encode()) <= notebooks.MOST_BYTES
    assert not re.search(r"/(root|home|tmp|work|Users)/", text)
    notebook = read(path)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]
    assert any(key.startswith("image/") for one in outputs for key in one.get("data", {}))


@EACH
def test_says_what_it_needs_and_how_long_it_takes(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert "**Needs** `pip install .`" in first.source
    assert re.search(r"\*\*Takes\*\* (about )?(\d+|half a|a) (second|minute)", first.source)


@EACH
def test_links_lead_to_files(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / link).exists(), link


def test_outputs_are_kept_small(tmp_path):
    source = (
        "import sys\nimport numpy as np\nfrom PIL import Image\nprint(1, file=sys.stderr)\n"
        "Image.fromarray(np.random.default_rng(0).integers(0, 256, ({0}, {0}, 3), 'uint8'))"
    )
    cells = [nbformat.v4.new_code_cell(source.format(side)) for side in (8, 200)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    notebook = notebooks.kept(notebooks.executed(tmp_path / "a.ipynb", tmp_path))
    kinds = [[list(one.data) for one in cell.outputs] for cell in notebook.cells]
    assert kinds == [[["image/png"]], [["image/jpeg"]]]


@pytest.mark.slow
@EACH
def test_runs_from_top_to_bottom(path, tmp_path):
    """Minutes each: they train."""
    text = nbformat.writes(notebooks.kept(notebooks.executed(path, tmp_path)))
    assert len(text.encode()) <= notebooks.MOST_BYTES
