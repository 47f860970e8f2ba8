"""Writes an ONNX model with random float32 weights, which ONNX Runtime and OpenVINO run."""

from __future__ import annotations

import os

import numpy as np

from benchmarking.shapes import Shape
from stacked_lstm import checkpoints


def write(shape: Shape, directory: str) -> str:
    """Writes a model for inputs `x` [T, B, I], whose outputs are `y`; returns its path."""
    random, layers, input_size = np.random.RandomState(0), [], shape.input_size
    bound = 1 / np.sqrt(shape.hidden_size)
    for _ in range(shape.layers):
        sizes = {"W": [shape.hidden_size + input_size, shape.hidden_size], "b": [shape.hidden_size]}
        layers.append(
            {
                kind + gate: random.uniform(-bound, bound, size).astype(np.float32)
                for kind, size in sizes.items()
                for gate in "fico"
            }
        )
        input_size = shape.hidden_size
    path = os.path.join(directory, "model.onnx")
    checkpoints.write(path, layers, "onnx")
    return path
