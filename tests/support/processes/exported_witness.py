"""A program without stacked_lstm that runs exported files: `python exported_witness.py`.

It reads a line of JSON per file from stdin: program (a name of `PROGRAMS`), path, inputs (an .npz file), outputs
(names), and results (the .npz file to write). It answers with a line: done, or the error.
"""

import json
import sys
import traceback

import numpy as np


def frozen_graph(path, inputs, outputs):
    import tensorflow.compat.v1 as tf

    definition = tf.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default():
        tf.import_graph_def(definition, name="")
        with tf.Session() as session:
            return session.run({n: n + ":0" for n in outputs}, {n + ":0": array for n, array in inputs.items()})


def saved_model(path, inputs, outputs):
    """The loader of TensorFlow 1."""
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session:
        signature = tf.saved_model.load(session, ["serve"], path).signature_def["serving_default"]
        feeds = {signature.inputs[name].name: array for name, array in inputs.items()}
        return session.run({name: signature.outputs[name].name for name in outputs}, feeds)


def saved_model_eager(path, inputs, outputs):
    """The loader of TensorFlow 2."""
    import tensorflow as tf

    results = tf.saved_model.load(path).signatures["serving_default"](
        **{name: tf.constant(array) for name, array in inputs.items()}
    )
    return {name: results[name].numpy() for name in outputs}


def onnxruntime(path, inputs, outputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, inputs)))


def openvino(path, inputs, outputs):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({name: array.shape for name, array in inputs.items()})  # With unknown sizes it ignores lengths.
    results = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)
    return {name: results[name] for name in outputs}


def litert(path, inputs, outputs):
    """The second call. A file that kept states from call to call would have other results than in the first one."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], inputs[details["name"]])
    interpreter.invoke()
    interpreter.invoke()
    places = {details["name"]: details["index"] for details in interpreter.get_output_details()}
    return {name: interpreter.get_tensor(places[name]) for name in outputs}


PROGRAMS = {f.__name__: f for f in (frozen_graph, saved_model, saved_model_eager, onnxruntime, openvino, litert)}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with np.load(request["inputs"]) as file:
                inputs = {name: file[name] for name in file.files}
            results = PROGRAMS[request["program"]](request["path"], inputs, request["outputs"])
            assert "stacked_lstm" not in sys.modules
            np.savez(request["results"], **results)
            answer = "done"
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
