"""Calls of the loops over a list of steps.

TensorFlow's functions add the ops of every step to the graph. On an engine the steps become one tensor, and the loop is
that of a series.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.compat import tf, without_keras_advice
from stacked_lstm.engines import EngineUsed
from stacked_lstm.rnn_cell.loops import dense_checks, dispatch, engines_used, loop_calls
from stacked_lstm.separate_ops import separate


def run(
    function: str,
    cell: Any,
    inputs: Any,
    initial_state: Any,
    dtype: Any,
    sequence_length: Any,
    scope: Any,
    engine: str | None,
) -> tuple[list[Any], Any]:
    """Runs a cell over a list of steps.

    Args:
      function: the function that the program has called, for messages.
      cell, other arguments: those of `static_rnn`. The cell is not checked here.

    Returns:
      What `static_rnn` returns.
    """
    _check_list(inputs)
    dense_checks.check_steps(function, cell, inputs, sequence_length)
    dense_checks.check_state(function, cell, initial_state)
    _check_dtype(initial_state, dtype)
    used = obstacle(function, cell, inputs, initial_state, dtype, engine)
    if used:
        with without_keras_advice():
            outputs, state = tf.nn.static_rnn(cell, inputs, initial_state, dtype, sequence_length, scope)
    else:
        call = loop_calls.make(
            function, cell, tf.stack(inputs), sequence_length, initial_state, dtype, time_major=True, scope=scope
        )
        stacked, state = loop_calls.run(call, engine)
        used = engines_used.engine_used(stacked)
        outputs = separate(tf.unstack(stacked, len(inputs)))
    engines_used.record(outputs, used)
    return outputs, state


def run_both(
    function: str,
    cells: Sequence[Any],
    inputs: Any,
    initial_states: Sequence[Any],
    dtype: Any,
    sequence_length: Any,
    scope: Any,
    engine: str | None,
    state_names: Sequence[str] = loop_calls.STATE_NAMES,
) -> tuple[list[Any], Any, Any]:
    """Runs one cell forward and another one backward over a list of steps.

    Args:
      function: the function that the program has called, for messages.
      cells, initial_states, state_names: pairs for the two directions; the names are for messages.
      other arguments: those of `static_bidirectional_rnn`.

    Returns:
      What `static_bidirectional_rnn` returns.
    """
    loop_calls.check_cells(cells)
    _check_list(inputs)
    for cell, state, name in zip(cells, initial_states, state_names):
        dense_checks.check_steps(function, cell, inputs, sequence_length)
        dense_checks.check_state(function, cell, state, name)
    used = None
    for cell, state in zip(cells, initial_states):
        _check_dtype(state, dtype)
        used = used or obstacle(function, cell, inputs, state, dtype, engine)
    if used:
        with without_keras_advice():
            outputs, state_fw, state_bw = tf.nn.static_bidirectional_rnn(
                *cells, inputs, *initial_states, dtype, sequence_length=sequence_length, scope=scope
            )
    else:
        calls = loop_calls.make_both(
            function, cells, tf.stack(inputs), sequence_length, initial_states, dtype, time_major=True
        )
        pair, (state_fw, state_bw) = loop_calls.run_both(calls, engine, scope)
        used = engines_used.last(*(engines_used.engine_used(direction) for direction in pair))
        outputs = separate(tf.unstack(tf.concat(pair, axis=2), len(inputs)))
    engines_used.record(outputs, used)
    return outputs, state_fw, state_bw


def _check_list(inputs: Any) -> None:
    """Raises TypeError unless the inputs are a list or another nest, and ValueError if they are empty."""
    if not tf.nest.is_nested(inputs):
        raise TypeError("inputs must be a sequence")
    if not inputs:
        raise ValueError("inputs must not be empty")


def _check_dtype(initial_state: Any, dtype: Any) -> None:
    """Raises ValueError if there is neither an initial state nor a dtype for zeros."""
    if initial_state is None and not dtype:
        raise ValueError("If no initial_state is provided, dtype must be specified")


def obstacle(
    function: str, cell: Any, inputs: Sequence[Any], initial_state: Any, dtype: Any, engine: str | None
) -> EngineUsed | None:
    """Returns None if a call runs on an engine, and an `EngineUsed` that says why if it runs step by step.

    Args:
      function: the function that the program has called, for messages.
      cell, inputs, initial_state, dtype, engine: arguments of `static_rnn`.

    Raises:
      ValueError: an unknown engine, or one that was asked for by name and cannot run the call.
    """
    call = dispatch.Call(
        function,
        cell,
        inputs=_signature(inputs),
        sequence_length=None,
        initial_state=initial_state,
        dtype=dtype,
        parallel_iterations=None,
        swap_memory=False,
        time_major=True,
        scope=None,
    )
    choice = dispatch.choose(call, engine)
    return choice if isinstance(choice, EngineUsed) else None


def _signature(inputs: Sequence[Any]) -> Any:
    """Returns a placeholder with the dtype and the shape of the stacked inputs; the inputs if they cannot be stacked.

    The placeholder is in a graph of its own. A call that runs step by step thus adds TensorFlow's ops and no others,
    and the graph's seed gives TensorFlow's dropout masks.
    """
    steps = list(inputs)
    if not steps or not all(isinstance(step, (tf.Tensor, tf.Variable)) for step in steps):
        return inputs
    shape, dtype = steps[0].shape, steps[0].dtype.base_dtype
    for step in steps:
        if step.dtype.base_dtype != dtype or not step.shape.is_compatible_with(shape):
            return inputs
        shape = shape.merge_with(step.shape)
    with tf.Graph().as_default():
        return tf.placeholder(dtype, tf.TensorShape([len(steps)]).concatenate(shape))
