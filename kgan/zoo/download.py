"""Presets from the web, each file checked against its hash before it is kept."""

import hashlib
import http.client
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import click

from kgan.errors import KganError
from kgan.files import expanded
from kgan.untrusted.text import MOST_JSON, parse_json
from kgan.zoo.metadata import METADATA, check

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TIMEOUT = 30  # seconds without an answer
_LEAST_RATE = 1 << 13  # bytes a second, below which a server only keeps us waiting


def is_url(source: str) -> bool:
    """Whether a source is to be fetched: `https://…` or `hf://owner/repo`."""
    return source.startswith(("https://", "http://", "hf://"))


def split_url(source: str) -> tuple[str, str | None]:
    """The address of a preset or registry directory, and the hash it was pinned with.

    Args:
        source: `https://host/path[#sha256=…]` or `hf://owner/repo[#sha256=…]`, a Hugging Face
            repository. Plain http is for this machine only.

    Raises:
        KganError: for any other address.
    """
    url, _, fragment = source.partition("#")
    pin = fragment.removeprefix("sha256=") if fragment else None
    if fragment and (not fragment.startswith("sha256=") or len(pin) != 64):
        raise KganError(
            f"Expected #sha256= and 64 hexadecimal digits after an address. Received: {source}"
        )
    if url.startswith("hf://"):
        url = f"https://huggingface.co/{url.removeprefix('hf://').strip('/')}/resolve/main"
    if not _is_allowed(url):
        raise KganError(f"Expected https:// or hf://owner/repo. Received: {source}")
    return url.rstrip("/"), pin


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

    Raises:
        KganError: if it cannot be had, is too large, has another hash or is no JSON table.
    """
    content = b"".join(_chunks(url, MOST_JSON))
    _check_hash(url, hashlib.sha256(content).hexdigest(), pin)
    try:
        return parse_json(content, url), content
    except KganError as error:
        raise KganError(f"Damaged preset: {error}") from None


def fetch_preset(url: str, pin: str | None) -> Path:
    """Downloads a preset into the cache, unless it is there; returns its directory.

    The cache is `KGAN_CACHE`, or `kgan` in `XDG_CACHE_HOME` or `~/.cache`; an entry is named by
    the hash of its metadata, which holds the hashes of all other files.

    Args:
        url, pin: from `split_url`.

    Raises:
        KganError: if a file cannot be had or has another hash; nothing is left behind.
    """
    values, content = fetch_json(f"{url}/{METADATA}", pin)
    entry = cache_directory() / hashlib.sha256(content).hexdigest()
    if entry.is_dir():
        return entry
    files = check(values, f"{url}/{METADATA}")["files"]
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    try:
        with click.progressbar(
            length=sum(file["size"] for file in files.values()),
            label=f"Downloading {values['name']}",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            for name, expected in files.items():
                address = f"{url}/{urllib.parse.quote(name)}"
                digest = hashlib.sha256()
                with open(partial / name, "wb") as file:
                    for chunk in _chunks(address, expected["size"]):
                        digest.update(chunk)
                        file.write(chunk)
                        bar.update(len(chunk))
                _check_hash(address, digest.hexdigest(), expected["sha256"])
        (partial / METADATA).write_bytes(content)
        partial.chmod(0o755)
        try:
            os.replace(partial, entry)
        except OSError:
            if not entry.is_dir():  # else another process has just brought the same
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return entry


def cache_directory() -> Path:
    """Where downloaded presets are kept."""
    if "KGAN_CACHE" in os.environ:
        return expanded(os.environ["KGAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kgan"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to where we would have gone ourselves, but never in from outside."""

    def redirect_request(self, request, file, code, message, headers, url):
        local = urllib.parse.urlsplit(request.full_url).hostname in _LOOPBACK
        if not _is_allowed(url, local):
            raise urllib.error.URLError(f"Expected to be sent to https://. Received: {url[:200]!r}")
        return super().redirect_request(request, file, code, message, headers, url)


def _chunks(url, most):
    """The bytes at an address, piece by piece, no more than `most` of them."""
    deadline = time.monotonic() + 2 * _TIMEOUT + most / _LEAST_RATE
    try:
        opener = urllib.request.build_opener(_Redirects)
        with opener.open(url, timeout=_TIMEOUT) as response:
            left = most
            announced = response.headers.get("Content-Length", "")
            if announced.isdecimal() and int(announced) > most:
                raise KganError(f"Damaged preset: {url} is larger than {most} bytes")
            while chunk := response.read1(1 << 16):
                left -= len(chunk)
                if left < 0:
                    raise KganError(f"Damaged preset: {url} is larger than {most} bytes")
                if time.monotonic() > deadline:
                    raise KganError(f"Cannot get {url}: too slow")
                yield chunk
    except KganError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise KganError(f"Cannot get {url}: {reason or type(error).__name__}") from None


def _check_hash(what, received, expected):
    if expected is not None and received != expected:
        raise KganError(
            f"Damaged preset: {what} has SHA-256 {received[:12]}…, expected {expected[:12]}…"
        )
