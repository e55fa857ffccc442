"""The page as a person uses it, in a browser.

pytest -q -n 0 -m slow tests/cli/ui/test_browser.py
"""

import io
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import kgan
from kgan import images
from kgan.cli.ui import entries, server

pytest.importorskip("gradio")
pytest.importorskip("playwright")

import chromium

from cli.ui.conftest import write_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.path() is None, reason="needs a Chromium"),
]
STYLE, CLASSES, LINES = "stylegan-lite-celeba", "cgan-fashion-mnist", "pix2pix-openmoji"


@pytest.fixture(scope="module")
def browser():
    with chromium.opened() as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A run directory called run."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    write_run(directory)
    return directory


@pytest.fixture(scope="module")
def address(running):
    with server.serving([STYLE, CLASSES, LINES, str(running)]) as found:
        yield found


@pytest.fixture
def page(browser, address):
    """A page of its own, which has asked no other host for anything and said no error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#big[aria-label]:visible")
    yield page
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
    assert said == []
    context.close()


def choose(page, text):
    """Chooses a model or a run, and waits until the page shows it."""
    page.select_option("#entry", label=text)
    page.wait_for_selector("#big[aria-label]:visible, #drop:visible, #film[alt]:visible")


def shows(page, text):
    page.wait_for_selector(f'#big[aria-label="{text}"]')


def slide(page, slider, value):
    page.locator(slider).fill(str(value))


def downloaded(page, button, folder):
    with page.expect_download() as found:
        page.click(button)
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def verified(path):
    """Whether `kgan inspect --verify` says that a file is what it says."""
    command = [sys.executable, "-m", "kgan.cli", "inspect", str(path), "--verify"]
    return subprocess.run(command, capture_output=True, text=True)


def png(*shape):
    file = io.BytesIO()
    Image.fromarray(np.full(shape, 200, np.uint8)).save(file, "PNG")
    return {"name": "x.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_choose_page_walk_mix_and_download(page, tmp_path):
    choose(page, STYLE)
    shows(page, "seed 0")
    page.click("#next")
    page.click("#wall [data-seed='30']")
    shows(page, "seed 30")
    page.click("#wall [data-seed='41']")
    shows(page, "seed 41")
    slide(page, "#way", 13)
    shows(page, "from seed 30 to seed 41, step 13 of 31")
    page.wait_for_selector("[data-code=picture] pre:has-text('--seeds 30,41')")
    path = downloaded(page, "#download", tmp_path)
    assert path.name == f"{STYLE}-walk-30-41-frame13.png"
    assert verified(path).returncode == 0
    model = kgan.zoo.sampler(STYLE)
    frame = model.interpolate([30, 41], frames=62)[13]
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images.enlarge(frame, 4, "lanczos")[0])
    page.click("#mixes button:has-text('fine')")
    shows(page, "seed 30 with fine styles of seed 41")
    assert verified(downloaded(page, "#download", tmp_path)).returncode == 0
    walk = downloaded(page, "#animation", tmp_path)
    assert walk.suffix == ".webp" and verified(walk).returncode == 0
    page.click("[data-code=picture] [role=tab]:has-text('Python')")
    assert "sampler.mix([30], [41], 'fine')" in page.text_content("[data-code=picture] pre")


def test_truncation(page, tmp_path):
    choose(page, STYLE)
    shows(page, "seed 0")
    slide(page, "#truncation", 10)
    page.wait_for_selector("[data-code=picture] pre:has-text('--truncation 0.5')")
    path = downloaded(page, "#download", tmp_path)
    assert images.read_provenance(path)["truncation"] == 0.5
    assert verified(path).returncode == 0


def test_classes_by_name(page, tmp_path):
    choose(page, CLASSES)
    shows(page, "seed 0")
    assert not page.is_visible("#truncation") and not page.is_visible("#mix")
    page.select_option("#class", label="Sneaker")
    page.wait_for_selector("[data-code=picture] pre:has-text('--labels Sneaker')")
    path = downloaded(page, "#download", tmp_path)
    assert images.read_provenance(path)["labels"] == [7] and verified(path).returncode == 0


def test_pictures_are_enlarged_by_whole_factors(page):
    for name, side, drawn in ((CLASSES, 28, "pixelated"), (STYLE, 64, "auto")):
        choose(page, name)
        shows(page, "seed 0")
        for place in ("#big", "#wall canvas"):
            node = page.locator(place).first
            width = node.evaluate("(node) => node.getBoundingClientRect().width")
            assert width >= side and width % side == 0
            assert node.evaluate("(node) => getComputedStyle(node).imageRendering") == drawn


def test_the_keyboard_alone(page):
    choose(page, STYLE)
    shows(page, "seed 0")
    page.focus("#wall [tabindex='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("s")
    shows(page, "seed 7")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("e")
    shows(page, "seed 6")
    page.keyboard.press("PageDown")
    page.wait_for_selector("#wall [data-seed='30']")
    page.keyboard.press("Enter")
    page.focus("#way")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("#big[aria-label*='step 3 of 31']")
    page.focus("#views [role=tab]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drop:visible")
    assert page.evaluate("document.activeElement.textContent") == "Photograph"


def test_a_projection(page, tmp_path):
    choose(page, STYLE)
    page.click("#views >> text=Photograph")
    page.set_input_files("#file", png(80, 60, 3))
    page.wait_for_selector("#framing:visible")
    page.focus("#viewport")
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    page.select_option("#steps", "100")
    page.click("#go")
    page.wait_for_selector("#progress span:has-text('of 100 steps')", timeout=120_000)
    page.wait_for_selector("#made:visible", timeout=120_000)
    facts = images.read_provenance(downloaded(page, "#made-png", tmp_path))
    assert facts["digital_source_type"] == images.COMPOSITE and facts["steps"] == 100
    assert 0 < facts["box"][0] < facts["box"][2] < 1
    assert downloaded(page, "#made-npz", tmp_path).suffix == ".npz"
    assert "--box" in page.text_content("[data-code=made] pre")
    page.select_option("#steps", "1000")
    page.click("#go")
    page.wait_for_selector("#progress span:has-text('of 1000 steps')", timeout=120_000)
    page.click("#stop")
    page.wait_for_selector("#stop", state="hidden", timeout=60_000)
    facts = images.read_provenance(downloaded(page, "#made-png", tmp_path))
    assert facts["stopped_after"] < 1000


def test_a_translation(page, tmp_path):
    choose(page, LINES)
    assert "Trained on: OpenMoji" in page.text_content("#made-hint")
    page.set_input_files("#file", png(80, 60, 3))
    page.wait_for_selector("#made:visible")
    facts = images.read_provenance(downloaded(page, "#made-png", tmp_path))
    assert facts["verb"] == "translate" and facts["direction"] == "a-to-b"


def test_what_was_given_keeps_its_proportions(page):
    choose(page, LINES)
    for height, width in ((512, 512), (300, 900), (900, 300), (300, 10), (20, 30)):
        page.set_input_files("#file", png(height, width, 3))
        page.wait_for_function(
            """([width, height]) => {
              const given = document.querySelector("#given");
              const shown = given.width / given.height;
              return given.naturalWidth === width && Math.abs(shown * height / width - 1) < 0.02;
            }""",
            arg=[width, height],
        )
    # Small ones are enlarged by a whole factor.
    assert page.locator("#given").bounding_box()["width"] == 180


def test_what_is_too_wide_is_shrunk_smoothly(browser, address):
    page = browser.new_context(viewport={"width": 375, "height": 812}).new_page()
    page.goto(f"{address}#{CLASSES}/card")
    picture = page.locator(".card-picture[alt*=curves]")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("(node) => node.naturalWidth > 0", arg=picture.element_handle())
    shown = picture.evaluate(
        "(node) => [node.naturalWidth, node.width, getComputedStyle(node).imageRendering]"
    )
    assert shown[0] > shown[1] and shown[2] == "auto"
    page.context.close()


def test_what_is_no_picture_is_told_in_a_sentence(page):
    choose(page, LINES)
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    huge = {"name": "huge.png", "mimeType": "image/png", "buffer": bomb.getvalue()}
    for file in (text, huge):
        page.set_input_files("#file", file)
        said = page.wait_for_selector(f"#message:visible:has-text('{file['name']}')").text_content()
        assert said.startswith("Expected a picture") and "Traceback" not in said
        assert page.is_disabled("#go")
    page.set_input_files("#file", png(80, 60, 3))
    page.wait_for_selector("#made:visible")
    assert not page.is_visible("#message")


def test_a_file_that_is_dropped(page):
    choose(page, LINES)
    data = page.evaluate_handle(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["hello"], "dropped.txt", { type: "text/plain" }));
          return data;
        }"""
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_selector("#message:visible:has-text('dropped.txt')")


