"""Presets over HTTP, from a server on this machine."""

import functools
import hashlib
import http.server
import json
import os
import shutil
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import kgan
from kgan import files
from kgan.errors import KganError, KganWarning
from kgan.files import sha256
from kgan.zoo import download, exchange, preset, registry
from kgan.zoo.metadata import CARD, METADATA, WEIGHTS


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(exchange, "_PAUSES", (0.01, 0.01))
    monkeypatch.delenv("KGAN_OFFLINE", raising=False)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path, tiny_preset, monkeypatch):
    """(the directory being served, its URL), with the tiny preset as `tiny` in a registry."""
    root = tmp_path / "served"
    shutil.copytree(tiny_preset, root / "tiny")
    registry.write(root)
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    handler = functools.partial(_Quiet, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_load_from_url_once_then_from_the_cache(served, tiny_preset, tmp_path):
    root, url = served
    model = kgan.zoo.load(f"{url}/tiny")
    expected = kgan.zoo.load(tiny_preset).sample(4, seed=0)
    np.testing.assert_array_equal(model.sample(4, seed=0), expected)
    (root / "tiny" / WEIGHTS).unlink()
    assert kgan.zoo.load(f"{url}/tiny").sample(1, seed=0).shape == (1, 16, 16, 3)
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("kgan_cache", [None, ""])
def test_names_of_directories_that_are_set_but_empty_count_as_unset(kgan_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("KGAN_CACHE", raising=False)
    if kgan_cache is not None:
        monkeypatch.setenv("KGAN_CACHE", kgan_cache)
    assert download.cache_directory() == Path.home() / ".cache/kgan"


def test_registry_url(served, monkeypatch):
    _, url = served
    monkeypatch.setenv("KGAN_ZOO", f"{url}:/nowhere")
    monkeypatch.setattr(registry, "_warned", set())
    assert registry.registries()[1:] == [url, "/nowhere"]
    with pytest.warns(KganWarning, match="Left out the registry /nowhere: No such file"):
        assert "tiny" in kgan.zoo.names()
    info = kgan.zoo.info("tiny")
    assert info["path"] is None and info["model"] == "DCGAN"
    assert kgan.zoo.load("tiny").latent_dim == 8


def test_pin(served):
    root, url = served
    right = sha256(root / "tiny" / METADATA)
    kgan.zoo.load(f"{url}/tiny#sha256={right}")
    with pytest.raises(ValueError, match="Damaged preset.*expected 000000"):
        kgan.zoo.load(f"{url}/tiny#sha256={'0' * 64}")
    with pytest.raises(ValueError, match="Expected #sha256="):
        kgan.zoo.load(f"{url}/tiny#sha256=12")


@pytest.mark.parametrize("how", ["changed", "longer", "missing"])
def test_bad_files_are_refused_and_leave_nothing(served, how, tmp_path):
    root, url = served
    weights = root / "tiny" / WEIGHTS
    content = weights.read_bytes()
    if how == "missing":
        weights.unlink()
    else:
        weights.write_bytes(content[:-1] + b"x" if how == "changed" else content + b"x")
    expected = {"changed": "has SHA-256", "longer": "is larger than", "missing": "Cannot get"}
    with pytest.raises(ValueError, match=expected[how]):
        kgan.zoo.load(f"{url}/tiny")
    assert not list((tmp_path / "cache").iterdir())


def test_files_cannot_be_written_elsewhere(served):
    root, url = served
    path = root / "tiny" / METADATA
    metadata = json.loads(path.read_text())
    metadata["files"]["../evil"] = metadata["files"].pop(CARD)
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="plain file names"):
        kgan.zoo.load(f"{url}/tiny")


class _Sly(http.server.BaseHTTPRequestHandler):
    """Answers with what `answer` says of a path: status, headers, body."""

    answer = {}

    def do_GET(self):
        status, headers, body = self.answer[self.path]
        if not status:
            self.wfile.write(body)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def sly():
    """(what a server answers by path, its URL)."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sly) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        _Sly.answer = {}
        yield _Sly.answer, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://example.org/x", "http://example.org/x", "data:,{}", "//"],
)
def test_redirections_elsewhere_are_not_followed(sly, target):
    answer, url = sly
    answer["/x"] = (302, {"Location": target}, b"")
    with pytest.raises(KganError, match=f"Cannot get {url}/x: "):
        download.fetch_json(f"{url}/x")


def test_redirections_at_home_are_followed(sly):
    answer, url = sly
    answer["/x"] = (302, {"Location": f"{url}/y"}, b"")
    answer["/y"] = (200, {}, b'{"a": 1}')
    assert download.fetch_json(f"{url}/x")[0] == {"a": 1}


def test_the_world_outside_cannot_send_us_to_this_machine():
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(urllib.error.URLError, match="Expected to be sent to https://"):
        exchange._Redirects().redirect_request(request, None, 302, "", {}, "http://localhost/x")


def test_announced_size_is_believed_before_it_comes(sly):
    answer, url = sly
    answer["/x"] = (200, {"Content-Length": str(1 << 40)}, b"{}")
    with pytest.raises(KganError, match="is larger than"):
        download.fetch_json(f"{url}/x")


def test_endless_file_is_cut_off(sly):
    answer, url = sly
    answer["/x"] = (200, {}, b"[" * (5 << 20))
    with pytest.raises(KganError, match="is larger than"):
        download.fetch_json(f"{url}/x")


@pytest.mark.parametrize("body", [b"", b"\0\xff\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500])
def test_server_that_speaks_no_http_is_one_line(sly, body):
    answer, url = sly
    answer["/x"] = (0, {}, body)
    with pytest.raises(KganError, match="Cannot get .*/x: .+"):
        download.fetch_json(f"{url}/x")


@pytest.mark.parametrize("address", ["https://[x", "https://a b/c", "https://é\n/", "http://[::1"])
def test_odd_addresses_are_one_line(address):
    with pytest.raises(KganError, match="Expected|Cannot get"):
        download.fetch_json(download.split_url(address)[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.update({"../evil": files["README.md"]}),
        lambda files: files.update({"/evil": files["README.md"]}),
        lambda files: files["README.md"].update(size=1 << 40),
        lambda files: files["README.md"].update(size="1"),
        lambda files: files.update({"README.md": []}),
    ],
)
def test_odd_files_are_not_fetched(served, tmp_path, change):
    root, url = served
    path = root / "tiny" / METADATA
    metadata = json.loads(path.read_text())
    change(metadata["files"])
    path.write_text(json.dumps(metadata))
    with pytest.raises(KganError, match="plain file names|at most .* bytes of README.md"):
        kgan.zoo.load(f"{url}/tiny")
    assert not (tmp_path / "cache").exists() and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", [METADATA, CARD, WEIGHTS])
@pytest.mark.parametrize("how", ["longer", "cut", "flipped", "gone", "a link elsewhere"])
def test_damaged_entry_of_the_cache_is_fetched_again(served, tmp_path, name, how):
    root, url = served
    entry = download.fetch_preset(f"{url}/tiny", None)
    file, content = entry / name, (entry / name).read_bytes()
    if how == "gone":
        file.unlink()
    elif how == "a link elsewhere":
        file.rename(tmp_path / name)
        file.symlink_to(tmp_path / name)
    else:
        changed = {"longer": content + b" ", "cut": content[:-1], "flipped": content[:-1] + b"?"}
        file.write_bytes(changed[how])
    with pytest.warns(KganWarning, match="is damaged, and fetched again"):
        assert download.fetch_preset(f"{url}/tiny", None) == entry
    assert file.read_bytes() == content and not file.is_symlink()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [entry.name]


def test_files_in_the_cache_are_hashed_once(served, monkeypatch):
    _, url = served
    entry = preset.read(f"{url}/tiny").directory
    expected = {sha256(path): 1 for path in entry.iterdir() if path.name[0] not in ".m"}
    expected[sha256(entry / WEIGHTS)] = 1
    hashed = []

    def counting(function):
        def count(*args):
            digest = function(*args)
            hashed.append(digest.hexdigest())
            return digest

        return count

    monkeypatch.setattr(hashlib, "sha256", counting(hashlib.sha256))
    monkeypatch.setattr(hashlib, "file_digest", counting(hashlib.file_digest))
    preset.read(f"{url}/tiny")
    assert {digest: hashed.count(digest) for digest in expected} == expected


def test_damage_is_found_by_whoever_reads_the_files(served):
    _, url = served
    entry = preset.read(f"{url}/tiny").directory
    content = (entry / WEIGHTS).read_bytes()
    (entry / WEIGHTS).write_bytes(content[:-1] + b"?")
    with pytest.warns(KganWarning, match="is damaged, and fetched again"):
        assert preset.read(f"{url}/tiny").content[WEIGHTS] == content


def test_file_in_the_place_of_an_entry_is_replaced(served):
    _, url = served
    entry = download.fetch_preset(f"{url}/tiny", None)
    shutil.rmtree(entry)
    entry.write_text("")
    with pytest.warns(KganWarning, match="is damaged"):
        assert (download.fetch_preset(f"{url}/tiny", None) / WEIGHTS).is_file()


def test_what_killed_downloads_left_is_removed_and_what_runs_is_kept(served, tmp_path):
    _, url = served
    left, running = (tmp_path / "cache" / f".partial-{n * 4}-{'0' * 64}" for n in ("0a", "1b"))
    for room in (left, running):
        (room / ("0" * 64)).mkdir(parents=True)
        (room / ("0" * 64) / WEIGHTS).write_text("half")
    with files.hold(running):
        entry = download.fetch_preset(f"{url}/tiny", None)
        assert {path.name for path in entry.parent.iterdir()} == {entry.name, running.name}
    download.fetch_preset(f"{url}/tiny", None)
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_processes_that_bring_the_same_agree(served, tmp_path):
    _, url = served
    with ThreadPoolExecutor(4) as pool:
        entries = set(pool.map(lambda _: download.fetch_preset(f"{url}/tiny", None), range(8)))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [entries.pop().name]
    assert not entries


def test_cache_that_cannot_be_written_is_one_line(served, tmp_path, monkeypatch):
    _, url = served
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(KganError, match="Expected a directory for downloads.*KGAN_CACHE names an"):
        download.fetch_preset(f"{url}/tiny", None)


def test_offline_uses_the_cache_and_local_registries(served, tmp_path, monkeypatch, zoo):
    root, url = served
    pin = sha256(root / "tiny" / METADATA)
    sources = [f"{url}/tiny", f"{url}/tiny#sha256={pin}", "tiny", "digits"]
    monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([url, str(zoo)]))
    preset.read("tiny")
    monkeypatch.setattr(exchange, "_receive", None)  # whoever goes out fails
    monkeypatch.setenv("KGAN_OFFLINE", "1")
    for source in sources:
        preset.read_metadata(source)
    assert preset.read("tiny").metadata["model"] == "DCGAN"
    assert {"tiny", "digits"} <= set(registry.names())
    with pytest.raises(KganError, match="KGAN_OFFLINE is set, and it is not in the cache"):
        preset.read(f"{url}/other")
    with pytest.raises(KganError, match="KGAN_OFFLINE is set: of other machines only what is in"):
        preset.read("other")
    (entry,) = (tmp_path / "cache").iterdir()
    (entry / WEIGHTS).unlink()
    with (
        pytest.warns(KganWarning, match="is damaged"),
        pytest.raises(KganError, match="KGAN_OFFLINE is set"),
    ):
        preset.read(f"{url}/tiny")


def test_pinned_registry_cannot_be_checked_offline(served, monkeypatch):
    root, url = served
    monkeypatch.setenv("KGAN_ZOO", f"{url}#sha256={sha256(root / registry.REGISTRY)}")
    preset.read("tiny")
    monkeypatch.setenv("KGAN_OFFLINE", "1")
    with (
        pytest.warns(KganWarning, match="Left out .*its pin cannot be checked"),
        pytest.raises(KganError, match="'tiny'; .*its pin cannot be checked"),
    ):
        preset.read("tiny")


@pytest.mark.parametrize("name", ["two words", "visages-été", "顔", "a+b&c=d", "50%", "a#b?c"])
def test_names_beyond_ascii(served, monkeypatch, name):
    root, url = served
    (root / "tiny").rename(root / name)
    registry.write(root)
    monkeypatch.setenv("KGAN_ZOO", url)
    assert name in registry.names()
    assert preset.read(name).metadata["model"] == "DCGAN"
    if not {"%", "#", "?"} & set(name):  # which mean something in an address
        assert preset.read(f"{url}/{name}").metadata["model"] == "DCGAN"


def test_addresses_beyond_ascii():
    assert download.split_url("https://bücher.example:8000/é x%20y/") == (
        "https://xn--bcher-kva.example:8000/%C3%A9%20x%20y",
        None,
    )
    for wrong in ("https://example.org/\n", "https://example.org/\x1b[2J", "https://a..b.é/"):
        with pytest.raises(KganError, match="Expected") as caught:
            download.split_url(wrong)
        assert str(caught.value).isprintable()


def test_addresses():
    base = "https://huggingface.co/someone/faces/resolve/main"
    assert download.split_url("hf://someone/faces") == (base, None)
    for wrong in ("http://example.org/x", "ftp://example.org"):
        with pytest.raises(ValueError, match="Expected https"):
            download.split_url(wrong)
