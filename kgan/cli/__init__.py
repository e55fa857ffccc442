"""The command line: `kgan VERB ...`, one file per verb."""

import importlib
import sys
import traceback
import warnings

import click

import kgan
from kgan.errors import KganWarning

VERBS = ("data", "evaluate", "info", "list", "sample", "train")


class _Verbs(click.Group):
    """Imports a verb when it is asked for, and turns what it raises into one line."""

    def list_commands(self, ctx):
        return list(VERBS)

    def get_command(self, ctx, name):
        if name not in VERBS:
            return None
        return importlib.import_module(f"kgan.cli.{name}").command

    def parse_args(self, ctx, args):
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _exit_for_usage(ctx, error)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _exit_for_usage(ctx, error)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except KeyboardInterrupt as interrupt:
            sys.stderr.write("\n")
            click.echo("Interrupted", err=True)
            ctx.exit(128 + getattr(interrupt, "number", 2))
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
                ctx.exit(1)
            raise click.ClickException(_one_line(error)) from None


def _exit_for_usage(ctx, error):
    where = error.ctx.command_path if error.ctx else "kgan"
    message = " ".join(error.format_message().split())
    click.echo(f"Error: {message} ({where} --help shows more)", err=True)
    ctx.exit(2)


def _one_line(error):
    """The message of an error, on one line; of an unforeseen one also its type."""
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    if isinstance(error, (ValueError, ImportError)):
        return message
    return f"{type(error).__name__}: {message[:300]} (--debug shows where)"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    click.echo(f"Warning: {message}", err=True)


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
