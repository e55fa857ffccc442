"""Who imports whom in kgan: no circles, and from right to left only."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import kgan

# DESIGN.md, "Layout". Inside a group the later may import the earlier.
DIRECTIONS = (
    "errors, _renamed, checks, files, images, latents, sampling, translating -> untrusted, "
    "latent_files, recipe -> random, workers, pipelines, graph, layers, losses, augment -> "
    "models -> metrics, data, callbacks -> zoo -> runs -> cli -> __main__"
)
ORDER = re.findall(r"\w+", DIRECTIONS)
FREE = ("", "_backend")  # `kgan` itself and these modules: all may import them
UPWARDS = ("from_preset", "save_to_preset")  # the functions that alone may reach up, to `zoo`
# What may be imported late: it takes long, or need not be installed.
HEAVY = {"h5py", "keras", "matplotlib", "tensorflow", "tensorflow_datasets"}
OPTIONAL = {
    "anyio",
    "fastapi",
    "gradio",
    "huggingface_hub",
    "IPython",
    "matplotlib",
    "mtcnn",
    "onnx",
    "onnxruntime",
    "torch",
    "torch_fidelity",
    "torchvision",
}


@dataclass(frozen=True)
class Import:
    """One module that one line imports.

    Attributes:
        module: the module that imports, such as "kgan.zoo.presets".
        target: the module that is imported, kgan's or another.
        line: int.
        function: the innermost function that it stands in; None at the top of the module.
        by_name: whether the line uses a lazy name, such as `kgan.models`, and has no `import`.
    """

    module: str
    target: str
    line: int
    function: str | None
    by_name: bool = False

    def __str__(self):
        where = f", in {self.function}," if self.function else ""
        return f"{self.module}:{self.line}{where} imports {self.target}"

    @property
    def is_upward(self):
        return self.function in UPWARDS and room(self.target) == "zoo"


class Layout:
    """The imports of a package.

    Args:
        sources: dict from a module's name to its source.
        packages: names of the modules that are packages.
    """

    def __init__(self, sources, packages):
        self.modules = set(sources)
        self.packages = packages
        trees = {module: ast.parse(source) for module, source in sources.items()}
        self.lazy = {}  # the module that defines a name which a package resolves on first use
        for module, tree in trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                    for inner in filter(lambda n: isinstance(n, ast.ImportFrom), node.body):
                        for alias in inner.names:
                            name = f"{module}.{alias.asname or alias.name}"
                            self.lazy[name] = self._defining(inner.module, alias.name)
        self.all = [found for module, tree in trees.items() for found in self._read(module, tree)]
        self.inner = [found for found in self.all if found.target in self.modules]

    def _defining(self, base, name):
        return f"{base}.{name}" if f"{base}.{name}" in self.modules else base

    def _read(self, module, tree):
        """All imports, but those under `if TYPE_CHECKING`."""

        def visit(node, function):
            match node:
                case ast.If(test=ast.Name("TYPE_CHECKING")):
                    for child in node.orelse:
                        yield from visit(child, function)
                    return
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    function = node.name
                case ast.Import():
                    for alias in node.names:
                        yield Import(module, alias.name, node.lineno, function)
                case ast.ImportFrom():
                    base = self._absolute(module, node)
                    for alias in node.names:
                        name = f"{base}.{alias.name}"
                        yield Import(
                            module, self._defining(base, alias.name), node.lineno, function
                        )
                        if name in self.lazy and self.lazy[name] != name:
                            yield Import(module, self.lazy[name], node.lineno, function)
                case ast.Attribute():
                    name = ast.unparse(node)
                    target = self.lazy.get(name, name)
                    if name.startswith("kgan.") and target in self.modules:
                        yield Import(module, target, node.lineno, function, by_name=True)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, function)

        yield from visit(tree, None)

    def _absolute(self, module, node):
        """The module that `from … import` names, `from . import` included."""
        if not node.level:
            return node.module
        parts = module.split(".")
        package = parts[: len(parts) - node.level + (module in self.packages)]
        return ".".join([*package, *filter(None, [node.module])])

    def circles(self):
        """The imports that lead from a module back to itself, those in functions included."""
        edges = [found for found in self.inner if not found.is_upward]
        graph = {m: {found.target for found in edges if found.module == m} for m in self.modules}
        return sorted({str(e) for e in edges if e.module in reached(e.target, graph)})

    def against_the_direction(self):
        """The imports from left to right."""
        return sorted(
            {
                str(found)
                for found in self.inner
                if rank(found.target) > rank(found.module) and not found.is_upward
            }
        )

    def late_without_need(self):
        """The imports in functions that could stand at the top of their module.

        One is needed if it brings in a heavy or optional package that the module which imports it
        does without.
        """
        graph = {module: set(parents(module)) for module in self.modules}
        for found in self.all:
            if found.function is None and not found.by_name:
                graph[found.module].add(found.target)

        def heavy(module):
            tops = {name.split(".")[0] for name in reached(module, graph)}
            return tops & (HEAVY | OPTIONAL)

        return sorted(
            str(found)
            for found in self.all
            if found.function is not None
            and not found.by_name
            and not found.is_upward
            and heavy(found.target) <= heavy(found.module)
        )


def reached(module, graph):
    """A module, and all that importing it imports, by the graph of who imports whom."""
    seen, ahead = set(), [module]
    while ahead:
        if (name := ahead.pop()) not in seen:
            seen.add(name)
            ahead.extend(graph.get(name, ()))
    return seen


def parents(module):
    """The packages that a module lies in, which are imported before it."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def room(module):
    """The part of kgan that a module belongs to: "zoo" for kgan.zoo.presets, "" for kgan."""
    return module.split(".")[1] if "." in module else ""


