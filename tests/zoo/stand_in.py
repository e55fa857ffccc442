"""A stand-in for the hub, on this machine: repositories, revisions, tokens, commits, and a CDN.

It answers what kgan and huggingface_hub ask for, as the hub's interface is documented and as these
read it: small files come by a redirection within the hub, large ones by one to another host, which
refuses whoever shows it a token.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass, field

LARGE = (".h5", ".png")  # what goes through the CDN


@dataclass
class Repository:
    """Files by path, for each commit; commits by branch or tag."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files, branch="main", message=""):
        """Adds files to a branch; returns the hash of the commit."""
        before = self.commits.get(self.refs.get(branch), {})
        oid = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[oid] = {**before, **files}
        self.refs[branch] = oid
        self.messages.append(message)
        return oid

    def at(self, revision):
        """The commit that a revision means; None if there is none."""
        return self.refs.get(revision, revision if revision in self.commits else None)


class Hub:
    """The hub: its repositories, by name, and what it was asked for.

    Attributes:
        url, cdn: addresses.
        requests: (host, method, path, headers) of all that came, where host is "hub" or "cdn".
        readers, writers: tokens, and what they may do with private repositories.
        slow: seconds between two 64ths of a large file.
    """

    def __init__(self):
        self.repositories = {}
        self.requests = []
        self.readers, self.writers = {"hf_reader"}, {"hf_writer"}
        self.blobs = {}
        self.slow = 0
        self.says_commit = True

    def publish(self, name, directory, **options):
        """A repository of all files below a directory; returns the hash of its commit."""
        paths = [path for path in directory.rglob("*") if path.is_file()]
        files = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
        return self.repositories.setdefault(name, Repository(**options)).commit(files)

    def asked(self, host, end=""):
        """The paths that a host was asked for, of those with this end."""
        return [path for at, _, path, _ in self.requests if at == host and path.endswith(end)]


