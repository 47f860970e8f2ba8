"""CellWrapper, ResidualWrapper and DeviceWrapper: cells around a cell.

A wrapper adds no scope. The variables of the cell inside have the names that they have without it.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import residual
from stacked_lstm.engines.segments import Segment
from stacked_lstm.rnn_cell.base.cell import RNNCell, build
from stacked_lstm.rnn_cell.base.cell_checks import check_no_class
from stacked_lstm.rnn_cell.wrappers import rows
from stacked_lstm.rnn_cell.wrappers.configs import cell_of, config_of


def check_cell(cell: Any, argument: str = "cell") -> None:
    """Raises TypeError unless the object has the attributes of a cell. Its class does not matter."""
    check_no_class(cell, argument)
    needed = ["output_size", "state_size", "__call__"]
    missing = [name for name in needed if not hasattr(cell, name)]
    if not (hasattr(cell, "zero_state") or hasattr(cell, "get_initial_state")):
        missing.append("zero_state")
    if missing and isinstance(cell, (list, tuple)):
        raise TypeError(f"The argument {argument!r} is not an RNNCell, but a list: make a MultiRNNCell of it.")
    if missing:
        raise TypeError(f"The argument {argument!r} ({cell!r}) is not an RNNCell: it has no {', '.join(missing)}.")


class CellWrapper(RNNCell):
    """A cell that changes what another cell does. Subclasses define `_call_wrapped_cell`, which is TensorFlow's name.

    Attributes:
      wrapped_cell: the cell inside.
    """

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_cell(cell)
        self.cell = self._cell = cell  # Subclasses of TensorFlow 1.0 to 1.14 read `_cell`.

    @property
    def wrapped_cell(self) -> Any:
        return self.cell

    @property
    def state_size(self) -> Any:
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        return self.cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with tf.name_scope(type(self).__name__ + "ZeroState"):
            return self.cell.zero_state(batch_size, dtype)

    def build(self, inputs_shape: Any) -> None:
        if isinstance(self.cell, RNNCell):
            build(self.cell, inputs_shape, self._dtype)
        self.built = True

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        options = {"scope": scope} if scope else {}
        return self._call_wrapped_cell(inputs, state, cell_call_fn=self.cell.__call__, **options)

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable, **kwargs: Any) -> tuple[Any, Any]:
        """Returns (output, new state).

        Args:
          inputs, state: arguments of the call of the wrapper.
          cell_call_fn: the cell inside, (inputs, state, **kwargs) -> (output, new state).
          **kwargs: `scope`, if the wrapper was called with one.
        """
        raise NotImplementedError(f"{type(self).__name__}: a wrapper must define the method `_call_wrapped_cell`")

    def problem_on_engines(self, width: int, dtype: tf.DType) -> str | None:
        """Returns why engines cannot do what the wrapper does, for inputs [B, width]; None if they can.

        Args:
          width: int, the width of the inputs.
          dtype: tf.DType of inputs, states and outputs.
        """
        del width, dtype
        return None

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        """Makes the variables that a call has in the current scope. A cell that has its variables keeps them.

        Args:
          inputs_shape: [None, I], I is an int.
          dtype: tf.DType of inputs, states and outputs.

        Returns:
          A function without arguments, which adds ops to the graph and returns the `Segment` that engines run.
        """
        raise NotImplementedError(f"{type(self).__name__}.segment_maker")

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return list(getattr(self.cell, "trainable_weights", ()))

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return list(getattr(self.cell, "non_trainable_weights", ()))

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), cell=config_of(self.cell))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CellWrapper:
        return cls(**dict(config, cell=cell_of(config["cell"])))


class ResidualWrapper(CellWrapper):
    """A residual connection: adds a cell's inputs to its outputs.

    It replaces `tf.nn.rnn_cell.ResidualWrapper` (also `tf.contrib.rnn.ResidualWrapper`) of TensorFlow 1.15. In a call
    that runs on an engine, a `residual_fn` is called once, on the rows of all steps. A function that may not treat
    each row by itself, such as one with a mean over the batch or with a variable, runs on TensorFlow's loop.

    Attributes:
      wrapped_cell: the cell inside.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(8))
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> cell.variables[0].op.name  # without a scope of the wrapper
      'rnn/lstm_cell/kernel'
    """

    def __init__(self, cell: Any, residual_fn: Callable | None = None, **kwargs: Any) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          residual_fn: function (inputs, outputs of the cell) -> output. Default None: their sum, which needs equal
            shapes.
          **kwargs: arguments of `RNNCell`.

        Raises:
          TypeError: `cell` is not a cell, or an unknown argument.
        """
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable, **kwargs: Any) -> tuple[Any, Any]:
        outputs, new_state = cell_call_fn(inputs, state, **kwargs)
        return (self._residual_fn or _sum)(inputs, outputs), new_state

    def problem_on_engines(self, width: int, dtype: tf.DType) -> str | None:
        if self._residual_fn:
            problem = rows.problem(self._residual_fn, [width, self.output_size], self.output_size, dtype)
            return problem and f"a ResidualWrapper has a residual_fn that {problem}"
        if width != self.output_size:
            return f"a ResidualWrapper would add inputs of width {width} to outputs of width {self.output_size}"
        return None

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        make = self.cell.segment_maker(inputs_shape, dtype)
        after = functools.partial(rows.apply, self._residual_fn) if self._residual_fn else residual.add_input
        return lambda: Segment([make()], after=after)

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), residual_fn=self._residual_fn)


