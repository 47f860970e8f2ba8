"""Random weights, for contestants that take arrays."""

from __future__ import annotations

import numpy as np

from benchmarking.subjects.shapes import Shape


def random_layers(shape: Shape) -> list[dict[str, np.ndarray]]:
    """Returns float32 weights of a stack, as `StackedLSTM.get_weights` returns them."""
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
    return layers
