"""OpenVINO in the benchmark: an ONNX model, compiled for one shape and for the shortest time of one call."""

from __future__ import annotations

import tempfile
from typing import Any, Callable

import numpy as np

from benchmarking.subjects.shapes import Shape
from benchmarking.timing import fastest_threads
from peers import onnx_model


@fastest_threads
def step(shape: Shape, x: np.ndarray, mode: str, device: str, threads: int | None) -> Callable[[], Any]:
    """Inference from the host's memory."""
    import openvino

    if x.dtype != np.float32:  # OpenVINO would compute in float32 without saying so.
        raise ValueError(f"OpenVINO computes in float32, not in {x.dtype}")
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as directory:
        model = core.read_model(onnx_model.write(shape, directory))
        model.reshape({"x": list(x.shape)})
        request = core.compile_model(model, "CPU", options).create_infer_request()
    return lambda: request.infer({"x": x}, share_inputs=True, share_outputs=True)
