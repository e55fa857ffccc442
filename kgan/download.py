"""Presets from the web, each file checked against its hash before it is kept."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import click

from kgan.errors import KganError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_JSON = 4 << 20  # bytes of a metadata or registry file
_MOST_FILE = 1 << 30  # bytes of any other file
_TIMEOUT = 30  # seconds without an answer


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
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise KganError(f"Expected https:// or hf://owner/repo. Received: {source}")
    return url.rstrip("/"), pin


def fetch_json(url: str, pin: str | None = None) -> tuple[dict, bytes]:
    """A small JSON file from the web, parsed once its hash is right, and its bytes.

    Raises:
        KganError: if it cannot be had, is too large, has another hash or is no JSON table.
    """
    content = b"".join(_chunks(url, _MOST_JSON))
    _check_hash(url, hashlib.sha256(content).hexdigest(), pin)
    try:
        values = json.loads(content)
    except ValueError as error:
        raise KganError(f"Damaged preset: {url} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise KganError(f"Damaged preset: expected a table in {url}")
    return values, content


def fetch_preset(url: str, pin: str | None, metadata_name: str) -> Path:
    """Downloads a preset into the cache, unless it is there.

    The cache is `KGAN_CACHE`, or `kgan` in `XDG_CACHE_HOME` or `~/.cache`; an entry is named by
    the hash of its metadata, which holds the hashes of all other files.

    Raises:
        KganError: if a file cannot be had or has another hash; nothing is left behind.
    """
    metadata, content = fetch_json(f"{url}/{metadata_name}", pin)
    entry = cache_directory() / hashlib.sha256(content).hexdigest()
    if entry.is_dir():
        return entry
    files = metadata.get("files")
    if not isinstance(files, dict) or not all(
        name == os.path.basename(name) and name not in ("", ".", "..", metadata_name)
        for name in files
    ):
        raise KganError(f"Damaged preset: expected plain file names in {url}/{metadata_name}")
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=entry.parent))
    try:
        with click.progressbar(
            length=sum(int(file["size"]) for file in files.values()),
            label=f"Downloading {metadata.get('name')}",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as bar:
            for name, expected in files.items():
                address = f"{url}/{urllib.parse.quote(name)}"
                digest = hashlib.sha256()
                with open(partial / name, "wb") as file:
                    for chunk in _chunks(address, min(int(expected["size"]), _MOST_FILE)):
                        digest.update(chunk)
                        file.write(chunk)
                        bar.update(len(chunk))
                _check_hash(address, digest.hexdigest(), expected["sha256"])
        (partial / metadata_name).write_bytes(content)
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
        return Path(os.environ["KGAN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kgan"


def _chunks(url, most):
    """The bytes at an address, piece by piece, no more than `most` of them."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            left = most
            while chunk := response.read(1 << 16):
                left -= len(chunk)
                if left < 0:
                    raise KganError(f"Damaged preset: {url} is larger than {most} bytes")
                yield chunk
    except (OSError, urllib.error.URLError) as error:
        raise KganError(f"Cannot get {url}: {getattr(error, 'reason', error)}") from None


def _check_hash(what, received, expected):
    if expected is not None and received != expected:
        raise KganError(
            f"Damaged preset: {what} has SHA-256 {received[:12]}…, expected {expected[:12]}…"
        )