def rank(module):
    """The place of a module's room in the order; -1 for what all may import."""
    return -1 if room(module) in FREE else ORDER.index(room(module))


@pytest.fixture(scope="module")
def layout():
    root = Path(kgan.__file__).parent
    sources, packages = {}, set()
    for path in root.rglob("*.py"):
        parts = ("kgan", *path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts = parts[:-1]
            packages.add(".".join(parts))
        sources[".".join(parts)] = path.read_text("utf-8")
    return Layout(sources, packages)


def test_every_module_has_a_room(layout):
    rooms = {room(module) for module in layout.modules}
    assert rooms <= {*ORDER, *FREE}
    assert {"", "errors", "models", "zoo", "cli"} <= rooms


def test_no_circles(layout):
    found = layout.circles()
    assert not found, "\n".join(found)


def test_imports_go_from_right_to_left(layout):
    found = layout.against_the_direction()
    assert not found, "\n".join(found)


def test_imports_in_functions_are_of_what_is_heavy_or_optional(layout):
    found = layout.late_without_need()
    assert not found, "\n".join(found)


def test_text_reaches_the_terminal_in_one_way():
    """`kgan.errors.say` escapes what a terminal would obey; who writes past it may forget to."""
    found = []
    for path in Path(kgan.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if re.fullmatch(r"print|click\.s?echo(_via_pager)?|sys\.std(out|err)\.write", called):
                found.append(f"{path.parent.name}/{path.name}: {called}")
    # What TensorFlow has said itself, where it could not be imported.
    assert sorted(found) == ["cli/quiet.py: sys.stderr.write", "kgan/errors.py: print"]


def test_packages_alone_import_by_a_computed_name(layout):
    """They resolve lazy names; elsewhere it would hide an import from these tests."""
    users = {
        found.module
        for found in layout.all
        if found.target in ("importlib", "runpy") and found.module not in layout.packages
    }
    assert users == {"kgan._renamed"}  # which finds names where they now stand


class TestLayoutItself:
    """Made-up packages, each with what is wrong with it."""

    @staticmethod
    def layout(**sources):
        """A package of these modules: `zoo__presets` stands for kgan.zoo.presets."""
        named = {f"kgan.{name.replace('__', '.')}": source for name, source in sources.items()}
        packages = {"kgan", *(parent for name in named for parent in parents(name))}
        return Layout({**dict.fromkeys(packages, ""), **named}, packages)

    def test_a_circle(self):
        layout = self.layout(
            zoo__a="from kgan.zoo.b import x", zoo__b="def f():\n    from kgan.zoo import a"
        )
        assert layout.circles() == [
            "kgan.zoo.a:1 imports kgan.zoo.b",
            "kgan.zoo.b:2, in f, imports kgan.zoo.a",
        ]

    def test_a_circle_of_relative_imports(self):
        layout = self.layout(
            zoo__a="from . import b", zoo__b="from .c import x", zoo__c="import kgan.zoo.a"
        )
        assert len(layout.circles()) == 3

    def test_a_circle_through_the_package(self):
        layout = self.layout(zoo="from kgan.zoo.a import x", zoo__a="from kgan.zoo import x")
        assert len(layout.circles()) == 2

    @pytest.mark.parametrize("use", ["from kgan.data import load", "import kgan\nkgan.data.load"])
    def test_a_circle_through_a_lazy_name(self, use):
        layout = self.layout(
            data="if TYPE_CHECKING:\n    from kgan.data.a import load",
            data__a="import kgan.data.b",
            data__b=use,
        )
        assert [line.partition(" ")[2] for line in layout.circles()] == [
            "imports kgan.data.b",
            "imports kgan.data.a",
        ]

    def test_no_circle(self):
        layout = self.layout(
            zoo="from kgan.zoo.a import x",
            zoo__a="import kgan\nfrom kgan.zoo import b",
            zoo__b="import kgan",
        )
        assert layout.circles() == []

    @pytest.mark.parametrize(
        "importer, source",
        [
            ("models__gan", "from kgan.data.images import load"),
            ("models__gan", "def f():\n    from kgan import zoo"),
            ("models__gan", "import kgan\ndef f():\n    kgan.zoo.load"),
            ("files", "import kgan.images"),
            ("losses", "from kgan import augment"),
            ("_backend", "import kgan.errors"),
        ],
    )
    def test_up_is_refused(self, importer, source):
        names = ("data__images", "zoo", "images", "augment", "errors")
        layout = self.layout(**{**dict.fromkeys(names, ""), importer: source})
        assert len(layout.against_the_direction()) == 1

    @pytest.mark.parametrize("function, lines", [("from_preset", 0), ("restore", 1)])
    def test_from_preset_alone_may_reach_up(self, function, lines):
        source = f"def {function}():\n    from kgan.zoo import preset"
        layout = self.layout(
            models__gan=source, zoo__preset="import tensorflow\nimport kgan.models.gan"
        )
        assert len(layout.against_the_direction()) == lines
        assert len(layout.circles()) == 2 * lines

    def test_from_preset_may_reach_no_further_than_the_zoo(self):
        layout = self.layout(models__gan="def from_preset():\n    import kgan.runs", runs="")
        assert len(layout.against_the_direction()) == 1

    def test_down_and_for_types_is_allowed(self):
        layout = self.layout(
            zoo__preset="import kgan.models.gan\nif TYPE_CHECKING:\n    import kgan.runs",
            models__gan="from kgan import _backend, errors, losses",
            runs="import kgan.zoo.preset",
            **dict.fromkeys(("errors", "losses", "_backend"), "import kgan"),
        )
        assert layout.against_the_direction() == [] and layout.circles() == []

    @pytest.mark.parametrize(
        "source, lines",
        [
            ("def f():\n    import tensorflow", 0),
            ("def f():\n    from kgan.models import gan", 0),
            ("def f():\n    import torch", 0),
            ("def f():\n    import json", 1),
            ("def f():\n    from kgan import errors", 1),
            ("import keras\ndef f():\n    import keras", 1),
            ("import kgan.models.gan\ndef f():\n    import keras", 1),
            ("if not TYPE_CHECKING:\n    def f():\n        import json", 1),
            ("import kgan\ndef f():\n    kgan.errors", 0),
        ],
    )
    def test_late_imports(self, source, lines):
        layout = self.layout(zoo__a=source, errors="", models__gan="import keras")
        assert len(layout.late_without_need()) == lines
