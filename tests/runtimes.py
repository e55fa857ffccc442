"""What the runtimes of exported models make of inputs."""

import json
import warnings

import numpy as np
import onnxruntime
import tensorflow as tf

# Of each SavedModel, what it makes of the inputs beside it.
LOAD = """
import sys
import numpy as np
import tensorflow as tf
for path in sys.argv[1:]:
    inputs = {name: tf.constant(x) for name, x in np.load(path + "/inputs.npz").items()}
    served = tf.saved_model.load(path + "/served")
    np.save(path + "/images.npy", served.signatures["serving_default"](**inputs)["images"])
assert "kgan" not in sys.modules
"""


def onnx_session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def onnx(path, inputs):
    (output,) = onnx_session(path).run(None, inputs)
    return output


def litert(path, inputs):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:  # what TensorFlow 2.21 has of it
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(str(path))
    (output,) = interpreter.get_signature_runner()(**inputs).values()
    return output


def saved_models(paths, run_python):
    """Of directories with `served` and `inputs.npz`, in a process without kgan."""
    done = run_python("-c", LOAD, *paths, cwd=paths[0])
    assert done.returncode == 0, done.stderr
    return [np.load(path / "images.npy") for path in paths]


def notes(path):
    """What an export says of itself."""
    if path.suffix == ".onnx":
        return json.loads(onnx_session(path).get_modelmeta().custom_metadata_map["kgan"])
    if path.suffix == ".tflite":
        from tensorflow.lite.python import schema_py_generated as schema

        return json.loads(schema.Model.GetRootAs(path.read_bytes()).Description())
    return json.loads((path / "kgan.json").read_text())
