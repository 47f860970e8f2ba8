"""Networks that are called with the inputs of all steps, which TensorFlow calls fused cells.

LSTMBlockFusedCell, FusedRNNCellAdaptor and TimeReversedFusedRNN.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Callable

from stacked_lstm import checks, graph_checks, tensor_checks
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines import padding
from stacked_lstm.rnn_cell.base import replaced_methods
from stacked_lstm.rnn_cell.base.variable_lists import VariableLists
from stacked_lstm.rnn_cell.cells.lstm_block_cell import LSTMBlockCell
from stacked_lstm.rnn_cell.loops import dispatch, engines_used, loop_calls, step_lists
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell
from stacked_lstm.state import LSTMStateTuple


class FusedRNNCell:
    """Base class of networks that are called with the inputs of all steps.

    It replaces `tf.contrib.rnn.FusedRNNCell` of TensorFlow 1.15. A subclass defines `__call__`.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> class Double(rnn_cell.FusedRNNCell):
      ...     def __call__(self, inputs, initial_state=None, dtype=None, sequence_length=None, scope=None):
      ...         return 2 * inputs, initial_state
      >>> outputs, state = rnn_cell.TimeReversedFusedRNN(Double())(tf.ones([5, 2, 3]))
      >>> outputs.shape.as_list()
      [5, 2, 3]
    """

    # Whether the steps of a list, and the state, must be dense. Networks of users may have sparse ones.
    _reads_dense_steps = False
    _has_dense_state = False

    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        """Runs the network.

        Args:
          inputs: tensor [T, B, I], or a list of T tensors [B, I].
          initial_state: tensors in the structure of the state, with B rows each. Default None: zeros.
          dtype: tf.DType of the state. It is needed if `initial_state` is None.
          sequence_length: int32 or int64 [B]. Default None: all sequences have T steps.
          scope: str or `tf.VariableScope` for the variables. Default None: the network's own.

        Returns:
          (outputs [T, B, output size], or a list of T tensors if `inputs` is a list; the state at the end).
        """
        raise NotImplementedError(f"{type(self).__name__}.__call__")

    def _check_dense(self, function: str, inputs: Any, sequence_length: Any, initial_state: Any) -> None:
        """Raises ValueError if a tensor that must be dense is not."""
        if not isinstance(inputs, list):
            tensor_checks.dense(inputs, function, "inputs", tensor_checks.ragged_series(time_major=True))
        elif self._reads_dense_steps:
            tensor_checks.dense(inputs, function, "inputs", tensor_checks.RAGGED_STEP)
        tensor_checks.dense(sequence_length, function, "sequence_length")
        if self._has_dense_state:
            tensor_checks.dense(initial_state, function, "initial_state")


class LSTMBlockFusedCell(FusedRNNCell, VariableLists):
    """The LSTM of `LSTMBlockCell` over all steps.

    It replaces `tf.contrib.rnn.LSTMBlockFusedCell` of TensorFlow 1.15. A call takes inputs [T, B, I] and returns
    (outputs [T, B, H], `LSTMStateTuple`). It runs on the package's engines; `engine_used(outputs)` tells which one. The
    equations and the names of the variables are those of `LSTMBlockCell`; their scope is `lstm_fused_cell`.

    Attributes:
      num_units: H, an int.
      variables, trainable_variables, non_trainable_variables: lists of the variables. `weights`, `trainable_weights`
        and `non_trainable_weights` are other names of these lists.
      name: str, the name of the variables' scope.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> lstm = rnn_cell.LSTMBlockFusedCell(32)
      >>> outputs, state = lstm(tf.zeros([20, 4, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list(), state.h.shape.as_list()
      ([20, 4, 32], [4, 32])
      >>> [v.op.name for v in lstm.variables]
      ['lstm_fused_cell/kernel', 'lstm_fused_cell/bias']
    """

    _reads_dense_steps = _has_dense_state = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        replaced_methods.refuse(cls, "build", "call", "_call_cell")

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        reuse: Any = None,
        dtype: Any = None,
        name: str | tf.VariableScope = "lstm_fused_cell",
    ) -> None:
        """Initializes the network with TensorFlow 1.15's arguments.

        Args:
          num_units: H, an int.
          forget_bias: float, default 1.0. Each step adds it to f; it is not in the variables.
          cell_clip: float, default None. c is clipped to [-cell_clip, cell_clip]. 0.0 and negative numbers do not clip.
          use_peephole: bool, default False. True: the gates i and f also see c, and o sees the new c.
          reuse: bool or tf.AUTO_REUSE, default None. True: the variables must exist in the scope. tf.AUTO_REUSE: they
            are found or made.
          dtype: tf.DType or its name, of the variables. Default None: the dtype of the first inputs.
          name: str or `tf.VariableScope`, the name of the variables' scope. Default "lstm_fused_cell".

        Raises:
          ValueError: a dtype that is not floating.
        """
        self._cell = LSTMBlockCell(num_units, forget_bias, cell_clip, use_peephole, dtype, reuse, name)

    @property
    def num_units(self) -> int:
        return self._cell.output_size

    @property
    def name(self) -> str:
        return self._cell.name

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return self._cell.trainable_weights

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return self._cell.non_trainable_weights

    def __call__(
        self,
        inputs: Any,
        initial_state: Any = None,
        dtype: Any = None,
        sequence_length: Any = None,
        scope: Any = None,
        engine: str | None = None,
    ) -> tuple[Any, Any]:
        """Runs the LSTM.

        Args:
          inputs, initial_state, dtype, sequence_length, scope: as for `FusedRNNCell`; the state is a pair (c, h).
          engine: as for `dynamic_rnn`. Default None: "auto".

        Returns:
          (outputs, `LSTMStateTuple`), see `FusedRNNCell`.

        Raises:
          ValueError: neither `initial_state` nor `dtype`; shapes that do not fit; an engine as in `dynamic_rnn`.
        """
        self._check_dense("LSTMBlockFusedCell", inputs, sequence_length, initial_state)
        is_list = isinstance(inputs, list)
        x = tf.stack(inputs) if is_list else inputs
        run = functools.partial(loop_calls.run, engine=engine)
        outputs, state = self._run(run, x, initial_state, dtype, sequence_length, scope)
        return (_unstack(outputs) if is_list else outputs), state

    def run_from_end(
        self, inputs: Any, initial_state: Any, dtype: Any, sequence_length: Any, scope: Any
    ) -> tuple[tf.Tensor, Any]:
        """Runs the LSTM on inputs [T, B, I] from the end of each sequence to its start.

        The arguments are those of a call. Step t of the outputs belongs to step t of the inputs.
        """
        return self._run(loop_calls.run_from_end, inputs, initial_state, dtype, sequence_length, scope)

    @without_autograph
    def _run(
        self,
        run: Callable[[dispatch.Call], tuple[Any, Any]],
        inputs: Any,
        initial_state: Any,
        dtype: Any,
        sequence_length: Any,
        scope: Any,
    ) -> tuple[tf.Tensor, Any]:
        """Checks the arguments of a call, and runs the cell in a loop."""
        graph_checks.graph_mode("LSTMBlockFusedCell")
        if initial_state is None and dtype is None:
            raise ValueError("Either initial_state or dtype needs to be specified")
        if initial_state is not None and len(initial_state) != 2:
            raise ValueError("Expecting initial_state to be a tuple with length 2 or None")
        x = tf.convert_to_tensor(inputs)
        if x.shape.ndims != 3:
            checks.fail("LSTMBlockFusedCell", "inputs of rank 3, [time, batch, input]", f"shape {x.shape}")
        self._cell._decide_scope(scope)
        state = LSTMStateTuple(*initial_state) if initial_state is not None else None
        options = {"time_major": True, "scope": tf.get_variable_scope()}
        call = loop_calls.make("LSTMBlockFusedCell", self._cell, x, sequence_length, state, dtype, **options)
        return run(call)


class FusedRNNCellAdaptor(FusedRNNCell):
    """Calls a cell with the inputs of all steps.

    It replaces `tf.contrib.rnn.FusedRNNCellAdaptor` of TensorFlow 1.15.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> lstm = rnn_cell.FusedRNNCellAdaptor(rnn_cell.LSTMCell(32), use_dynamic_rnn=True)
      >>> outputs, state = lstm(tf.zeros([20, 4, 8]), dtype=tf.float32)
      >>> outputs.shape.as_list()
      [20, 4, 32]
    """

    def __init__(self, cell: Any, use_dynamic_rnn: bool = False) -> None:
        """Initializes the adaptor with TensorFlow 1.15's arguments.

        Args:
          cell: the cell.
          use_dynamic_rnn: bool. True: `dynamic_rnn` runs the cell. Default False: `static_rnn` does, which needs a
            known T.

        Raises:
          TypeError: `cell` is not a cell.
        """
        check_cell(cell)
        self._cell = cell
        self._use_dynamic_rnn = use_dynamic_rnn
        self._has_dense_state = dispatch.is_of_package(cell)
        self._reads_dense_steps = use_dynamic_rnn or self._has_dense_state

    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        self._check_dense("FusedRNNCellAdaptor", inputs, sequence_length, initial_state)
        is_list = isinstance(inputs, list)
        if self._use_dynamic_rnn:
            x = tf.stack(inputs) if is_list else inputs
            outputs, state = self._run_series(x, initial_state, dtype, sequence_length, scope)
            return (_unstack(outputs) if is_list else outputs), state
        steps = inputs if is_list else tf.unstack(inputs)
        outputs, state = self._run_steps(steps, initial_state, dtype, sequence_length, scope)
        return (outputs if is_list else _with_engine(tf.stack(outputs), outputs)), state

    @without_autograph
    def _run_series(self, x: Any, initial_state: Any, dtype: Any, sequence_length: Any, scope: Any) -> tuple[Any, Any]:
        graph_checks.graph_mode("FusedRNNCellAdaptor")
        arguments = self._cell, x, sequence_length, initial_state, dtype
        call = loop_calls.make("FusedRNNCellAdaptor", *arguments, time_major=True, scope=scope)
        return loop_calls.run(call, engine=None)

    @without_autograph
    def _run_steps(
        self, steps: list[Any], initial_state: Any, dtype: Any, sequence_length: Any, scope: Any
    ) -> tuple[list[Any], Any]:
        graph_checks.graph_mode("FusedRNNCellAdaptor")
        arguments = self._cell, steps, initial_state, dtype, sequence_length, scope
        return step_lists.run("FusedRNNCellAdaptor", *arguments, engine=None)


class TimeReversedFusedRNN(FusedRNNCell):
    """Runs a network backward in time.

    It replaces `tf.contrib.rnn.TimeReversedFusedRNN` of TensorFlow 1.15. The outputs are in the order of the inputs.
    Each sequence is reversed up to its own length; a list of inputs is reversed as a whole, whatever the lengths are.
    The engine `native` reads the inputs of an `LSTMBlockFusedCell` from the end, without copies.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> backward = rnn_cell.TimeReversedFusedRNN(rnn_cell.LSTMBlockFusedCell(32))
      >>> outputs, state = backward(tf.zeros([20, 4, 8]), dtype=tf.float32, sequence_length=[20, 3, 0, 7])
      >>> outputs.shape.as_list()
      [20, 4, 32]
    """

    def __init__(self, cell: FusedRNNCell) -> None:
        """Initializes the network with TensorFlow 1.15's argument.

        Args:
          cell: a `FusedRNNCell`, or any function with its arguments.
        """
        self._cell = cell
        self._reads_dense_steps = getattr(cell, "_reads_dense_steps", False)
        self._has_dense_state = getattr(cell, "_has_dense_state", False)

    def __call__(
        self, inputs: Any, initial_state: Any = None, dtype: Any = None, sequence_length: Any = None, scope: Any = None
    ) -> tuple[Any, Any]:
        self._check_dense("TimeReversedFusedRNN", inputs, sequence_length, initial_state)
        arguments = {
            "initial_state": initial_state,
            "dtype": dtype,
            "sequence_length": sequence_length,
            "scope": scope,
        }
        if type(self._cell) is LSTMBlockFusedCell and not isinstance(inputs, list):  # A subclass may override a call.
            return self._cell.run_from_end(inputs, **arguments)
        outputs, state = self._cell(_reverse(inputs, sequence_length), **arguments)
        return _with_engine(_reverse(outputs, sequence_length), outputs), state


def _reverse(series: Any, lengths: Any) -> Any:
    return list(reversed(series)) if isinstance(series, list) else padding.reverse(series, lengths, time_major=True)


def _unstack(outputs: tf.Tensor) -> list[tf.Tensor]:
    return _with_engine(tf.unstack(outputs), outputs)


def _with_engine(result: Any, outputs: Any) -> Any:
    """Returns `result` after noting that the engine which made `outputs` made it, too."""
    with contextlib.suppress(ValueError):  # A user's network does not run on an engine.
        engines_used.record(result, engines_used.engine_used(outputs))
    return result
