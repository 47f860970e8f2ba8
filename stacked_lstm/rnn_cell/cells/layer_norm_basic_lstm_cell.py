"""LayerNormBasicLSTMCell: an LSTM cell with layer normalization and recurrent dropout."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.lstm import normalization
from stacked_lstm.lstm.equations import GATE_ORDER, LayerNorm
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import Norm
from stacked_lstm.rnn_cell.base import keras_names, replaced_methods
from stacked_lstm.rnn_cell.base.cell_checks import check_keep_prob
from stacked_lstm.rnn_cell.base.lstm_base import LSTMBase

# The scopes of the normalizations, in the order of the gates i, j, f, o, and that of the cell state.
_GATE_SCOPES, _STATE_SCOPE = ("input", "transform", "forget", "output"), "state"


class LayerNormBasicLSTMCell(LSTMBase, has_layer=True):
    """The LSTM cell with layer normalization and recurrent dropout.

    It replaces `tf.contrib.rnn.LayerNormBasicLSTMCell` of TensorFlow 1.15. I is the width of the inputs, H that of
    the state, and j the candidate. Each norm has its own `gamma` and `beta`:

        i, j, f, o = split([x, h] kernel)
        i, j, f, o = norm(i), norm(j), norm(f), norm(o)
        c' = norm(c * sigmoid(f + forget_bias) + sigmoid(i) * dropout(activation(j)))
        h' = activation(c') * sigmoid(o)

    With `layer_norm=False` the norms are missing, and `bias` is added to the product. The variables are in the scope
    `layer_norm_basic_lstm_cell`: `kernel` [I + H, 4H]; `gamma` and `beta` [H] in each of the scopes `input`,
    `transform`, `forget`, `output` and `state`; or `bias` [4H] instead of these.

    With `dropout_prob_seed`, the masks are those of TensorFlow 1.15, also on engines.

    Subclasses may override `_linear` and `_norm`, which TensorFlow's cell has, too, or call them in a `call` of their
    own. The first call of such a cell makes the variables that it reads.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, https://arxiv.org/abs/1607.06450; Semeniuta, Severyn and
    Barth, Recurrent Dropout without Memory Loss, 2016, https://arxiv.org/abs/1603.05118.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.LayerNormBasicLSTMCell(32, dropout_keep_prob=0.9)
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), rnn_cell.engine_used(outputs).name
      ([4, 20, 32], 'native')
      >>> [v.op.name for v in cell.variables][:2]
      ['rnn/layer_norm_basic_lstm_cell/kernel', 'rnn/layer_norm_basic_lstm_cell/input/gamma']
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        input_size: Any = None,
        activation: str | Callable | None = tf.tanh,
        layer_norm: bool = True,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
        dropout_keep_prob: Any = 1.0,
        dropout_prob_seed: int | None = None,
        reuse: Any = None,
    ) -> None:
        """Initializes the cell with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          forget_bias: float, default 1.0. Each step adds it to f; it is not in the variables.
          input_size: ignored.
          activation: str or function from a tensor to one of the same shape, for j and c. Default tf.tanh.
          layer_norm: bool, default True: normalization. False: a bias.
          norm_gain: float, the initial value of `gamma`. Default 1.0.
          norm_shift: float, the initial value of `beta`. Default 0.0.
          dropout_keep_prob: the probability that an entry of the candidate is kept, from 0 to 1: a float, a scalar
            tensor or a variable. Default 1.0: no dropout.
          dropout_prob_seed: int, for the same masks in every session. Default None: other masks in every session.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.

        Raises:
          ValueError: an unknown name of an activation, or a probability that is not between 0 and 1.
        """
        del input_size
        super().__init__(num_units, forget_bias, True, activation, reuse)
        self._keep_prob = check_keep_prob(dropout_keep_prob, type(self).__name__, "dropout_keep_prob")
        self._seed = dropout_prob_seed
        self._layer_norm = layer_norm
        self._norm_gain = norm_gain
        self._norm_shift = norm_shift
        self._norms: dict[str, Norm] = {}

    def _add_variables(self, depth: int) -> None:
        if replaced_methods.replaced_in_class(self) or replaced_methods.replaced_in_object(self):
            return  # Which variables a call reads, and their shapes, is up to the program.
        self._kernel = self.add_variable("kernel", [depth + self._num_units, 4 * self._num_units])
        if self._layer_norm:
            self._norms = {scope: self._add_norm(scope) for scope in (*_GATE_SCOPES, _STATE_SCOPE)}
        else:
            self._bias = self.add_variable("bias", [4 * self._num_units])

    def layer(self) -> Layer:
        layer = self._normalized_layer() if self._layer_norm else super().layer()
        return layer._replace(draw_candidate_masks=self._draw_masks) if self._drops else layer

    def _normalized_layer(self) -> Layer:
        gates = normalization.stack([self._norms[scope] for scope in _GATE_SCOPES])
        is_forget_gate = [[float(gate == "f")] for gate in GATE_ORDER]
        gates = gates._replace(beta=gates.beta + self._forget_bias * tf.constant(is_forget_gate, gates.beta.dtype))
        norm = LayerNorm(gates, self._norms[_STATE_SCOPE], is_carried=True)
        return Layer(self.input_size, self._num_units, [self._kernel], activation=self.activation, norm=norm)

    @property
    def _drops(self) -> bool:
        return not isinstance(self._keep_prob, float) or self._keep_prob < 1

    def _draw_masks(self, shape: tf.Tensor) -> tf.Tensor:
        """Returns masks of the candidate, [T, B, H]. With a seed, they are those that `call` draws step by step."""
        ones = tf.ones(shape[1:], self._kernel.dtype.base_dtype)
        if self._seed is None:
            return self._dropout(tf.ones(shape, ones.dtype))
        return tf.scan(lambda _, t: self._dropout(ones), tf.range(shape[0]), ones, parallel_iterations=1)

    def _dropout(self, value: tf.Tensor) -> tf.Tensor:
        return tf.nn.dropout(value, rate=1 - self._keep_prob, seed=self._seed)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._unpack(inputs, state)
        gates = tf.split(self._linear(tf.concat([inputs, h], axis=1)), 4, axis=1)
        if self._layer_norm:
            gates = [self._norm(gate, scope, dtype=inputs.dtype) for gate, scope in zip(gates, _GATE_SCOPES)]
        i, j, f, o = gates
        g = self._activation(j)
        if self._drops:
            with tf.control_dependencies([g]):  # Steps draw one after the other, so that a seed decides the masks.
                g = self._dropout(g)
        c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * g
        if self._layer_norm:
            c = self._norm(c, _STATE_SCOPE, dtype=inputs.dtype)
        h = self._activation(c) * tf.sigmoid(o)
        return h, self._pack(c, h)

    def _linear(self, args: tf.Tensor) -> tf.Tensor:
        """Returns `args` [B, N] times the kernel [N, 4H], plus the bias if the cell has no norms."""
        kernel, bias = self._kernel, self._bias
        if kernel is None:
            kernel = tf.get_variable("kernel", [args.shape[1], 4 * self._num_units], args.dtype)
            bias = None if self._layer_norm else tf.get_variable("bias", [4 * self._num_units], args.dtype)
        z = tf.matmul(args, kernel)
        return z if bias is None else tf.nn.bias_add(z, bias)

    def _norm(self, inp: tf.Tensor, scope: str, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Returns a tensor [B, N], normalized with `gamma` and `beta` [N] of a scope."""
        if scope in self._norms:
            return self._norms[scope](inp)
        with tf.variable_scope(scope):
            gamma, beta = [
                tf.get_variable(name, inp.shape[-1:], dtype, tf.constant_initializer(value))
                for name, value in (("gamma", self._norm_gain), ("beta", self._norm_shift))
            ]
        return Norm(gamma, beta)(inp)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_units": self._num_units,
            "forget_bias": self._forget_bias,
            "activation": keras_names.activation_config(self.activation),
            "layer_norm": self._layer_norm,
            "norm_gain": self._norm_gain,
            "norm_shift": self._norm_shift,
            "dropout_keep_prob": self._keep_prob,
            "dropout_prob_seed": self._seed,
            "reuse": self._reuse,
        }
