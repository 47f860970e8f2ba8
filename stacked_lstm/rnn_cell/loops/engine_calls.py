"""Calls of the loops on the package's engines.

The ops of an engine are in a scope of their own. The results have the names that TensorFlow's loop gives them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm import checks, engines, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import EngineUsed, segments
from stacked_lstm.rnn_cell.base import packed_states
from stacked_lstm.rnn_cell.loops import dispatch

_ENGINE_SCOPE = "engine/"


class PreparedCall(NamedTuple):
    """A call with a built cell, ready for an engine.

    Fields:
      call: the `Call`.
      scope: the name scope of the results. The ops of the engine are in a scope of their own within it.
      segment: the `Segment` with all layers.
      x: [T, B, I].
      states: a pair (c, h) per layer.
      lengths: int32 [B], or None.
      widths: a pair of the widths of c and h per layer.
    """

    call: dispatch.Call
    scope: str
    segment: segments.Segment
    x: tf.Tensor
    states: Sequence[Any]
    lengths: tf.Tensor | None
    widths: Sequence[tuple[int, int]]


def run(call: dispatch.Call, request: engines.Request) -> tuple[tf.Tensor, Any, EngineUsed]:
    """Runs a call that meets the conditions on an engine; returns (outputs, final state, `EngineUsed`)."""
    prepared = prepare(call)
    return finish(prepared, *run_prepared(prepared, request))


def run_from_end(call: dispatch.Call, request: engines.Request) -> tuple[tf.Tensor, Any, EngineUsed]:
    """Runs a call from the end of each sequence to its start; returns what `run` returns.

    Step t of the outputs belongs to step t of the inputs.
    """
    tf.get_default_graph().unique_name(_reversal(call))  # TensorFlow gives this name to the reversed inputs.
    (results,) = run_prepared_from_end([prepare(call)], request)
    return results


def prepare(call: dispatch.Call) -> PreparedCall:
    """Makes the variables of a call that meets the conditions."""
    x = tf.convert_to_tensor(call.inputs)
    with tf.variable_scope(call.scope or "rnn"):
        name_scope = tf.get_default_graph().get_name_scope()
        scope = name_scope and name_scope + "/"  # "" in the root scope.
        make_segment = call.cell.segment_maker([None, x.shape.as_list()[2]], x.dtype.base_dtype)
        x = x if call.time_major else tf.transpose(x, [1, 0, 2])
        with tf.name_scope(scope + _ENGINE_SCOPE):
            segment = make_segment()
            steps, batch = tensor_checks.sizes(x, time_major=True)
            lengths = None if call.sequence_length is None else _lengths(call, steps, batch)
            state = call.initial_state
            if state is None:
                state = call.cell.get_initial_state(inputs=None, batch_size=batch.value, dtype=x.dtype)
            widths = [(layer.hidden_size, layer.output_size) for layer in segments.layers(segment)]
            pairs = packed_states.unpack(state, call.cell.state_size, widths)
            states = tensor_checks.states(pairs, widths, batch, x.dtype, call.function, "initial_state")
    return PreparedCall(call, scope, segment, x, states, lengths, widths)


def run_prepared(
    prepared: PreparedCall, request: engines.Request, from_end: bool = False
) -> tuple[tf.Tensor, list[Any], EngineUsed]:
    """Runs the layers; returns what `engines.run` returns, with time as the first axis."""
    zeros = dispatch.starts_from_zeros(prepared.call)
    with tf.name_scope(prepared.scope + _ENGINE_SCOPE):
        arguments = prepared.segment, prepared.x, prepared.states, prepared.lengths, True, prepared.call.function
        return engines.run(request, *arguments, starts_from_zeros=zeros, from_end=from_end)


def run_prepared_from_end(
    directions: Sequence[PreparedCall], request: engines.Request
) -> list[tuple[tf.Tensor, Any, EngineUsed]]:
    """Runs calls on the same inputs, and the last call from the end of each sequence to its start.

    If the engine can, it runs two calls at once.

    Args:
      directions: a forward and a backward call, or a backward call alone.
      request: the `engines.Request`.

    Returns:
      What `run` returns, for each call. Step t of the outputs belongs to step t of the inputs.
    """
    *forward, backward = directions
    results = _run_at_once(directions, request) if forward else None
    if results is None:
        results = [run_prepared(prepared, request) for prepared in forward]
        results.append(run_prepared(backward, request, from_end=True))
    finished = [finish(prepared, *result) for prepared, result in zip(directions, results)]
    outputs, state, used = finished[-1]
    return [*finished[:-1], (_name_reversed(outputs, backward), state, used)]


def _run_at_once(directions: Sequence[PreparedCall], request: engines.Request) -> Any:
    """Returns what `run_prepared` returns, for each call; None if the engine cannot do that, see `engines.run_both`."""
    first = directions[0]
    stacks, states = zip(*[(prepared.segment, prepared.states) for prepared in directions])
    with tf.name_scope(first.scope + _ENGINE_SCOPE):
        both = engines.run_both(request, stacks, first.x, states, first.lengths, first.call.function)
        if both is None:
            return None
        joined, finals, used = both
        sides = tf.split(joined, [prepared.widths[-1][1] for prepared in directions], axis=2)
    return [(side, side_finals, used) for side, side_finals in zip(sides, finals)]


def _name_reversed(outputs: tf.Tensor, backward: PreparedCall) -> tf.Tensor:
    """Gives outputs the name that TensorFlow gives to reversed outputs. As there, lengths out of range are an error."""
    lengths, conditions = backward.call.sequence_length, []
    if lengths is not None:
        with tf.name_scope(backward.scope + _ENGINE_SCOPE):
            steps = tf.shape(backward.x)[0]
            in_range = tf.reduce_all(tf.logical_and(lengths >= 0, lengths <= steps))
            message = [f"{backward.call.function}: expected `sequence_length` from 0 to", steps, "got", lengths]
            conditions = [tensor_checks.assertion(in_range, message)]
    with tf.control_dependencies(conditions):
        return tf.identity(outputs, _reversal(backward.call))


def _reversal(call: dispatch.Call) -> str:
    """Returns the name of the op that `padding.reverse` adds."""
    return "ReverseV2" if call.sequence_length is None else "ReverseSequence"


def finish(prepared: PreparedCall, outputs: tf.Tensor, finals: Any, used: EngineUsed) -> tuple[Any, Any, EngineUsed]:
    """Returns the results of `run`, from those of `run_prepared`."""
    call = prepared.call
    with tf.name_scope(prepared.scope + _ENGINE_SCOPE):
        state = packed_states.pack(finals, call.cell.state_size, prepared.widths)
    with tf.name_scope(prepared.scope):
        return _name_outputs(outputs, call.time_major), _name_states(state), used


# The names that `tf.nn.dynamic_rnn` gives to its results under control flow v1. Programs use them to freeze graphs.


def _name_outputs(outputs: tf.Tensor, time_major: bool) -> tf.Tensor:
    """Takes outputs [T, B, N]; returns the outputs of the call."""
    if time_major:
        return tf.identity(outputs, name="TensorArrayStack/TensorArrayGatherV3")
    return tf.transpose(outputs, [1, 0, 2], name="transpose_1")


def _name_states(state: Any) -> Any:
    """Returns the final state. The first three results of TensorFlow's loop are not states."""
    names = [f"while/Exit_{k + 3}" for k in range(len(tf.nest.flatten(state)))]
    parts = [tf.identity(part, name=name) for part, name in zip(tf.nest.flatten(state), names)]
    return tf.nest.pack_sequence_as(state, parts)


def _lengths(call: dispatch.Call, steps: tensor_checks.Size, batch: tensor_checks.Size) -> tf.Tensor:
    """Returns `sequence_length` as int32 [B], clipped to 0 and T, as in TensorFlow's loop.

    If there are not B lengths, an assertion fails when the graph runs.
    """
    lengths = call.sequence_length
    if not lengths.shape.is_compatible_with([batch.static]):
        checks.fail(call.function, f"`sequence_length` of shape ({batch.static},)", lengths.shape)
    lengths = tensor_checks.with_shape(lengths, [batch], call.function, "`sequence_length`")
    return tf.maximum(tf.minimum(lengths, steps.dynamic), 0)
