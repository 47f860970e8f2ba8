"""dynamic_rnn and bidirectional_dynamic_rnn: cells over time, on the package's engines if they can run them."""

from __future__ import annotations

from typing import Any

from stacked_lstm import graph_checks
from stacked_lstm.compat import without_autograph
from stacked_lstm.rnn_cell.loops import loop_calls
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell


@without_autograph
def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[Any, Any]:
    """Runs a cell over time.

    It replaces `tf.nn.dynamic_rnn` of TensorFlow 1.15; `engine` is a new argument. LSTM cells, stacks of them
    and wrappers around them run on the package's engines, everything else on TensorFlow's own loop.
    `engine_used(outputs)` tells which one and why. B is the batch size, T the number of time steps, I the width of the
    inputs.

    Args:
      cell: an `RNNCell` of this module, or a cell of TensorFlow or of your own with the same methods.
      inputs: tensor [B, T, I], or [T, B, I] if `time_major`; or a nest of such tensors.
      sequence_length: int32 or int64 [B]. Past its length, a sequence keeps its state and its outputs are zero.
        Default None: all sequences have T steps.
      initial_state: tensors in the structure of `cell.state_size`, with B rows each. Default None: zeros.
      dtype: tf.DType of the state. It is needed if `initial_state` is None.
      parallel_iterations: int, how many steps TensorFlow's loop may run at the same time. Default None: 32. It changes
        no number, and engines ignore it.
      swap_memory: bool, default False. True: TensorFlow's loop may move what it keeps for the gradient from the GPU to
        the host. It changes no number, and engines ignore it.
      time_major: bool, default False: inputs and outputs begin with the batch. True: they begin with time.
      scope: str or `tf.VariableScope` for the variables. Default None: "rnn".
      engine: "auto"; or the name of an engine, "cudnn", "native" or "graph"; or "stepwise", TensorFlow's own loop
        around the cell, whose bits and dropout masks are those of `tf.nn.static_rnn`. Default None: "auto", which the
        environment variable STACKED_LSTM_ENGINE can change.

    Returns:
      (outputs, final state): outputs [B, T, output size], or [T, B, output size] if `time_major`; the state at the end
      of each sequence, in the structure of `cell.state_size`.

    Raises:
      TypeError: `cell` is not a cell.
      ValueError: an unknown engine, or one that was asked for by name and cannot run the cell; shapes or dtypes that do
        not fit; neither `initial_state` nor `dtype`.
      RuntimeError: the call is in eager mode.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> x = tf.ones([2, 20, 8])
      >>> cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(32) for _ in range(2)])
      >>> outputs, state = rnn_cell.dynamic_rnn(cell, x, sequence_length=[20, 3], dtype=tf.float32, engine="graph")
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     y = session.run(outputs)
      >>> y.shape, bool(y[1, 2].any()), bool(y[1, 3:].any())  # the second sequence has 3 steps
      ((2, 20, 32), True, False)
      >>> rnn_cell.engine_used(outputs)
      EngineUsed(name='graph', reason='asked for by name')
    """
    graph_checks.graph_mode("dynamic_rnn")
    check_cell(cell)
    options = parallel_iterations, swap_memory, time_major, scope
    call = loop_calls.make("dynamic_rnn", cell, inputs, sequence_length, initial_state, dtype, *options)
    return loop_calls.run(call, engine)


@without_autograph
def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
    engine: str | None = None,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Runs one cell forward and another one backward in time.

    It replaces `tf.nn.bidirectional_dynamic_rnn` of TensorFlow 1.15; `engine` is a new argument. Each
    direction is a call of `dynamic_rnn`. The backward direction starts at the end of each sequence. If no cell has a
    wrapper or layer normalization, the engine `native` runs both directions with one op. It reverses no inputs or
    outputs. The engine `cudnn` runs two single cells of one size in one call. B is the batch size, T the number of time
    steps, I the width of the inputs.

    Args:
      cell_fw: the cell that runs forward, as `cell` of `dynamic_rnn`.
      cell_bw: the cell that runs backward.
      inputs: tensor [B, T, I], or [T, B, I] if `time_major`; or a nest of such tensors.
      sequence_length: int32 or int64 [B]. Default None: all sequences have T steps.
      initial_state_fw: tensors in the structure of `cell_fw.state_size`. Default None: zeros.
      initial_state_bw: tensors in the structure of `cell_bw.state_size`. Default None: zeros.
      dtype: tf.DType of the states. It is needed if an initial state is None.
      parallel_iterations: int, for TensorFlow's loop, see `dynamic_rnn`. Default None: 32.
      swap_memory: bool, for TensorFlow's loop, see `dynamic_rnn`. Default False.
      time_major: bool, default False: inputs and outputs begin with the batch. True: they begin with time.
      scope: str or `tf.VariableScope`; the variables are in `fw` and `bw` within it. Default None:
        "bidirectional_rnn".
      engine: as for `dynamic_rnn`, for both directions. Default None: "auto".

    Returns:
      ((outputs forward, outputs backward), (final state forward, final state backward)). The outputs of both
      directions are in the order of the inputs. The final state backward is that after the first step of each sequence.

    Raises:
      TypeError, ValueError, RuntimeError: see `dynamic_rnn`.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> forward, backward = rnn_cell.LSTMCell(32), rnn_cell.LSTMCell(16)
      >>> x = tf.zeros([4, 20, 8])
      >>> outputs, states = rnn_cell.bidirectional_dynamic_rnn(forward, backward, x, dtype=tf.float32)
      >>> tf.concat(outputs, axis=2).shape.as_list(), states[1].h.shape.as_list()
      ([4, 20, 48], [4, 16])
      >>> backward.variables[0].op.name
      'bidirectional_rnn/bw/lstm_cell/kernel'
    """
    graph_checks.graph_mode("bidirectional_dynamic_rnn")
    cells = cell_fw, cell_bw
    loop_calls.check_cells(cells)
    calls = loop_calls.make_both(
        "bidirectional_dynamic_rnn",
        cells,
        inputs,
        sequence_length,
        (initial_state_fw, initial_state_bw),
        dtype,
        parallel_iterations,
        swap_memory,
        time_major,
    )
    return loop_calls.run_both(calls, engine, scope)