def test_a_run_is_followed(page, running):
    choose(page, f"{running} (run)")
    page.wait_for_selector("#film[alt*='after 128 images']")
    assert page.locator("#curves svg").count() == 2
    assert f"kgan train {running}" in page.text_content("[data-code=run] pre")
    slide(page, "#reel", 1)
    page.wait_for_selector("#film[alt*='after 64 images']")
    slide(page, "#reel", 2)
    log = running / "log.csv"
    log.write_bytes(log.read_bytes().replace(b"192,4.5,1.0", b"192,4.5,1.0,0.75,0.05\r\n"))
    shutil.copy(running / "grids/images-000000064.png", running / "grids/images-000000192.png")
    page.wait_for_selector("#film[alt*='after 192 images']")
    assert "192 of 256 images" in page.text_content("#run-state")
    page.click(".log summary")
    assert "192" in page.text_content("#log tr:nth-child(2)")


def test_a_run_that_is_gone_is_told_in_a_sentence(page, running):
    choose(page, f"{running} (run)")
    page.wait_for_selector("#film[alt]")
    aside = running.with_name("aside")
    running.rename(aside)
    try:
        page.wait_for_selector("#message:visible")
    finally:
        aside.rename(running)


def test_a_server_that_has_ended_is_told_in_a_sentence(browser):
    page = browser.new_page()
    with server.serving([CLASSES]) as address:
        page.goto(address)
        page.wait_for_selector("#big[aria-label]:visible")
    page.click("#next")
    page.wait_for_selector("#message:visible:has-text('not running any more')")
    page.close()


