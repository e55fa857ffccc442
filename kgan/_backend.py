"""Refuses, in one line, what kgan cannot run on: another Keras backend, or channels first."""

import os

_requested = os.environ.get("KERAS_BACKEND", "tensorflow")
if _requested != "tensorflow":
    raise ImportError(
        "kgan runs on Keras' TensorFlow backend only. "
        f"Received: KERAS_BACKEND={_requested!r}; unset it or set KERAS_BACKEND=tensorflow."
    )

import keras  # noqa: E402  (Keras would import the other backend before we could say no)

if keras.config.backend() != "tensorflow":
    raise ImportError(
        "kgan runs on Keras' TensorFlow backend only. "
        f"Received: backend {keras.config.backend()!r} from ~/.keras/keras.json; "
        "set KERAS_BACKEND=tensorflow."
    )
if keras.config.image_data_format() != "channels_last":
    raise ImportError(
        "kgan's images are (batch, height, width, channels). Received: image_data_format "
        f"{keras.config.image_data_format()!r}; call keras.config.set_image_data_format("
        "'channels_last') before importing kgan.models."
    )
