"""Presets from the web, each file checked against its hash before it is kept."""

import contextlib
import email.utils
import functools
import hashlib
import http.client
import io
import os
import re
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from pathlib import Path
from typing import NamedTuple

import click

from kgan import files
from kgan.errors import KganError, KganWarning, printable, reason, say
from kgan.untrusted.text import parse_json, read_bytes
from kgan.zoo import hub, metadata
from kgan.zoo.metadata import METADATA

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECONDS = 30  # for all of an exchange; the bytes of a file of known size buy more,
_LEAST_RATE = 1 << 13  # so many a second, below which a server only keeps us waiting
_SILENCE = 15  # seconds without an answer
_PAUSES = (0.5, 1, 2)  # seconds before another try
_MOST_JSON = 1 << 20  # bytes, 60 times those of a preset's metadata; parsed they take 50 MB
_MOST_AROUND = 1 << 18  # bytes of headers, redirections and the like, in all of an exchange
ORIGIN = ".origin"  # in the cache: where an entry is from, and when; written with each use
_MOST_ORIGINS = 32
_TOKEN = "Authorization"
_POLL = 0.1  # seconds, of what another process downloads
_STANDSTILL = 30  # seconds after which another process's download is not waited for


def is_url(source: str) -> bool:
    """Whether a source is to be fetched: `https://…` or `hf://owner/repo`."""
    return source.startswith(("https://", "http://", "hf://"))


def shown(url: str) -> str:
    """An address without the user's name, password or token that may stand before its host."""
    return re.sub(r"(?<=://)[^/?#]*@(?=[^/@])", "[…]@", url)


def is_offline() -> bool:
    """Whether `KGAN_OFFLINE` forbids the network: what is in the cache has to do."""
    return os.environ.get("KGAN_OFFLINE", "") not in ("", "0")


def split_url(source: str) -> tuple[str, str | None]:
    """The address of a preset or registry directory, and the hash it was pinned with.

    Args:
        source: `https://host/path[#sha256=…]` or `hf://owner/repo[@revision][#sha256=…]`, a
            repository of the Hugging Face hub. Plain http is for this machine only. Spaces and
            what is beyond ASCII are encoded.

    Raises:
        KganError: for any other address.
    """
    url, _, fragment = source.partition("#")
    if fragment and not re.fullmatch("sha256=[0-9a-fA-F]{64}", fragment):
        raise KganError(
            "Expected #sha256= and 64 hexadecimal digits after an address. Received: "
            f"{printable(shown(source))}"
        )
    pin = fragment.removeprefix("sha256=").lower() or None
    if shown(url) != url:  # recipes and messages would give it away
        raise KganError(
            "Expected an address without a user's name, password or token. Received: "
            f"{printable(shown(url))}"
        )
    if url.startswith("hf://"):
        url = hub.parse(url).url
        if not _is_allowed(hub.endpoint()):
            raise KganError(
                "Expected HF_ENDPOINT to be https:// and a host. Received: "
                f"{printable(hub.endpoint())}"
            )
    if not _is_allowed(url) or not url.isprintable():
        raise KganError(f"Expected https:// or hf://owner/repo. Received: {printable(source)}")
    try:
        parts = urllib.parse.urlsplit(url.rstrip("/"))
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except ValueError:
        raise KganError(f"Expected the name of a host. Received: {printable(source)}") from None
    path, query = (urllib.parse.quote(part, safe="/%:@!$&'()*+,;=~?") for part in parts[2:4])
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, "")), pin


