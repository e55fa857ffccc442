"""`python -m kgan.cli`."""

from kgan.cli import main

main(prog_name="kgan")
