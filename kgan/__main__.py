"""`python -m kgan` is the command `kgan`."""

from kgan.cli import main

main(prog_name="kgan")
