"""BasicRNNCell: the plain recurrent cell, operation for operation as in TensorFlow 1.15, so the bits are the same."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.one_state_base import OneStateBase, product


class BasicRNNCell(OneStateBase):
    """The plain recurrent cell, without gates.

    It replaces `tf.nn.rnn_cell.BasicRNNCell` (also `tf.contrib.rnn.BasicRNNCell`) of TensorFlow 1.15. It runs on
    TensorFlow's loop. I is the width of the inputs, H that of the state:

        h' = activation([x, h] kernel + bias)

    The variables are `basic_rnn_cell/kernel` [I + H, H] and `basic_rnn_cell/bias` [H].

    Source: Elman, Finding structure in time, Cognitive Science 14(2), 1990.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.BasicRNNCell(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.shape.as_list()
      ([4, 20, 32], [4, 32])
      >>> [(v.op.name, v.shape.as_list()) for v in cell.variables]
      [('rnn/basic_rnn_cell/kernel', [40, 32]), ('rnn/basic_rnn_cell/bias', [32])]
    """

    def __init__(
        self,
        num_units: int,
        activation: str | Callable | None = None,
        reuse: Any = None,
        name: str | tf.VariableScope | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          activation: str or function from a tensor to one of the same shape. Default None: tanh.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default None: "basic_rnn_cell".
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          **kwargs: `trainable` (bool, default True) and `_scope`, see `RNNCell`.

        Raises:
          TypeError: an unknown argument.
          ValueError: an unknown name of an activation, or a dtype that is not floating.
        """
        super().__init__(num_units, activation, reuse, name=name, dtype=dtype, **kwargs)

    def _add_variables(self, depth: int) -> None:
        self._kernel = self.add_variable("kernel", [depth + self._num_units, self._num_units])
        self._bias = self.add_variable("bias", [self._num_units], initializer=tf.zeros_initializer())

    def _next_state(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        return self._activation(product(inputs, state, self._kernel, self._bias))
