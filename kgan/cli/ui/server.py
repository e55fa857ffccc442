"""The web server of the page: its files, pictures by address, and searches in Gradio's queue."""

import functools
import inspect
import json
import os
import queue
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from kgan.checks import SHA256, TEXT, list_of, number, one_of, or_none, whole
from kgan.cli.engines import check_sampling
from kgan.cli.info import lines_of, notes_of
from kgan.cli.ui import photos, pictures, watching
from kgan.cli.ui.entries import Entries, Opened
from kgan.errors import KganError, one_line
from kgan.files import plain_name
from kgan.sampling import LAYERS, StyleSampling
from kgan.translating import Translating
from kgan.untrusted.text import parse_json
from kgan.zoo import results
from kgan.zoo.metadata import PICTURES, SAMPLES

_HERE = Path(__file__).parent
_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
# All that is answered: of Gradio's own routes those of the queue alone, which read no files.
_OPEN = ("/kgan/", "/gradio_api/call/project", "/gradio_api/startup-events")
_HOSTS = ("127.0.0.1", "localhost")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_FIXED = {"cache-control": "private, max-age=3600"}  # its address says what it is of
_BOX = or_none(list_of(number(0, 1), 4))


class _Guard:
    """Answers the page's own requests alone: no other path, no other host's name, no other site's.

    A name that is not this machine's may be made to lead here by who owns it, and with it what his
    pages may read.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        path = scope["path"]
        foreign = headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
        known = path == "/" or path.startswith(_OPEN)
        if host not in _HOSTS or not known or (foreign and path != "/"):
            status = 404 if host in _HOSTS and not foreign else 403
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        async def with_headers(message):
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, with_headers)


def wait() -> None:
    """Returns at Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(60)


@contextmanager
def serving(sources: Sequence[str] = (), port: int | None = None) -> Iterator[str]:
    """Serves the page on this machine's own address while the block runs.

    Args:
        sources: see `kgan.cli.ui.entries.Entries`.
        port: None for 7860, or the next that is free.

    Yields:
        The address.

    Raises:
        KganError: if Gradio, the extra `kgan[ui]`, is missing, a source is none, or the port is
            another program's.
    """
    entries = Entries(sources)
    # Of Gradio, before it is imported: nothing is told to anyone, and no version asked for.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio
    except ImportError as error:
        raise KganError(
            f"Expected gradio, for the page: pip install 'kgan[ui]'. Received: {error}"
        ) from None
    with tempfile.TemporaryDirectory(prefix="kgan-ui-") as folder:
        app = gradio.Server(docs_url=None, redoc_url=None, openapi_url=None)
        _add_routes(app, entries, Path(folder))
        app.add_middleware(_Guard)
        try:
            _, address, _ = app.launch(
                server_name=_HOSTS[0],
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                inbrowser=False,
                run_history=False,
                ssr_mode=False,
                mcp_server=False,
                allowed_paths=[],
            )
        except OSError:
            raise KganError(
                f"Expected a free port. Received: {port or 'none from 7860 on'}, which another "
                "program has"
            ) from None
        try:
            yield address
        finally:
            app.get_blocks().server.close()


