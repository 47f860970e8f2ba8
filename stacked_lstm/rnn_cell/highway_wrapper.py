"""HighwayWrapper: gates between the inputs of a cell and its outputs."""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.variables import record, recording_getter
from stacked_lstm.rnn_cell.wrappers import CellWrapper


class HighwayWrapper(CellWrapper):
    """A highway connection: mixes a cell's inputs x with its outputs y.

    It stands for `tf.contrib.rnn.HighwayWrapper` of TensorFlow 1.15. I is the width of both:

        carry = sigmoid(x carry_w + carry_b)
        transform = 1 - carry, or sigmoid(x transform_w + transform_b)
        output = x * carry + y * transform

    The wrapper adds no scope: `carry_w` [I, I], `carry_b` [I], and `transform_w` and `transform_b` if the gates are not
    coupled, are in the scope around the cell.

    Source: Srivastava, Greff and Schmidhuber, Highway networks, 2015, https://arxiv.org/abs/1505.00387.

    Attributes:
      wrapped_cell: the cell inside.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(8))
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> [v.op.name for v in cell.variables]
      ['rnn/lstm_cell/kernel', 'rnn/lstm_cell/bias', 'rnn/carry_w', 'rnn/carry_b']
    """

    def __init__(self, cell: Any, couple_carry_transform_gates: bool = True, carry_bias_init: float = 1.0) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          couple_carry_transform_gates: bool, default True: transform is 1 - carry. False: it has its own variables.
          carry_bias_init: float, default 1.0. The initial value of `carry_b`; that of `transform_b` is its negative.

        Raises:
          TypeError: `cell` is not a cell.
        """
        super().__init__(cell)
        self._couple_carry_transform_gates = couple_carry_transform_gates
        self._carry_bias_init = carry_bias_init

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable, **kwargs: Any) -> tuple[Any, Any]:
        outputs, new_state = cell_call_fn(inputs, state, **kwargs)
        tf.nest.assert_same_structure(inputs, outputs)
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=recording_getter(self._recorded())):
            return tf.nest.map_structure(self._highway, inputs, outputs), new_state

    def _highway(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        x.shape.assert_is_compatible_with(y.shape)
        carry = _gate("carry", x, self._carry_bias_init)
        couple = self._couple_carry_transform_gates
        transform = 1 - carry if couple else _gate("transform", x, -self._carry_bias_init)
        return x * carry + y * transform

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return self._join("trainable_weights", trainable=True)

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return self._join("non_trainable_weights", trainable=False)

    def _join(self, attribute: str, trainable: bool) -> list[tf.Variable]:
        """Returns the variables of the cell and of the gates."""
        variables = list(getattr(self.cell, attribute, ()))
        for variable in self._recorded():
            if variable.trainable is trainable:
                record(variable, variables)
        return variables

    def get_config(self) -> dict[str, Any]:
        return {
            "cell": super().get_config()["cell"],
            "couple_carry_transform_gates": self._couple_carry_transform_gates,
            "carry_bias_init": self._carry_bias_init,
        }


def _gate(name: str, x: tf.Tensor, bias: float) -> tf.Tensor:
    width = x.shape.with_rank(2).as_list()[1]
    kernel = tf.get_variable(name + "_w", [width, width])
    return tf.sigmoid(
        tf.nn.xw_plus_b(x, kernel, tf.get_variable(name + "_b", [width], initializer=tf.constant_initializer(bias)))
    )
