"""The zoo's presets, exported as ONNX, in a browser: are their pictures those of Python's runtime?

npm install onnxruntime-web
python tests/benchmarks/browser.py node_modules/onnxruntime-web/dist
python tests/benchmarks/browser.py node_modules/onnxruntime-web/dist dcgan-celeba

The page of docs/export.md is run first, as printed, and must draw the face that Python draws of the
same latents. Of each preset then: the share of the values that differ, the most levels by which one
does, and the milliseconds of a run on one thread. Exits with 1 where more than one level or 0.1% of
the values differ. Needs Playwright and a Chromium.
"""

import functools
import http.server
import math
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import click
import click.testing
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chromium

from kgan.cli import main as kgan_command
from kgan.sampling import to_uint8
from kgan.zoo import registry

GUIDE = Path(__file__).resolve().parents[2] / "docs/export.md"
RUNTIME = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

# Park and Miller's generator, so that Python knows the latents that a page has drawn.
RANDOM = "let x = 1; Math.random = () => (x = (x * 16807) % 2147483647) / 2147483647;"

RUN = """async ([file, inputs]) => {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(file);
  const feeds = {};
  for (const [name, [type, data, shape]] of Object.entries(inputs)) {
    const array = type === "int32" ? Int32Array.from(data) : Float32Array.from(data);
    feeds[name] = new ort.Tensor(type, array, shape);
  }
  await session.run(feeds);
  const start = performance.now();
  const output = (await session.run(feeds))[session.outputNames[0]];
  return [performance.now() - start, Array.from(output.data)];
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *arguments):
        pass


def same_latents(size: int) -> np.ndarray:
    """Those that the guide's page draws with `RANDOM`."""
    x = 1

    def random():
        nonlocal x
        x = x * 16807 % 2147483647
        return x / 2147483647

    draws = (
        math.sqrt(-2 * math.log(1 - random())) * math.cos(2 * math.pi * random())
        for _ in range(size)
    )
    return np.fromiter(draws, np.float32)[None]


def inputs_of(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """Four latents, and labels and a truncation where the model takes them; or one picture."""
    made, generator = {}, np.random.default_rng(0)
    for given in session.get_inputs():
        if given.name == "latents":
            made[given.name] = generator.standard_normal((4, given.shape[1]), np.float32)
        elif given.name == "labels":
            made[given.name] = np.arange(4, dtype=np.int32)
        elif given.name == "truncation":
            made[given.name] = np.array(0.7, np.float32)
        else:
            picture = generator.uniform(-1, 1, (1, 64, 64, given.shape[3]))
            made[given.name] = picture.astype(np.float32)
    return made


def check(name: str, got: np.ndarray, expected: np.ndarray, more: str = "") -> bool:
    """Prints a line; whether the two are the same within rounding."""
    difference = np.abs(got.astype(int) - expected)
    share, most = np.mean(difference > 0), difference.max()
    click.echo(f"{name:24} {share:.4%} differ, by at most {most}{more}")
    return most <= 1 and share <= 1e-3


def drawn_by_guide(page, address: str) -> np.ndarray:
    """The pixels that the page of the guide puts on its canvas."""
    page.goto(f"{address}/index.html")
    page.wait_for_function("document.querySelector('canvas').width === 64")
    context = "document.querySelector('canvas').getContext('2d')"
    pixels = page.evaluate(f"Array.from({context}.getImageData(0, 0, 64, 64).data)")
    return np.reshape(pixels, (1, 64, 64, 4))[..., :3]


@click.command(help=__doc__)
@click.argument("runtime", metavar="DIST", type=click.Path(exists=True, path_type=Path))
@click.argument("names", nargs=-1)
def main(runtime: Path, names: tuple[str, ...]) -> None:
    names = names or registry.names()
    with tempfile.TemporaryDirectory() as folder, chromium.opened() as browser:
        folder = Path(folder)
        for name in RUNTIME:
            shutil.copy(runtime / name, folder)
        for name in {"dcgan-celeba", *names}:
            export = ["export", name, "--out", str(folder / f"{name}.onnx")]
            done = click.testing.CliRunner().invoke(kgan_command, export)
            if done.exit_code:
                raise click.ClickException(done.output)
        (html,) = re.findall(r"```html\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
        (folder / "index.html").write_text(html, "utf-8")
        handler = functools.partial(Quiet, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        page = browser.new_page()
        page.add_init_script(RANDOM)
        session = onnxruntime.InferenceSession(folder / "dcgan-celeba.onnx")
        (expected,) = session.run(None, {"latents": same_latents(64)})
        good = [check("docs/export.md", drawn_by_guide(page, address), to_uint8(expected))]
        for name in names:
            session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
            inputs = inputs_of(session)
            (expected,) = session.run(None, inputs)
            told = {key: (str(a.dtype), a.ravel().tolist(), a.shape) for key, a in inputs.items()}
            milliseconds, got = page.evaluate(RUN, [f"{name}.onnx", told])
            got = np.reshape(np.array(got, np.float32), expected.shape)
            more = f"  {milliseconds:4.0f} ms"
            good.append(check(name, to_uint8(got), to_uint8(expected), more))
        server.shutdown()
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
