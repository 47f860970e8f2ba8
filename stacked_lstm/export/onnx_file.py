"""ONNX files."""

from __future__ import annotations

from typing import Mapping, Sequence

import numpy as np

from stacked_lstm.export import onnx_graph
from stacked_lstm.export.frozen import Frozen


def save(frozen: Frozen, path: str, example: Mapping[str, np.ndarray]) -> None:
    """Writes an .onnx file."""
    import onnx

    del example
    onnx.save(onnx_graph.model(frozen), path)


def run(path: str, example: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Runs the model in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(list(outputs), dict(example))))
