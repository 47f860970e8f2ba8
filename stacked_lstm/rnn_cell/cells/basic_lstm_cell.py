"""BasicLSTMCell: the plain LSTM cell, operation for operation as in TensorFlow 1.15, so the bits are the same."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase


class BasicLSTMCell(LSTMBase, has_layer=True):
    """The plain LSTM cell.

    It replaces `tf.nn.rnn_cell.BasicLSTMCell` (also `tf.contrib.rnn.BasicLSTMCell`) of TensorFlow 1.15. I is the
    width of the inputs, H that of the state. The variables are `basic_lstm_cell/kernel` [I + H, 4H] and
    `basic_lstm_cell/bias` [4H]; their columns are the gates i, j, f, o, and j is the candidate:

        i, j, f, o = split([x, h] kernel + bias)
        c' = c * sigmoid(f + forget_bias) + sigmoid(i) * activation(j)
        h' = activation(c') * sigmoid(o)

    Source: Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014,
    https://arxiv.org/abs/1409.2329.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.BasicLSTMCell(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.c.shape.as_list()
      ([4, 20, 32], [4, 32])
      >>> [(v.op.name, v.shape.as_list()) for v in cell.variables]
      [('rnn/basic_lstm_cell/kernel', [40, 128]), ('rnn/basic_lstm_cell/bias', [128])]
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: Any = 1.0,
        state_is_tuple: bool = True,
        activation: str | Callable | None = None,
        reuse: Any = None,
        name: str | tf.VariableScope | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          forget_bias: float, tensor, or a number per unit, default 1.0. Each step adds it to f; it is not in the
            variables.
          state_is_tuple: bool, default True: the state is an `LSTMStateTuple` (c [B, H], h [B, H]). False: the state
            is one tensor [B, 2H], c before h.
          activation: str or function from a tensor to one of the same shape, for j and c. Default None: tanh.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default None: "basic_lstm_cell".
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          **kwargs: `trainable` (bool, default True) and `_scope`, see `RNNCell`.

        Raises:
          TypeError: an unknown argument.
          ValueError: an unknown name of an activation, or a dtype that is not floating.
        """
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse, name=name, dtype=dtype, **kwargs)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._unpack(inputs, state)
        i, j, f, o = self._gates(inputs, h)
        activation = self._activation
        forget_bias = tf.constant(self._forget_bias, dtype=f.dtype)
        c = c * tf.sigmoid(f + forget_bias) + tf.sigmoid(i) * activation(j)
        h = activation(c) * tf.sigmoid(o)
        return h, self._pack(c, h)
