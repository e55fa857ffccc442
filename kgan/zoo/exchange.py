"""One file over HTTP, within bounds of time and bytes.

The client is http.client, as urllib opens it (which knows proxies, and urllib3 stands on the
same). No client bounds an exchange: their limits of time are for one read of a socket, and
http.client follows `100 Continue` and reads trailers for as long as they come. So the reads
themselves are counted, below everything that could wait or gather: `Meter` gives each what is
left of the time, and ends the exchange when its bytes are used up, whatever they were.
"""

import contextlib
import email.utils
import functools
import http.client
import io
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, BinaryIO

from kgan.errors import KganError, printable, reason
from kgan.zoo import hub

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECONDS = 30  # for all of an exchange; the bytes of a file of known size buy more,
_LEAST_RATE = 1 << 13  # so many a second, below which a server only keeps us waiting
_SILENCE = 15  # seconds without an answer
_PAUSES = (0.5, 1, 2)  # seconds before another try
_MOST_AROUND = 1 << 18  # bytes of headers, redirections and the like, in all of an exchange
_TOKEN = "Authorization"


def is_offline() -> bool:
    """Whether `KGAN_OFFLINE` forbids the network: what is in the cache has to do."""
    return os.environ.get("KGAN_OFFLINE", "") not in ("", "0")


def is_allowed(url: str, local: bool = True) -> bool:
    """Whether a URL is https, or (`local`) plain http to this machine."""
    try:
        parts = urllib.parse.urlsplit(url)
        mine = parts.hostname in _LOOPBACK
    except ValueError:
        return False
    return (parts.scheme == "https" and not mine) or (
        local and mine and parts.scheme in ("http", "https")
    )


class Broken(Exception):
    """An exchange that did not succeed.

    Attributes:
        again: whether another try may.
        after: seconds that the server asks to be left alone for, or None.
    """

    def __init__(self, why: str, again: bool = False, after: float | None = None):
        super().__init__(why)
        self.again, self.after = again, after


class Unreachable(KganError):
    """A server that does not answer, or not now."""


class Meter:
    """What is left of an exchange's time and bytes, over all tries and redirections.

    Attributes:
        commit: that the hub has answered from, if it has said so.
    """

    def __init__(self):
        self.deadline = time.monotonic() + _SECONDS
        self.bytes = _MOST_AROUND
        self.commit = None

    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()

    def patience(self) -> float:
        """Seconds to wait for the next bytes."""
        left = self.left()
        if left <= 0:
            raise Broken("too slow")
        return min(_SILENCE, left)

    def count(self, received: int) -> None:
        self.bytes -= received
        if self.bytes < 0:
            raise Broken("too many bytes beside the file")


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
        if not is_allowed(url, local):
            raise urllib.error.URLError(f"Expected to be sent to https://. Received: {url[:200]!r}")
        if hub.is_at_hub(request.full_url):
            self.commit = headers["X-Repo-Commit"]
        followed = super().redirect_request(request, file, code, message, headers, url)
        token = request.unredirected_hdrs.get(_TOKEN)
        if token is not None and hub.is_at_hub(request.full_url) and hub.is_at_hub(url):
            followed.add_unredirected_header(_TOKEN, token)
        return followed


def get(
    url: str,
    file: BinaryIO,
    most: int,
    meter: Meter,
    advance: Callable[[int], Any] | None = None,
) -> bool:
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
            rewind(file)
        try:
            return _receive(url, file, most, meter, advance) or in_parts
        except Broken as broken:
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
    except Broken as broken:
        if offset and str(broken).startswith("HTTP 416"):
            rewind(file, advance)
            raise Broken(str(broken), again=True) from None
        raise
    with response:
        said = response.headers["X-Repo-Commit"] if hub.is_at_hub(response.url) else None
        meter.commit = said or redirects.commit
        _check_coding(response)
        if response.status == 206 and offset:
            if not (response.headers["Content-Range"] or "").startswith(f"bytes {offset}-"):
                rewind(file, advance)
                raise Broken("answers with another part than was asked for", again=True)
        elif response.status == 200:
            rewind(file, advance)
        else:
            raise Broken(f"answers HTTP {response.status} {response.reason[:200]}")
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
            raise Broken(f"ended after {file.tell():,} bytes", again=True)
    if advance is not None and file.tell() < most:
        raise KganError(
            f"Damaged preset: {url} has {file.tell():,} bytes, expected {most:,}; its server says "
            "that this is all"
        )
    return response.status == 206


def _check_coding(response):
    """Raises Broken for what would have to be unpacked: identity was asked for."""
    for header, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        coding = (response.headers[header] or plain).strip().lower()
        if coding != plain:
            raise Broken(f"expected it as it is, received it as {coding[:100]!r}")


@contextlib.contextmanager
def _network(url):
    """Turns what can fail between two machines, as one asks for an address, into `Broken`."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        again = error.code == 429 or error.code >= 500
        after = _seconds(error.headers["Retry-After"]) if again else None
        said = " ".join(str(error.reason).split())[:200]
        at_hub = hub.is_at_hub(error.url)  # whither it may have been redirected from
        why = hub.explained(url, error.code, error.headers["X-Error-Code"]) if at_hub else ""
        raise Broken(f"HTTP {error.code} {said}{why}", again, after) from None
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
        raise Broken(text[:300] or type(cause).__name__, again) from None


def _seconds(text):
    """Seconds that a `Retry-After` asks for, by number or by date; None if it is no such."""
    text = (text or "").strip()
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    try:
        return max(0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def rewind(file: BinaryIO, advance: Callable[[int], Any] | None = None) -> None:
    """Empties a file, and takes what was in it back from what has been told."""
    if advance is not None and file.tell():
        advance(-file.tell())
    file.seek(0)
    file.truncate()