def _sum(inputs: Any, outputs: Any) -> Any:
    """Adds nests of tensors; raises ValueError if structures or shapes differ, because a sum would broadcast."""
    tf.nest.assert_same_structure(inputs, outputs)
    for x, y in zip(tf.nest.flatten(inputs), tf.nest.flatten(outputs)):
        if not x.shape.is_compatible_with(y.shape):
            expected = f"a cell with outputs of the shape of its inputs, {x.shape}, or a `residual_fn`"
            checks.fail("ResidualWrapper", expected, f"outputs of shape {y.shape}")
    return tf.nest.map_structure(lambda x, y: x + y, inputs, outputs)


class DeviceWrapper(CellWrapper):
    """Places a cell on a device: its operations, its zero states and its variables.

    It replaces `tf.nn.rnn_cell.DeviceWrapper` (also `tf.contrib.rnn.DeviceWrapper`) of TensorFlow 1.15. In a call of
    `dynamic_rnn` the engine is the one that fits the device. On a machine without a GPU, "/gpu:0" counts as the CPU,
    where a session with `allow_soft_placement=True` runs it.

    Attributes:
      wrapped_cell: the cell inside.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> cell = rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(8), "/cpu:0")
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> cell.variables[0].op.name, cell.variables[0].device
      ('rnn/lstm_cell/kernel', '/device:CPU:0')
    """

    def __init__(self, cell: Any, device: Any, **kwargs: Any) -> None:
        """Initializes the wrapper with TensorFlow 1.15's arguments.

        Args:
          cell: the cell inside.
          device: str, `tf.DeviceSpec` or function, as `tf.device` takes it.
          **kwargs: arguments of `RNNCell`.

        Raises:
          TypeError: `cell` is not a cell, or an unknown argument.
        """
        super().__init__(cell, **kwargs)
        self._device = device

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with tf.device(self._device):
            return super().zero_state(batch_size, dtype)

    def build(self, inputs_shape: Any) -> None:
        with tf.device(self._device):
            super().build(inputs_shape)

    def _call_wrapped_cell(self, inputs: Any, state: Any, cell_call_fn: Callable, **kwargs: Any) -> tuple[Any, Any]:
        with tf.device(self._device):
            return cell_call_fn(inputs, state, **kwargs)

    def segment_maker(self, inputs_shape: Any, dtype: tf.DType) -> Callable[[], Segment]:
        with tf.device(self._device):
            make = self.cell.segment_maker(inputs_shape, dtype)
        return lambda: Segment([make()], device=self._device)

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config(), device=self._device)
