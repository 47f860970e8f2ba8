"""CoupledInputForgetGateLSTMCell: an LSTM cell whose input gate is one minus its forget gate."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.lstm.equations import Extras
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.rnn_cell.base import keras_names
from stacked_lstm.rnn_cell.base.cell_checks import check_projection
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase


class CoupledInputForgetGateLSTMCell(LSTMBase, has_layer=True):
    """The LSTM cell whose input gate is one minus its forget gate, with peepholes, projection and layer normalization.

    It replaces `tf.contrib.rnn.CoupledInputForgetGateLSTMCell` of TensorFlow 1.15. I is the width of the inputs, H
    that of the cell state c, P that of the hidden state h; P = H without a projection. With all options except
    normalization, and j for the candidate:

        j, f, o = split([x, h] W + B)
        f = sigmoid(f + forget_bias + W_F_diag * c)
        c' = f * c + (1 - f) * activation(j)
        h' = clip((sigmoid(o + W_O_diag * c') * activation(c')) W_P)

    With `layer_norm=True`, j, f, o and c' are normalized, and B is not added. The variables are in the scope
    `coupled_input_forget_gate_lstm_cell`: `W_0` and so on, the rows of W [I + P, 3H] in `num_unit_shards` parts; `B`
    [3H]; with peepholes `W_F_diag` and `W_O_diag` [H]; with a projection `W_P_0` and so on, the rows of W_P [H, P];
    with normalization `gamma` and `beta` in each of the scopes `transform`, `forget`, `output` and `state`.

    Engines run it as an LSTM whose input gate has the negative weights of the forget gate: 1 - sigmoid(f) is
    sigmoid(-f).

    Source: Greff et al., LSTM: A Search Space Odyssey, 2015, https://arxiv.org/abs/1503.04069.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.CoupledInputForgetGateLSTMCell(32)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.c.shape.as_list()
      ([4, 20, 32], [4, 32])
      >>> [v.op.name for v in cell.variables]
      ['rnn/coupled_input_forget_gate_lstm_cell/W_0', 'rnn/coupled_input_forget_gate_lstm_cell/B']
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int = 1,
        num_proj_shards: int = 1,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: str | Callable | None = tf.tanh,
        reuse: Any = None,
        layer_norm: bool = False,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          use_peepholes: bool, default False. True: f also sees c, and o sees the new c.
          initializer: ignored, as in TensorFlow 1.15. The initializer of the scope makes the first values.
          num_proj: P, an int. Default None: no projection.
          proj_clip: float, default None. The projected h is clipped to [-proj_clip, proj_clip].
          num_unit_shards: int, the number of variables that W is stored in. Default 1.
          num_proj_shards: int, the same for the projection. Default 1.
          forget_bias: float, default 1.0. Each step adds it to f; it is not in the variables.
          state_is_tuple: bool, default True: the state is an `LSTMStateTuple` (c [B, H], h [B, P]). False: the state
            is one tensor [B, H + P], c before h.
          activation: str or function from a tensor to one of the same shape, for j and c. Default tf.tanh.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          layer_norm: bool, default False. True: layer normalization instead of the bias.
          norm_gain: float, the initial value of `gamma`. Default 1.0.
          norm_shift: float, the initial value of `beta`. Default 0.0.

        Raises:
          ValueError: an unknown name of an activation; when the variables are made, more parts than rows.
        """
        super().__init__(num_units, forget_bias, state_is_tuple, activation, reuse)
        self._use_peepholes = use_peepholes
        self._initializer = initializer
        self._num_proj = check_projection(num_proj, type(self).__name__)
        self._proj_clip = proj_clip
        self._num_unit_shards = num_unit_shards
        self._num_proj_shards = num_proj_shards
        self._layer_norm = layer_norm
        self._norm_gain = norm_gain
        self._norm_shift = norm_shift

    def _add_variables(self, depth: int) -> None:
        units = self._num_units
        self._kernel_parts = self._add_parts("W", [depth + self._hidden_size, 3 * units], self._num_unit_shards)
        self._bias = self.add_variable("B", [3 * units], initializer=tf.zeros_initializer())
        if self._layer_norm:
            self._norms = [self._add_norm(name) for name in ("transform", "forget", "output")]
        if self._use_peepholes:
            self._w_f_diag = self.add_variable("W_F_diag", [units])
            self._w_o_diag = self.add_variable("W_O_diag", [units])
        if self._layer_norm:
            self._state_norm = self._add_norm("state")
        if self._num_proj:
            self._proj_parts = self._add_parts("W_P", [units, self._num_proj], self._num_proj_shards)

    def _add_parts(self, name: str, shape: list[int], count: int) -> list[tf.Variable]:
        """Makes a matrix as variables `<name>_<k>` with some of its rows each; the first ones may have one row more."""
        rows, columns = shape
        if count > rows:
            raise ValueError(f"Too many shards: shape={shape}, num_shards={count}")
        heights = [rows // count + (k < rows % count) for k in range(count)]
        return [self.add_variable(f"{name}_{k}", [height, columns]) for k, height in enumerate(heights)]

    def layer(self) -> Layer:
        j, f, o = tf.split(_whole(self._kernel_parts), 3, axis=1)
        kernel = tf.concat([-f, j, f, o], axis=1)
        layer = Layer(self.input_size, self._num_units, [kernel], activation=self.activation, extras=self._extras())
        if self._layer_norm:
            return layer._replace(step=self._layer_step)
        j, f, o = tf.split(tf.convert_to_tensor(self._bias), 3)
        f = f + self._forget_bias
        return layer._replace(biases=[tf.concat([-f, j, f, o], axis=0)])

    def _extras(self) -> Extras:
        peepholes, projection, projection_clip = None, None, None
        if self._use_peepholes:
            f, o = tf.convert_to_tensor(self._w_f_diag), tf.convert_to_tensor(self._w_o_diag)
            peepholes = [-f, f, o]
        if self._num_proj:
            projection, projection_clip = _whole(self._proj_parts), self._proj_clip
        return Extras(peepholes, None, projection, projection_clip)

    def _layer_step(self, z: tf.Tensor, c: tf.Tensor, layer: Layer) -> tuple[tf.Tensor, tf.Tensor]:
        _, j, f, o = tf.split(z, 4, axis=1)
        return self._step(j, f, o, c, layer.extras.projection)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._unpack(inputs, state)
        z = tf.matmul(tf.concat([inputs, h], axis=1), _whole(self._kernel_parts))
        if not self._layer_norm:
            z = tf.nn.bias_add(z, self._bias)
        j, f, o = tf.split(z, 3, axis=1)
        c, h = self._step(j, f, o, c, _whole(self._proj_parts) if self._num_proj else None)
        return h, self._pack(c, h)

    def _step(
        self, j: tf.Tensor, f: tf.Tensor, o: tf.Tensor, c: tf.Tensor, projection: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the new (c, h)."""
        if self._layer_norm:
            j, f, o = [norm(gate) for norm, gate in zip(self._norms, (j, f, o))]
        f = f + self._forget_bias
        f = tf.sigmoid(f + self._w_f_diag * c if self._use_peepholes else f)
        c = f * c + (1 - f) * self._activation(j)
        if self._layer_norm:
            c = self._state_norm(c)
        h = tf.sigmoid(o + self._w_o_diag * c if self._use_peepholes else o) * self._activation(c)
        if projection is not None:
            h = tf.matmul(h, projection)
            if self._proj_clip is not None:
                h = tf.clip_by_value(h, -self._proj_clip, self._proj_clip)
        return c, h

    def get_config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "use_peepholes": self._use_peepholes,
            "initializer": self._initializer,
            "num_proj": self._num_proj,
            "proj_clip": self._proj_clip,
            "num_unit_shards": self._num_unit_shards,
            "num_proj_shards": self._num_proj_shards,
            "forget_bias": self._forget_bias,
            "state_is_tuple": self._state_is_tuple,
            "activation": keras_names.activation_config(self.activation),
            "reuse": self._reuse,
            "layer_norm": self._layer_norm,
            "norm_gain": self._norm_gain,
            "norm_shift": self._norm_shift,
        }


def _whole(parts: list[tf.Variable]) -> tf.Tensor:
    """Returns the matrix whose rows are in the variables."""
    return tf.convert_to_tensor(parts[0]) if len(parts) == 1 else tf.concat(parts, axis=0)
