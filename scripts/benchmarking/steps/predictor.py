"""`stacked_lstm.runtime` in the benchmark: the `native` engine's kernels without TensorFlow."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from benchmarking.steps.weights import random_layers
from benchmarking.subjects.shapes import Shape
from benchmarking.timing import fastest_threads
from stacked_lstm import runtime


@fastest_threads
def step(
    weights_dtype: str | None, shape: Shape, x: np.ndarray, mode: str, device: str, threads: int | None
) -> Callable[[], Any]:
    """Inference from the host's memory, with weights of the input's dtype if `weights_dtype` is None."""
    del mode, device
    predictor = runtime.Predictor(
        random_layers(shape), dtype=x.dtype.name, weights_dtype=weights_dtype, threads=threads
    )
    return lambda: predictor(x, time_major=True)
