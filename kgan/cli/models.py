"""Models by their names on the command line, and classes of the user's own."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import click

import kgan
from kgan.cli.paths import ExpandedPath
from kgan.cli.quiet import import_tensorflow
from kgan.errors import KganError
from kgan.zoo import opening
from kgan.zoo.preset import Preset

import_option = click.option(
    "--import",
    "import_file",
    type=ExpandedPath(exists=True, dir_okay=False),
    help="Python file with a model class of your own; it is run.",
)

_imported: dict[Path, ModuleType] = {}


def model_names() -> list[str]:
    """The names of kgan's models, read off their files: to import these is to import TensorFlow."""
    files = sorted((Path(kgan.__file__).parent / "models").glob("*.py"))
    found = (re.search(r'^    COMMAND = "(.+)"$', f.read_text("utf-8"), re.M) for f in files)
    return [name[1] for name in found if name]


def import_models(import_file: Path | None, begin: bool = True) -> None:
    """Imports TensorFlow in silence, and the file of the user's own, if there is one, once.

    Args:
        import_file: the user's.
        begin: see `import_tensorflow`.

    Raises:
        KganError: if the file cannot be imported.
    """
    import_tensorflow(begin)
    if import_file is None or import_file.resolve() in _imported:
        return
    name = import_file.stem
    spec = importlib.util.spec_from_file_location(name, import_file)
    if spec is None or spec.loader is None:
        raise KganError(f"Expected --import with a Python file, .py. Received: {import_file}")
    module = importlib.util.module_from_spec(spec)
    registered = sys.modules.setdefault(name, module)  # where pickles look for its classes
    folder = str(import_file.resolve().parent)
    sys.path.insert(0, folder)  # as `python FILE` does, for the files that it imports
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.path.remove(folder)
        if registered is module:
            sys.modules.pop(name, None)
        raise KganError(
            f"Expected --import with a file that can be imported. Received: {import_file}: "
            f"{type(error).__name__}: {str(error)[:300]}"
        ) from error
    _imported[import_file.resolve()] = module


def opened(source: str, import_file: Path | None = None, begin: bool = True) -> Preset:
    """The preset that a source names; of a run without one TensorFlow is imported, in silence.

    Args:
        source: see `kgan.zoo.opening.read`.
        import_file: the user's, with the class of a run.
        begin: see `import_tensorflow`.
    """
    if opening.must_be_built(source):
        import_models(import_file, begin)
    return opening.read(source)


def model_class(name: str):
    """The model of that name, kgan's or an imported one, or None. Models are to be imported.

    Raises:
        KganError: if it is a class of an imported file that is not registered with Keras.
    """
    from kgan.models.base.adversarial import AdversarialModel
    from kgan.zoo import saving

    if kind := _classes().get(name.lower()):
        return kind
    for module in _imported.values():
        for value in vars(module).values():
            is_model = isinstance(value, type) and issubclass(value, AdversarialModel)
            if is_model and value.command() == name.lower():
                saving.check_registered(value)
    return None


def imported_names() -> list[str]:
    """The names of the models that are not kgan's. Models are to be imported."""
    return [name for name, k in _classes().items() if not k.__module__.startswith("kgan.")]


def _classes():
    from kgan.zoo.saving import kinds

    return {kind.command(): kind for kind in kinds().values()}
