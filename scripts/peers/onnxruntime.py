"""ONNX Runtime in the benchmark: an ONNX model in an InferenceSession, on the CPU."""

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
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    with tempfile.TemporaryDirectory() as directory:
        path = onnx_model.write(shape, directory)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["y"], {"x": x})
