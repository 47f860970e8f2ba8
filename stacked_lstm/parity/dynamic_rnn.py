"""The peer: MultiRNNCell + dynamic_rnn of the installed TensorFlow."""

import importlib

from stacked_lstm.compat import tf
from stacked_lstm.parity.graph_network import Recurrent


class PeerMissingError(ImportError):
    """A peer cannot be had in this environment."""


def rnn_cell():
    """Returns (a module with BasicLSTMCell and MultiRNNCell, where it comes from).

    Raises:
      PeerMissingError: neither the public names nor TensorFlow's frozen private copy answer.
    """
    try:
        module = tf.nn.rnn_cell
        if callable(module.BasicLSTMCell):
            return module, "tf.nn.rnn_cell"
    except (AttributeError, ImportError):
        pass  # With Keras 3 the public names raise.
    name = "tensorflow.python.ops.rnn_cell_impl"
    try:
        return importlib.import_module(name), name
    except ImportError:
        raise PeerMissingError(
            "parity.rnn_cell: expected MultiRNNCell in the installed TensorFlow %s, found none; `pip install "
            "tf-keras` and set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported, or use TensorFlow 2.21 or older"
            % tf.__version__
        ) from None


def build(hidden_sizes, inputs, lengths=None, initial_state=None, time_major=False):
    """Adds MultiRNNCell + dynamic_rnn to the graph, as a `build` of `graph_network.of_peer`.

    Raises:
      PeerMissingError: see `rnn_cell`.
    """
    cells, source = rnn_cell()
    stack = cells.MultiRNNCell([cells.BasicLSTMCell(size) for size in hidden_sizes])
    if initial_state is not None:
        initial_state = tuple(cells.LSTMStateTuple(*pair) for pair in initial_state)
    outputs, state = tf.nn.dynamic_rnn(
        stack, inputs, lengths, initial_state=initial_state, dtype=inputs.dtype, time_major=time_major
    )
    layers = [dict(zip(("kernel", "bias"), pair)) for pair in zip(stack.weights[::2], stack.weights[1::2])]
    return Recurrent(outputs, state, layers, "rnn_cell", f"MultiRNNCell of {source}, dynamic_rnn")
