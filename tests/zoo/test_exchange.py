"""Servers that lie, stall or flood: each ends in time, in little memory and in one line."""

import hashlib
import json
import socket
import struct
import threading
import time
import warnings
from contextlib import contextmanager, suppress

import psutil
import pytest

from kgan.errors import KganError
from kgan.zoo import download, exchange
from zoo.sound import METADATA

SOUND = b'{"a": 1}'
FILE = bytes(range(256)) * 400  # the file whose size and hash the metadata say
BLOCK = b"x" * (1 << 16)
OK = b"HTTP/1.1 200 OK\r\n"
LIMITS = {"_SECONDS": 0.3, "_SILENCE": 0.1, "_PAUSES": (0.01, 0.01)}
MOST_SECONDS, MOST_MEMORY = 15, 100_000_000


def says(*parts):
    """A server that says this and closes."""
    return lambda connection: connection.sendall(b"".join(parts))


def floods(start, block=BLOCK):
    """A server that never ends, as fast as it can."""

    def behave(connection):
        connection.sendall(start)
        while True:
            connection.sendall(block)

    return behave


def drips(start, drop=b"x", seconds=0.02):
    """A server that never ends, a little at a time."""

    def behave(connection):
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(seconds)

    return behave


def stalls(*parts):
    def behave(connection):
        connection.sendall(b"".join(parts))
        connection.recv(1)  # until the client has gone

    return behave


def resets(*parts):
    def behave(connection):
        connection.sendall(b"".join(parts))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def status(line, *rest):
    return says(b"HTTP/1.1 ", line, b"\r\n", *rest, b"\r\n\r\n")


def moves(to, body=b""):
    return says(
        b"HTTP/1.1 302 Found\r\nLocation: ", to, b"\r\nContent-Length: %d\r\n\r\n" % len(body), body
    )


def plain(length, body, headers=b""):
    return says(OK, headers, b"Content-Length: %d\r\n\r\n" % length, body)


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /sound\r\n"

