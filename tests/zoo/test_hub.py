"""kgan.zoo.hub and downloads from it: revisions, tokens and refusals, against a stand-in."""

import os
import time
import urllib.request
import warnings

import pytest

import kgan
from kgan.errors import KganError, KganWarning
from kgan.files import sha256
from kgan.zoo import cache as caches
from kgan.zoo import download, exchange, hub, preset, registry
from kgan.zoo.metadata import CARD, METADATA, WEIGHTS
from zoo import stand_in
from zoo.sound import make_preset

READER = "hf_reader"


@pytest.fixture
def two(at_hub, tmp_path):
    """A hub whose repository `someone/faces` has two commits; their hashes, the older first."""
    first = at_hub.publish("someone/faces", make_preset(tmp_path / "a"))
    at_hub.repositories["someone/faces"].refs["v1"] = first
    second = at_hub.publish("someone/faces", make_preset(tmp_path / "b"))
    return at_hub, first, second


def weights_of(source):
    return preset.read(source).content[WEIGHTS].decode()


class TestAddresses:
    @pytest.mark.parametrize(
        "address, url",
        [
            ("hf://a/b", "a/b/resolve/main"),
            ("hf://a/b/", "a/b/resolve/main"),
            ("hf://a/b@v1.0", "a/b/resolve/v1.0"),
            ("hf://a-b/c.d_e@refs/pr/7", "a-b/c.d_e/resolve/refs%2Fpr%2F7"),
            (f"hf://a/b@{40 * 'c'}", f"a/b/resolve/{40 * 'c'}"),
        ],
    )
    def test_right(self, monkeypatch, address, url):
        monkeypatch.delenv("HF_ENDPOINT", raising=False)
        assert download.split_url(address) == (f"https://huggingface.co/{url}", None)
        shown = hub.shown(f"https://huggingface.co/{url}")
        assert shown == address.rstrip("/")
        pinned = download.split_url(f"{address}#sha256={64 * 'a'}")
        assert pinned == (f"https://huggingface.co/{url}", 64 * "a")

    @pytest.mark.parametrize(
        "address",
        ["hf://", "hf://a", "hf://a/", "hf:///b", "hf://a/b/c", "hf://a/../b", "hf://../b"]
        + ["hf://a/..", "hf://a/b..c", "hf://a/b--c", "hf://a/b.git", "hf://a b/c", "hf://é/b"]
        + ["hf://a/b?x=1", "hf://a/b%2e", "hf://a\\b/c", "hf://a/b\n", "hf://a/\x1b[2J"]
        + [f"hf://a/{'b' * 97}", "hf://token@a/b"]
        + [f"hf://a/b@{odd}" for odd in ("", "..", "a..b", "/a", "a/", "a//b", "a b", "a:b", "-a")]
        + [f"hf://a/b@{odd}" for odd in ("a@b", "a?b", "a%2fb", "é", "a\n", "\x1b[2J", "x" * 201)]
        + [f"hf://a/b@{odd}" for odd in ("a.lock", "a/.b", "a^", "a~1", "a*", "a[", "a\\b", "a.")],
    )
    def test_odd(self, address):
        for ask in (kgan.zoo.load, kgan.zoo.info, kgan.zoo.sampler):
            with pytest.raises(ValueError, match="^Expected .*Received: ") as caught:
                ask(address)
            assert str(caught.value).isprintable() and len(str(caught.value)) < 500

    @pytest.mark.parametrize(
        "endpoint",
        ["http://example.org", "ftp://x", "huggingface.co", "https://[x", " ", "file:///"],
    )
    def test_odd_endpoint_is_named(self, monkeypatch, endpoint):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(ValueError, match="^Expected HF_ENDPOINT to be https://"):
            kgan.zoo.info("hf://a/b")

    @pytest.mark.parametrize("who", ["me", "me:hf_secret", "hf_secret"])
    @pytest.mark.parametrize(
        "start, end", [("https", ""), ("http", ""), ("hf", ""), ("https", "#x")]
    )
    def test_no_secrets_in_addresses(self, who, start, end, monkeypatch):
        address = f"{start}://{who}@example.org/x{end}"
        with pytest.raises(ValueError, match="^Expected") as caught:
            kgan.zoo.info(address)
        monkeypatch.setenv("KGAN_ZOO", address)
        with pytest.warns(KganWarning, match="Left out") as warned:
            registry.names()
        assert "hf_secret" not in f"{caught.value} {warned[0].message}"


