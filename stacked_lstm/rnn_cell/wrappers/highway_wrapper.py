"""HighwayWrapper: gates between the inputs of a cell and its outputs."""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence, Tuple

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines.segments import Segment
from stacked_lstm.rnn_cell.base.cell_checks import input_width
from stacked_lstm.rnn_cell.base.variables import record, recording_getter
from stacked_lstm.rnn_cell.wrappers import rows
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import CellWrapper

_Gate = Tuple[tf.Variable, tf.Variable]  # A kernel [I, I] and a bias [I].


class HighwayWrapper(CellWrapper):
    """A highway connection: mixes a cell's inputs x with its outputs y.

    It replaces `tf.contrib.rnn.HighwayWrapper` of TensorFlow 1.15. I is the width of both:

        carry = sigmoid(x carry_w + carry_b)
        transform = 1 - carry, or sigmoid(x transform_w + transform_b)
        output = x * carry + y * transform

    The wrapper adds no scope: `carry_w` [I, I], `carry_b` [I], and `transform_w` and `transform_b` if the gates are not
    coupled, are in the scope around the cell. Another scope around a call has variables of its own.

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
        return tf.nest.map_structure(self._highway, inputs, outputs), new_state

    def _highway(self, inp: tf.Tensor, out: tf.Tensor) -> tf.Tensor:
        """Returns the outputs [B, I] for inputs and outputs of the cell, both [B, I]. The name is TensorFlow's."""
        if not inp.shape.is_compatible_with(out.shape):
            checks.fail("HighwayWrapper", f"outputs of the shape of its inputs, {inp.shape}", f"outputs of {out.shape}")
        return _mix(self._make_gates(inp.shape.with_rank(2).as_list()[1], inp.dtype), inp, out)

    def _make_gates(self, width: int, dtype: Any) -> list[_Gate]:
        """Makes, or gets, the variables of the gates in the current scope: carry, and transform if it has its own."""
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=recording_getter(self._recorded())):
            gates = [_make_gate("carry", width, dtype, self._carry_bias_init)]
            if not self._couple_carry_transform_gates:
                gates.append(_make_gate("transform", width, dtype, -self._carry_bias_init))
        return gates

    def problem_on_engines(self, width: int, dtype: tf.DType) -> str | None:
        del dtype
        if width != self.output_size:
            return f"a HighwayWrapper would mix inputs of width {width} with outputs of width {self.output_size}"
        return None

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        make = self.cell.segment_maker(inputs_shape, dtype)
        mix = functools.partial(_mix, self._make_gates(input_width(inputs_shape), dtype))
        return lambda: Segment([make()], after=functools.partial(rows.apply, mix))

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


def _make_gate(name: str, width: int, dtype: Any, bias: float) -> _Gate:
    kernel = tf.get_variable(name + "_w", [width, width], dtype)
    return kernel, tf.get_variable(name + "_b", [width], dtype, tf.constant_initializer(bias))


def _mix(gates: Sequence[_Gate], x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the outputs [B, I] for inputs x and outputs y of the cell, both [B, I]."""
    carry, *others = [tf.sigmoid(tf.nn.xw_plus_b(x, kernel, bias)) for kernel, bias in gates]
    transform = others[0] if others else 1 - carry
    return x * carry + y * transform
