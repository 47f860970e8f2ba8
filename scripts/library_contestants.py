"""Contestants of the benchmark that are other libraries: PyTorch (oneDNN, cuDNN), ONNX Runtime, OpenVINO.

As in `contestants`, each is a function of a `Shape`, an input, a mode and a device that returns a function. Their
settings are those that their documentation has for the shortest time of one call, except the threads: each runs with
as many as it takes by itself or with one, whichever is faster for the shape at hand, since several are slower where a
step's work is small. Their weights are random; the two that only infer read an ONNX model in float32 which this package
writes.
"""

import functools
import os
import tempfile
import time

import numpy as np

import pytorch_lstm
from stacked_lstm import checkpoints

TRIAL = 0.3  # Seconds for which each setting is tried; without a trial it is the first.


def seconds_of_calls(function, seconds):
    """Calls `function` for `seconds`, at least once; returns how long each call took, in seconds."""
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        begin = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begin)
    return taken


def fastest_of(*settings):
    """A decorator that gives `build` a last argument: the one of `settings` whose steps take the shortest time."""

    def decorated(build):
        @functools.wraps(build)
        def with_fastest(*arguments):
            medians = {}
            for setting in settings if TRIAL else ():
                step = build(*arguments, setting)
                step()  # The first call prepares.
                medians[setting] = np.median(seconds_of_calls(step, TRIAL))
                del step  # And with it the threads, where they are its own.
            return build(*arguments, min(medians, key=medians.get, default=settings[0]))

        return with_fastest

    return decorated


@fastest_of(None, 1)
def pytorch(shape, x, mode, device, threads):
    """torch.nn.LSTM, time-major as it is by default; its loop over time is oneDNN's, on a GPU cuDNN's.

    On a GPU the input is in pinned memory, from where a copy to the GPU is fastest, and so are the outputs fetched.
    """
    torch, where = pytorch_lstm.pytorch(device), pytorch_lstm.DEVICES[device]
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))  # There is no way back to its own choice.
    sizes, dtype = (shape.input_size, shape.hidden_size, shape.layers), getattr(torch, x.dtype.name)
    network = torch.nn.LSTM(*sizes, device=where, dtype=dtype)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=True)
    x = torch.from_numpy(x)
    x = x.pin_memory() if device == "GPU" else x

    def infer():
        with torch.inference_mode():
            outputs = network(x.to(where, non_blocking=True))[0].to("cpu", non_blocking=True)
        pytorch_lstm.wait(torch, where)
        return outputs

    def train():
        optimizer.zero_grad()
        torch.mean(torch.square(network(x.to(where, non_blocking=True))[0])).backward()
        optimizer.step()
        pytorch_lstm.wait(torch, where)

    return train if mode == "training" else infer


@fastest_of(None, 1)
def onnxruntime(shape, x, mode, device, threads):
    """An ONNX model in an InferenceSession."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    with tempfile.TemporaryDirectory() as directory:
        path = _onnx_model(shape, directory)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["y"], {"x": x})


@fastest_of(None, 1)
def openvino(shape, x, mode, device, threads):
    """The same model, compiled for this shape and for the shortest time of one call."""
    import openvino

    if x.dtype != np.float32:  # It would compute in float32 all the same.
        raise ValueError(f"expected float32, got {x.dtype}")
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as directory:
        model = core.read_model(_onnx_model(shape, directory))
        model.reshape({"x": list(x.shape)})
        request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer({"x": x}, share_inputs=True, share_outputs=True)


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
