"""static_rnn and static_bidirectional_rnn: cells over lists of steps, on engines if they can run them."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import graph_checks
from stacked_lstm.compat import without_autograph
from stacked_lstm.rnn_cell.loops import step_lists
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell


@without_autograph
def static_rnn(
    cell: Any,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[list[Any], Any]:
    """Runs a cell over a list of steps.

    It replaces `tf.nn.static_rnn` (also `tf.contrib.rnn.static_rnn`) of TensorFlow 1.15; `engine` is a new argument.
    LSTM cells, stacks of them and wrappers around them run on the package's engines, which add one op per step.
    Everything else runs on TensorFlow's own function, which adds all ops of a cell per step. `engine_used(outputs)`
    tells which one and why. B is the batch size, T the number of time steps, I the width of the inputs.

    Args:
      cell: an `RNNCell` of this module, or a cell of TensorFlow or of your own with the same methods.
      inputs: list of T tensors [B, I] of a known width I, or of nests of such tensors.
      initial_state: tensors in the structure of `cell.state_size`, with B rows each. Default None: zeros.
      dtype: tf.DType of the state. It is needed if `initial_state` is None.
      sequence_length: int32 or int64 [B]. Past its length, a sequence keeps its state and its outputs are zero.
        Default None: all sequences have T steps.
      scope: str or `tf.VariableScope` for the variables. Default None: "rnn".
      engine: as for `dynamic_rnn`; "stepwise" is TensorFlow's own function. Default None: "auto".

    Returns:
      (outputs, final state): list of T outputs [B, output size]; the state at the end of each sequence, in the
      structure of `cell.state_size`.

    Raises:
      TypeError: `cell` is not a cell, or `inputs` is not a list.
      ValueError: `inputs` is empty; an unknown engine, or one that was asked for by name and cannot run the cell;
        shapes or dtypes that do not fit; neither `initial_state` nor `dtype`.
      RuntimeError: the call is in eager mode.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> steps = tf.unstack(tf.ones([4, 20, 8]), axis=1)
      >>> cell = rnn_cell.BasicLSTMCell(32)
      >>> outputs, state = rnn_cell.static_rnn(cell, steps, dtype=tf.float32, engine="graph")
      >>> len(outputs), outputs[0].shape.as_list(), state.c.shape.as_list()
      (20, [4, 32], [4, 32])
      >>> cell.variables[0].op.name, rnn_cell.engine_used(outputs).name
      ('rnn/basic_lstm_cell/kernel', 'graph')
    """
    graph_checks.graph_mode("static_rnn")
    check_cell(cell)
    return step_lists.run("static_rnn", cell, inputs, initial_state, dtype, sequence_length, scope, engine)


@without_autograph
def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[list[Any], Any, Any]:
    """Runs one cell forward and another one backward over a list of steps.

    It replaces `tf.nn.static_bidirectional_rnn` (also `tf.contrib.rnn.static_bidirectional_rnn`) of TensorFlow 1.15;
    `engine` is a new argument. Both directions run on engines, or TensorFlow's own function runs both.
    `engine_used(outputs)` tells which; if the directions have different engines, it tells the later one in the order
    cudnn, native, graph. Backward, each sequence is reversed up to its own length. B is the batch size, T the number of
    time steps, I the width of the inputs.

    Args:
      cell_fw: the cell that runs forward, as `cell` of `static_rnn`.
      cell_bw: the cell that runs backward.
      inputs: list of T tensors [B, I] of a known width I, or of nests of such tensors.
      initial_state_fw: tensors in the structure of `cell_fw.state_size`. Default None: zeros.
      initial_state_bw: tensors in the structure of `cell_bw.state_size`. Default None: zeros.
      dtype: tf.DType of the states. It is needed if an initial state is None.
      sequence_length: int32 or int64 [B]. Default None: all sequences have T steps.
      scope: str or `tf.VariableScope`; the variables are in `fw` and `bw` within it. Default None:
        "bidirectional_rnn".
      engine: as for `dynamic_rnn`, for both directions. Default None: "auto".

    Returns:
      (outputs, final state forward, final state backward). `outputs` is a list of T tensors [B, output size forward +
      output size backward]. The final state backward is that after the first step of each sequence.

    Raises:
      TypeError, ValueError, RuntimeError: see `static_rnn`.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> forward, backward = rnn_cell.LSTMCell(32), rnn_cell.LSTMCell(16)
      >>> steps = tf.unstack(tf.zeros([4, 20, 8]), axis=1)
      >>> outputs, state, _ = rnn_cell.static_bidirectional_rnn(forward, backward, steps, dtype=tf.float32)
      >>> len(outputs), outputs[0].shape.as_list(), state.h.shape.as_list()
      (20, [4, 48], [4, 32])
      >>> backward.variables[0].op.name
      'bidirectional_rnn/bw/lstm_cell/kernel'
    """
    graph_checks.graph_mode("static_bidirectional_rnn")
    cells, states = (cell_fw, cell_bw), (initial_state_fw, initial_state_bw)
    options = dtype, sequence_length, scope, engine
    return step_lists.run_both("static_bidirectional_rnn", cells, inputs, states, *options)
