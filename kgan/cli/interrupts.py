"""Ctrl-C while a command is only about to begin, as its modules are imported.

Python would show a traceback of whatever import it comes upon. This module is imported first, and
imports next to nothing.
"""

import os
import signal
from contextlib import suppress


def _end(number, frame):
    os.write(2, b"\nInterrupted\n")
    os._exit(128 + number)  # nothing has begun that would have to be taken back


def end_at_once() -> None:
    """Lets Ctrl-C end the process in silence, until `restore`, where it would raise."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with suppress(ValueError):  # only the main thread may handle signals
            signal.signal(signal.SIGINT, _end)


def restore() -> None:
    """Lets Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


end_at_once()
