"""The named activations of `numpy_lstm` and their slopes, in NumPy."""

from __future__ import annotations

from typing import Callable

import numpy as np


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Returns the logistic sigmoid 1 / (1 + exp(-z)).

    Only exponentials of negative numbers are taken, which do not overflow.

    Args:
      z: array of any shape.

    Returns:
      An array of the same shape, with values from 0 to 1.

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> print(numpy_lstm.sigmoid(np.array([-1000.0, 0.0, np.log(3)])))
      [0.   0.5  0.75]
    """
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_LEAK = float(np.float32(0.2))  # TensorFlow has this number in float32.

# name -> (function, its slope at the point where it has the value y). Slopes at a kink are 0; those of selu and
# leaky_relu are _SELU_SCALE and _LEAK, as in TensorFlow. The hard sigmoids are those of Keras 2 and of Keras 3.
ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (np.tanh, lambda y: 1 - y**2),
    "sigmoid": (sigmoid, lambda y: y * (1 - y)),
    "hard_sigmoid": (lambda z: np.clip(z / 5 + 1 / 2, 0, 1), lambda y: ((y > 0) & (y < 1)) / 5),
    "hard_sigmoid_6": (lambda z: np.clip(z / 6 + 1 / 2, 0, 1), lambda y: ((y > 0) & (y < 1)) / 6),
    "relu": (lambda z: np.maximum(z, 0), lambda y: (y > 0) * 1.0),
    "linear": (lambda z: z, lambda y: np.ones_like(y)),
    "elu": (lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z), lambda y: np.where(y < 0, y + 1, 1.0)),
    "selu": (
        lambda z: _SELU_SCALE * np.where(z < 0, _SELU_ALPHA * np.expm1(np.minimum(z, 0)), z),
        lambda y: np.where(y < 0, y + _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE),
    ),
    "softplus": (lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), lambda y: -np.expm1(-y)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda y: (1 - np.abs(y)) ** 2),
    "relu6": (lambda z: np.clip(z, 0, 6), lambda y: ((y > 0) & (y < 6)) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, _LEAK * z), lambda y: np.where(y > 0, 1.0, _LEAK)),
}
