"""LSTMBase: what the LSTM cells share, which is state, sizes, checks, and the fused kernel and bias.

Attributes with an underscore have TensorFlow's names, because subclasses in users' programs read them.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import equations
from stacked_lstm.lstm.equations import Extras
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import Norm
from stacked_lstm.rnn_cell.base import keras_names, replaced_methods
from stacked_lstm.rnn_cell.base.cell import RNNCell, build
from stacked_lstm.rnn_cell.base.cell_checks import (
    check_floating,
    check_inputs,
    check_lstm_step,
    check_tuple,
    check_units,
    input_width,
)
from stacked_lstm.state import LSTMStateTuple


class LSTMBase(RNNCell):
    """A cell whose state is (c, h) and whose gates are in one kernel and one bias.

    Subclasses define `call`, and `_add_variables` and `_extras` if they have more than kernel and bias. A subclass with
    `has_layer=True` runs on the engines. So do the subclasses of that one, unless they replace a part of the step;
    see `replaced_methods`.

    Attributes:
      has_layer: bool, whether `layer` is the whole cell.
      activation: `activations.Activation`.
      input_size: I, an int; None before the cell is built.
    """

    has_layer = False
    input_size: Any = None
    _kernel: Any = None
    _bias: Any = None
    _num_proj: int | None = None
    _norm_gain: float
    _norm_shift: float

    def __init_subclass__(cls, has_layer: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if has_layer:
            cls.has_layer = True
            replaced_methods.register(cls)

    def __init__(
        self,
        num_units: int,
        forget_bias: Any,
        state_is_tuple: bool,
        activation: str | Callable | None,
        reuse: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, **kwargs)
        if self._dtype:
            check_floating(self._dtype, "dtypes")
        self._num_units = check_units(num_units, type(self).__name__)
        self._forget_bias = forget_bias
        self.activation = keras_names.activation(activation or "tanh", type(self).__name__)
        self._activation = self.activation.function
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self) -> Any:
        sizes = LSTMStateTuple(self._num_units, self._hidden_size)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        return self._hidden_size

    @property
    def _hidden_size(self) -> int:
        """P, the width of h. A subclass may have another output size."""
        return self._num_proj or self._num_units

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables. The first call of the cell does it by itself.

        Args:
          inputs_shape: [B, I], a list or a `tf.TensorShape`.

        Raises:
          ValueError: I is unknown.
        """
        self.input_size = input_width(inputs_shape)
        self._add_variables(self.input_size)
        self.built = True

    def layer(self) -> Layer:
        """Returns the built cell as the `Layer` that engines run. The forget bias is added to the layer's bias."""
        forget_bias = self._forget_bias
        if not checks.is_number(forget_bias):  # A cast would round a number to float32 first.
            forget_bias = tf.cast(forget_bias, self._bias.dtype.base_dtype)
            if forget_bias.shape.ndims == 1:  # A number per unit.
                forget_bias = tf.tile(tf.broadcast_to(forget_bias, [self._num_units]), [len(equations.GATE_ORDER)])
        is_f = np.repeat([float(gate == "f") for gate in equations.GATE_ORDER], self._num_units)
        bias = self._bias + tf.constant(is_f, self._bias.dtype.base_dtype) * forget_bias
        sizes = self.input_size, self._num_units
        return Layer(*sizes, [self._kernel], [bias], activation=self.activation, extras=self._extras())

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        """See `CellWrapper.segment_maker`."""
        build(self, inputs_shape, dtype.name)
        return lambda: Segment([self.layer()])

    def _extras(self) -> Extras:
        """What the cell has beyond the plain equations."""
        return equations.PLAIN

    def _add_variables(self, depth: int) -> None:
        self._add_kernel_and_bias(depth)

    def _add_kernel_and_bias(self, depth: int, **kernel_options: Any) -> None:
        shape = [depth + self._hidden_size, 4 * self._num_units]
        self._kernel = self.add_variable("kernel", shape, **kernel_options)
        # The bias starts from zero, whatever the initializer of the scope is.
        self._bias = self.add_variable("bias", [4 * self._num_units], initializer=tf.zeros_initializer())

    def _add_norm(self, name: str) -> Norm:
        """Makes the variables `<name>/gamma` and `<name>/beta`, [H] each, of a cell with layer normalization."""
        gamma, beta = [
            self.add_variable(f"{name}/{variable}", [self._num_units], initializer=tf.constant_initializer(value))
            for variable, value in (("gamma", self._norm_gain), ("beta", self._norm_shift))
        ]
        return Norm(gamma, beta)

    def _unpack(self, inputs: tf.Tensor, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns (c, h); raises ValueError if the inputs or the state do not fit the cell."""
        if self._state_is_tuple:
            check_tuple(self, state, "(c, h)")
            c, h = state
        else:
            # Equal sizes have an op that costs less.
            sizes = self._num_units, self._hidden_size
            c, h = tf.split(state, 2 if sizes[0] == sizes[1] else list(sizes), axis=1)
        for tensor in (inputs, c, h):
            check_floating(tensor.dtype)
        check_lstm_step(self, inputs, self.input_size, (c, h), (self._num_units, self._hidden_size))
        return c, h

    def _pack(self, c: tf.Tensor, h: tf.Tensor) -> Any:
        return LSTMStateTuple(c, h) if self._state_is_tuple else tf.concat([c, h], axis=1)

    def _gates(self, inputs: tf.Tensor, h: tf.Tensor) -> list[tf.Tensor]:
        """Returns i, j, f, o before their activations, [B, H] each."""
        z = tf.nn.bias_add(tf.matmul(tf.concat([inputs, h], axis=1), self._kernel), self._bias)
        return tf.split(z, 4, axis=1)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        inputs = check_inputs(self, inputs)  # Before variables of such a dtype are made.
        return super().__call__(inputs, state, scope)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            num_units=self._num_units,
            forget_bias=self._forget_bias,
            state_is_tuple=self._state_is_tuple,
            activation=keras_names.activation_config(self.activation),
            reuse=self._reuse,
        )
        return config
