"""Models by their names on the command line, and classes of the user's own."""

import importlib.util
import re
import sys
from pathlib import Path

import click

import kgan
from kgan.cli.quiet import import_tensorflow
from kgan.errors import KganError

import_option = click.option(
    "--import",
    "import_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python file with a model class of your own; it is run.",
)

_imported: set[Path] = set()


def model_names() -> list[str]:
    """The names of kgan's models, read off their files: to import these is to import TensorFlow."""
    files = sorted((Path(kgan.__file__).parent / "models").glob("*.py"))
    found = (re.search(r'^    COMMAND = "(.+)"$', f.read_text("utf-8"), re.M) for f in files)
    return [name[1] for name in found if name]


def import_models(import_file: Path | None) -> None:
    """Imports TensorFlow in silence, and the file of the user's own, if there is one.

    Raises:
        KganError: if the file cannot be imported.
    """
    import_tensorflow()
    if import_file is None or import_file in _imported:
        return
    name = import_file.stem
    spec = importlib.util.spec_from_file_location(name, import_file)
    if spec is None or spec.loader is None:
        raise KganError(f"Expected --import with a Python file. Received: {import_file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)  # where Keras and pickles look for its classes
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise KganError(
            f"Expected --import with a file that can be imported. Received: {import_file}: "
            f"{type(error).__name__}: {error}"
        ) from error
    _imported.add(import_file)


def model_class(name: str):
    """The model of that name, kgan's or an imported one, or None. Models are to be imported."""
    from kgan.zoo.saving import kinds

    return {kind.command(): kind for kind in kinds().values()}.get(name.lower())
