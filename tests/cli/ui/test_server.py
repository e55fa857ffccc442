"""The server of the page, asked as a browser asks it, and as nobody should."""

import http.client
import io
import json
import shutil
import socket
import sys
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from PIL import Image

import kgan
from kgan.cli.ui import pictures, server
from kgan.errors import KganError

pytest.importorskip("gradio")

from cli.ui.conftest import write_run


@pytest.fixture(scope="module")
def served(tmp_path_factory, vivid_preset, style_preset, pix2pix_preset):
    """The port of a page with presets at 0, 1 and 2, and a run at 3."""
    run = tmp_path_factory.mktemp("runs") / "x"
    write_run(run)
    sources = [str(place) for place in (vivid_preset, style_preset, pix2pix_preset, run)]
    with server.serving(sources) as address:
        yield urllib.parse.urlsplit(address).port


@contextmanager
def asked(port, path, method="GET", body=None, **headers):
    """An answer to a request whose path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        yield connection.getresponse()
    finally:
        connection.close()


def get(port, path, method="GET", body=None, **headers):
    """The status, and what is answered: JSON, a picture as an array, or bytes."""
    with asked(port, path, method, body, **headers) as answer:
        content, kind = answer.read(), answer.headers.get("content-type", "")
    if kind.startswith("image/"):
        return answer.status, np.asarray(Image.open(io.BytesIO(content)))
    return answer.status, json.loads(content) if kind == "application/json" else content


def address(port, place, what, **values):
    """The path of something of a preset, as the page writes it."""
    weights = get(port, f"/kgan/presets/{place}")[1]["weights"]
    query = urllib.parse.urlencode({"w": weights, "q": json.dumps(values)})
    return f"/kgan/presets/{place}/{what}?{query}"


def test_the_menu_and_what_a_preset_can_do(served):
    _, menu = get(served, "/kgan/entries")
    assert [entry["run"] for entry in menu] == [False, False, False, True]
    _, styled = get(served, "/kgan/presets/1")
    assert styled["classes"] == ["cat", "dog, black", "it's"] and styled["styles"]
    _, plain = get(served, "/kgan/presets/0")
    assert plain["classes"] is None and not plain["styles"] and plain["photo"]
    _, lines = get(served, "/kgan/presets/2")
    assert lines["directions"] == ["a_to_b"] and "classes" not in lines


def test_pictures(served, vivid_preset):
    model = kgan.zoo.sampler(vivid_preset)
    _, drawn = get(served, address(served, 0, "picture", verb="sample", seed=3))
    np.testing.assert_array_equal(drawn, model.sample(1, seed=3)[0])
    _, strip = get(
        served, address(served, 0, "strip/way", start=3, end=9, label=None, truncation=None)
    )
    assert strip.shape == (32 * 16, 16, 3)
    _, said = get(served, address(served, 0, "said", verb="sample", seed=3))
    assert said["command"].startswith("kgan sample ") and "seed=3" in said["python"]


def test_a_download_has_a_name(served):
    with asked(
        served, address(served, 1, "picture", verb="mix", start=1, end=2, layers="fine")
    ) as answer:
        assert answer.headers["content-disposition"] == (
            "attachment; filename*=UTF-8''style-mix-1-2.png"
        )


def test_a_run(served):
    _, state = get(served, "/kgan/runs/3")
    assert state["seen"] == 128
    status, grid = get(served, "/kgan/runs/3/grids/64")
    assert status == 200 and (grid == 64).all()


@pytest.mark.parametrize(
    "path, words",
    [
        ("/kgan/presets/99", "Expected one of 4 entries. Received: 99"),
        ("/kgan/presets/0/picture?w=x&q={}", "Expected w to be a SHA-256"),
        ("/kgan/presets/0/card/metadata.json?w=x", "Expected name to be one of 'samples.png'"),
        ("/kgan/presets/0/card/samples.png?w=x", "Expected w to be a SHA-256"),
        ("/kgan/runs/0", "Expected a run. Received: the preset "),
        ("/kgan/runs/3/grids/65", "Expected a grid of the run. Received: 65 images"),
        ("/kgan/made/x/png", "Expected a picture that was made here. Received: none"),
        ("/kgan/page/server.py", "Expected name to be one of 'page.css', 'page.js'"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(served, path, words):
    status, said = get(served, path)
    assert status == 400 and words in said["error"] and "\n" not in said["error"]


@pytest.mark.parametrize(
    "place, what, values, words",
    [
        (
            0,
            "picture",
            {"verb": "sample", "seed": 0, "label": 1},
            "Expected no labels: the model is unc",
        ),
        (0, "picture", {"verb": "sample", "seed": 0, "truncation": 0.5}, "Expected no truncation"),
        (0, "picture", {"verb": "mix", "start": 0, "end": 1, "layers": "fine"}, "draws by styles"),
        (1, "picture", {"verb": "sample", "seed": 0, "label": 3}, "from 0 to 2"),
        (0, "strip/mixes", {"start": 0, "end": 1}, "Expected a model with styles"),
        (
            0,
            "strip/wall",
            {"first": 0},
            "Expected first, number, label, truncation. Received: first",
        ),
        (0, "strip/wall", {"first": 0, "number": 10**9, "label": None, "truncation": None}, "64"),
        (0, "strip/x", {}, "Expected kind to be one of"),
        (2, "strip/wall", {"first": 0}, "Expected a model that makes pictures of latents"),
        (2, "picture", {"verb": "sample", "seed": 0}, "Expected a model that makes pictures"),
        (0, "translation", {"photo": "x"}, "Expected a model that translates"),
        (2, "translation", {"photo": "x"}, "Expected a photograph that was dropped here"),
    ],
)
def test_what_a_preset_cannot_do_is_told_in_a_sentence(served, place, what, values, words):
    status, said = get(served, address(served, place, what, **values))
    assert status == 400 and words in said["error"]


def test_what_is_no_json_is_told_in_a_sentence(served):
    path = address(served, 0, "picture")
    status, said = get(served, path.replace("q=%7B%7D", "q=%5B"))
    assert status == 400 and said["error"].startswith("Expected")


class TestPhotographs:
    @staticmethod
    def sent(port, content, name):
        return get(port, "/kgan/photos", "POST", content, x_name=urllib.parse.quote(name))

    def test_a_translation_and_its_file(self, served):
        file = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(file, "JPEG")
        status, photo = self.sent(served, file.getvalue(), "sea é.jpg")
        assert status == 200 and photo["name"] == "sea é.jpg"
        path = address(served, 2, "translation", photo=photo["photo"], direction="a_to_b")
        _, made = get(served, path)
        assert "sea é.jpg" in made["command"]
        assert get(served, f"/kgan/made/{made['made']}/png")[1].shape == (32, 32, 3)
        status, said = get(served, f"/kgan/made/{made['made']}/npz")
        assert status == 400 and said["error"] == "Expected png or npz. Received: npz"

    def test_a_photograph_of_many_pixels(self, served):
        file = io.BytesIO()
        Image.new("RGB", (3000, 2000), "teal").save(file, "BMP")  # 18 MB
        status, photo = self.sent(served, file.getvalue(), "sea.bmp")
        assert status == 200 and photo["name"] == "sea.bmp"

    def test_a_text_is_refused(self, served):
        status, said = self.sent(served, b"hello", "notes.txt")
        assert status == 400 and "Received: notes.txt: no picture" in said["error"]

    def test_a_file_that_is_too_large_is_refused(self, served, monkeypatch):
        monkeypatch.setattr(server.photos, "MOST_BYTES", 1 << 20)
        status, said = self.sent(served, bytes(1 << 21), "huge.tif")
        assert status == 400
        assert said["error"] == "Expected a picture of at most 1 MB. Received: more"

    def project(self, port, **values):
        """The messages of a search."""
        body = json.dumps({"data": [json.dumps(values)]})
        headers = {"content_type": "application/json"}
        _, begun = get(port, "/gradio_api/call/project", "POST", body, **headers)
        _, text = get(port, f"/gradio_api/call/project/{begun['event_id']}")
        lines = [line[6:] for line in text.decode().splitlines() if line.startswith("data: [")]
        return [json.loads(json.loads(line)[0]) for line in lines]

    def test_a_projection_tells_how_far_it_is(self, served):
        file = io.BytesIO()
        Image.new("RGB", (64, 48), "teal").save(file, "PNG")
        photo = self.sent(served, file.getvalue(), "sea.png")[1]["photo"]
        weights = get(served, "/kgan/presets/0")[1]["weights"]
        asked = {"place": 0, "w": weights, "photo": photo, "box": None, "label": None, "steps": 2}
        *told, result = self.project(served, **asked)
        assert {"done": 2, "total": 2} in told
        result = result["result"]
        assert get(served, f"/kgan/made/{result['made']}/png")[1].shape == (20, 38, 3)
        assert get(served, f"/kgan/made/{result['made']}/npz")[1][:2] == b"PK"
        *_, problem = self.project(served, **{**asked, "box": [0.5, 0, 0.2, 1]})
        assert problem["result"]["problem"].startswith("Expected")
        *_, problem = self.project(served, **{**asked, "photo": "x"})
        assert "Expected a photograph that was dropped here" in problem["result"]["problem"]


class TestNobodyElse:
    """What is no request of the page's own gets nothing."""

    @pytest.mark.parametrize(
        "path",
        [
            "/gradio_api/file=/etc/passwd",
            "/gradio_api/file=../../../../etc/passwd",
            "/gradio_api/file/etc/passwd",
            "/file=/etc/passwd",
            "/gradio_api/proxy=http://example.com/",
            "/gradio_api/upload",
            "/gradio_api/call/project/../../upload",
            "/gradio_api/info",
            "/gradio_api/runs",
            "/config",
            "/docs",
            "/openapi.json",
            "/monitoring",
            "/static/../server.py",
            "/assets/index.js",
            "//etc/passwd",
            "/kgan/../etc/passwd",
            "/kgan/page/../server.py",
            "/kgan/page/..%2Fserver.py",
            "/kgan/page/%2e%2e/server.py",
            "/kgan/page/%2Fetc%2Fpasswd",
            "/kgan/page//etc/passwd",
            "/kgan/page/....//server.py",
            "/kgan/page/..%5cserver.py",
            "/kgan/page/..%252Fserver.py",
            "/kgan/presets/0/card/..%2Fmetadata.json",
            "/kgan/presets/0/card//etc/passwd",
            "/kgan/presets/..%2F0",
            "/kgan/runs/3/grids/..%2Flog.csv",
            "/kgan/runs/3/grids/../../log.csv",
            "/kgan/made/..%2F..%2Fetc%2Fpasswd/png",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_no_path_leaves_its_folder(self, served, path, method):
        with asked(served, path, method) as answer:
            content = answer.read()
        assert answer.status in (400, 403, 404, 405, 422)
        assert b"root:" not in content and b"import" not in content

    def test_another_name_of_this_machine_is_refused(self, served):
        for host in ("evil.example", f"evil.example:{served}", "127.0.0.1.evil.example", ""):
            with asked(served, "/kgan/entries", Host=host) as answer:
                assert (answer.status, answer.read()) == (403, b"")
        assert get(served, "/kgan/entries", Host=f"localhost:{served}")[0] == 200

    def test_other_sites_pages_are_refused(self, served):
        for site in ("cross-site", "same-site"):
            with asked(served, "/kgan/entries", Sec_Fetch_Site=site) as answer:
                assert answer.status == 403
            with asked(served, "/kgan/photos", "POST", b"x", Sec_Fetch_Site=site) as answer:
                assert answer.status == 403
        assert get(served, "/", Sec_Fetch_Site="cross-site")[0] == 200  # a link to the page

    def test_it_listens_to_this_machine_alone(self, served):
        listening = [
            c.laddr for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN
        ]
        assert [place.ip for place in listening if place.port == served] == ["127.0.0.1"]

    def test_the_page_names_no_other_host(self, served):
        for path in ("/", "/kgan/page/page.css", "/kgan/page/page.js"):
            with asked(served, path) as answer:
                text = answer.read().decode().replace("http://www.w3.org/2000/svg", "")
                assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "http:" not in text and "https:" not in text and "//" not in path


def test_two_browsers_see_no_mixture(served, vivid_preset, style_preset):
    """Asked for at once, every picture is what was asked for."""
    models = [kgan.zoo.sampler(place) for place in (vivid_preset, style_preset)]
    begin = threading.Barrier(4)

    def one(browser):
        begin.wait()
        for seed in range(8):
            place, label = (browser + seed) % 2, (browser + seed) % 3
            options = {"label": label, "truncation": 0.5} if place else {}
            path = address(served, place, "picture", verb="sample", seed=seed, **options)
            wanted = {"labels": label, "truncation": 0.5} if place else {}
            image = models[place].sample(1, seed=seed, **wanted)[0]
            np.testing.assert_array_equal(get(served, path)[1], image)

    with ThreadPoolExecutor(4) as browsers:
        list(browsers.map(one, range(4)))


def test_no_other_host_is_asked_for_anything(vivid_preset, monkeypatch):
    asked = []
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def noted(self, place, real=real):
            asked.append(place)
            return real(self, place)

        monkeypatch.setattr(socket.socket, name, noted)
    with server.serving([str(vivid_preset)]) as found:
        port = urllib.parse.urlsplit(found).port
        get(port, address(port, 0, "picture", verb="sample", seed=3))
    assert {place[0] for place in asked if isinstance(place, tuple)} == {"127.0.0.1"}


def test_a_preset_that_is_gone_is_told_in_a_sentence(vivid_preset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(vivid_preset, copy)
    with server.serving([str(copy)]) as found:
        port = urllib.parse.urlsplit(found).port
        shutil.rmtree(copy)
        status, said = get(port, "/kgan/presets/0")
    assert status == 400 and said["error"].startswith("Expected the name or the directory")


def test_a_port_that_is_anothers_is_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(KganError, match=f"Expected a free port. Received: {port}, which"),
            server.serving(["dcgan-mnist"], port),
        ):
            pass


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(KganError, match="pip install 'kgan\\[ui\\]'"), server.serving():
        pass


def test_its_names_for_strips_are_those_of_functions():
    assert set(server._STRIPS) == {"wall", "way", "truncated", "mixes"}
    assert pictures.STEPS + 1 == 32
