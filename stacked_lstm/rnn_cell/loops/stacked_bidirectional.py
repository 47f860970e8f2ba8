"""stack_bidirectional_rnn and stack_bidirectional_dynamic_rnn: layers of two directions.

The outputs of both directions, side by side, are the inputs of both directions of the next layer.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import graph_checks
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines import EngineUsed
from stacked_lstm.rnn_cell.loops import engines_used, loop_calls, step_lists


@without_autograph
def stack_bidirectional_rnn(
    cells_fw: list[Any],
    cells_bw: list[Any],
    inputs: Sequence[Any],
    initial_states_fw: list[Any] | None = None,
    initial_states_bw: list[Any] | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[list[Any], tuple[Any, ...], tuple[Any, ...]]:
    """Runs layers of two directions over a list of steps.

    It replaces `tf.contrib.rnn.stack_bidirectional_rnn` of TensorFlow 1.15; `engine` is a new argument. Each
    layer is a call of `static_bidirectional_rnn`. `engine_used(outputs)` tells which engine runs the layers; if they
    have different ones, it tells the last one in the order cudnn, native, graph, stepwise. B is the batch size, T the
    number of time steps, I the width of the inputs.

    Args:
      cells_fw: list of the cells that run forward, one per layer, from the input upwards.
      cells_bw: list of the cells that run backward.
      inputs: list of T tensors [B, I] of a known width I, or of nests of such tensors.
      initial_states_fw: list with the initial state of each cell of `cells_fw`. Default None: zeros.
      initial_states_bw: the same for `cells_bw`.
      dtype: tf.DType of the states. It is needed if initial states are missing.
      sequence_length: int32 or int64 [B]. Default None: all sequences have T steps.
      scope: str or `tf.VariableScope`; the variables of layer k are in `cell_<k>/fw` and `cell_<k>/bw` within it.
        Default None: "stack_bidirectional_rnn".
      engine: as for `dynamic_rnn`, for all layers. Default None: "auto".

    Returns:
      (outputs, final states forward, final states backward). `outputs` is a list of T tensors [B, output size forward +
      output size backward] of the last layer. The states are tuples with one state per layer.

    Raises:
      ValueError: not as many cells forward as backward, or none; states or cells that are not in a list.
      TypeError, RuntimeError: see `static_rnn`, which also has other reasons for ValueError.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> forward, backward = [[rnn_cell.LSTMCell(n) for n in (32, 16)] for _ in range(2)]
      >>> steps = tf.unstack(tf.zeros([4, 20, 8]), axis=1)
      >>> outputs, states, _ = rnn_cell.stack_bidirectional_rnn(forward, backward, steps, dtype=tf.float32)
      >>> len(outputs), outputs[0].shape.as_list(), [state.h.shape.as_list() for state in states]
      (20, [4, 32], [[4, 32], [4, 16]])
      >>> backward[1].variables[0].op.name
      'stack_bidirectional_rnn/cell_1/bw/lstm_cell/kernel'
    """
    graph_checks.graph_mode("stack_bidirectional_rnn")
    _check(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    outputs: Any = inputs
    uses: list[EngineUsed] = []
    states: list[tuple[Any, ...]] = []
    with tf.variable_scope(scope or "stack_bidirectional_rnn"):
        for k, cells in enumerate(zip(cells_fw, cells_bw)):
            with tf.variable_scope(f"cell_{k}") as cell_scope:
                outputs, *layer_states = step_lists.run_both(
                    "stack_bidirectional_rnn",
                    cells,
                    outputs,
                    _states(initial_states_fw, initial_states_bw, k),
                    dtype,
                    sequence_length,
                    cell_scope,
                    engine,
                    state_names=_state_names(k),
                )
            uses.append(engines_used.engine_used(outputs))
            states.append(tuple(layer_states))
    engines_used.record(outputs, engines_used.last(*uses))
    states_fw, states_bw = zip(*states)
    return outputs, states_fw, states_bw


@without_autograph
def stack_bidirectional_dynamic_rnn(
    cells_fw: list[Any],
    cells_bw: list[Any],
    inputs: Any,
    initial_states_fw: list[Any] | None = None,
    initial_states_bw: list[Any] | None = None,
    dtype: Any = None,
    sequence_length: Any = None,
    parallel_iterations: int | None = None,
    time_major: bool = False,
    scope: Any = None,
    swap_memory: bool = False,
    engine: str | None = None,
) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """Runs layers of two directions over time.

    It replaces `tf.contrib.rnn.stack_bidirectional_dynamic_rnn` of TensorFlow 1.15; `engine` is a new
    argument. Each layer is a call of `bidirectional_dynamic_rnn`. `engine_used(outputs)` tells which engine runs the
    layers; if they have different ones, it tells the last one in the order cudnn, native, graph, stepwise. B is the
    batch size, T the number of time steps, I the width of the inputs.

    Args:
      cells_fw: list of the cells that run forward, one per layer, from the input upwards.
      cells_bw: list of the cells that run backward.
      inputs: tensor [B, T, I], or [T, B, I] if `time_major`; or a nest of such tensors.
      initial_states_fw: list with the initial state of each cell of `cells_fw`. Default None: zeros.
      initial_states_bw: the same for `cells_bw`.
      dtype: tf.DType of the states. It is needed if initial states are missing.
      sequence_length: int32 or int64 [B]. Default None: all sequences have T steps.
      parallel_iterations: int, for TensorFlow's loop, see `dynamic_rnn`. Default None: 32.
      time_major: bool, default False: inputs and outputs begin with the batch. True: they begin with time.
      scope: str or `tf.VariableScope`; the variables of layer k are in `cell_<k>/bidirectional_rnn/fw` and
        `cell_<k>/bidirectional_rnn/bw` within it. Default None: "stack_bidirectional_rnn".
      swap_memory: bool, for TensorFlow's loop, see `dynamic_rnn`. Default False.
      engine: as for `dynamic_rnn`, for all layers. Default None: "auto".

    Returns:
      (outputs, final states forward, final states backward). The outputs are those of the last layer, [B, T, output
      size forward + output size backward], or [T, B, ...] if `time_major`. The states are tuples with one state per
      layer.

    Raises:
      ValueError: not as many cells forward as backward, or none; states or cells that are not in a list.
      TypeError, RuntimeError: see `dynamic_rnn`, which also has other reasons for ValueError.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> forward, backward = [[rnn_cell.LSTMCell(n) for n in (32, 16)] for _ in range(2)]
      >>> x = tf.zeros([4, 20, 8])
      >>> outputs, states, _ = rnn_cell.stack_bidirectional_dynamic_rnn(forward, backward, x, dtype=tf.float32)
      >>> outputs.shape.as_list(), [state.h.shape.as_list() for state in states]
      ([4, 20, 32], [[4, 32], [4, 16]])
      >>> backward[1].variables[0].op.name
      'stack_bidirectional_rnn/cell_1/bidirectional_rnn/bw/lstm_cell/kernel'
    """
    graph_checks.graph_mode("stack_bidirectional_dynamic_rnn")
    _check(cells_fw, cells_bw, initial_states_fw, initial_states_bw)
    outputs = inputs
    uses: list[EngineUsed] = []
    states: list[tuple[Any, ...]] = []
    with tf.variable_scope(scope or "stack_bidirectional_rnn"):
        for k, cells in enumerate(zip(cells_fw, cells_bw)):
            with tf.variable_scope(f"cell_{k}"):
                loop_calls.check_cells(cells)
                calls = loop_calls.make_both(
                    "stack_bidirectional_dynamic_rnn",
                    cells,
                    outputs,
                    sequence_length,
                    _states(initial_states_fw, initial_states_bw, k),
                    dtype,
                    parallel_iterations,
                    swap_memory,
                    time_major,
                    state_names=_state_names(k),
                )
                pair, layer_states = loop_calls.run_both(calls, engine, scope=None)
                outputs = tf.concat(pair, axis=2)
            uses.extend(engines_used.engine_used(direction) for direction in pair)
            states.append(layer_states)
    engines_used.record(outputs, engines_used.last(*uses))
    states_fw, states_bw = zip(*states)
    return outputs, states_fw, states_bw


def _check(cells_fw: Any, cells_bw: Any, initial_states_fw: Any, initial_states_bw: Any) -> None:
    """Raises ValueError, with TensorFlow's messages, unless all are lists of the same length."""
    for name, cells in (("fw", cells_fw), ("bw", cells_bw)):
        if not cells:
            raise ValueError(f"Must specify at least one {name} cell for BidirectionalRNN.")
    for name, cells in (("fw", cells_fw), ("bw", cells_bw)):
        if not isinstance(cells, list):
            raise ValueError(f"cells_{name} must be a list of RNNCells (one per layer).")
    if len(cells_fw) != len(cells_bw):
        raise ValueError("Forward and Backward cells must have the same depth.")
    for name, states in (("fw", initial_states_fw), ("bw", initial_states_bw)):
        if states is not None and not (isinstance(states, list) and len(states) == len(cells_fw)):
            raise ValueError(f"initial_states_{name} must be a list of state tensors (one per layer).")


def _states(initial_states_fw: list[Any] | None, initial_states_bw: list[Any] | None, layer: int) -> list[Any]:
    """Returns the initial states of both directions of a layer."""
    return [states[layer] if states else None for states in (initial_states_fw, initial_states_bw)]


def _state_names(layer: int) -> list[str]:
    return [f"initial_states_{direction}[{layer}]" for direction in ("fw", "bw")]
