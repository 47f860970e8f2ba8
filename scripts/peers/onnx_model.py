"""Writes an ONNX model with random float32 weights, which ONNX Runtime and OpenVINO run."""

from __future__ import annotations

import os

from benchmarking.steps.weights import random_layers
from benchmarking.subjects.shapes import Shape
from stacked_lstm import checkpoints


def write(shape: Shape, directory: str) -> str:
    """Writes a model for inputs `x` [T, B, I], whose outputs are `y`; returns its path."""
    path = os.path.join(directory, "model.onnx")
    checkpoints.write(path, random_layers(shape), "onnx")
    return path
