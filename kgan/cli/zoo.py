"""`kgan zoo`."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import click

from kgan import files
from kgan.cli.models import import_models, import_option
from kgan.cli.paths import ExpandedPath
from kgan.errors import KganError, printable, say
from kgan.zoo import cache as caches
from kgan.zoo import download, publishing
from kgan.zoo.preset import check_replaceable


@click.group("zoo")
def command() -> None:
    """Give presets to others, and see what was got from them.

    \b
    Examples:
      kgan zoo publish runs/x/preset hf://owner/repo
      kgan zoo cache
    """


@command.command()
@click.argument("directory", metavar="DIR", type=ExpandedPath())
@click.argument("target", metavar="[hf://OWNER/REPO[@BRANCH]]", required=False)
@click.option("--private", is_flag=True, help="Nobody else may see it; a new repository is so.")
@click.option("--message", help="Of the commit. [default: which presets were published]")
@click.option("--out", type=ExpandedPath(), help="Keep what others get in this new directory.")
@import_option
def publish(
    directory: Path,
    target: str | None,
    private: bool,
    message: str | None,
    out: Path | None,
    import_file: Path | None,
) -> None:
    """Check the preset in DIR, or all presets in DIR, and upload them to the Hugging Face hub.

    Each is read as others will read it: hashes are checked, the model is loaded and draws samples.
    What others get is a copy with the same weights, a card with the hub's header and, of several
    presets, an index. It goes up in one commit; other files that are there stay. Without a
    repository nothing is uploaded, and what would be is printed.

    The token with write access is HF_TOKEN, or what `hf auth login` has stored; what uploads comes
    with pip install "kgan[hub]".

    \b
    Examples:
      kgan zoo publish my-gan
      kgan zoo publish my-gan hf://owner/repo --private
      kgan zoo publish my-zoo hf://owner/zoo@v2 --message "Longer training"
      kgan zoo publish my-zoo --out public/zoo
    """
    if target is None and (private or message is not None):
        option = "--private" if private else "--message"
        raise click.UsageError(f"Expected hf://owner/repo with {option}. Received: none")
    if message is not None and not message.strip():
        raise click.UsageError("Expected --message with a text. Received: an empty one")
    found = publishing.find(directory)
    destination = None if target is None else publishing.look(target, private)
    with _room(directory, out) as room:
        import_models(import_file)
        prepared = publishing.prepare(found, room, destination)
        if destination is not None:
            publishing.check_replaceable(prepared, destination)
        _show(prepared)
        if destination is not None:
            commit = publishing.upload(prepared, destination, private, message or "")
    if out is not None:
        say(f"Written: {out}")
    if destination is None:
        if out is None:
            say("Nothing was uploaded; name hf://owner/repo to do so, or --out to keep it")
        elif prepared.is_zoo:
            here = f"KGAN_ZOO={quote(str(out))} kgan list"
            say(f"Here: {here}; from a web server: KGAN_ZOO=https://… kgan list")
        else:
            say(f"Here: kgan sample {quote(str(out))}; from a web server: kgan sample https://…")
        return
    address, name = destination.repository, next(iter(prepared.presets))
    say(f"Uploaded to {address}, commit {commit}")
    if prepared.is_zoo:
        say(f"Others load it by KGAN_ZOO={address} and: kgan.zoo.load({name!r})")
    else:
        say(f'Others load it by: kgan.zoo.load("{address}")')
        say(f"As it is now, for ever: kgan sample hf://{address.name}@{commit}")
    if private or destination.private:
        say("It is private: those who may read it set HF_TOKEN to a token of theirs")


@contextmanager
def _room(directory: Path, out: Path | None) -> Iterator[Path]:
    """An empty directory for what others get, which becomes `out` in the end, if that is given."""
    if out is None:
        with tempfile.TemporaryDirectory() as room:
            yield Path(room)
        return
    here, there = directory.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise click.UsageError(f"Expected --out outside of {directory}. Received: --out {out}")
    check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing_directory(out) as room:
        yield room


def _show(prepared):
    """Prints what others get."""
    sizes = {path: (prepared.directory / path).stat().st_size for path in prepared.paths}
    width = max(map(len, sizes))
    for path, size in sizes.items():
        say(f"{path:{width}}  {_amount(size)}")
    say(f"{_count(len(sizes), 'file')}, {_amount(sum(sizes.values())).strip()}")


@command.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--clear", is_flag=True, help="Remove what is named, or all.")
@click.option("--yes", is_flag=True, help="Do not ask before all is removed.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def cache(names: tuple[str, ...], clear: bool, yes: bool, as_json: bool) -> None:
    """Show what was downloaded to this machine, with sizes, addresses and when it was last used.

    A NAME is that of a preset, its address, or the beginning of its hash. Graphs, by which presets
    are sampled without TensorFlow, are made anew when they are needed. What other processes
    download at this moment is left alone. KGAN_CACHE names another directory.

    \b
    Examples:
      kgan zoo cache
      kgan zoo cache --clear faces hf://owner/repo
      kgan zoo cache --clear --yes
    """
    if clear and as_json:
        raise click.UsageError("Expected --clear or --json. Received: both")
    if yes and not clear:
        raise click.UsageError("Expected --clear with --yes. Received: --yes alone")
    found = caches.entries()
    chosen = _chosen(found, names)
    if clear:
        _clear(chosen, names, yes)
    elif as_json:
        say(json.dumps(_as_json(chosen, names), indent=2))
    else:
        _show_cache(chosen, names)


def _chosen(found, names):
    """The entries that the names mean, all without names."""
    missing = [name for name in names if not any(entry.is_called(name) for entry in found)]
    if missing:
        known = ", ".join(sorted({entry.name for entry in found if entry.name})) or "nothing"
        raise KganError(
            f"Expected the name, address or hash of a preset in the cache. Received: {missing[0]}; "
            f"it has {known}"
        )
    return [entry for entry in found if not names or any(map(entry.is_called, names))]


def _show_cache(chosen, names):
    rows = [("NAME", "SIZE", "LAST USED", "HASH", "SOURCE")]
    for entry in chosen:
        source = entry.sources[-1] if entry.sources else "not noted"
        name = printable(entry.name) or "(damaged)"
        rows.append(
            (name, _amount(entry.size), _day(entry.last_used), entry.path.name[:12], source)
        )
    if chosen:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            say("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip())
    if names:
        return
    graphs, running = caches.graph_files(), caches.downloads()
    total = sum(entry.size for entry in chosen) + _bytes(graphs)
    if running:
        say(f"Being downloaded: {len(running)}, {_amount(sum(map(files.size, running)))}")
    say(
        f"{_count(len(chosen), 'preset')} and {_count(len(graphs), 'graph')}, "
        f"{_amount(total).strip()}, in {download.cache_directory()}"
    )


def _as_json(chosen, names):
    graphs = [] if names else caches.graph_files()
    running = [] if names else caches.downloads()
    return {
        "directory": str(download.cache_directory()),
        "size_bytes": sum(entry.size for entry in chosen) + _bytes(graphs),
        "presets": [
            {
                "name": entry.name,
                "sha256": entry.path.name,
                "size_bytes": entry.size,
                "sources": list(entry.sources),
                "last_used": _day(entry.last_used),
                "path": str(entry.path),
                "graph": entry.graph and str(entry.graph),
            }
            for entry in chosen
        ],
        "graphs": [{"path": str(path), "size_bytes": _bytes([path])} for path in graphs],
        "downloads": [{"path": str(path), "size_bytes": files.size(path)} for path in running],
    }


def _clear(chosen, names, yes):
    graphs = [] if names else caches.graph_files()
    size = sum(entry.size for entry in chosen) + _bytes(graphs)
    what = _count(len(chosen), "preset")
    if not names:
        what += f" and {_count(len(graphs), 'graph')}"
    if not chosen and not graphs:
        say(f"Nothing to remove in {download.cache_directory()}")
        return
    if not names and not yes:
        where = printable(str(download.cache_directory()))
        click.confirm(f"Remove {what}, {_amount(size).strip()}, in {where}?", abort=True, err=True)
    for entry in chosen:
        caches.remove(entry)
    if not names:
        caches.remove_graphs()
    say(f"Removed {what}, {_amount(size).strip()}")


def _bytes(paths):
    return sum(path.lstat().st_size for path in paths if path.is_file())


def _amount(size):
    return f"{size / 1e6:8.2f} MB" if size >= 100_000 else f"{size / 1e3:8.1f} kB"


def _count(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"


def _day(seconds):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