def _is_allowed(url, local=True):
    """Whether a URL is https, or (`local`) plain http to this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        mine = parts.hostname in _LOOPBACK
    except ValueError:
        return False
    return (parts.scheme == "https" and not mine) or (
        local and mine and parts.scheme in ("http", "https")
    )


def fetch_json(url: str, pin: str | None = None) -> tuple[dict, bytes]:
    """A small JSON file from the web, parsed once its hash is right, and its bytes.

    The metadata of a preset come from the cache where they cannot have changed: of an address that
    is pinned, or names a commit of the hub. What else is there is taken, with a `KganWarning`,
    where `KGAN_OFFLINE` is set or the server cannot be reached.

    Raises:
        KganError: if it cannot be had, is too large, has another hash or is no JSON table.
    """
    return _fetch_json(url, pin)[:2]


def _fetch_json(url, pin):
    """See `fetch_json`.

    Also returns the address of the file at the commit that the hub has answered from, and whether
    what is at the address is known to be that now.
    """
    place = url.removesuffix(f"/{METADATA}")
    cached = None if place == url else _cached(place, pin)
    fixed = pin is not None or hub.is_fixed(url)
    meter, content = _Meter(), None
    if cached is None or not (fixed or is_offline()):
        file = io.BytesIO()
        try:
            _get(url, file, _MOST_JSON, meter)
            content = file.getvalue()
            _check_hash(url, hashlib.sha256(content).hexdigest(), pin)
        except Unreachable as error:
            if cached is None:
                raise
            _note_use(cached, error)
    elif not fixed:
        _note_use(cached, f"KGAN_OFFLINE is set, so {hub.shown(place)} is not asked for")
    is_known = fixed or content is not None
    content = cached.content if content is None else content
    try:
        return parse_json(content, url), content, hub.at_commit(url, meter.commit), is_known
    except KganError as error:
        raise KganError(f"Damaged preset: {error}") from None


def _note_use(cached, why):
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(cached.time / 1e9))
    warnings.warn(f"{why}; used is what was there on {day}", KganWarning, stacklevel=5)


def fetch_preset(url: str, pin: str | None = None, hashes: bool = True) -> Path:
    """Downloads a preset into the cache, unless it is there; returns its directory.

    The cache is `KGAN_CACHE`, or `kgan` in `XDG_CACHE_HOME` or `~/.cache`; an entry is named by
    the hash of its metadata, which holds the hashes of all other files. One that is not whole is
    fetched again, with a `KganWarning`. What a killed process has left there is removed. Of
    several processes that need the same entry one downloads it, while the others wait.

    Args:
        url, pin: from `split_url`.
        hashes: whether those of a cached preset are checked here. Else only sizes are, and whoever
            reads the files has to check them.

    Raises:
        KganError: if a file cannot be had or has another hash, and nothing is left behind; if the
            cache cannot be written.
    """
    values, content, exact, is_known = _fetch_json(f"{url}/{METADATA}", pin)
    exact = exact.removesuffix(f"/{METADATA}")
    entry = cache_directory() / hashlib.sha256(content).hexdigest()
    wanted = metadata.check(values, f"{url}/{METADATA}")["files"]
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        files.clear(entry.parent)
        was_there = os.path.lexists(entry)
        if not _is_whole(entry, wanted, hashes):
            if was_there:
                warnings.warn(f"{entry} is damaged, and fetched again", KganWarning, stacklevel=2)
            _fetch_files(exact, values["name"], wanted, content, entry)
        _note_origins(entry, *((exact, url) if is_known else ()))
    except OSError as error:
        raise KganError(
            f"Expected a directory for downloads that can be written. Received: {entry.parent}: "
            f"{reason(error)}; KGAN_CACHE names another"
        ) from None
    return entry


def cached_presets(registry: str) -> dict[str, tuple[str, str]]:
    """name -> (address, hash of its metadata) of what the cache has from a registry's address."""
    found = {}
    for origin in _all_origins():
        place, _, name = origin.url.rpartition("/")
        if place == registry:
            found[urllib.parse.unquote(name)] = (origin.url, origin.entry.name)
    return found


