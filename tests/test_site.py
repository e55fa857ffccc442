"""The documentation site: `python docs/site/build.py` in a strict build, and what it links."""

import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import kgan

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "docs/site/build.py"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Links(HTMLParser):
    """What a page links (`a`), what it loads (all else), and its anchors."""

    def __init__(self, page):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found.get("id"), found.get("name")}
        for key in ("href", "src"):
            if found.get(key) and found.get("rel") != "canonical":
                (self.links if tag == "a" else self.loaded).append(found[key])


def test_every_guide_and_public_module_has_its_page(build):
    config = build.CONFIG.read_text("utf-8")
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.ipynb")]:
        assert f'"{path.relative_to(ROOT).with_suffix(".md")}"' in config
    public = {f"kgan.{name}" for name in kgan.__all__ if not name.startswith("_")}
    assert public <= set(build.MODULES)


def test_the_gallery_shows_each_preset_with_the_command_that_draws_it(build):
    page = build.gallery_page()
    for name in kgan.zoo.names():
        section = page.split(f"\n## [{name}](")[1].split("\n## ")[0]
        assert re.search(rf"!\[.*\]\({name}/\w+\.png\)\n\nUncurated, .*: `kgan \w+ {name}", section)
        assert "Licence: " in section
    for name in ("mix.png", "projection.png", "walk.gif", "walk.webp"):
        assert page.count(f"](../docs/images/{name})") == 1
    assert page.count("| preset |") == 1


def test_a_notebook_becomes_a_page_with_its_pictures(build, tmp_path):
    build.notebook_page(ROOT / "examples/first_samples.ipynb", tmp_path)
    page = (tmp_path / "first_samples.md").read_text()
    assert "```python\nfaces = kgan.zoo.sampler" in page and "](own_folder.md)" in page
    pictures = re.findall(r"!\[.*\]\((.*)\)", page)
    assert len(pictures) >= 3 and all((tmp_path / name).is_file() for name in pictures)


@pytest.mark.slow
def test_strict_build_whose_links_all_lead_somewhere(build, tmp_path):
    """A minute. No page loads anything from another host: it can be read without a network."""
    for module in ("zensical", "mkdocstrings_handlers.python"):
        pytest.importorskip(module, reason="pip install '.[docs]'")
    site = tmp_path / "site"
    build.build(site)
    pages = {page: Links(page) for page in site.rglob("*.html")}
    assert len(pages) > 50
    lost = []
    for page, found in pages.items():
        if page.name == "404.html":  # of any address: its own are from the root
            continue
        for link in found.links + found.loaded:
            address, anchor = urldefrag(link)
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if link in found.loaded:
                    lost.append(f"{page.relative_to(site)} loads {link}")
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            if not target.is_file() or (anchor and known and unquote(anchor) not in known.anchors):
                lost.append(f"{page.relative_to(site)} links {link}")
    assert not lost, "\n".join(lost)
    assert "url(http" not in "".join(path.read_text() for path in site.rglob("*.css"))