class TestRevisions:
    def test_branch_tag_and_commit(self, two):
        _, first, second = two
        assert weights_of("hf://someone/faces@v1") == "model.weights.h5 of a"
        assert weights_of("hf://someone/faces") == "model.weights.h5 of b"
        assert weights_of("hf://someone/faces@main") == "model.weights.h5 of b"
        for commit, name in ((first, "a"), (second, "b")):
            found = preset.read(f"hf://someone/faces@{commit}")
            assert found.content[WEIGHTS].decode() == f"model.weights.h5 of {name}"
            assert found.lineage["source"] == f"hf://someone/faces@{commit}"

    def test_branch_is_asked_for_again(self, two, tmp_path):
        found, *_ = two
        assert weights_of("hf://someone/faces") == "model.weights.h5 of b"
        found.publish("someone/faces", make_preset(tmp_path / "c"))
        assert weights_of("hf://someone/faces") == "model.weights.h5 of c"

    def test_commit_is_asked_for_once(self, two):
        found, first, second = two
        preset.read(f"hf://someone/faces@{first}")
        preset.read("hf://someone/faces")  # which says that it was the second
        found.requests.clear()
        for commit in (first, second):
            preset.read(f"hf://someone/faces@{commit}")
            kgan.zoo.info(f"hf://someone/faces@{commit}")
        assert not found.requests

    def test_pinned_is_asked_for_once(self, two, tmp_path):
        found, *_ = two
        pinned = f"hf://someone/faces#sha256={sha256(tmp_path / 'b' / METADATA)}"
        preset.read(pinned)
        found.requests.clear()
        preset.read(pinned)
        assert not found.requests

    def test_damaged_metadata_of_a_commit_are_fetched_again(self, two, tmp_path):
        found, first, _ = two
        entry = preset.read(f"hf://someone/faces@{first}").directory
        (entry / METADATA).write_text("{}")
        with pytest.warns(KganWarning, match="is damaged, and fetched again"):
            assert weights_of(f"hf://someone/faces@{first}") == "model.weights.h5 of a"

    def test_files_are_of_the_commit_that_the_metadata_are_of(self, two, tmp_path, monkeypatch):
        """A branch that moves between two files gives one preset, not parts of two."""
        found, *_ = two
        later, fetch = make_preset(tmp_path / "c"), download._fetch_files

        def meanwhile(*args):
            found.publish("someone/faces", later)
            return fetch(*args)

        monkeypatch.setattr(download, "_fetch_files", meanwhile)
        assert weights_of("hf://someone/faces") == "model.weights.h5 of b"

    def test_hub_that_says_no_commit(self, two):
        found, *_ = two
        found.says_commit = False
        assert weights_of("hf://someone/faces@v1") == "model.weights.h5 of a"

    @pytest.mark.parametrize(
        "commit", ["main", "0" * 39, "../../x", f"{'0' * 40}/x", "0" * 40 + "\n"]
    )
    def test_odd_commits_are_not_believed(self, commit):
        url = f"{hub.Repository('a/b').url}/{METADATA}"
        assert hub.at_commit(url, commit) == url

    def test_commits_of_other_hosts_are_not_believed(self):
        assert hub.at_commit("https://example.org/a/b/resolve/main/x", 40 * "0").endswith("main/x")

    def test_registry_at_a_revision(self, at_hub, tmp_path, monkeypatch):
        make_preset(tmp_path / "zoo" / "faces")
        registry.write(tmp_path / "zoo")
        at_hub.publish("someone/zoo", tmp_path / "zoo")
        at_hub.repositories["someone/zoo"].refs["v1"] = at_hub.repositories["someone/zoo"].refs[
            "main"
        ]
        make_preset(tmp_path / "zoo" / "cars")
        registry.write(tmp_path / "zoo")
        at_hub.publish("someone/zoo", tmp_path / "zoo")
        for address, expected in (("hf://someone/zoo@v1", False), ("hf://someone/zoo", True)):
            monkeypatch.setenv("KGAN_ZOO", os.pathsep.join([address, str(tmp_path / "nothing")]))
            with (
                pytest.warns(KganWarning, match="nothing: No such")
                if expected is False
                else warnings.catch_warnings()
            ):
                assert ("cars" in registry.names()) == expected
            assert weights_of("faces") == "model.weights.h5 of faces"


