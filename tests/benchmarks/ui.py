"""How long the page of `kgan ui` lets a person wait, measured in a browser.

python tests/benchmarks/ui.py                       # all presets of the zoo
python tests/benchmarks/ui.py dcgan-celeba --json times.json

From the move of a slider to the frame of the browser in which its picture is shown, in
milliseconds: *cold* of two seeds of which nothing was asked before, the slider moved at once;
*warm* of the moves that follow. Of models with styles also the slider of truncation; of a model
that translates, from a picture's being dropped. *page* is from the address to the first pictures.
Needs Playwright and a Chromium.
"""

import io
import json
import os
import statistics
import sys
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chromium

from kgan.cli.ui import server

# Moves a slider and waits until the large picture says that it is another's, and is shown.
MOVE = """async ([slider, value, wanted]) => {
  const big = document.getElementById("big");
  const node = document.getElementById(slider);
  const shown = new Promise((done) => {
    const look = () => big.ariaLabel.includes(wanted) && (watch.disconnect(), done());
    const watch = new MutationObserver(look);
    watch.observe(big, { attributes: true });
  });
  const start = performance.now();
  node.value = value;
  node.dispatchEvent(new Event("input"));
  await shown;
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
# Chooses an end, and moves the slider at once.
COLD = """async ([seed, value, wanted]) => {
  document.querySelector(".slot[data-end=end]").click();
  document.querySelector(`#wall [data-seed="${seed}"]`).click();
  return await (%s)(["way", value, wanted]);
}"""


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--moves", default=40, show_default=True, help="Warm moves of a slider.")
@click.option("--json", "out", type=click.Path(dir_okay=False), help="File for all times.")
def main(names: tuple[str, ...], moves: int, out: str | None) -> None:
    times: dict[str, dict[str, list[float]]] = {}
    start = time.perf_counter()
    with server.serving(names) as address, chromium.opened() as browser:
        click.echo(
            f"served after {time.perf_counter() - start:.1f} s, load {os.getloadavg()[0]:.1f}"
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        entries = page.evaluate("fetch('/kgan/entries').then((answer) => answer.json())")
        for name in (entry["name"] for entry in entries):
            page.goto("about:blank")
            begun = time.perf_counter()
            page.goto(f"{address}#{name}/explore")
            page.wait_for_selector("#big[aria-label]:visible, #drop:visible")
            times[name] = {"page": [1000 * (time.perf_counter() - begun)]}
            if page.is_visible("#drop"):
                times[name]["drop"] = _drops(page, 10)
            else:
                times[name].update(_sliders(page, moves))
            for what, each in times[name].items():
                click.echo(
                    f"{name:24} {what:16} {statistics.median(each):6.0f} ms "
                    f"({min(each):.0f} to {max(each):.0f}, {len(each)})"
                )
    if out:
        Path(out).write_text(json.dumps(times))


def _sliders(page, moves):
    page.wait_for_timeout(1000)  # until what the page asks for at first is there
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    for round_ in range(8):
        seed, frame = 8 + round_, 10 + round_
        wanted = f"to seed {seed}, step {frame} of"
        times["cold"].append(page.evaluate(COLD % MOVE, [seed, frame, wanted]))
        page.wait_for_timeout(500)
    for move in range(moves):
        frame = 1 + move * 7 % 30
        times["warm"].append(page.evaluate(MOVE, ["way", frame, f"step {frame} of"]))
    if page.is_visible("#truncation"):
        begin = ["truncation", 10, "truncation 0.50"]
        times["truncation cold"] = [page.evaluate(MOVE, begin)]
        times["truncation warm"] = []
        for move in range(moves):
            index = 1 + move * 7 % 30
            wanted = f"truncation {index / 20:.2f}"
            times["truncation warm"].append(page.evaluate(MOVE, ["truncation", index, wanted]))
    return times


def _drops(page, number):
    times = []
    for _ in range(number):
        file = io.BytesIO()
        noise = np.random.default_rng().integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(file, "PNG")
        before = page.get_attribute("#made-picture", "src")
        begun = time.perf_counter()
        page.set_input_files(
            "#file", {"name": "x.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
        page.wait_for_selector(f"#made-picture:visible:not([src='{before}'])")
        times.append(1000 * (time.perf_counter() - begun))
    return times


if __name__ == "__main__":
    main()