# Answers to the request for a preset's metadata.
JSON = {
    "never answers": stalls(),
    "never answers in whole": stalls(b"HTTP/1.1 200 O"),
    "closes at once": says(),
    "resets at once": resets(),
    "resets in the headers": resets(OK, b"Content-Le"),
    "resets in the body": resets(OK, b"Content-Length: 8\r\n\r\n", b'{"a"'),
    "stalls in the headers": stalls(OK),
    "stalls in the body": stalls(OK, b"Content-Length: 8\r\n\r\n", b'{"a"'),
    "drips the status line": drips(b"HTTP/1.1 200 "),
    "drips headers": drips(OK, b"a: b\r\n"),
    "drips one header": drips(OK + b"a: "),
    "drips the body": drips(OK + b"Content-Length: 1000\r\n\r\n", b" "),
    "drips chunks": drips(CHUNKED, b"1\r\n \r\n"),
    "drips a chunk's size": drips(CHUNKED, b"0"),
    "drips trailers": drips(CHUNKED + b"0\r\n", b"a: b\r\n"),
    "drips 100 Continue": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips a redirection's body": drips(MOVED + b"\r\n"),
    "floods the status line": floods(b"HTTP/1.1 200 "),
    "floods with headers": floods(OK, b"a: b\r\n" * 1000),
    "floods with one header": floods(OK + b"a: "),
    "floods with folded headers": floods(OK + b"a: b\r\n", b" b\r\n" * 1000),
    "99 headers of 60 KB": says(OK, (b"a: " + b"b" * 60_000 + b"\r\n") * 99, b"\r\n", SOUND),
    "floods the body": floods(OK + b"\r\n"),
    "floods behind a length": floods(OK + b"Content-Length: 1000000000000\r\n\r\n"),
    "floods with chunks": floods(CHUNKED, b"10000\r\n" + BLOCK + b"\r\n"),
    "floods with tiny chunks": floods(CHUNKED, b"1\r\n \r\n" * 1000),
    "floods with extensions of a chunk": floods(CHUNKED + b"1;"),
    "floods with trailers": floods(CHUNKED + b"0\r\n", b"a: b\r\n" * 1000),
    "floods with 100 Continue": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "floods with headers of 100 Continue": floods(b"HTTP/1.1 100 Continue\r\n", b"a: b\r\n" * 90),
    "floods with 103 Early Hints": floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "floods a redirection's body": floods(MOVED + b"\r\n"),
    "floods a redirection's chunks": floods(
        MOVED + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + BLOCK + b"\r\n"
    ),
    "floods the body of a 404": floods(b"HTTP/1.1 404 Not Found\r\n\r\n"),
    "floods the body of a 503": floods(b"HTTP/1.1 503 Unavailable\r\n\r\n"),
    "floods with zeros in place of HTTP": floods(b"", b"\0" * (1 << 16)),
    "redirects to itself": moves(b"/json/redirects%20to%20itself/metadata.json"),
    "redirects to files": moves(b"file:///etc/passwd"),
    "redirects to FTP": moves(b"ftp://127.0.0.1/x"),
    "redirects to data": moves(b"data:,{}"),
    "redirects to plain HTTP": moves(b"http://example.org/x"),
    "redirects to nowhere": status(b"302 Found"),
    "redirects to no address": moves(b"http://[::1/x"),
    "redirects to a port of text": moves(b"http://localhost:port/x"),
    "redirects to no port": moves(b"http://localhost:99999999/x"),
    "redirects with escape sequences": moves(b"http://\x1b[2J\x1b[31m/x"),
    "redirects to a long address": moves(b"/" + b"x" * 60_000),
    "300 Multiple Choices": status(b"300 Multiple Choices"),
    "304 Not Modified": status(b"304 Not Modified"),
    "401 Unauthorized": status(b"401 Unauthorized", b'WWW-Authenticate: Basic realm="x"'),
    "407 Proxy Authentication Required": status(b"407 x", b"Proxy-Authenticate: Negotiate"),
    "101 Switching Protocols": status(b"101 Switching Protocols", b"Upgrade: h2c"),
    "204 No Content": status(b"204 No Content"),
    "206 unasked": status(b"206 Partial Content", b"Content-Range: bytes 0-7/8"),
    "416 unasked": status(b"416 Range Not Satisfiable"),
    "429 for an hour": status(b"429 Too Many Requests", b"Retry-After: 3600"),
    "429 for ever": status(b"429 Too Many Requests", b"Retry-After: " + b"9" * 5000),
    "429 until a date": status(b"429 x", b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
    "429 until a wrong date": status(b"429 x", b"Retry-After: Fri, 99 Foo 99999 99:99:99 GMT"),
    "429 for a negative time": status(b"429 x", b"Retry-After: -1"),
    "503 always": status(b"503 Service Unavailable"),
    "599 always": status(b"599 What"),
    "a status of letters": status(b"abc"),
    "a status of four digits": status(b"2000 OK"),
    "a negative status": status(b"-200 OK"),
    "escape sequences in the status line": status(b"404 \x1b]0;x\x07\x1b[2J\x9b31m"),
    "a long reason": status(b"404 " + b"x" * 60_000),
    "HTTP/0.9": says(SOUND),
    "HTTP/2": says(b"HTTP/2.0 200 OK\r\n\r\n", SOUND),
    "HTTP/2 frames": says(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff"),
    "escape sequences in place of HTTP": says(b"\x1b[2J\x1b[31m\r\n\r\n"),
    "SSH": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "rubbish headers": says(OK, b"\0\xff: \x80\r\n: :\r\n\r\n"),
    "a length that is too long": plain(100, SOUND),
    "a length that is too short": plain(4, SOUND),
    "a negative length": says(OK, b"Content-Length: -8\r\n\r\n["),
    "a length of letters": says(OK, b"Content-Length: x\r\n\r\n["),
    "a length of 5,000 digits": says(OK, b"Content-Length: ", b"9" * 5000, b"\r\n\r\n", SOUND),
    "two lengths": says(OK, b"Content-Length: 4\r\nContent-Length: 8\r\n\r\n", SOUND),
    "a chunk of no number": says(CHUNKED, b"zz\r\n", SOUND),
    "a chunk of negative size": floods(CHUNKED + b"-1\r\n"),
    "a chunk of 10^60,000 bytes": says(CHUNKED, b"f" * 60_000, b"\r\n", SOUND),
    "a chunk cut off": says(CHUNKED, b"ff\r\n", SOUND),
    "gzip": plain(len(BLOCK), BLOCK, b"Content-Encoding: gzip\r\n"),
    "br": plain(8, SOUND, b"Content-Encoding: br\r\n"),
    "a transfer in gzip": says(OK, b"Transfer-Encoding: gzip, chunked\r\n\r\n8\r\n", SOUND),
    "HTML": plain(44, b"<!DOCTYPE html><html>Log in, please.</html>\r\n"),
    "nothing": plain(0, b""),
    "no text": plain(4, b"\xff\xfe\0\0"),
    "a list": plain(2, b"[]"),
    "deeply nested": plain(200_000, b"[" * 200_000),
    "300,000 empty tables": plain(900_009, b'{"a":[' + b"{}," * 300_000 + b"0]}"),
    "escape sequences as keys": plain(17, b'{"\\u001b[2J": 1 }'),
}

# Answers to a request over TLS.
TLS = {
    "TLS that is rubbish": floods(b""),
    "TLS that never answers": stalls(),
    "TLS that drips": drips(b"\x16\x03\x03\x40\x00", b"\x02"),
    "TLS that is HTTP": says(OK, b"\r\n", SOUND),
    "TLS that closes": says(),
    "TLS that alerts": says(b"\x15\x03\x03\x00\x02\x02\x28"),
}

PART = b"HTTP/1.1 206 Partial Content\r\n"
HALF = len(FILE) // 2


def breaks_then(second):
    """A server whose first answer breaks off in the middle; what it says to the next request."""
    first = []

    def behave(connection):
        if not first:
            first.append(True)
            whole = b"Content-Length: %d\r\n\r\n" % len(FILE)
            connection.sendall(OK + whole + FILE[:HALF])
        else:
            second(connection)

    return behave


# Answers to the request for a file of known size.
FILES = {
    "a file that breaks off always": plain(len(FILE), FILE[:-1]),
    "a file that resets always": resets(OK, b"Content-Length: %d\r\n\r\n" % len(FILE), FILE[:9]),
    "a file that is short": plain(9, FILE[:9]),
    "a file that is empty": plain(0, b""),
    "a file that is long": plain(len(FILE) + 1, FILE + b"x"),
    "a file that never ends": floods(OK + b"\r\n"),
    "a file that is another": plain(len(FILE), FILE[::-1]),
    "a file that drips": drips(OK + b"\r\n"),
    "a file that stalls": stalls(OK, b"Content-Length: %d\r\n\r\n" % len(FILE), FILE[:HALF]),
    "a short file in chunks": says(CHUNKED, b"1\r\nx\r\n0\r\n\r\n"),
    "a file, then trailers for ever": floods(
        CHUNKED + b"%x\r\n" % len(FILE) + FILE + b"\r\n0\r\n", b"a: b\r\n" * 1000
    ),
    "a wrong part": breaks_then(says(PART, b"Content-Range: bytes 7-9/10\r\n\r\n", FILE[7:])),
    "a part without its range": breaks_then(says(PART, b"\r\n", FILE[HALF:])),
    "parts in MIME": breaks_then(says(PART, b"Content-Type: multipart/byteranges\r\n\r\n--x")),
    "another file's part": breaks_then(
        says(PART, b"Content-Range: bytes %d-/9\r\n\r\n" % HALF, b"x" * HALF)
    ),
    "a part that never ends": breaks_then(
        floods(PART + b"Content-Range: bytes %d-/9\r\n\r\n" % HALF)
    ),
    "416 for the rest": breaks_then(status(b"416 Range Not Satisfiable")),
    "404 for the rest": breaks_then(status(b"404 Not Found")),
    "429 for the rest": breaks_then(status(b"429 Too Many", b"Retry-After: 86400")),
}


def metadata_of(*files):
    """The metadata of a preset with these files."""
    table = {
        name: {"sha256": hashlib.sha256(FILE).hexdigest(), "size": len(FILE)} for name in files
    }
    return json.dumps({**METADATA, "files": table}).encode()


@contextmanager
def server(answer):
    """The port of a server that gives each connection and its request to `answer`."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    open_connections = []

    def serve(connection):
        with suppress(OSError), connection:
            connection.settimeout(10)
            answer(connection, connection.recv(1 << 16, socket.MSG_PEEK))

    def accept():
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                open_connections.append(connection)
                threading.Thread(target=serve, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in open_connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Peak:
    """Growth of resident memory in a block, at its highest."""

    def __enter__(self):
        self._process, self._over = psutil.Process(), threading.Event()
        self._before = self._highest = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._over.wait(0.005):
            self._highest = max(self._highest, self._process.memory_info().rss)

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self.growth = self._highest - self._before


@pytest.fixture
def impatient(monkeypatch, tmp_path):
    for name, value in LIMITS.items():
        monkeypatch.setattr(exchange, name, value)
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    for name in ("KGAN_OFFLINE", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def request_of(connection):
    """The request, taken from the connection: what is left there would reset it at its end."""
    return connection.recv(1 << 16)


def check(url, cache):
    """Asserts that a preset is refused in time, memory and one line, and leaves nothing."""
    begun = time.monotonic()
    with _Peak() as peak, pytest.raises(KganError) as caught:
        download.fetch_preset(url, None)
    assert time.monotonic() - begun < MOST_SECONDS
    assert peak.growth < MOST_MEMORY
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1000
    assert message.startswith(("Cannot get ", "Damaged preset: ", "Expected "))
    assert not cache.exists() or not list(cache.iterdir())


def test_there_are_enough():
    assert len(JSON) + len(TLS) + len(FILES) >= 100


def behaving(behaviour):
    """A server that hears a request out, and then behaves so."""

    def answer(connection, request):
        request_of(connection)
        behaviour(connection)

    return server(answer)


@pytest.mark.parametrize("name", JSON)
def test_metadata(name, impatient, tmp_path):
    with behaving(JSON[name]) as port:
        path = name.replace(" ", "%20")
        check(f"http://127.0.0.1:{port}/json/{path}", tmp_path / "cache")


@pytest.mark.parametrize("name", TLS)
def test_tls(name, impatient, tmp_path):
    with behaving(TLS[name]) as port:
        check(f"https://127.0.0.1:{port}/x", tmp_path / "cache")


def beside_sound_metadata(file):
    """A server of sound metadata, all of whose files are answered by `file`."""
    sound = metadata_of("config.json")

    def answer(connection, request):
        request_of(connection)
        if b"metadata.json" in request:
            plain(len(sound), sound)(connection)
        else:
            file(connection, request)

    return answer


@pytest.mark.parametrize("name", FILES)
def test_files(name, impatient, tmp_path):
    with server(beside_sound_metadata(lambda connection, request: FILES[name](connection))) as port:
        check(f"http://127.0.0.1:{port}/x", tmp_path / "cache")


def test_port_that_nobody_listens_at(impatient, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check(f"http://127.0.0.1:{port}/x", tmp_path / "cache")


def fetch(behaviour, tmp_path, monkeypatch):
    """What requests were made of a server whose file behaves like this, and the file's bytes."""
    requests = []

    def file(connection, request):
        requests.append(request.decode())
        behaviour(connection, request)

    monkeypatch.setattr(exchange, "_PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    with server(beside_sound_metadata(file)) as port, warnings.catch_warnings():
        warnings.simplefilter("error")
        entry = download.fetch_preset(f"http://127.0.0.1:{port}/x", None)
    assert (entry / "config.json").read_bytes() == FILE
    return requests


WHOLE = plain(len(FILE), FILE)


def first(broken, then):
    """The first request is answered by one behaviour, all others by another."""
    seen = []

    def behave(connection, request):
        seen.append(request)
        (broken if len(seen) == 1 else then)(connection)

    return behave


@pytest.mark.parametrize(
    "again",
    [
        status(b"503 Service Unavailable"),
        status(b"500 Internal Server Error"),
        status(b"429 Too Many Requests", b"Retry-After: 0"),
        status(b"429 Too Many Requests", b"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"),
        resets(),
        says(),
    ],
)
def test_passing_failures_are_tried_again(again, tmp_path, monkeypatch):
    assert len(fetch(first(again, WHOLE), tmp_path, monkeypatch)) == 2


def test_what_was_received_does_not_come_twice(tmp_path, monkeypatch):
    rest = says(PART, b"Content-Range: bytes %d-/%d\r\n\r\n" % (HALF, len(FILE)), FILE[HALF:])
    requests = fetch(first(plain(len(FILE), FILE[:HALF]), rest), tmp_path, monkeypatch)
    assert len(requests) == 2 and f"Range: bytes={HALF}-\r\n" in requests[1]


def test_server_without_ranges_begins_anew(tmp_path, monkeypatch):
    broken = plain(len(FILE), FILE[:HALF])
    assert len(fetch(first(broken, WHOLE), tmp_path, monkeypatch)) == 2


def test_parts_of_two_files_are_fetched_again_from_the_start(tmp_path, monkeypatch):
    def behave(connection, request):
        if len(seen) == 1:
            rest = b"Content-Range: bytes %d-/%d\r\n\r\n" % (HALF, len(FILE))
            says(PART, rest, FILE[HALF:])(connection)
        else:
            (WHOLE if seen else plain(len(FILE), b"x" * HALF))(connection)
        seen.append(request)

    seen = []
    requests = fetch(behave, tmp_path, monkeypatch)
    assert len(requests) == 3 and "Range:" not in requests[2]


def refusal(name):
    """What is said of a behaviour."""
    with (
        server(lambda connection, _: JSON[name](connection)) as port,
        pytest.raises(KganError) as e,
    ):
        download.fetch_json(f"http://127.0.0.1:{port}/x")
    return str(e.value)


def test_escape_sequences_of_a_status_line_are_shown_as_such(impatient):
    said = refusal("escape sequences in the status line")
    assert said.endswith(r"HTTP 404 \x1b]0;x\x07\x1b[2J\x9b31m")


def test_wish_to_be_left_alone_is_said(impatient):
    said = refusal("429 for an hour")
    assert said.endswith("HTTP 429 Too Many Requests; try again in 3600 seconds")