class TestOffline:
    def test_of_a_branch_what_was_there_is_used_and_said(self, two, monkeypatch):
        found, first, _ = two
        preset.read("hf://someone/faces@v1")
        preset.read("hf://someone/faces")
        preset.read("hf://someone/faces@v1")  # used last, which must not make it main
        monkeypatch.setenv("KGAN_OFFLINE", "1")
        with pytest.warns(
            KganWarning, match="OFFLINE is set, so hf://someone/faces is not asked for; used is"
        ):
            assert weights_of("hf://someone/faces") == "model.weights.h5 of b"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert weights_of(f"hf://someone/faces@{first}") == "model.weights.h5 of a"
        with pytest.raises(KganError, match="KGAN_OFFLINE is set, and it is not in the cache"):
            preset.read("hf://someone/faces@v2")

    def test_day_is_that_on_which_the_hub_was_asked(self, two, monkeypatch):
        entry = preset.read("hf://someone/faces").directory
        (address,) = (o.url for o in download.origins(entry) if o.url.endswith("main"))
        (entry / download.ORIGIN).write_text(f"{10**18} {address}\n")  # in 2001
        monkeypatch.setenv("KGAN_OFFLINE", "1")
        for _ in range(2):
            with pytest.warns(KganWarning, match="used is what was there on 2001-09-"):
                preset.read("hf://someone/faces")
        assert caches.entries()[0].last_used > time.time() - 60

    def test_hub_that_cannot_be_reached(self, two, monkeypatch):
        preset.read("hf://someone/faces")
        reached = exchange._receive

        def unplugged(url, *args):
            raise exchange.Broken("Network is unreachable", again=True)

        monkeypatch.setattr(exchange, "_receive", unplugged)
        with pytest.warns(
            KganWarning, match="Cannot get .*unreachable; used is what was there on 2"
        ):
            assert weights_of("hf://someone/faces") == "model.weights.h5 of b"
        with pytest.raises(KganError, match="Cannot get .*Network is unreachable$"):
            preset.read("hf://someone/faces@v1")
        monkeypatch.setattr(exchange, "_receive", reached)

    @pytest.mark.parametrize("how", ["offline", "unreachable"])
    def test_of_a_registry_what_was_got_is_known(self, at_hub, tmp_path, monkeypatch, how):
        for name in ("faces", "cars"):
            make_preset(tmp_path / "zoo" / name)
        registry.write(tmp_path / "zoo")
        at_hub.publish("someone/zoo", tmp_path / "zoo")
        monkeypatch.setenv("KGAN_ZOO", "hf://someone/zoo")
        preset.read("faces")
        registry._warn_once.cache_clear()
        if how == "offline":
            monkeypatch.setenv("KGAN_OFFLINE", "1")
        tried = []

        def unplugged(*args):
            tried.append(args)
            raise exchange.Broken("Network is unreachable", again=True)

        monkeypatch.setattr(exchange, "_PAUSES", ())
        monkeypatch.setattr(exchange, "_receive", unplugged)
        with pytest.warns(
            KganWarning, match="sed only what the cache has of .*hf://some"
        ) as caught:
            assert weights_of("faces") == "model.weights.h5 of faces"
            assert "cars" not in registry.names() and "faces" in registry.names()
        assert len(caught) == 1 and len(tried) == (how != "offline")
        with pytest.raises(KganError, match="'cars'; .*(not looked up in the reg|OFFLINE is set)"):
            preset.read("cars")

    @pytest.mark.parametrize("how", ["gone", "private"])
    def test_what_the_hub_refuses_is_not_taken_from_the_cache(self, two, how):
        found, *_ = two
        preset.read("hf://someone/faces")
        if how == "gone":
            del found.repositories["someone/faces"]
        else:
            found.repositories["someone/faces"].private = True
        with pytest.raises(KganError, match="Cannot get .*401.*private or not there"):
            preset.read("hf://someone/faces")


