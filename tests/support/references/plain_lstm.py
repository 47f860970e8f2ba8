"""LSTM layers with peepholes and projections in NumPy, from the equations of the papers, to test converted weights."""

import numpy as np

from support.networks.random_networks import random_layers


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step(layer, x, c, h):
    """One step of a layer in the common form of `layouts`; returns (c, h)."""
    layer = {name: np.asarray(array, np.float64) for name, array in layer.items()}
    z = {k: np.concatenate([h, x], 1) @ layer["W" + k] + layer.get("b" + k, 0.0) for k in "fioc"}
    f = sigmoid(z["f"] + layer.get("pf", 0.0) * c)
    i = sigmoid(z["i"] + layer.get("pi", 0.0) * c)
    c = f * c + i * np.tanh(z["c"])
    h = sigmoid(z["o"] + layer.get("po", 0.0) * c) * np.tanh(c)
    return c, h @ layer["Wp"] if "Wp" in layer else h


def float32_layers(hidden_sizes, input_size, seed=5, **options):
    """Random layers as `random_layers` makes them, in float32."""
    layers = random_layers(np.random.RandomState(seed), hidden_sizes, input_size, **options)
    return [{name: array.astype(np.float32) for name, array in layer.items()} for layer in layers]


def run(layers, x, lengths=None, backward=False, states=None):
    """Outputs [B, T, H or P] of the last layer, zero past the ends, and (c, h) of each layer.

    Args:
      layers: list of layers, from the input upwards.
      x: [B, T, I].
      lengths: one per sequence; None where all are whole.
      backward: whether the last step of each sequence comes first.
      states: (c, h) per layer to start from; None for zeros.
    """
    batch, steps = x.shape[:2]
    lengths = [steps] * batch if lengths is None else lengths
    finals = []
    for k, layer in enumerate(layers):
        rows, units = layer["Wf"].shape
        width = layer["Wp"].shape[1] if "Wp" in layer else units
        assert rows == width + x.shape[2]
        c, h = np.zeros([batch, units]), np.zeros([batch, width])
        if states is not None:
            c, h = (np.array(part, np.float64) for part in states[k])
        y = np.zeros([batch, steps, width])
        for b, length in enumerate(lengths):
            order = range(length)
            for t in reversed(order) if backward else order:
                c[b : b + 1], h[b : b + 1] = step(layer, x[b : b + 1, t], c[b : b + 1], h[b : b + 1])
                y[b, t] = h[b]
        finals.append((c, h))
        x = y
    return x, finals
