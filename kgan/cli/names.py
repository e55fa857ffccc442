"""Names of presets on the command line, which a shell completes."""

import os
import re
import warnings
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from kgan.zoo import registry

# Of others the shell would make several words, or a command: registries may be strangers'.
_ONE_WORD = re.compile(r"[\w.][\w.+@=:-]*")


class PresetName(click.ParamType):
    """The name of a preset, or a path; completed by what this machine knows without a network.

    Args:
        others: what else is named in its place.
        paths: "dir" or "file", what paths lead to.
    """

    name = "text"

    def __init__(self, others: Sequence[str] = (), paths: str = "dir"):
        self.others = others
        self.paths = paths

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        os.environ["KGAN_OFFLINE"] = "1"  # the process does no more than this
        with warnings.catch_warnings(action="ignore"):  # of registries that cannot be read
            names = [*registry.names(), *self.others]
        # First the paths: in bash they take the place of what stands before them.
        return [CompletionItem(incomplete, type=self.paths)] + [
            CompletionItem(name)
            for name in names
            if name.startswith(incomplete) and _ONE_WORD.fullmatch(name)
        ]
