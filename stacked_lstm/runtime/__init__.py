"""Inference without TensorFlow: a stack of LSTM layers on the kernels of the `native` engine.

    predictor = runtime.load("model.npz")
    outputs, state = predictor(x)                          # x [B, T, I]
    outputs, state = predictor(more, initial_state=state)  # continues where the first call ended

The package imports NumPy alone, so that a program starts in a fraction of a second. `predictor.py` has the class,
`models.py` its files, `library.py` the compiled functions.
"""

from stacked_lstm.runtime.models import load, save
from stacked_lstm.runtime.predictor import Predictor

__all__ = ["Predictor", "load", "save"]
