"""dynamic_rnn and bidirectional_dynamic_rnn: cells over time, on the package's engines if they can run them."""

from __future__ import annotations

import functools
from typing import Any, Sequence

from stacked_lstm import checks, graph_checks
from stacked_lstm.compat import tf, without_autograph, without_keras_advice
from stacked_lstm.engines import EngineUsed, Request, padding
from stacked_lstm.rnn_cell.base.cell_checks import check_dense
from stacked_lstm.rnn_cell.loops import dispatch, engine_calls, engines_used
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
    check_dense("dynamic_rnn", inputs, sequence_length, time_major)
    call = _call(
        cell, inputs, sequence_length, initial_state, dtype, parallel_iterations, swap_memory, time_major, scope
    )
    choice = dispatch.choose(call, engine)
    if isinstance(choice, EngineUsed):
        outputs, state = _run_tensorflow_loop(call)
        used = choice
    else:
        outputs, state, used = engine_calls.run(call, choice)
    engines_used.record(outputs, used)
    return outputs, state


@without_autograph
def dynamic_rnn_from_end(
    cell: Any, inputs: tf.Tensor, sequence_length: Any, initial_state: Any, dtype: Any, scope: Any
) -> tuple[tf.Tensor, Any]:
    """Runs a cell on inputs [T, B, I] like `dynamic_rnn`, but from the end of each sequence to its start.

    Step t of the outputs belongs to step t of the inputs. The engine `native` copies neither inputs nor outputs.
    """
    graph_checks.graph_mode("dynamic_rnn")
    call = _call(cell, inputs, sequence_length, initial_state, dtype, None, False, True, scope)
    choice = dispatch.choose(call, engine=None)
    if isinstance(choice, EngineUsed):
        reversed_x = padding.reverse(inputs, call.sequence_length, time_major=True)
        outputs, state = dynamic_rnn(**call._replace(inputs=reversed_x)._asdict())
        outputs, used = padding.reverse(outputs, call.sequence_length, time_major=True), choice
    else:
        outputs, state, used = engine_calls.run_from_end(call, choice)
    engines_used.record(outputs, used)
    return outputs, state


def _run_tensorflow_loop(call: dispatch.Call) -> tuple[Any, Any]:
    _check_ranks(call.inputs, call.time_major)
    with without_keras_advice():
        return tf.nn.dynamic_rnn(**call._asdict())


def _call(cell: Any, inputs: Any, sequence_length: Any, initial_state: Any, dtype: Any, *others: Any) -> dispatch.Call:
    """Returns the `Call`. Raises ValueError if the dtype is missing, or the lengths are known not to be a vector."""
    if initial_state is None and not dtype:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    lengths = None if sequence_length is None else _vector(sequence_length)
    return dispatch.Call(cell, inputs, lengths, initial_state, dtype, *others)


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
    check_cell(cell_fw, "cell_fw")
    check_cell(cell_bw, "cell_bw")
    check_dense("bidirectional_dynamic_rnn", inputs, sequence_length, time_major)
    calls = [
        _call(cell, inputs, sequence_length, state, dtype, parallel_iterations, swap_memory, time_major, None)
        for cell, state in ((cell_fw, initial_state_fw), (cell_bw, initial_state_bw))
    ]
    request = dispatch.choose_for_both(calls, engine)
    if request is not None:
        return _run_both(calls, request, scope)
    return _run_each(calls, engine, scope)


def _run_each(
    calls: Sequence[dispatch.Call], engine: str | None, scope: Any
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Runs the calls of both directions one after the other."""
    forward, backward = calls
    order = {"lengths": backward.sequence_length, "time_major": backward.time_major}

    def reverse(nest: Any) -> Any:
        return tf.nest.map_structure(functools.partial(padding.reverse, **order), nest)

    with tf.variable_scope(scope or "bidirectional_rnn"):
        with tf.variable_scope("fw") as fw:
            outputs_fw, state_fw = dynamic_rnn(**forward._replace(scope=fw)._asdict(), engine=engine)
        with tf.variable_scope("bw") as bw:
            call = backward._replace(scope=bw)
            choice = dispatch.choose(call, engine)
            if isinstance(choice, EngineUsed):
                reversed_outputs, state_bw = _run_tensorflow_loop(call._replace(inputs=reverse(call.inputs)))
            else:
                prepared = engine_calls.prepare(call)
    # What follows is outside of the scopes, as in TensorFlow, where the name of the outputs comes from.
    if isinstance(choice, EngineUsed):
        outputs_bw, used = reverse(reversed_outputs), choice
    else:
        ((outputs_bw, state_bw, used),) = engine_calls.run_prepared_from_end([prepared], choice)
    engines_used.record(outputs_bw, used)
    return (outputs_fw, outputs_bw), (state_fw, state_bw)


def _run_both(calls: Sequence[dispatch.Call], request: Request, scope: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Runs the calls of both directions on an engine."""
    prepared = []
    with tf.variable_scope(scope or "bidirectional_rnn"):
        for name, call in zip(("fw", "bw"), calls):
            with tf.variable_scope(name) as direction:
                prepared.append(engine_calls.prepare(call._replace(scope=direction)))
    results = engine_calls.run_prepared_from_end(prepared, request)
    for outputs, _, used in results:
        engines_used.record(outputs, used)
    (outputs_fw, state_fw, _), (outputs_bw, state_bw, _) = results
    return (outputs_fw, outputs_bw), (state_fw, state_bw)


def _check_ranks(inputs: Any, time_major: bool) -> None:
    """Raises ValueError if an input is known to have less than three axes."""
    axes = "[time, batch, input]" if time_major else "[batch, time, input]"
    for tensor in tf.nest.flatten(inputs):
        if tf.is_tensor(tensor) and tensor.shape.ndims in (0, 1, 2):
            checks.fail("dynamic_rnn", f"`inputs` of rank 3, {axes}", f"shape {tensor.shape}")


def _vector(lengths: Any) -> tf.Tensor:
    """Returns `sequence_length` as int32; raises ValueError if its rank is known not to be 1."""
    lengths = tf.convert_to_tensor(lengths)
    if lengths.shape.ndims not in (None, 1):
        raise ValueError(f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}")
    return tf.cast(lengths, tf.int32)