def cache_directory() -> Path:
    """Where downloaded presets are kept."""
    if os.environ.get("KGAN_CACHE"):
        return files.expanded(os.environ["KGAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgan"


def _fetch_files(url, name, wanted, content, entry):
    """Fetches the files of a preset, and puts them with its metadata in the cache, all at once."""
    with contextlib.ExitStack() as stack:
        patient = True
        while True:
            with files.hold(entry.parent, wait=True):
                if _is_whole(entry, wanted, True):  # another process has just brought the same
                    return
                others = _held(entry) if patient else None
                if others is None:
                    room = stack.enter_context(files.aside(entry))
                    break
            patient = _wait(others, name)
        partial = room / entry.name
        partial.mkdir()
        with click.progressbar(
            length=sum(file["size"] for file in wanted.values()),
            label=f"Downloading {printable(name)}",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            for file_name, expected in wanted.items():
                address = f"{url}/{urllib.parse.quote(file_name)}"
                _fetch_file(address, partial / file_name, expected, bar.update)
        (partial / METADATA).write_bytes(content)
        with files.hold(entry.parent, wait=True):
            if not _is_whole(entry, wanted, True):
                if os.path.lexists(entry):
                    os.replace(entry, room / f"broken-{entry.name}")
                os.replace(partial, entry)


def _held(entry):
    """The directory in which another process downloads an entry of the cache; None if none does."""
    for room in files.partials(entry.parent):
        if room.name.endswith(entry.name):
            with contextlib.suppress(OSError), files.hold(room) as held:
                if held is False:
                    return room
    return None


def _wait(room, name):
    """Waits until another process has ended its download, however; False if that stands still."""
    if sys.stderr.isatty():
        say(f"Waiting for another process that downloads {name}", err=True)
    size, since = None, time.monotonic()
    while time.monotonic() - since < _STANDSTILL:
        try:
            with files.hold(room) as held:
                if held is not False:
                    return True
            now = files.size(room)
        except OSError:  # it is gone
            return True
        if now != size:
            size, since = now, time.monotonic()
        time.sleep(_POLL)
    return False


def _fetch_file(url, path, expected, advance):
    meter = _Meter()
    with open(path, "w+b") as file:
        in_parts = _get(url, file, expected["size"], meter, advance)
        file.flush()
        if in_parts and files.sha256(path) != expected["sha256"]:  # parts of two files, perhaps
            _rewind(file, advance)
            _get(url, file, expected["size"], meter, advance)
    _check_hash(url, files.sha256(path), expected["sha256"])


def _is_whole(entry, wanted, hashes):
    """Whether an entry of the cache has the files, with `hashes` to the bit, that it promises."""
    try:
        values = metadata.read(entry / METADATA, entry.name)
        if any((entry / name).is_symlink() for name in (METADATA, *wanted)):  # not kgan's work
            return False
        for name, expected in wanted.items():
            path = entry / name
            if not path.is_file() or path.stat().st_size != expected["size"]:
                return False
            if hashes and files.sha256(path) != expected["sha256"]:
                return False
    except (KganError, OSError):
        return False
    return values["files"] == wanted


class Origin(NamedTuple):
    """Where an entry of the cache was got from.

    Attributes:
        time: when it was last known to be that, in nanoseconds since 1970.
        url: the address.
        entry: its directory.
    """

    time: int
    url: str
    entry: Path


def origins(entry: Path) -> list[Origin]:
    """Where an entry of the cache was got from, the last at the end."""
    found = {}
    with contextlib.suppress(OSError, KganError):
        content = read_bytes(entry / ORIGIN, _MOST_AROUND).decode(errors="replace")
        for line in content.splitlines():
            when, _, url = line.partition(" ")
            if re.fullmatch("[0-9]{1,19}", when) and url:
                found[url] = Origin(int(when), url, entry)
    return sorted(found.values())


def _all_origins():
    """Those of all entries of the cache, the last at the end."""
    places = cache_directory().glob(f"*/{ORIGIN}")
    return sorted(origin for path in places for origin in origins(path.parent))


def _note_origins(entry, *urls):
    with contextlib.suppress(OSError), files.hold(entry, wait=True):
        others = [origin for origin in origins(entry) if origin.url not in urls]
        noted = [*others, *(Origin(time.time_ns(), url, entry) for url in dict.fromkeys(urls))]
        with files.replacing(entry / ORIGIN) as new:  # a cache that is only read serves too
            lines = [f"{origin.time} {origin.url}\n" for origin in noted[-_MOST_ORIGINS:]]
            new.write_text("".join(lines), "utf-8")


class _Cached(NamedTuple):
    """Metadata in the cache, and when they were last asked for, in nanoseconds since 1970."""

    content: bytes
    time: int


def _cached(place, pin):
    """The metadata in the cache that an address, or rather its pin, stands for; None if none."""
    if pin is not None:
        entry, when = cache_directory() / pin, 0
    else:
        found = {origin.url: origin for origin in _all_origins()}.get(place)
        if found is None:
            return None
        entry, when = found.entry, found.time
    try:
        content = read_bytes(entry / METADATA, _MOST_JSON)
    except KganError:
        return None
    return _Cached(content, when) if hashlib.sha256(content).hexdigest() == entry.name else None


# The client is http.client, as urllib opens it (which knows proxies, and urllib3 stands on the
# same). No client bounds an exchange: their limits of time are for one read of a socket, and
# http.client follows `100 Continue` and reads trailers for as long as they come. So the reads
# themselves are counted, below everything that could wait or gather: `_Meter` gives each what is
# left of the time, and ends the exchange when its bytes are used up, whatever they were.


class _Broken(Exception):
    """An exchange that did not succeed.

    Attributes:
        again: whether another try may.
        after: seconds that the server asks to be left alone for, or None.
    """

    def __init__(self, why, again=False, after=None):
        super().__init__(why)
        self.again, self.after = again, after


class Unreachable(KganError):
    """A server that does not answer, or not now."""


class _Meter:
    """What is left of an exchange's time and bytes, over all tries and redirections.

    Attributes:
        commit: that the hub has answered from, if it has said so.
    """

    def __init__(self):
        self.deadline = time.monotonic() + _SECONDS
        self.bytes = _MOST_AROUND
        self.commit = None

    def left(self):
        return self.deadline - time.monotonic()

    def patience(self):
        """Seconds to wait for the next bytes."""
        left = self.left()
        if left <= 0:
            raise _Broken("too slow")
        return min(_SILENCE, left)

    def count(self, received):
        self.bytes -= received
        if self.bytes < 0:
            raise _Broken("too many bytes beside the file")


class _Reader(io.RawIOBase):
    """A socket's file, each read of which is metered."""

    def __init__(self, file, connection, meter):
        self._file, self._socket, self._meter = file, connection, meter

    def readable(self):
        return True

    def readinto(self, buffer):
        self._socket.settimeout(self._meter.patience())
        received = self._file.readinto(buffer)
        self._meter.count(received)
        return received

    def close(self):
        self._file.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, connection, *args, meter, **kwargs):
        super().__init__(connection, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), connection, meter))


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that are metered, from the first packet to the last."""

    def __init__(self, meter):
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._meter = meter

    def http_open(self, request):
        return self.do_open(
            functools.partial(self._connection, http.client.HTTPConnection), request
        )

    def https_open(self, request):
        return self.do_open(
            functools.partial(self._connection, http.client.HTTPSConnection), request
        )

    def _connection(self, kind, host, timeout):
        connection = kind(host, timeout=timeout)
        connection.response_class = functools.partial(_Response, meter=self._meter)
        connection._create_connection = self._connect
        return connection

    def _connect(self, address, timeout, source):
        """Like `socket.create_connection`, which would wait as long for each of many addresses."""
        failure = OSError("no address")
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                made = socket.create_connection(place[:2], self._meter.patience(), source)
            except OSError as error:
                failure = error
                continue
            made.settimeout(self._meter.patience())  # of the whole handshake, if there is one
            return made
        raise failure


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to where we would have gone ourselves, but never in from outside.

    The hub's token goes with it only where the redirection stays at the hub.

    Attributes:
        commit: that the hub has answered from, if it has said so on the way.
    """

    commit = None

    def redirect_request(self, request, file, code, message, headers, url):
        local = urllib.parse.urlsplit(request.full_url).hostname in _LOOPBACK
        if not _is_allowed(url, local):
            raise urllib.error.URLError(f"Expected to be sent to https://. Received: {url[:200]!r}")
        if hub.is_at_hub(request.full_url):
            self.commit = headers["X-Repo-Commit"]
        followed = super().redirect_request(request, file, code, message, headers, url)
        token = request.unredirected_hdrs.get(_TOKEN)
        if token is not None and hub.is_at_hub(request.full_url) and hub.is_at_hub(url):
            followed.add_unredirected_header(_TOKEN, token)
        return followed


