"""NASCell: the recurrent cell that a search over architectures found."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.cell import RNNCell
from stacked_lstm.rnn_cell.base.cell_checks import check_inputs, check_lstm_step, check_tuple, check_units, input_width
from stacked_lstm.state import LSTMStateTuple


class NASCell(RNNCell):
    """The recurrent cell that a search over architectures found.

    It replaces `tf.contrib.rnn.NASCell` of TensorFlow 1.15. It runs on TensorFlow's loop. I is the width of the
    inputs, H that of the cell state c, P that of the hidden state h; P = H without a projection. The variables are in
    the scope `nas_cell`: `recurrent_kernel` [P, 8H], `kernel` [I, 8H], with `use_bias` `bias` [8H], with a projection
    `projection_weights` [H, P].

    A step splits h recurrent_kernel + bias into h_0 to h_7, and x kernel into x_0 to x_7. All parts are [B, H], and
    their products are element by element. With s_k = x_k + h_k, it computes:

        a = tanh(tanh(sigmoid(s_0) relu(s_1)) + c)
        c' = a tanh(sigmoid(s_2) + relu(x_3 h_3))
        b = tanh(tanh(tanh(s_4) sigmoid(s_5)) + sigmoid(tanh(s_6) + sigmoid(s_7)))
        h' = tanh(c' b), or tanh(c' b) projection_weights

    Source: Zoph and Le, Neural Architecture Search with Reinforcement Learning, 2017,
    https://arxiv.org/abs/1611.01578.

    Attributes:
      recurrent_kernel, kernel, bias, projection_weights: the variables, once they are made.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.NASCell(32, num_proj=16)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.c.shape.as_list()
      ([4, 20, 16], [4, 32])
      >>> [v.op.name for v in cell.variables]
      ['rnn/nas_cell/recurrent_kernel', 'rnn/nas_cell/kernel', 'rnn/nas_cell/projection_weights']
    """

    _NAS_BASE = 8

    def __init__(
        self, num_units: int, num_proj: int | None = None, use_bias: bool = False, reuse: Any = None, **kwargs: Any
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          num_proj: P, an int. Default None: no projection.
          use_bias: bool, default False. True: a bias is added to the product of h.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          **kwargs: `name`, `dtype`, `trainable` and `_scope`, see `RNNCell`.

        Raises:
          TypeError: an unknown argument.
        """
        super().__init__(_reuse=reuse, **kwargs)
        self._num_units = check_units(num_units, type(self).__name__)
        self._num_proj = None if num_proj is None else check_units(num_proj, type(self).__name__, "num_proj")
        self._use_bias = use_bias

    @property
    def state_size(self) -> Any:
        return LSTMStateTuple(self._num_units, self.output_size)

    @property
    def output_size(self) -> Any:
        return self._num_units if self._num_proj is None else self._num_proj

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables. The first call of the cell does it by itself.

        Args:
          inputs_shape: [B, I], a list or a `tf.TensorShape`.

        Raises:
          ValueError: I is unknown.
        """
        self._input_size = width = input_width(inputs_shape)
        columns = self._NAS_BASE * self._num_units
        self.recurrent_kernel = self.add_variable("recurrent_kernel", [self.output_size, columns])
        self.kernel = self.add_variable("kernel", [width, columns])
        if self._use_bias:
            self.bias = self.add_variable("bias", [columns], initializer=tf.zeros_initializer())
        if self._num_proj is not None:
            self.projection_weights = self.add_variable("projection_weights", [self._num_units, self._num_proj])
        self.built = True

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        return super().__call__(check_inputs(self, inputs), state, scope)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        check_tuple(self, state, "(c, h)")
        c, h = state
        check_lstm_step(self, inputs, self._input_size, state, self.state_size)
        products = tf.matmul(h, self.recurrent_kernel)
        if self._use_bias:
            products = tf.nn.bias_add(products, self.bias)
        hs = tf.split(products, self._NAS_BASE, axis=1)
        xs = tf.split(tf.matmul(inputs, self.kernel), self._NAS_BASE, axis=1)
        sigmoid, tanh, relu = tf.sigmoid, tf.tanh, tf.nn.relu
        sums = {k: xs[k] + hs[k] for k in range(self._NAS_BASE) if k != 3}
        left = tanh(tanh(sigmoid(sums[0]) * relu(sums[1])) + c)
        c = left * tanh(sigmoid(sums[2]) + relu(xs[3] * hs[3]))
        right = tanh(tanh(tanh(sums[4]) * sigmoid(sums[5])) + sigmoid(tanh(sums[6]) + sigmoid(sums[7])))
        h = tanh(c * right)
        if self._num_proj is not None:
            h = tf.matmul(h, self.projection_weights)
        return h, LSTMStateTuple(c, h)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(num_units=self._num_units, num_proj=self._num_proj, use_bias=self._use_bias, reuse=self._reuse)
        return config
