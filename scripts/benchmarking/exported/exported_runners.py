"""The process that runs an exported file in one program, and measures it. It imports only what this program needs.

It reads a request, a file of JSON: the `runtime`, a key of `RUNTIMES`; `files`, the file for each batch size; `inputs`,
an .npz file with the arrays of all examples; `task`, `pixels` (mean and deviation), `seconds` and `rounds`. It prints
the measurements as JSON, and writes the predictions of all examples to the file `predictions`.
"""

import time

START = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402

import numpy as np  # noqa: E402


def tensorflow(request):
    """A SavedModel, eagerly."""
    import tensorflow as tf

    model = tf.saved_model.load(request["files"]["1"]).signatures["serving_default"]
    names = model.structured_input_signature[1]

    def run(arrays):
        results = model(**{name: tf.constant(arrays[name]) for name in names})
        return next(iter(results.values())).numpy()

    return run


def session(request):
    """A frozen graph in a session of TensorFlow 1."""
    import tensorflow.compat.v1 as tf

    definition = tf.GraphDef()
    with open(request["files"]["1"], "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    names = [node.name for node in definition.node if node.op == "Placeholder"]
    run = tf.Session(graph=graph).make_callable("predictions:0", [f"{name}:0" for name in names])
    return lambda arrays: run(*[arrays[name] for name in names])


def onnxruntime(request):
    import onnxruntime

    model = onnxruntime.InferenceSession(request["files"]["1"], providers=["CPUExecutionProvider"])
    names = [value.name for value in model.get_inputs()]
    return lambda arrays: model.run(None, {name: arrays[name] for name in names})[0]


def openvino(request):
    """A model per shape: OpenVINO needs the sizes to use the lengths."""
    import openvino

    core, compiled = openvino.Core(), {}

    def run(arrays):
        size = len(next(iter(arrays.values())))
        if size not in compiled:
            model = core.read_model(request["files"]["1"])
            names = [value.get_any_name() for value in model.inputs]
            model.reshape({name: list(arrays[name].shape) for name in names})
            options = {"INFERENCE_PRECISION_HINT": "f32"}
            compiled[size] = names, core.compile_model(model, "CPU", options).create_infer_request()
        names, inference = compiled[size]
        return np.array(next(iter(inference.infer({name: arrays[name] for name in names}).values())))

    return run


def litert(request):
    """An interpreter per batch size, with one thread, its default."""
    from ai_edge_litert.interpreter import Interpreter

    interpreters = {}

    def run(arrays):
        size = str(len(next(iter(arrays.values()))))
        if size not in interpreters:
            interpreters[size] = Interpreter(model_path=request["files"][size])
            interpreters[size].allocate_tensors()
        interpreter = interpreters[size]
        for details in interpreter.get_input_details():
            name = details["name"].split(":")[0].replace("serving_default_", "").replace("keras_tensor_", "")
            interpreter.set_tensor(details["index"], arrays[name])
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def predictor(request):
    """The layers in `stacked_lstm.runtime`, and the rest of the task's network in NumPy."""
    from stacked_lstm import runtime

    path = request["files"]["1"]
    layers = runtime.load(path)
    with np.load(path) as file:
        arrays = {name.replace("other_arrays/", ""): file[name] for name in file.files if name.startswith("other")}

    def dense(x, scope):
        return x @ arrays[f"{scope}/W"] + arrays[f"{scope}/b"]

    def softmax(x):
        y = np.exp(x - x.max(axis=1, keepdims=True))
        return y / y.sum(axis=1, keepdims=True)

    def titles(inputs):
        is_piece = (inputs["sequences"] > 0)[..., np.newaxis]
        words = np.sum(arrays["embedding"][inputs["sequences"]] * is_piece, axis=2)
        outputs, _ = layers(words, inputs["lengths"])
        counts = inputs["lengths"][:, np.newaxis].astype(np.float32)
        is_step = (np.arange(outputs.shape[1]) < counts)[..., np.newaxis]
        mean = outputs.sum(axis=1) / np.maximum(counts, 1)
        largest = np.where(is_step, outputs, -np.inf).max(axis=1)
        features = np.concatenate([mean, np.where(counts > 0, largest, 0)], axis=1)
        return softmax(dense(features, "dense"))

    def fashion_mnist(inputs):
        mean, deviation = request["pixels"]
        _, state = layers((inputs["images"].astype(np.float32) - np.float32(mean)) / np.float32(deviation))
        return softmax(dense(np.maximum(dense(state[-1].h, "dense"), 0), "dense_1"))

    def forecast(inputs):
        return dense(layers(inputs["inputs"])[0], "dense")

    return {"titles": titles, "fashion_mnist": fashion_mnist, "forecast": forecast}[request["task"]]


RUNTIMES = {
    "TensorFlow": tensorflow,
    "session": session,
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "LiteRT": litert,
    "predictor": predictor,
}


def batch(arrays, first, size):
    """`size` examples from the number `first` on; after the last one, the first ones follow."""
    rows = np.arange(first, first + size) % len(next(iter(arrays.values())))
    return {name: array[rows] for name, array in arrays.items()}


def median_ms(run, arrays, seconds, rounds):
    """The median time of a call, in milliseconds, over `rounds` times `seconds`."""
    run(arrays)
    times, end = [], time.perf_counter() + seconds * rounds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        run(arrays)
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times))


def main(request):
    """Measures a file; returns the measurements, and writes the predictions."""
    with np.load(request["inputs"]) as file:
        arrays = {name: file[name] for name in file.files}
    run = RUNTIMES[request["runtime"]](request)
    run(batch(arrays, 0, 1))
    measured = {"start_s": time.perf_counter() - START}
    for size in request["sizes"]:
        measured[f"ms_{size}"] = median_ms(run, batch(arrays, 0, size), request["seconds"], request["rounds"])
    size, count = request["sizes"][-1], len(next(iter(arrays.values())))
    predictions = [run(batch(arrays, first, size)) for first in range(0, count, size)]
    np.save(request["predictions"], np.concatenate(predictions)[:count])
    return measured


if __name__ == "__main__":
    with open(sys.argv[1]) as request_file:
        request = json.load(request_file)
    print(json.dumps(main(request)))