def _add_routes(app, entries: Entries, folder: Path) -> None:
    from fastapi import Request, Response  # late: they come with Gradio

    found_photos: photos.Shelf[photos.Photo] = photos.Shelf(
        "a photograph that was dropped here", lambda photo: photo.path.unlink(missing_ok=True)
    )
    found_made: photos.Shelf[photos.Made] = photos.Shelf("a picture that was made here")

    def told(value: Any, status: int = 200) -> Response:
        content = json.dumps(value, allow_nan=False)
        return Response(content, status, {"cache-control": "no-store"}, "application/json")

    def get(path: str):
        """A route; what goes wrong is told in a sentence."""

        def added(answer):
            @functools.wraps(answer)
            def safe(*args, **kwargs):
                try:
                    return answer(*args, **kwargs)
                except Exception as error:
                    return told({"error": _sentence(error)}, 400)

            return app.get(path)(safe)

        return added

    def png(content: bytes) -> Response:
        return Response(content, 200, _FIXED, "image/png")

    def attached(content: bytes, name: str, kind: str) -> Response:
        name = urllib.parse.quote(name)
        headers = {**_FIXED, "content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(content, 200, headers, kind)

    def asked(place: int, w: str, q: str) -> tuple[Opened, dict[str, Any]]:
        found = entries.opened(place, SHA256.check("w", w))
        return found, parse_json(q.encode(), "the request")

    def asked_of_latents(place: int, w: str, q: str) -> tuple[Opened, dict[str, Any]]:
        found, values = asked(place, w, q)
        check_sampling(found.model, found.preset)
        return found, values

    @app.get("/")
    def page() -> Response:
        return Response((_HERE / "page.html").read_bytes(), 200, None, "text/html")

    @get("/kgan/page/{name}")
    def file(name: str) -> Response:
        one_of(*_FILES).check("name", name)
        return Response((_HERE / name).read_bytes(), 200, None, _FILES[name])

    @get("/kgan/entries")
    def menu() -> Response:
        return told([{"name": e.source, "run": e.run is not None} for e in entries.all])

    @get("/kgan/presets/{place}")
    def preset(place: int) -> Response:
        return told(described(entries.open(place)))

    @get("/kgan/presets/{place}/card/{name}")
    def card_picture(place: int, name: str, w: str) -> Response:
        one_of(SAMPLES, *PICTURES).check("name", name)
        preset = entries.opened(place, SHA256.check("w", w)).preset
        return png((preset.directory / name).read_bytes())

    @get("/kgan/presets/{place}/strip/{kind}")
    def strip(place: int, kind: str, w: str, q: str) -> Response:
        found, values = asked_of_latents(place, w, q)
        make = _STRIPS[one_of(*_STRIPS).check("kind", kind)]
        if kind in ("truncated", "mixes") and not isinstance(found.model, StyleSampling):
            raise KganError(f"Expected a model with styles. Received: a {found.model.kind}")
        _, *names = inspect.signature(make).parameters
        if values.keys() != set(names):
            raise KganError(f"Expected {', '.join(names)}. Received: {', '.join(values)}")
        return png(pictures.strip(found.preset, make(found.model, **values)))

    @get("/kgan/presets/{place}/picture")
    def picture(place: int, w: str, q: str) -> Response:
        found, values = asked_of_latents(place, w, q)
        facts = pictures.facts_of(found.preset, values)
        content = pictures.file_of(found.model, facts)
        form = "webp" if pictures.is_animation(facts) else "png"
        return attached(content, f"{_named(facts)}.{form}", f"image/{form}")

    @get("/kgan/presets/{place}/said")
    def said(place: int, w: str, q: str) -> Response:
        found, values = asked_of_latents(place, w, q)
        facts, source = pictures.facts_of(found.preset, values), entries[place].source
        command = pictures.command_of(found.preset, source, facts)
        return told({"command": command, "python": pictures.python_of(source, facts)})

    @app.post("/kgan/photos")
    async def sent(request: Request) -> Response:
        try:
            content = bytearray()
            async for part in request.stream():
                content += part
                if len(content) > photos.MOST_BYTES:
                    most = photos.MOST_BYTES >> 20
                    raise KganError(f"Expected a picture of at most {most} MB. Received: more")
            name = urllib.parse.unquote(request.headers.get("x-name", ""))
            photo = await _in_thread(photos.received, bytes(content), name, folder)
            return told({"photo": found_photos.put(photo), "name": photo.name})
        except Exception as error:
            return told({"error": _sentence(error)}, 400)

    @app.post("/kgan/photos/{word}/stop")
    def stop(word: str) -> Response:
        with suppress(KganError):
            found_photos[word].stop.set()
        return told({})

    @get("/kgan/presets/{place}/translation")
    def translation(place: int, w: str, q: str) -> Response:
        found, values = asked(place, w, q)
        if not isinstance(found.model, Translating):
            raise KganError(f"Expected a model that translates. Received: a {found.model.kind}")
        photo = found_photos[TEXT.check("photo", values.get("photo"))]
        direction = TEXT.check("direction", values.get("direction"))
        source = entries[place].source
        made = photos.translated(found.preset, found.model, source, photo, direction)
        return told(shown(made))

    @get("/kgan/made/{word}/{form}")
    def made_file(word: str, form: str) -> Response:
        made = found_made[word]
        content = {"png": made.png, "npz": made.npz}.get(form)
        if content is None:
            raise KganError(f"Expected png or npz. Received: {form}")
        kind = "image/png" if form == "png" else "application/octet-stream"
        return attached(content, f"{made.name}.{form}", kind)

    @get("/kgan/runs/{place}")
    def run(place: int) -> Response:
        return told(watching.state(entries[place].source, run_at(place)))

    @get("/kgan/runs/{place}/grids/{seen}")
    def grid(place: int, seen: int) -> Response:
        return png(watching.grid(run_at(place), seen).read_bytes())

    def run_at(place: int) -> Path:
        run = entries[place].run
        if run is None:
            raise KganError(f"Expected a run. Received: the preset {entries[place].source}")
        return run

    def shown(made: photos.Made) -> dict[str, Any]:
        values = {"command": made.command, "python": made.python, "error": made.error}
        return {"made": found_made.put(made), "latents": made.npz is not None, **values}

    @app.api(name="project", concurrency_limit=1)
    def project(q: str) -> Iterator[str]:
        """Searches for the latents of a photograph, one search at a time; tells how far it is."""
        messages: queue.Queue[dict[str, Any]] = queue.Queue()
        photo = None

        def search(place, weights, photo, box, label, steps):
            try:
                found = entries.opened(place, weights)
                check_sampling(found.model, found.preset)
                made = photos.projected(
                    *(found.preset, entries[place].source, photo, box, label, steps, folder),
                    lambda done, total: messages.put({"done": done, "total": total}),
                )
                messages.put({"result": shown(made)})
            except Exception as error:
                messages.put({"result": {"problem": _sentence(error)}})

        try:
            values = parse_json(q.encode(), "the request")
            photo = found_photos[TEXT.check("photo", values.get("photo"))]
            arguments = (
                whole(0).check("place", values.get("place")),
                SHA256.check("w", values.get("w")),
                photo,
                _BOX.check("box", values.get("box")),
                or_none(whole(0)).check("label", values.get("label")),
                whole(1, 10_000).check("steps", values.get("steps")),
            )
            photo.stop.clear()  # of the search before
            threading.Thread(target=search, args=arguments, daemon=True).start()
            message: dict[str, Any] = {}
            while "result" not in message:
                message = messages.get()
                yield json.dumps(message)
        except Exception as error:
            yield json.dumps({"result": {"problem": _sentence(error)}})
        finally:
            if photo is not None:  # its page has gone
                photo.stop.set()


def described(found: Opened) -> dict[str, Any]:
    """A preset as plain values: what the page can do with it, and its card."""
    preset, model = found
    metadata = preset.metadata
    files = metadata["files"]
    values: dict[str, Any] = {
        "weights": preset.weights_sha256,
        "kind": model.kind,
        "shape": list(model.image_shape),
        "pixels": pictures.shows_pixels(model.image_shape, preset.recipe),
        "lines": {key: str(value) for key, value in lines_of(preset).items()},
        "notes": [*notes_of(preset), *filter(None, [preset.recipe.data.limits])],
        "figures": [
            [
                name.replace("_", " "),
                results.number(value),
                None if floor is None else results.number(floor),
            ]
            for name, (value, floor) in results.summary(metadata.get("metrics") or []).items()
        ],
        "pictures": [
            name
            for name in (SAMPLES, *PICTURES)
            if name in files and (preset.directory / name).is_file()
        ],
    }
    if isinstance(model, Translating):
        return {**values, "directions": list(model.directions)}
    count = model.num_classes
    names = metadata.get("class_names") or list(map(str, range(count or 0)))
    return {
        **values,
        "classes": names[:count] if count else None,
        "styles": isinstance(model, StyleSampling),
        "photo": photos.suits(preset),
        "steps": pictures.STEPS,
        "truncations": pictures.TRUNCATIONS,
        "layers": list(LAYERS),
    }


_STRIPS: dict[str, Callable[..., Any]] = {
    "wall": pictures.wall,
    "way": pictures.way,
    "truncated": pictures.truncated,
    "mixes": pictures.mixes,
}


def _named(facts):
    """What a picture is called, without suffix."""
    numbers = [*facts.get("seeds", facts.get("rows", [])), *facts.get("cols", [])]
    numbers = "-".join(map(str, numbers or [facts["seed"]]))
    frame = f"-frame{facts['frame']}" if "frame" in facts else ""
    return plain_name(f"{facts['model']}-{facts['verb']}-{numbers}{frame}", "picture")


def _sentence(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, click.ClickException):
        return one_line(error.message)
    if isinstance(error, ValueError | ImportError):
        return one_line(str(error))
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror)
    return one_line(f"{type(error).__name__}: {error}"[:300])


async def _in_thread(function, *arguments):
    from anyio import to_thread  # late: it comes with Gradio

    return await to_thread.run_sync(function, *arguments)
