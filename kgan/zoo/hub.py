"""The Hugging Face hub: addresses `hf://owner/repo@revision`, tokens, what its answers mean."""

import os
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from kgan.errors import KganError, printable, reason

_ENDPOINT = "https://huggingface.co"
_MAIN = "main"
_COMMIT = "[0-9a-f]{40}"
_PART = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
# As git allows branches and tags to be called, in ASCII, but for what would need to be escaped.
_REVISION = re.compile(
    r"(?!.*(//|\.\.|/\.|\.lock(/|$)))[A-Za-z0-9_][\w.+/-]{0,199}(?<![/.])", re.ASCII
)
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)(?=/|$)")
_MOST_TOKEN = 4096  # bytes


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at a revision.

    Attributes:
        name: `owner/repo`.
        revision: a branch, a tag or the hash of a commit.
    """

    name: str
    revision: str = _MAIN

    @property
    def url(self) -> str:
        """Where its files are."""
        revision = urllib.parse.quote(self.revision, safe="")
        return f"{endpoint()}/{self.name}/resolve/{revision}"

    @property
    def is_commit(self) -> bool:
        """Whether the revision is the hash of a commit, which stays what it is."""
        return re.fullmatch(_COMMIT, self.revision) is not None

    def __str__(self):
        revision = "" if self.revision == _MAIN else f"@{self.revision}"
        return f"hf://{self.name}{revision}"


def parse(address: str) -> Repository:
    """The repository that `hf://owner/repo` or `hf://owner/repo@revision` names.

    Raises:
        KganError: if it names none.

    Example:

    >>> parse("hf://someone/faces@v1").revision
    'v1'
    """
    name, at, revision = address.removeprefix("hf://").partition("@")
    parts = name.rstrip("/").split("/")
    if not address.startswith("hf://") or len(parts) != 2 or not all(map(_PART.fullmatch, parts)):
        raise KganError(
            "Expected hf://owner/repo or hf://owner/repo@revision. Received: "
            f"{printable(address)[:300]}"
        )
    revision = revision if at else _MAIN
    if not _REVISION.fullmatch(revision):
        raise KganError(
            "Expected a branch, a tag or the hash of a commit after @, of at most 200 letters, "
            f"digits and . _ - + /. Received: {printable(address)[:300]}"
        )
    return Repository("/".join(parts), revision)


def endpoint() -> str:
    """The hub's address: `HF_ENDPOINT`, or `https://huggingface.co`."""
    return (os.environ.get("HF_ENDPOINT") or _ENDPOINT).rstrip("/")


def is_at_hub(url: str) -> bool:
    """Whether an address is on the very host of the hub, to which alone its token goes."""
    try:
        parts, hub = urllib.parse.urlsplit(url), urllib.parse.urlsplit(endpoint())
    except ValueError:
        return False
    return bool(hub.netloc) and (parts.scheme, parts.netloc.lower()) == (
        hub.scheme,
        hub.netloc.lower(),
    )


def is_fixed(url: str) -> bool:
    """Whether what is at an address of the hub cannot change, as it names a commit."""
    found = _repository(url)
    return found is not None and found.is_commit


def at_commit(url: str, commit: str | None) -> str:
    """An address of the hub with the hash of a commit in place of its revision.

    Args:
        url: any address; one that is not of the hub stays as it is.
        commit: as the hub says it in `X-Repo-Commit`.
    """
    if commit is None or not re.fullmatch(_COMMIT, commit) or _repository(url) is None:
        return url
    return _RESOLVE.sub(rf"/\1/resolve/{commit}", url, count=1)


def shown(url: str) -> str:
    """An address as a person writes it: `hf://…` of a repository of the hub."""
    found = _repository(url)
    return url if found is None else url.replace(found.url, str(found), 1)


def _repository(url) -> Repository | None:
    """The repository that an address of the hub's files belongs to."""
    match = _RESOLVE.match(url[len(endpoint()) :]) if url.startswith(f"{endpoint()}/") else None
    return match and Repository(match[1], urllib.parse.unquote(match[2]))


def token() -> str | None:
    """The token for private repositories: `HF_TOKEN`, or what `hf auth login` has stored.

    Raises:
        KganError: if it is none that could be sent, without showing it.
    """
    found, where = os.environ.get("HF_TOKEN", "").strip(), "HF_TOKEN"
    if not found:
        path = _token_file()
        try:
            with open(path, "rb") as file:
                found = file.read(_MOST_TOKEN + 1).decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KganError(
                f"Expected a token of the hub in {path}. Received: {reason(error)}; HF_TOKEN_PATH "
                "names another file"
            ) from None
        where = str(path)
    if not found:
        return None
    if not re.fullmatch(f"[!-~]{{1,{_MOST_TOKEN}}}", found):
        raise KganError(
            f"Expected a token of the hub in {where}: one word of letters, digits and signs. "
            f"Received: {len(found):,} characters, among them others (they are not shown)"
        )
    return found


def _token_file():
    if os.environ.get("HF_TOKEN_PATH"):
        return Path(os.path.expandvars(os.environ["HF_TOKEN_PATH"])).expanduser()
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(os.path.expandvars(home)).expanduser() / "token"


def without_token(text: str) -> str:
    """A message in which the token is not to be read, whoever wrote it there."""
    try:
        secret = token()
    except KganError:
        return text
    return text.replace(secret, "[token]") if secret else text


def explained(url: str, status: int, code: str | None) -> str:
    """What a refusal of the hub means, and the way out; empty of other addresses.

    Args:
        url: of a file in a repository.
        status: of HTTP.
        code: what the hub says in `X-Error-Code`.
    """
    found = _repository(url)
    if found is None or status not in (401, 403, 404):
        return ""
    name = found.name
    if code == "GatedRepo":
        page = f"{endpoint()}/{name}"
        return f"; {name} is gated: ask for access at {page}, and set HF_TOKEN to your token"
    if code == "RevisionNotFound":
        return f"; {name} has no branch, tag or commit {found.revision}"
    if code == "EntryNotFound":
        file = url.rpartition("/")[2]
        kind = "registry" if file.startswith("registry") else "preset"
        return f"; {name} has no {file}, as a {kind} of kgan's has"
    if token() is None:
        return f"; {name} is private or not there: for private ones set HF_TOKEN to your token"
    may = "your token may not read it" if status == 403 else "your token is not valid"
    return f"; {name} is private or not there, or {may}: see HF_TOKEN, or hf auth login"