def _get(url, file, most, meter, advance=None):
    """Writes what is at an address to a file, tried again where that may help.

    Args:
        url: the address.
        file: where to, from its beginning on.
        most: the bytes it may have; if `advance` is given, those it must have.
        meter: of the exchange.
        advance: of a file of known size, called with the bytes that were added to or, if
            negative, taken from it. What was received then need not come a second time.

    Returns:
        Whether it came in parts, which may not belong together.

    Raises:
        KganError: if it cannot be had.
    """
    if is_offline():
        raise KganError(f"Cannot get {url}: KGAN_OFFLINE is set, and it is not in the cache")
    in_parts = False
    for pause in (*_PAUSES, None):
        if advance is None:
            _rewind(file)
        try:
            return _receive(url, file, most, meter, advance) or in_parts
        except _Broken as broken:
            in_parts |= file.tell() > 0
            pause = pause if pause is None or broken.after is None else broken.after
            if not broken.again or pause is None or pause >= meter.left():
                wish = f"; try again in {broken.after:.0f} seconds" if broken.after else ""
                kind = Unreachable if broken.again else KganError
                why = printable(hub.without_token(f"{broken}{wish}"))
                raise kind(f"Cannot get {url}: {why}") from None
        time.sleep(pause)


def _receive(url, file, most, meter, advance):
    """One try; returns whether what was there before was gone on with."""
    offset = file.tell()
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    token = hub.token() if hub.is_at_hub(url) else None
    redirects = _Redirects()
    opener = urllib.request.build_opener(redirects, _Handler(meter))
    try:
        with _network(url):
            request = urllib.request.Request(url, headers=headers)
            if token is not None:
                request.add_unredirected_header(_TOKEN, f"Bearer {token}")
            response = opener.open(request, timeout=meter.patience())
    except _Broken as broken:
        if offset and str(broken).startswith("HTTP 416"):
            _rewind(file, advance)
            raise _Broken(str(broken), again=True) from None
        raise
    with response:
        said = response.headers["X-Repo-Commit"] if hub.is_at_hub(response.url) else None
        meter.commit = said or redirects.commit
        _check_coding(response)
        if response.status == 206 and offset:
            if not (response.headers["Content-Range"] or "").startswith(f"bytes {offset}-"):
                _rewind(file, advance)
                raise _Broken("answers with another part than was asked for", again=True)
        elif response.status == 200:
            _rewind(file, advance)
        else:
            raise _Broken(f"answers HTTP {response.status} {response.reason[:200]}")
        room = most - file.tell()
        if (response.length or 0) > room:
            raise KganError(f"Damaged preset: {url} is larger than {most:,} bytes")
        meter.bytes += room + room // 8  # an eighth for the sizes of chunks
        while True:
            with _network(url):
                chunk = response.read1(1 << 16)
            if not chunk:
                break
            if len(chunk) > most - file.tell():
                raise KganError(f"Damaged preset: {url} is larger than {most:,} bytes")
            file.write(chunk)
            if advance is not None:
                advance(len(chunk))
                meter.deadline += len(chunk) / _LEAST_RATE
        complete = response.chunked or response.length == 0
        if response.length or (advance is not None and file.tell() < most and not complete):
            raise _Broken(f"ended after {file.tell():,} bytes", again=True)
    if advance is not None and file.tell() < most:
        raise KganError(
            f"Damaged preset: {url} has {file.tell():,} bytes, expected {most:,}; its server says "
            "that this is all"
        )
    return response.status == 206


