"""Numbers on the command line."""

import click

from kgan.checks import Bound


class Bounded(click.ParamType):
    """A number that a bound of `kgan.checks` lets through: click's ranges take NaN for one."""

    name = "float"

    def __init__(self, bound: Bound):
        self.bound = bound

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(value)
        except ValueError:
            number = None
        if not self.bound.fits(number):
            self.fail(f"Expected {self.bound.expected}. Received: {value}", param, ctx)
        return number
