"""OneStateBase: what cells share whose state is their output, which is sizes, checks, and the call."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm import tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base import keras_names
from stacked_lstm.rnn_cell.base.cell import RNNCell
from stacked_lstm.rnn_cell.base.cell_checks import (
    check_floating,
    check_inputs,
    check_state,
    check_step,
    check_units,
    input_width,
)


class OneStateBase(RNNCell):
    """A cell whose state is one tensor [B, H], which is also its output.

    Subclasses define `_add_variables(depth)` and `_next_state(inputs, state)`.

    Attributes:
      activation: `activations.Activation`.
      input_size: I, an int; None before the cell is built.
    """

    input_size: Any = None

    def __init__(self, num_units: int, activation: str | Callable | None, reuse: Any, **kwargs: Any) -> None:
        super().__init__(_reuse=reuse, **kwargs)
        if self._dtype:
            check_floating(self._dtype, "dtypes")
        self._num_units = check_units(num_units, type(self).__name__)
        self.activation = keras_names.activation(activation or "tanh", type(self).__name__)
        self._activation = self.activation.function

    @property
    def state_size(self) -> Any:
        return self._num_units

    @property
    def output_size(self) -> Any:
        return self._num_units

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

    def _add_variables(self, depth: int) -> None:
        raise NotImplementedError(f"{type(self).__name__}._add_variables")

    def _next_state(self, inputs: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError(f"{type(self).__name__}._next_state")

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        inputs = check_inputs(self, inputs)  # Before variables of such a dtype are made.
        return super().__call__(inputs, state, scope)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        tensor_checks.dense(state, self.name, "state")
        state = tf.convert_to_tensor(state)
        check_floating(state.dtype)
        check_step(self, inputs, self.input_size, state)
        check_state(self, "a state", state, inputs.shape.as_list()[0], self.state_size)
        new_state = self._next_state(inputs, state)
        return new_state, new_state

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            num_units=self._num_units,
            activation=keras_names.activation_config(self.activation),
            reuse=self._reuse,
        )
        return config


def product(inputs: tf.Tensor, state: tf.Tensor, kernel: Any, bias: Any) -> tf.Tensor:
    """Returns [inputs, state] kernel + bias."""
    return tf.nn.bias_add(tf.matmul(tf.concat([inputs, state], axis=1), kernel), bias)
