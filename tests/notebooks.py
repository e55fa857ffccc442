"""Executes the notebooks of examples/ and keeps in them what they show.

python tests/notebooks.py [NAME ...]        such as `own_folder`; all of them by default

Each runs from top to bottom in an empty directory, as a reader would run it.
"""

import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_BYTES = 200_000  # of a file: what is larger makes every clone larger, at every change
MOST_PNG = 20_000  # bytes of a picture, beyond which a JPEG of it is kept
SECONDS = 900  # that a cell may take, on a machine that others use too


def executed(path: Path, directory: Path) -> nbformat.NotebookNode:
    """A notebook with the outputs that its cells have in a directory.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(directory)}}
    os.environ["IPYTHONDIR"] = str(directory / ".ipython")  # not the user's own
    return NotebookClient(notebook, timeout=SECONDS, resources=where).execute()


def kept(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as it is committed: pictures small, and nothing of the machine that ran it."""
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})  # times of execution
        if cell.cell_type == "code":
            # What goes to stderr are TensorFlow's lines about the processor.
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data = _picture(output.data)
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
    return notebook


def _picture(data):
    """One format of a picture, where Pillow sends two: exact if that is small."""
    png = base64.b64decode(data["image/png"])
    if len(png) <= MOST_PNG:
        return nbformat.from_dict({"image/png": data["image/png"]})
    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(file, "JPEG", quality=75, optimize=True)
    return nbformat.from_dict({"image/jpeg": base64.b64encode(file.getvalue()).decode()})


def main(names: list[str]) -> None:
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as directory:
                notebook = executed(path, Path(directory))
            text = nbformat.writes(kept(notebook)) + "\n"
            size = len(text.encode())
            print(f"{path.stem}: {time.monotonic() - began:.0f} s, {size:,} bytes", flush=True)
            if size > MOST_BYTES:
                sys.exit(f"{path.stem} is not written: it may have {MOST_BYTES:,} bytes")
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
