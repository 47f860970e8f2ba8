"""Calls of the loops over a series: on an engine, or on TensorFlow's own loop."""

from __future__ import annotations

import functools
from typing import Any, Sequence, Tuple

from stacked_lstm import checks
from stacked_lstm.compat import tf, without_keras_advice
from stacked_lstm.engines import EngineUsed, Request, padding
from stacked_lstm.rnn_cell.loops import dense_checks, dispatch, engine_calls, engines_used
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import check_cell

STATE_NAMES = ("initial_state_fw", "initial_state_bw")

# (outputs forward, outputs backward), (final state forward, final state backward)
_Both = Tuple[Tuple[Any, Any], Tuple[Any, Any]]


def check_cells(cells: Sequence[Any]) -> None:
    """Raises TypeError unless the cells of both directions have the attributes of cells."""
    for cell, name in zip(cells, ("cell_fw", "cell_bw")):
        check_cell(cell, name)


def make(
    function: str,
    cell: Any,
    inputs: Any,
    sequence_length: Any,
    initial_state: Any,
    dtype: Any,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
    *,
    state_name: str = "initial_state",
) -> dispatch.Call:
    """Returns a call of a loop, after checks of its arguments.

    Args:
      function: the function that the program has called, for messages.
      cell: the cell, which is not checked here.
      state_name: the name of the initial state, for messages.
      other arguments: those of `dynamic_rnn`.

    Raises:
      ValueError: a tensor that is not dense, a missing dtype, or lengths that are known not to be a vector.
    """
    dense_checks.check_series(function, inputs, sequence_length, time_major)
    dense_checks.check_state(function, cell, initial_state, state_name)
    if initial_state is None and not dtype:
        raise ValueError("If there is no initial_state, you must give a dtype.")
    lengths = None if sequence_length is None else _vector(sequence_length)
    options = parallel_iterations, swap_memory, time_major, scope
    return dispatch.Call(function, cell, inputs, lengths, initial_state, dtype, *options)


def make_both(
    function: str,
    cells: Sequence[Any],
    inputs: Any,
    sequence_length: Any,
    initial_states: Sequence[Any],
    *options: Any,
    state_names: Sequence[str] = STATE_NAMES,
    **more: Any,
) -> list[dispatch.Call]:
    """Returns the calls of the forward and of the backward direction, after checks of their arguments.

    Args:
      cells, initial_states, state_names: pairs for the two directions. The cells are not checked here.
      other arguments: those of `make`.

    Raises:
      ValueError: as in `make`.
    """
    return [
        make(function, cell, inputs, sequence_length, state, *options, state_name=name, **more)
        for cell, state, name in zip(cells, initial_states, state_names)
    ]


def run(call: dispatch.Call, engine: str | None) -> tuple[Any, Any]:
    """Runs a call; returns (outputs, final state)."""
    choice = dispatch.choose(call, engine)
    if isinstance(choice, EngineUsed):
        outputs, state = _run_tensorflow_loop(call)
        used = choice
    else:
        outputs, state, used = engine_calls.run(call, choice)
    engines_used.record(outputs, used)
    return outputs, state


def run_from_end(call: dispatch.Call) -> tuple[tf.Tensor, Any]:
    """Runs a call with inputs [T, B, I] from the end of each sequence to its start.

    Step t of the outputs belongs to step t of the inputs. The engine `native` copies neither inputs nor outputs.
    """
    choice = dispatch.choose(call, engine=None)
    if isinstance(choice, EngineUsed):
        reversed_x = padding.reverse(call.inputs, call.sequence_length, time_major=True)
        outputs, state = _run_tensorflow_loop(call._replace(inputs=reversed_x))
        outputs, used = padding.reverse(outputs, call.sequence_length, time_major=True), choice
    else:
        outputs, state, used = engine_calls.run_from_end(call, choice)
    engines_used.record(outputs, used)
    return outputs, state


def _run_tensorflow_loop(call: dispatch.Call) -> tuple[Any, Any]:
    _check_ranks(call)
    with without_keras_advice():
        return tf.nn.dynamic_rnn(**call.arguments())


def run_both(calls: Sequence[dispatch.Call], engine: str | None, scope: Any) -> _Both:
    """Runs the calls of both directions; returns (outputs of both, final states of both)."""
    request = dispatch.choose_for_both(calls, engine)
    return _run_each(calls, engine, scope) if request is None else _run_on_engine(calls, request, scope)


def _run_each(calls: Sequence[dispatch.Call], engine: str | None, scope: Any) -> _Both:
    """Runs the calls of both directions one after the other."""
    forward, backward = calls
    order = {"lengths": backward.sequence_length, "time_major": backward.time_major}

    def reverse(nest: Any) -> Any:
        return tf.nest.map_structure(functools.partial(padding.reverse, **order), nest)

    with tf.variable_scope(scope or "bidirectional_rnn"):
        with tf.variable_scope("fw") as fw:
            outputs_fw, state_fw = run(forward._replace(scope=fw), engine)
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


def _run_on_engine(calls: Sequence[dispatch.Call], request: Request, scope: Any) -> _Both:
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


def _check_ranks(call: dispatch.Call) -> None:
    """Raises ValueError if an input is known to have less than three axes."""
    axes = "[time, batch, input]" if call.time_major else "[batch, time, input]"
    for tensor in tf.nest.flatten(call.inputs):
        if tf.is_tensor(tensor) and tensor.shape.ndims in (0, 1, 2):
            checks.fail(call.function, f"`inputs` of rank 3, {axes}", f"shape {tensor.shape}")


def _vector(lengths: Any) -> tf.Tensor:
    """Returns `sequence_length` as int32; raises ValueError if its rank is known not to be 1."""
    lengths = tf.convert_to_tensor(lengths)
    if lengths.shape.ndims not in (None, 1):
        raise ValueError(f"sequence_length must be a vector of length batch_size, but saw shape: {lengths.shape}")
    return tf.cast(lengths, tf.int32)