@pytest.fixture
def private(two):
    two[0].repositories["someone/faces"].private = True
    return two[0]


def tokens(found, host):
    return {h.get("Authorization") for at, _, _, h in found.requests if at == host}


class TestTokens:
    @pytest.mark.parametrize("how", ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"])
    def test_are_sent_to_the_hub_and_nobody_else(self, private, monkeypatch, tmp_path, how):
        if how == "HF_TOKEN":
            monkeypatch.setenv("HF_TOKEN", f" {READER}\n")
        elif how == "HF_TOKEN_PATH":
            (tmp_path / "mine").write_text(f"{READER}\n")
            monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "mine"))
        else:
            home = tmp_path / ("huggingface" if how == "XDG_CACHE_HOME" else "home")
            home.mkdir()
            (home / "token").write_text(READER)
            if how == "XDG_CACHE_HOME":
                monkeypatch.delenv("HF_HOME")
                monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert weights_of("hf://someone/faces") == "model.weights.h5 of b"
        assert tokens(private, "hub") == {f"Bearer {READER}"}
        assert private.asked("cdn") and tokens(private, "cdn") == {None}

    def test_is_in_no_file(self, private, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_TOKEN", READER)
        preset.read("hf://someone/faces")
        for path in (tmp_path / "cache").rglob("*"):
            assert path.is_dir() or READER.encode() not in path.read_bytes()

    def test_other_hosts_do_not_get_it(self, private, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_TOKEN", READER)
        private.blobs["/x/metadata.json"] = (tmp_path / "a" / METADATA).read_bytes()
        kgan.zoo.info(f"{private.cdn}/x")
        assert tokens(private, "cdn") == {None}

    def test_whoever_is_sent_to_the_hub_brings_none(self, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
        follow = exchange._Redirects().redirect_request
        away = urllib.request.Request("https://cdn.example/x")
        away.add_unredirected_header("Authorization", "Bearer x")
        for start, end, brought in (
            ("https://hub.example/x", "https://hub.example/y", True),
            ("https://hub.example/x", "https://cdn.example/y", False),
            ("https://hub.example/x", "https://hub.example:444/y", False),
            ("https://hub.example/x", "https://hub.example.evil/y", False),
            ("https://hub.example/x", "https://hub.example@evil.example/y", False),
            ("https://cdn.example/x", "https://hub.example/y", False),
        ):
            request = urllib.request.Request(start)
            request.add_unredirected_header("Authorization", "Bearer x")
            followed = follow(request, None, 302, "", {"X-Repo-Commit": None}, end)
            assert followed.has_header("Authorization") == brought, (start, end)

    @pytest.mark.parametrize(
        "odd", ["hf_a\nhf_b", "hf_a\r\nX-Evil: 1", "hf_é", "hf a", "hf_\x1b", "x" * 5000]
    )
    @pytest.mark.parametrize("where", ["HF_TOKEN", "a file"])
    def test_odd_one_is_refused_unseen(self, private, monkeypatch, tmp_path, odd, where):
        if where == "HF_TOKEN":
            monkeypatch.setenv("HF_TOKEN", odd)
        else:
            (tmp_path / "home").mkdir()
            (tmp_path / "home" / "token").write_text(odd)
        with pytest.raises(
            ValueError, match="^Expected a token of the hub in .*not shown"
        ) as caught:
            kgan.zoo.info("hf://someone/faces")
        assert "hf_" not in str(caught.value).replace("of the hub", "") and not private.requests

    def test_file_that_cannot_be_read_is_named(self, private, tmp_path):
        (tmp_path / "home" / "token").mkdir(parents=True)
        with pytest.raises(ValueError, match="Expected a token of the hub in .*token.*directory"):
            kgan.zoo.info("hf://someone/faces")

    def test_empty_ones_are_none(self, two, monkeypatch, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "token").write_text("\n")
        monkeypatch.setenv("HF_TOKEN", "")
        preset.read("hf://someone/faces")
        assert tokens(two[0], "hub") == {None}

    def test_never_in_a_message(self, private, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")  # which the stand-in says back
        with pytest.raises(
            ValueError, match="HTTP 401.*your token is not valid: see HF_TOKEN"
        ) as e:
            kgan.zoo.info("hf://someone/faces")
        assert "hf_wrong" not in str(e.value)


class TestRefusals:
    def said(self, source):
        with pytest.raises(KganError) as caught:
            preset.read(source)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 500
        return str(caught.value)

    def test_private_or_missing(self, private):
        for name in ("someone/faces", "someone/nothing"):
            said = self.said(f"hf://{name}")
            assert said.endswith(
                f"{name} is private or not there: for private ones set HF_TOKEN to your token"
            )

    def test_gated(self, two, monkeypatch):
        two[0].repositories["someone/faces"].gated = True
        for token in ("", READER):
            monkeypatch.setenv("HF_TOKEN", token)
            said = self.said("hf://someone/faces")
            assert "someone/faces is gated: ask for access at http" in said and "HF_TOKEN" in said

    def test_missing_revision(self, two):
        said = self.said("hf://someone/faces@v7")
        assert said.endswith("someone/faces has no branch, tag or commit v7")

    def test_no_preset(self, at_hub, monkeypatch):
        at_hub.repositories["someone/else"] = stand_in.Repository()
        at_hub.repositories["someone/else"].commit({"model.safetensors": b""})
        said = self.said("hf://someone/else")
        assert said.endswith("someone/else has no metadata.json, as a preset of kgan's has")
        monkeypatch.setenv("KGAN_ZOO", "hf://someone/else")
        with pytest.warns(KganWarning, match="someone/else has no registry.json, as a registry of"):
            registry.names()

    def test_missing_file(self, at_hub, tmp_path):
        directory = make_preset(tmp_path / "a")
        (directory / CARD).unlink()
        at_hub.publish("someone/faces", directory)
        assert "has no README.md" in self.said("hf://someone/faces")
        assert not list((tmp_path / "cache").iterdir())

    def test_other_hosts_are_not_explained(self, at_hub):
        said = self.said(f"{at_hub.cdn}/x")
        assert said.endswith("HTTP 404 Not Found")


def test_command_line(two, run_kgan, tmp_path):
    found, first, _ = two
    env = {
        "HF_ENDPOINT": found.url,
        "HF_HOME": str(tmp_path),
        "KGAN_CACHE": str(tmp_path / "cache"),
    }
    done = run_kgan("info", f"hf://someone/faces@{first}", **env)
    assert done.returncode == 0 and "Name:         faces" in done.stdout
    done = run_kgan("info", "hf://someone/faces@a..b", **env)
    assert done.returncode == 1 and done.stderr.startswith("Error: Expected a branch, a tag or")
    assert done.stderr.count("\n") == 1
