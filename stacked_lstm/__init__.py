"""Stacked LSTMs for TensorFlow-1-style graphs, from explicit gate matrices."""

from stacked_lstm import checkpoints, initializers, layouts, numpy_lstm, rnn_cell
from stacked_lstm.engines.native import load_native_ops
from stacked_lstm.stack import StackedLSTM
from stacked_lstm.state import LSTMState
from stacked_lstm.version import __version__

__all__ = [
    "LSTMState",
    "StackedLSTM",
    "__version__",
    "checkpoints",
    "initializers",
    "layouts",
    "load_native_ops",
    "numpy_lstm",
    "rnn_cell",
]
