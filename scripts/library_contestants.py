"""Contestants of the benchmark that are other libraries: PyTorch (oneDNN), ONNX Runtime, OpenVINO.

As in `contestants`, each is a function of a `Shape` and an input that returns a mapping from mode to a function. Their
weights are random; the two that only infer read an ONNX model which this package writes.
"""

import os
import tempfile

import numpy as np

from stacked_lstm import checkpoints


def pytorch(shape, x):
    """torch.nn.LSTM, time-major as it is by default; its loop over time is oneDNN's."""
    import torch

    network = torch.nn.LSTM(shape.input_size, shape.hidden_size, shape.layers)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    x = torch.from_numpy(x)

    def infer():
        with torch.inference_mode():
            network(x)

    def train():
        optimizer.zero_grad()
        torch.mean(torch.square(network(x)[0])).backward()
        optimizer.step()

    return {"inference": infer, "training": train}


def onnxruntime(shape, x):
    """An ONNX model in an InferenceSession, with its defaults."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as directory:
        session = onnxruntime.InferenceSession(_onnx_model(shape, directory), providers=["CPUExecutionProvider"])
    return {"inference": lambda: session.run(["y"], {"x": x})}


def openvino(shape, x):
    """The same model, compiled for this shape and for the shortest time of one call."""
    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory() as directory:
        model = core.read_model(_onnx_model(shape, directory))
        model.reshape({"x": list(x.shape)})
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(model, "CPU", options).create_infer_request()
    return {"inference": lambda: request.infer({"x": x}, share_inputs=True, share_outputs=True)}


def _onnx_model(shape, directory):
    """Writes a model of random weights; returns its path."""
    random, layers, below = np.random.RandomState(0), [], shape.input_size
    for _ in range(shape.layers):
        bound = 1 / np.sqrt(shape.hidden_size)
        sizes = {"W": [shape.hidden_size + below, shape.hidden_size], "b": [shape.hidden_size]}
        layers.append(
            {
                kind + gate: random.uniform(-bound, bound, size).astype(np.float32)
                for kind, size in sizes.items()
                for gate in "fico"
            }
        )
        below = shape.hidden_size
    path = os.path.join(directory, "model.onnx")
    checkpoints.write(path, layers, "onnx")
    return path