def test_where_there_is_no_preset_it_says_so(browser, monkeypatch):
    monkeypatch.setattr(entries.registry, "names", lambda: [])
    page = browser.new_page()
    with server.serving() as address:
        page.goto(address)
        page.wait_for_selector("#message:visible:has-text('There is no preset here')")
    page.close()


def test_two_browsers_at_once(browser, address):
    pages = [browser.new_context().new_page() for _ in range(2)]
    for page, name in zip(pages, (STYLE, CLASSES), strict=True):
        page.goto(f"{address}#{name}/explore")
    for page in pages:
        shows(page, "seed 0")
    for seed in (3, 5, 9):
        for shift, page in enumerate(pages):
            page.click(f"#wall [data-seed='{seed + shift}']")
        for shift, page in enumerate(pages):
            shows(page, f"seed {seed + shift}")
    for page, name in zip(pages, (STYLE, CLASSES), strict=True):
        page.wait_for_selector(f"[data-code=picture] pre:has-text('{name}')")
        page.context.close()


def test_a_narrow_screen(browser, address, running):
    page = browser.new_context(viewport={"width": 375, "height": 812}, has_touch=True).new_page()
    for view in (f"{STYLE}/explore", f"{STYLE}/photo", f"{CLASSES}/card", "run/training"):
        name, tab = view.split("/")
        name = str(running).replace("/", "%2F") if name == "run" else name
        page.goto("about:blank")
        page.goto(f"{address}#{name}/{tab}")
        page.wait_for_selector(f"#{tab}:visible")
        time.sleep(1)
        assert page.evaluate("document.documentElement.scrollWidth") == 375, view
    page.context.close()
