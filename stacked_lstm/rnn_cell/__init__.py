"""Drop-in for `tf.nn.rnn_cell`, `tf.nn.dynamic_rnn` and `tf.nn.bidirectional_dynamic_rnn` of TensorFlow 1.15.

    from stacked_lstm import rnn_cell

    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(650) for _ in range(2)])
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)
    rnn_cell.engine_used(outputs)

Arguments, defaults, variable names and results are those of TensorFlow 1.15, and so old checkpoints restore as they
are. It needs no Keras. TensorFlow's own loops (`tf.nn.dynamic_rnn`, `tf.nn.static_rnn`, `tf.nn.raw_rnn` ...) take these
cells, and `dynamic_rnn` here takes TensorFlow's cells and your own; where it is given a plain stack of LSTM cells, it
runs it on one of the package's engines (`on_engines` decides).
"""

from stacked_lstm.rnn_cell.cell import RNNCell
from stacked_lstm.rnn_cell.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.dynamic_rnn import bidirectional_dynamic_rnn, dynamic_rnn
from stacked_lstm.rnn_cell.lstm_cells import BasicLSTMCell, LSTMCell
from stacked_lstm.rnn_cell.multi_rnn_cell import MultiRNNCell
from stacked_lstm.rnn_cell.on_engines import engine_used
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


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    raise AttributeError(
        "stacked_lstm.rnn_cell has no %s; it has %s. The loops static_rnn, raw_rnn and static_state_saving_rnn are in "
        "tf.nn and take these cells; LSTMBlockCell and CudnnCompatibleLSTMCell are LSTMCell, the latter with "
        "forget_bias=0.0, and `name` for the scope of their variables." % (name, ", ".join(__all__))
    )
