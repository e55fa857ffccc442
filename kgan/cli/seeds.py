"""Lists of seeds on the command line."""

import re
from collections.abc import Sequence

import click

from kgan.checks import SEED

MOST_SEEDS = 1000  # which is what `Sampling.interpolate` and `mix` take


class Seeds(click.ParamType):
    """Seeds and ranges of them, separated by commas, as a list of ints."""

    name = "seeds"

    def convert(
        self, value: str | list[int], param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        if isinstance(value, list):
            return value
        found = []
        for part in value.split(","):
            span = re.fullmatch(r"\s*([0-9]{1,20})(?:\s*-\s*([0-9]{1,20}))?\s*", part, re.ASCII)
            first, last = (int(span[1]), int(span[2] or span[1])) if span else (1, 0)
            if first > last or not SEED.fits(last):
                self.fail(f"Expected seeds, such as 0-5,9. Received: {value}", param, ctx)
            if len(found) + last - first >= MOST_SEEDS:
                self.fail(f"Expected at most {MOST_SEEDS:,} seeds. Received: {value}", param, ctx)
            found += range(first, last + 1)
        return found


def seeds_text(seeds: Sequence[int]) -> str:
    """What stands for seeds on the command line.

    Example:

    >>> seeds_text([0, 1, 2, 3, 9, 5])
    '0-3,9,5'
    """
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(
        f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in parts
    )
