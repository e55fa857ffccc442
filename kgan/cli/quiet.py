"""TensorFlow without its noise."""

import os
import sys
from contextlib import suppress

from kgan.errors import silent_stderr


def import_tensorflow(begin: bool = True) -> None:
    """Imports TensorFlow in silence; if that fails, what it had to say is shown.

    Of GPUs it takes only the memory that it needs.

    Its C++ side writes to the file descriptor before any log level is read, so the descriptor
    itself is set aside until TensorFlow has been imported and has opened its devices.

    Args:
        begin: whether it opens its devices; then its number of threads cannot be set any more.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    said = b""
    try:
        with silent_stderr() as aside:
            try:
                import tensorflow as tf

                from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

                for gpu in tf.config.list_physical_devices("GPU"):  # not all memory at once
                    with suppress(RuntimeError, ValueError):  # it has begun, or is asked otherwise
                        tf.config.experimental.set_memory_growth(gpu, True)
                if begin:
                    tf.config.list_logical_devices()
                tf.get_logger().setLevel("ERROR")
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                ours = isinstance(error, ImportError) and error.name is None  # a refusal of kgan's
                if not ours:
                    aside.seek(0)
                    said = aside.read()
                raise
    finally:
        sys.stderr.write(said.decode(errors="replace"))