def _check_coding(response):
    """Raises _Broken for what would have to be unpacked: identity was asked for."""
    for header, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        coding = (response.headers[header] or plain).strip().lower()
        if coding != plain:
            raise _Broken(f"expected it as it is, received it as {coding[:100]!r}")


@contextlib.contextmanager
def _network(url):
    """Turns what can fail between two machines, as one asks for an address, into `_Broken`."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        again = error.code == 429 or error.code >= 500
        after = _seconds(error.headers["Retry-After"]) if again else None
        said = " ".join(str(error.reason).split())[:200]
        at_hub = hub.is_at_hub(error.url)  # whither it may have been redirected from
        why = hub.explained(url, error.code, error.headers["X-Error-Code"]) if at_hub else ""
        raise _Broken(f"HTTP {error.code} {said}{why}", again, after) from None
    except (OSError, http.client.HTTPException, ValueError, OverflowError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        again = isinstance(cause, (OSError, http.client.IncompleteRead))
        if isinstance(cause, ssl.SSLError) and not isinstance(
            cause, (ssl.SSLEOFError, TimeoutError)
        ):
            again = False  # what has no right certificate will not have it in a second either
        text = reason(cause) if isinstance(cause, OSError) else " ".join(str(cause).split())
        if isinstance(cause, http.client.BadStatusLine) and not again:
            text = f"answers in no HTTP/1: {text}"
        raise _Broken(text[:300] or type(cause).__name__, again) from None


def _seconds(text):
    """Seconds that a `Retry-After` asks for, by number or by date; None if it is no such."""
    text = (text or "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    try:
        return max(0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _rewind(file, advance=None):
    if advance is not None and file.tell():
        advance(-file.tell())
    file.seek(0)
    file.truncate()


def _check_hash(what, received, expected):
    if expected is not None and received != expected:
        raise KganError(
            f"Damaged preset: {what} has SHA-256 {received[:12]}…, expected {expected[:12]}…"
        )
