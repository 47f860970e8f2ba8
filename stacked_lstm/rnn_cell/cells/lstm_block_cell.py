"""LSTMBlockCell and CudnnCompatibleLSTMCell, the LSTM cells of `tf.contrib` whose step is one op in float32."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.lstm.equations import Extras
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase
from stacked_lstm.rnn_cell.cells import block_ops


class LSTMBlockCell(LSTMBase, has_layer=True):
    """The LSTM cell with optional peepholes and a clip, under the variable names of `LSTMCell`.

    It replaces `tf.contrib.rnn.LSTMBlockCell` of TensorFlow 1.15. I is the width of the inputs, H that of the state,
    and j the candidate:

        i, j, f, o = split([x, h] kernel + bias)
        c' = clip(sigmoid(i + w_i_diag * c) * tanh(j) + sigmoid(f + forget_bias + w_f_diag * c) * c)
        h' = sigmoid(o + w_o_diag * c') * tanh(c')

    The gradient passes the clip as if it were not there, as it does in TensorFlow's op; that of `LSTMCell` is zero
    where the clip acts. The variables are in the scope `lstm_cell`: `kernel` [I + H, 4H] and `bias` [4H], with columns
    in the order i, j, f, o; with peepholes `w_i_diag`, `w_f_diag` and `w_o_diag` [H].

    Source: Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014,
    https://arxiv.org/abs/1409.2329.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.LSTMBlockCell(32, use_peephole=True)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.c.shape.as_list()
      ([4, 20, 32], [4, 32])
      >>> [v.op.name for v in cell.variables][:3]
      ['rnn/lstm_cell/kernel', 'rnn/lstm_cell/bias', 'rnn/lstm_cell/w_i_diag']
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        dtype: Any = None,
        reuse: Any = None,
        name: str | tf.VariableScope = "lstm_cell",
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          forget_bias: float, default 1.0. Each step adds it to f; it is not in the variables.
          cell_clip: float, default None. c is clipped to [-cell_clip, cell_clip]. 0.0 and negative numbers do not clip.
          use_peephole: bool, default False. True: the gates i and f also see c, and o sees the new c.
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default "lstm_cell".

        Raises:
          ValueError: a dtype that is not floating.
        """
        super().__init__(num_units, forget_bias, True, None, reuse, name=name, dtype=dtype)
        self._use_peephole = use_peephole
        self._cell_clip = -1 if cell_clip is None else cell_clip

    def _add_variables(self, depth: int) -> None:
        super()._add_variables(depth)
        if self._use_peephole:
            self._w_i_diag = self.add_variable("w_i_diag", [self._num_units])
            self._w_f_diag = self.add_variable("w_f_diag", [self._num_units])
            self._w_o_diag = self.add_variable("w_o_diag", [self._num_units])

    def _peepholes(self) -> list[tf.Tensor] | None:
        if not self._use_peephole:
            return None
        return [tf.convert_to_tensor(w) for w in (self._w_i_diag, self._w_f_diag, self._w_o_diag)]

    def _extras(self) -> Extras:
        return Extras(self._peepholes(), None, None, None)

    def layer(self) -> Layer:
        # The equations of engines give a clip the gradient that LSTMCell's has.
        return super().layer()._replace(step=self._layer_step if self._cell_clip > 0 else None)

    def _layer_step(self, z: tf.Tensor, c: tf.Tensor, layer: Layer) -> tuple[tf.Tensor, tf.Tensor]:
        del layer
        i, j, f, o = tf.split(z, 4, axis=1)
        return self._step(i, j, f, o, c)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._unpack(inputs, state)
        tensors = [tf.convert_to_tensor(tensor) for tensor in (inputs, c, h, self._kernel, self._bias)]
        if block_ops.can_run_lstm(*tensors) and not tf.is_tensor(self._forget_bias):
            c, h = block_ops.lstm_step(self._peepholes(), self._forget_bias, self._cell_clip, *tensors)
        else:
            i, j, f, o = self._gates(inputs, h)
            c, h = self._step(i, j, f + self._forget_bias, o, c)
        return h, self._pack(c, h)

    def _step(
        self, i: tf.Tensor, j: tf.Tensor, f: tf.Tensor, o: tf.Tensor, c: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the new (c, h). f contains the forget bias."""
        if self._use_peephole:
            i, f = i + c * self._w_i_diag, f + c * self._w_f_diag
        c = tf.sigmoid(i) * tf.tanh(j) + tf.sigmoid(f) * c
        if self._cell_clip > 0:
            c = _clip_forward(c, self._cell_clip)
        if self._use_peephole:
            o = o + c * self._w_o_diag
        return c, tf.sigmoid(o) * tf.tanh(c)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "forget_bias": self._forget_bias,
            "cell_clip": self._cell_clip,
            "use_peephole": self._use_peephole,
            "dtype": self.dtype,
            "reuse": self._reuse,
            "name": self.name,
        }


def _clip_forward(value: tf.Tensor, bound: float) -> tf.Tensor:
    """Clips to [-bound, bound] with the gradient 1. The added difference is exactly zero."""
    return tf.stop_gradient(tf.clip_by_value(value, -bound, bound)) + (value - tf.stop_gradient(value))


class CudnnCompatibleLSTMCell(LSTMBlockCell, has_layer=True):
    """The LSTM cell for the variables that cuDNN's LSTM trained. It adds no forget bias.

    It replaces `tf.contrib.cudnn_rnn.CudnnCompatibleLSTMCell` of TensorFlow 1.15. The equations are those of
    `LSTMBlockCell` with `forget_bias=0`; the variables are `kernel` and `bias` in the scope
    `cudnn_compatible_lstm_cell`.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cells = [rnn_cell.CudnnCompatibleLSTMCell(32) for _ in range(2)]
      >>> cell = rnn_cell.MultiRNNCell(cells)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> cell.variables[0].op.name
      'rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell/kernel'
    """

    def __init__(self, num_units: int, reuse: Any = None) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          reuse: bool or tf.AUTO_REUSE, default None, as for `LSTMBlockCell`.
        """
        super().__init__(num_units, forget_bias=0, reuse=reuse, name="cudnn_compatible_lstm_cell")

    def get_config(self) -> dict[str, Any]:
        return {"num_units": self._num_units, "reuse": self._reuse}
