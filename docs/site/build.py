"""Builds the documentation site: README, these guides, the gallery, notebooks, and the docstrings.

pip install '.[docs]' && python docs/site/build.py [DIRECTORY]      by default build/site

The pages keep the places that their files have in the repository, so that a link between two of
them, or to a file of zoo/ or examples/, leads to the same on the site as on GitHub. What is
generated is the gallery, the notebooks' pages, the reference and `kgan --help`.
"""

import ast
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from kgan.cli import main as cli
from kgan.cli import provenance
from kgan.errors import KganError
from kgan.zoo import gallery

ROOT = Path(__file__).parent.parent.parent
CONFIG, STYLE = (Path(__file__).parent / name for name in ("zensical.toml", "site.css"))
INTRODUCTION = (
    "What the models of the zoo draw, not picked by hand, each picture with the command that draws "
    "it again. The files say the same: `kgan inspect FILE`. [Figures](#figures) are below."
)
MODULES = re.findall(r'"api/(kgan\.[\w.]+)\.md"', CONFIG.read_text("utf-8"))


def stage(directory: Path) -> None:
    """Writes everything that the pages are made of."""
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "docs", "examples", "zoo"):
        copy(ROOT / name, directory / name)
    shutil.copy(STYLE, directory)
    write(directory / "zoo/README.md", gallery_page())
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        notebook_page(path, directory / "examples")
    write(directory / "examples/README.md", examples_page())
    for module in MODULES:
        write(directory / f"api/{module}.md", f"# {module}\n\n::: {module}\n")
    write(directory / "api/command-line.md", command_line_page())


def gallery_page() -> str:
    """The zoo's own page, with what each picture says of itself, and more pictures."""
    more = {}
    for path in sorted((ROOT / "docs/images").iterdir()):
        if path.name == "ui.png":  # a screenshot, which no preset drew
            continue
        facts, command = told(path)
        if facts.get("verb") == "sample":  # as each preset's own picture, which stands above
            continue
        page, alt = shown_in(path)
        # A picture of several models is none of a preset: it names them as its class.
        name = (facts.get("model") or facts["class"]).split(", ")[-1]
        text = f"![{alt}](../docs/images/{path.name})\n\n{alt}"
        text += f": `{command}`. " if command else ". "
        more.setdefault(name, []).append(f"{text}[More](../docs/{page})\n")
    page = gallery.gallery(ROOT / "zoo")
    _, table, pictures = re.split("^(?=# |## )", page, maxsplit=2, flags=re.M)
    lines, name = ["# Gallery", "", INTRODUCTION, ""], None
    for line in pictures.splitlines():
        if heading := re.match(r"## \[([\w-]+)\]", line):
            lines += more.pop(name, [])
            name = heading[1]
        lines.append(line)
        if picture := re.match(r"!\[.*\]\((.+)\)", line):
            facts, command = told(ROOT / "zoo" / picture[1])
            if command:
                lines += ["", f"Uncurated, seed {facts['seed']}: `{command}`"]
            else:  # held-out pictures, which kgan does not bring along
                lines += ["", f"Uncurated, pictures at even spaces: `kgan evaluate {name}`"]
    lines += more.pop(name, [])
    if more:
        sys.exit(f"docs/images has pictures of {', '.join(more)}, which the zoo has not")
    return "\n".join([*lines, "", table.replace("# The zoo", "## Figures")])


def told(path: Path) -> tuple[dict, str | None]:
    """What a picture says of itself, and the command that draws it, if one does."""
    found = provenance.read(path)
    try:
        command, out = provenance.command(found, provenance.origin(found, None), None)
    except (AttributeError, KeyError, KganError):  # of no preset, or by no command alone
        return found.facts, None
    return found.facts, command.removesuffix(f" --out {out}")


def shown_in(path: Path) -> tuple[str, str]:
    """The guide that shows a picture, and the words in which it does."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        if alt := re.search(rf"!\[([^\]]*)\]\(images/{path.name}\)", page.read_text("utf-8")):
            return page.name, alt[1]
    sys.exit(f"docs/images/{path.name} is in no guide")


def examples_page() -> str:
    """What is in examples/: each file with its title, or the first line of its docstring."""
    lines = ["# Examples", "", "Notebooks, each of minutes, with what they show:", ""]
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        title = json.loads(path.read_text("utf-8"))["cells"][0]["source"][0]
        lines.append(f"- [{title.removeprefix('# ').strip()}]({path.stem}.md)")
    lines += ["", "Scripts:", ""]
    for path in sorted((ROOT / "examples").glob("*.py")):
        about = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()[0]
        lines.append(f"- [{path.name}]({path.name}): {about}")
    return "\n".join([*lines, ""])


def notebook_page(path: Path, directory: Path) -> None:
    """A notebook as Markdown, its pictures beside it."""
    parts = []
    for i, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", source))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            for kind in ("png", "jpeg"):
                if f"image/{kind}" in data:
                    picture = directory / f"{path.stem}-{i}.{kind}"
                    picture.write_bytes(base64.b64decode("".join(data[f"image/{kind}"])))
                    parts.append(f"![What the cell shows]({picture.name})")
                    break
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    head = f"[This page as a notebook, to run: {path.name}]({path.name})"
    title, *rest = parts[0].split("\n", 1)
    write(directory / f"{path.stem}.md", "\n\n".join([title, head, *rest, *parts[1:]]) + "\n")


def command_line_page() -> str:
    """`--help` of every verb."""
    context = click.Context(cli, info_name="kgan", terminal_width=90)
    parts = ["# The command line", f"```text\n{cli.get_help(context)}\n```"]
    for name in cli.list_commands(context):
        verb = cli.get_command(context, name)
        if not verb.hidden:
            inner = click.Context(verb, context, info_name=name, terminal_width=90)
            parts += [f"## kgan {name}", f"```text\n{verb.get_help(inner)}\n```"]
    return "\n\n".join([*parts, ""])


def copy(source: Path, target: Path) -> None:
    """A file, or a folder without what is no page and too large to be served with them."""
    if source.is_dir():
        without = shutil.ignore_patterns("__pycache__", "site", "*.h5", "*.onnx")
        shutil.copytree(source, target, ignore=without)
    else:
        shutil.copy(source, target)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def build(site: Path) -> None:
    """Writes the site into a new or empty directory, or stops at the first warning."""
    with tempfile.TemporaryDirectory() as name:
        workshop = Path(name)
        (workshop / "pages").mkdir()
        stage(workshop / "pages")
        write(workshop / CONFIG.name, CONFIG.read_text("utf-8").replace("{kgan}", str(ROOT)))
        command = [sys.executable, "-m", "zensical", "build", "--strict", "-f", CONFIG.name]
        if subprocess.run(command, cwd=workshop).returncode:
            sys.exit("The site is not built")
        shutil.copytree(workshop / "site", site, dirs_exist_ok=True)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site"))
