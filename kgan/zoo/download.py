"""Presets from the web, each file checked against its hash before it is kept."""

import contextlib
import hashlib
import io
import os
import re
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
from kgan.zoo import exchange, hub, metadata
from kgan.zoo.metadata import METADATA

_MOST_JSON = 1 << 20  # bytes, 60 times those of a preset's metadata; parsed they take 50 MB
ORIGIN = ".origin"  # in the cache: where an entry is from, and when; written with each use
_MOST_ORIGINS = 32
_MOST_NOTED = 1 << 18  # bytes of that file
_POLL = 0.1  # seconds, of what another process downloads
_STANDSTILL = 30  # seconds after which another process's download is not waited for


def is_url(source: str) -> bool:
    """Whether a source is to be fetched: `https://…` or `hf://owner/repo`."""
    return source.startswith(("https://", "http://", "hf://"))


def shown(url: str) -> str:
    """An address without the user's name, password or token that may stand before its host."""
    return re.sub(r"(?<=://)[^/?#]*@(?=[^/@])", "[…]@", url)


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
        if not exchange.is_allowed(hub.endpoint()):
            raise KganError(
                "Expected HF_ENDPOINT to be https:// and a host. Received: "
                f"{printable(hub.endpoint())}"
            )
    if not exchange.is_allowed(url) or not url.isprintable():
        raise KganError(f"Expected https:// or hf://owner/repo. Received: {printable(source)}")
    try:
        parts = urllib.parse.urlsplit(url.rstrip("/"))
        host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    except ValueError:
        raise KganError(f"Expected the name of a host. Received: {printable(source)}") from None
    path, query = (urllib.parse.quote(part, safe="/%:@!$&'()*+,;=~?") for part in parts[2:4])
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, "")), pin


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
    meter, content = exchange.Meter(), None
    if cached is None or not (fixed or exchange.is_offline()):
        file = io.BytesIO()
        try:
            exchange.get(url, file, _MOST_JSON, meter)
            content = file.getvalue()
            _check_hash(url, hashlib.sha256(content).hexdigest(), pin)
        except exchange.Unreachable as error:
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
    meter = exchange.Meter()
    with open(path, "w+b") as file:
        in_parts = exchange.get(url, file, expected["size"], meter, advance)
        file.flush()
        if in_parts and files.sha256(path) != expected["sha256"]:  # parts of two files, perhaps
            exchange.rewind(file, advance)
            exchange.get(url, file, expected["size"], meter, advance)
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
        content = read_bytes(entry / ORIGIN, _MOST_NOTED).decode(errors="replace")
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


def _check_hash(what, received, expected):
    if expected is not None and received != expected:
        raise KganError(
            f"Damaged preset: {what} has SHA-256 {received[:12]}…, expected {expected[:12]}…"
        )
