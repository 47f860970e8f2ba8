"""A witness of the LSTM equations that shares no code with the package: float64 NumPy, one gate and one step at a time.

Also central differences, for gradients of whatever a session computes.
"""

import numpy as np

FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.minimum(1, np.maximum(0, x / 5 + 1 / 2)),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def lstm(layers, x, states, lengths=None, activation="tanh", recurrent_activation="sigmoid"):
    """Runs a stack.

    Args:
      layers: list of mappings from Wf ... bo to arrays.
      x: [B, T, I].
      states: list of (c, h), [B, H] each.

    Returns:
      ([B, T, H] outputs, list of final (c, h)), where sequences stop at their lengths.
    """
    squash, gate = FUNCTIONS[activation], FUNCTIONS[recurrent_activation]
    batch, steps, _ = x.shape
    outputs = np.zeros([batch, steps, layers[-1]["bf"].size])
    finals = [(np.array(c), np.array(h)) for c, h in states]
    for b in range(batch):
        for t in range(steps if lengths is None else lengths[b]):
            below = x[b, t]
            for layer, (c, h) in zip(layers, finals):
                joined = np.concatenate([h[b], below])
                f, i, o = (gate(joined @ layer["W" + k] + layer["b" + k]) for k in "fio")
                c[b] = f * c[b] + i * squash(joined @ layer["Wc"] + layer["bc"])
                h[b] = below = o * squash(c[b])
            outputs[b, t] = below
    return outputs, finals


def central_difference(function, point, direction, step=1e-5):
    """Derivative of `function`, from a list of arrays to an array, along `direction`, a list of arrays."""
    moved = [function([p + sign * step * d for p, d in zip(point, direction)]) for sign in (1, -1)]
    return (moved[0] - moved[1]) / (2 * step)


def relative_difference(a, b):
    """max|a - b| / max|b|."""
    return np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(b))
