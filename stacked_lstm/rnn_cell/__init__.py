"""Drop-in for `tf.nn.rnn_cell`, `tf.nn.dynamic_rnn` and `tf.nn.bidirectional_dynamic_rnn` of TensorFlow 1.15.

    from stacked_lstm import rnn_cell

    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(650) for _ in range(2)])
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)
    rnn_cell.engine_used(outputs)

Arguments, defaults, variable names and results are those of TensorFlow 1.15, so old checkpoints restore as they are.
Keras is not needed. `dynamic_rnn` runs LSTM cells, stacks and wrappers on the package's engines, and any other cell,
TensorFlow's or your own, on TensorFlow's loop; `dispatch` decides. TensorFlow's loops (`tf.nn.dynamic_rnn`,
`tf.nn.static_rnn`, `tf.nn.raw_rnn` ...) run these cells, too. The folder's README.md tells how to move an old program.
"""

from __future__ import annotations

from typing import Any

from stacked_lstm.rnn_cell.basic_lstm_cell import BasicLSTMCell
from stacked_lstm.rnn_cell.cell import RNNCell
from stacked_lstm.rnn_cell.dispatch import engine_used
from stacked_lstm.rnn_cell.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.dynamic_rnn import bidirectional_dynamic_rnn, dynamic_rnn
from stacked_lstm.rnn_cell.lstm_cell import LSTMCell
from stacked_lstm.rnn_cell.multi_rnn_cell import MultiRNNCell
from stacked_lstm.rnn_cell.wrappers import DeviceWrapper, ResidualWrapper
from stacked_lstm.state import LSTMStateTuple

__all__ = [
    "BasicLSTMCell",
    "DeviceWrapper",
    "DropoutWrapper",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "ResidualWrapper",
    "bidirectional_dynamic_rnn",
    "dynamic_rnn",
    "engine_used",
]


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(
        f"stacked_lstm.rnn_cell has no {name}; it has {', '.join(__all__)}. The loops static_rnn, raw_rnn and "
        "static_state_saving_rnn are in tf.nn and run these cells. LSTMBlockCell and CudnnCompatibleLSTMCell are "
        "LSTMCell with `name` for the scope of their variables; CudnnCompatibleLSTMCell also needs forget_bias=0.0."
    )
