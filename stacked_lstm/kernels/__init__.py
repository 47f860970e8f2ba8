"""The LSTM in C++, for the engine `native` and for `stacked_lstm.runtime`. No file here uses TensorFlow.

lstm.h says what the kernels compute.
"""

from __future__ import annotations

import os

# In the order of `Activation` in lstm.h.
ACTIVATIONS = ("tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_6", "relu", "linear")
GATES = "icfo"  # In the order of lstm.h.
FOLDER = os.path.dirname(os.path.abspath(__file__))


def sources(*names: str) -> list[str]:
    """Returns the paths of files, which are named from this folder."""
    return [os.path.join(FOLDER, name) for name in names]
