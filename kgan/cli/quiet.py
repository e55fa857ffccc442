"""TensorFlow without its noise."""

import os
import sys
import tempfile


def import_tensorflow(begin: bool = True) -> None:
    """Imports TensorFlow in silence; if that fails, what it had to say is shown.

    Its C++ side writes to the file descriptor before any log level is read, so the descriptor
    itself is set aside until TensorFlow has been imported and has opened its devices.

    Args:
        begin: whether it opens its devices; then its number of threads cannot be set any more.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with _file() as said:
        os.dup2(said.fileno(), 2)
        failed = True
        try:
            import tensorflow as tf

            from kgan import _backend  # noqa: F401  (first: it explains a wrong backend)

            if begin:
                tf.config.list_logical_devices()
            tf.get_logger().setLevel("ERROR")
            failed = False
        except ImportError as error:
            failed = error.name is not None  # kgan's own refusal has no module's name
            raise
        except KeyboardInterrupt:
            failed = False
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                said.seek(0)
                sys.stderr.write(said.read().decode(errors="replace"))


def _file():
    try:
        return tempfile.TemporaryFile()
    except OSError:  # what is said is lost, which is better than to say it in every case
        return open(os.devnull, "rb+")