@contextmanager
def serving():
    """A hub that answers at `url`, and its CDN at `cdn`."""
    hub = Hub()
    servers = []
    for kind in ("hub", "cdn"):
        handler = type(f"_{kind}", (_Hub if kind == "hub" else _Cdn,), {"hub": hub, "kind": kind})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        servers.append(server)
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self):
        self.hub.requests.append((self.kind, self.command, self.path, dict(self.headers)))
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        parts = urllib.parse.urlsplit(self.path)
        self.route(parts.path)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def send(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content_Type"] = "application/json"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.write(body)

    def write(self, body):
        self.wfile.write(body)


class _Cdn(_Handler):
    def route(self, path):
        if "Authorization" in self.headers:
            self.send(400, b"Only one auth mechanism allowed")
        elif self.command == "PUT":
            self.hub.blobs[path] = self.body
            self.send(200, ETag='"x"')
        elif path in self.hub.blobs:
            self.send(200, self.hub.blobs[path])
        else:
            self.send(404)

    def write(self, body):
        step = -(-len(body) // 64) if self.hub.slow else max(len(body), 1)
        for start in range(0, len(body), step):
            try:
                self.wfile.write(body[start : start + step])
            except OSError:  # the client was killed
                return
            time.sleep(self.hub.slow)


class _Hub(_Handler):
    def route(self, path):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        known = self.hub.readers | self.hub.writers
        if token and token not in known:
            self.refuse(401, None, f"Invalid credentials in Authorization header: {token}")
            return
        for pattern, handle in _ROUTES.items():
            match = re.fullmatch(pattern, path)
            if match:
                parts = {k: urllib.parse.unquote(v) for k, v in match.groupdict().items()}
                handle(self, token, **parts)
                return
        self.send(404)

    def refuse(self, status, code, message=""):
        headers = {"X_Error_Message": message} if message else {}
        self.send(status, {"error": message}, **headers, **({"X_Error_Code": code} if code else {}))

    def repository(self, name, token):
        """A repository that the token may read; else it is refused, as if it were not there."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not token):
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
            return None
        return found

    def commit_of(self, name, revision, token):
        """(repository, hash of its commit), or None after a refusal."""
        found = self.repository(name, token)
        if found is None:
            return None
        oid = found.at(revision)
        if oid is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return found, oid

    def resolve(self, token, name, revision, file):
        found = self.commit_of(name, revision, token)
        if found is None:
            return
        repository, oid = found
        commit = {"X_Repo_Commit": oid} if self.hub.says_commit else {}
        if repository.gated and token not in self.hub.writers:
            self.refuse(401 if not token else 403, "GatedRepo", "Access is restricted")
        elif file not in repository.commits[oid]:
            self.send(404, X_Error_Code="EntryNotFound", **commit)
        elif file.endswith(LARGE):
            content = repository.commits[oid][file]
            blob = f"/{hashlib.sha256(content).hexdigest()}/{file.rpartition('/')[2]}"
            self.hub.blobs[blob] = content
            self.send(302, Location=f"{self.hub.cdn}{blob}?signature=x", **commit)
        else:
            place = urllib.parse.quote(f"/api/resolve-cache/models/{name}/{oid}/{file}")
            self.send(307, Location=place, **commit)

    def resolve_cache(self, token, name, revision, file):
        found = self.commit_of(name, revision, token)
        if found is not None:
            commit = {"X_Repo_Commit": found[1]} if self.hub.says_commit else {}
            self.send(200, found[0].commits[found[1]][file], **commit)

    def info(self, token, name, revision="main"):
        found = self.repository(name, token)
        if found is None:
            return
        oid = found.at(revision)
        if oid is None and (found.commits or revision != "main"):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        files = found.commits.get(oid, {})
        values = {"_id": "0", "id": name, "modelId": name, "private": found.private, "tags": []}
        values |= {"downloads": 0, "likes": 0, "siblings": [{"rfilename": path} for path in files]}
        self.send(200, {**values, "sha": oid or 40 * "0"})

    def create(self, token):
        values = json.loads(self.body)
        name = f"{values['organization']}/{values['name']}"
        if token not in self.hub.writers:
            self.refuse(403, None, "You don't have the rights to create a model under it")
        elif name in self.hub.repositories:
            self.refuse(409, None, "You already created this model repo")
        else:
            private = values.get("visibility") == "private" or bool(values.get("private"))
            self.hub.repositories[name] = Repository(private)
            self.hub.repositories[name].commit({".gitattributes": b""}, message="initial commit")
            self.send(200, {"url": f"{self.hub.url}/{name}", "name": name, "id": "0"})

    def branch(self, token, name, revision):
        found = self.repository(name, token)
        if found is not None:
            found.refs[revision] = found.refs["main"]
            self.send(200, {})

    def validate(self, token):
        content = json.loads(self.body)["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no header"}]
        self.send(400 if errors else 200, {"errors": errors, "warnings": []})

    def preupload(self, token, name, revision):
        if self.commit_of(name, revision, token) is None:
            return
        files = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in files}
        told = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
        self.send(200, {"files": told})

    def batch(self, token, name):
        objects = json.loads(self.body)["objects"]
        told = [
            {**given, "actions": {"upload": {"href": f"{self.hub.cdn}/{given['oid']}/uploaded"}}}
            for given in objects
        ]
        self.send(200, {"transfer": "basic", "objects": told})

    def commit(self, token, name, revision):
        found = self.commit_of(name, revision, token)
        if found is None:
            return
        if token not in self.hub.writers:
            self.refuse(403, None, f"Forbidden: {token} may not write")
            return
        lines = [json.loads(line) for line in self.body.splitlines()]
        head = lines[0]["value"]
        if head.get("parentCommit") not in (None, found[1]):
            self.refuse(412, None, "A commit has happened since")
            return
        files = {}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.blobs[f"/{value['oid']}/uploaded"]
        oid = found[0].commit(files, revision, head["summary"])
        self.send(
            200,
            {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{name}/commit/{oid}"},
        )


_NAME = r"(?P<name>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>[^/]+)"
_MODELS = f"/api/models/{_NAME}"
_ROUTES = {
    f"/{_NAME}/resolve/{_REVISION}/(?P<file>.+)": _Hub.resolve,
    f"/api/resolve-cache/models/{_NAME}/{_REVISION}/(?P<file>.+)": _Hub.resolve_cache,
    _MODELS: _Hub.info,
    f"{_MODELS}/revision/{_REVISION}": _Hub.info,
    f"{_MODELS}/branch/{_REVISION}": _Hub.branch,
    f"{_MODELS}/preupload/{_REVISION}": _Hub.preupload,
    f"{_MODELS}/commit/{_REVISION}": _Hub.commit,
    f"/{_NAME}\\.git/info/lfs/objects/batch": _Hub.batch,
    "/api/repos/create": _Hub.create,
    "/api/validate-yaml": _Hub.validate,
}
