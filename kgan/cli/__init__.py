"""The command line: `kgan VERB ...`, one file per verb."""

import kgan.cli.interrupts as interrupts  # isort: split

import codecs
import importlib
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

import kgan
from kgan.errors import KganWarning, one_line, say

VERBS = (
    *("data", "evaluate", "export", "info", "inspect", "list", "mix", "project", "sample"),
    *("train", "translate", "ui", "walk", "zoo"),
)


class _Verbs(click.Group):
    """Imports a verb when it is asked for, and turns what it raises into one line."""

    def list_commands(self, ctx):
        return [*VERBS]  # `list` is a verb, once it is imported

    def get_command(self, ctx, name):
        if name not in VERBS:
            return None
        return importlib.import_module(f"kgan.cli.{name}").command

    def main(self, *args, **kwargs):
        interrupts.end_at_once()
        _open_streams()
        _take_any_text()
        try:
            with _signals():
                return super().main(*args, **kwargs)
        finally:
            interrupts.restore()

    def parse_args(self, ctx, args):
        with _one_line_errors(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx):
        with _one_line_errors(ctx):
            interrupts.restore()
            return super().invoke(ctx)


class _Terminated(KeyboardInterrupt):
    """The process was told to end."""

    number = signal.SIGTERM


@contextmanager
def _signals() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does: what it has begun to write is taken back."""

    def stop(number, frame):
        raise _Terminated

    # One that is ignored stays so; only the main thread may handle signals.
    ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    else:
        yield


class _Ascii(io.TextIOWrapper):
    """A stream of ASCII that click leaves alone: of one by that name it makes one of UTF-8."""

    encoding = "ascii with escapes"


def _open_streams():
    """Opens what the shell has closed (`2>&-`), lest a file get its number and be written into."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (to the end of the process)


def _take_any_text():
    """Lets the terminal's encoding stop nothing: what it lacks is written as an escape.

    File names that are no text are written as the bytes that they are.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            encoding = codecs.lookup(stream.encoding).name
        except (AttributeError, LookupError, TypeError):  # there is none, or it is another's
            continue
        errors = "surrogateescape" if encoding == "utf-8" else "backslashreplace"
        if encoding == "ascii":
            options = {"line_buffering": stream.line_buffering}
            setattr(sys, name, _Ascii(stream.buffer, "ascii", errors, **options))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


@contextmanager
def _one_line_errors(ctx: click.Context) -> Iterator[None]:
    """Turns whatever a command raises into one line, and the exit code that belongs to it."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        _exit_for_usage(ctx, error)
    except click.ClickException as error:
        error.message = one_line(error.message)
        raise
    except (click.Abort, click.exceptions.Exit):
        raise
    except BrokenPipeError:
        _exit_for_closed_pipe(ctx)
    except KeyboardInterrupt as interrupt:
        say("\nInterrupted", err=True)
        ctx.exit(128 + getattr(interrupt, "number", signal.SIGINT))
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # amid the import of a module in C
            say("\nInterrupted", err=True)
            ctx.exit(128 + getattr(error.__cause__, "number", signal.SIGINT))
        if ctx.params.get("debug"):
            say(traceback.format_exc(), err=True)
            ctx.exit(1)
        raise click.ClickException(_one_line(error)) from None


def _exit_for_closed_pipe(ctx):
    """Ends in silence, as programs do whose reader has gone (`kgan list | head -1`)."""
    with open(os.devnull, "w") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:  # what is left in it would be complained of at the end
                os.dup2(nowhere.fileno(), stream.fileno())
    ctx.exit(128 + 13)  # SIGPIPE, which Windows has not


def _exit_for_usage(ctx, error):
    where = error.ctx.command_path if error.ctx else "kgan"
    message = one_line(error.format_message())
    say(f"Error: {message} ({where} --help shows more)", err=True)
    ctx.exit(2)


def _one_line(error):
    """The message of an error, on one line; of an unforeseen one also its type."""
    message = one_line(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return one_line(f"{error.strerror}{where}")
    if isinstance(error, (ValueError, ImportError)):
        return message
    return f"{type(error).__name__}: {message[:300]} (--debug shows where)"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    say(f"Warning: {one_line(str(message))}", err=True)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(kgan.__version__, prog_name="kgan")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Generative adversarial networks for Keras.

    \b
    kgan sample dcgan-celeba -n 16                        16 faces in one picture
    kgan train dcgan --data ./photos --size 64            train on a folder of images
    """
    if not debug:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", KganWarning)
        warnings.showwarning = _show_warning


interrupts.restore()
