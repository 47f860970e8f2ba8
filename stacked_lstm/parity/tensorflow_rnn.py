"""The peer in TensorFlow: MultiRNNCell + dynamic_rnn of the installed version."""

from __future__ import annotations

import importlib
import warnings
from typing import Any, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.parity.network import PeerMissingError, Recurrent


def rnn_cell() -> tuple[Any, str]:
    """Finds TensorFlow's own LSTM cells, also where Keras 3 hides them.

    Returns:
      (a module with BasicLSTMCell and MultiRNNCell, its name).

    Raises:
      PeerMissingError: the installed TensorFlow has them neither under their public names nor in its private copy.

    Example:
      >>> from stacked_lstm import parity
      >>> cells, name = parity.rnn_cell()
      >>> cells.BasicLSTMCell.__name__
      'BasicLSTMCell'
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
            f"TensorFlow {tf.__version__} has no MultiRNNCell without tf-keras: `pip install tf-keras` and set "
            "TF_USE_LEGACY_KERAS=1 in the environment, or use TensorFlow 2.21 or older"
        ) from None


def build_dynamic_rnn(
    hidden_sizes: Sequence[int],
    inputs: tf.Tensor,
    lengths: Any = None,
    initial_state: Sequence[Any] | None = None,
    time_major: bool = False,
) -> Recurrent:
    """Adds MultiRNNCell + dynamic_rnn of the installed TensorFlow to the graph, for `graph_peer`.

    Args:
      hidden_sizes: widths of the layers, from the input upwards.
      inputs: [B, T, I], or [T, B, I] if `time_major`.
      lengths: int32 [B]; None if each sequence has T steps.
      initial_state: (c, h) per layer; None for zeros.
      time_major: the layout of inputs and outputs; default False.

    Returns:
      A `Recurrent`.

    Raises:
      PeerMissingError: the installed TensorFlow has no MultiRNNCell.

    Example:
      >>> from stacked_lstm import parity
      >>> parity.build_dynamic_rnn([32, 64], tf.zeros([4, 20, 8])).outputs.shape.as_list()
      [4, 20, 64]
    """
    cells, source = rnn_cell()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow advises to use Keras' cells, which these are not.
        stack = cells.MultiRNNCell([cells.BasicLSTMCell(size) for size in hidden_sizes])
        if initial_state is not None:
            initial_state = tuple(cells.LSTMStateTuple(*pair) for pair in initial_state)
        outputs, state = tf.nn.dynamic_rnn(
            stack, inputs, lengths, initial_state=initial_state, dtype=inputs.dtype, time_major=time_major
        )
    layers = [dict(zip(("kernel", "bias"), pair)) for pair in zip(stack.weights[::2], stack.weights[1::2])]
    return Recurrent(outputs, state, layers, "rnn_cell", f"MultiRNNCell of {source}, dynamic_rnn")
