"""`kgan ui`."""

import webbrowser

import click

from kgan.cli.names import PresetName
from kgan.cli.ui import server
from kgan.errors import say


@click.command()
@click.argument("sources", metavar="[NAME...]", nargs=-1, type=PresetName())
@click.option(
    "--port", type=click.IntRange(1, 65535), help="[default: 7860, or the next that is free]"
)
@click.option("--no-browser", is_flag=True, help="Open none: the address is printed.")
def command(sources: tuple[str, ...], port: int | None, no_browser: bool) -> None:
    """Look at models, or at a training, in a page in the browser.

    NAMEs are presets, their directories, or run directories; without any it is the whole zoo. Of a
    preset the page shows samples by seed, walks between two, mixes their styles, and projects or
    translates a photograph; of a run its grids as a film, its curves and its log, while it goes on.
    Beside each picture stand the command and the Python that make it.

    The page can be reached from this machine alone, and needs no network. Ctrl-C ends it. It comes
    with pip install "kgan[ui]".

    \b
    Examples:
      kgan ui
      kgan ui stylegan-lite-celeba cgan-fashion-mnist
      kgan ui runs/x
      kgan ui runs/x --port 8000 --no-browser
    """
    with server.serving(sources, port) as address:
        say(f"{address}  (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(address)
        server.wait()
    say("Stopped", err=True)
