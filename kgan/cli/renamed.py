"""Options by their names of before."""

import click

from kgan._renamed import renamed_option


class RenamedCommand(click.Command):
    """A command that takes `--fit` for `--resize`, with a warning."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, renamed_option(args, "--fit", "--resize"))
