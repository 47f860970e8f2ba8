"""A stack on the engines: each piece of it on the engine that is chosen for this piece."""

from __future__ import annotations

import functools
from typing import Any, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import both_directions, calls, mask_ops, recurrent_dropout, residual, segments
from stacked_lstm.engines.choice import EngineUsed, Request, choose
from stacked_lstm.engines.engine import Engine, first_problem
from stacked_lstm.engines.place import Place
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    request: Request,
    segment: Segment,
    inputs: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    time_major: bool,
    function: str,
    starts_from_zeros: bool = False,
    from_end: bool = False,
) -> tuple[tf.Tensor, list[LSTMState], EngineUsed]:
    """Runs a stack: chooses the engine, and adds the ops to the graph.

    Args:
      request: a `Request`, not for "stepwise".
      segment: `Segment` with all layers. Each piece of it that runs in one call gets an engine of its own.
      inputs: [B, T, I], or [T, B, I] if `time_major`. It may hold anything past the end of a sequence.
      states: a pair (c [B, H_l], h [B, P_l]) per layer.
      lengths: int32 [B], numbers from 0 to T, or None if all sequences have T steps.
      time_major: bool, whether inputs and outputs have time as their first axis.
      function: str, the name of the caller, for messages.
      starts_from_zeros: bool, whether all states are zeros, and no session can feed others. Default False.
      from_end: bool, whether each sequence is read from its end. Step t of the outputs, of masks and of resets belongs
        to step t of the inputs. Default False.

    Returns:
      (outputs in the layout of the inputs, zero past the end of each sequence; list of `LSTMState`, one per layer, at
      the end of each sequence; `EngineUsed`). If pieces run on different engines, the name is like "native and graph",
      and the reason has a clause per piece.

    Raises:
      ValueError: as in `choose`.

    Example:
      >>> from stacked_lstm import engines
      >>> from stacked_lstm.engines.segments import Segment
      >>> lstm = stacked_lstm.StackedLSTM([4])
      >>> lstm.build(input_size=2)
      >>> outputs, finals, used = engines.run(
      ...     engines.resolve("graph", "example"),
      ...     segment=Segment([layer.layer() for layer in lstm.layers]),
      ...     inputs=tf.zeros([3, 5, 2]),
      ...     states=[(tf.zeros([3, 4]), tf.zeros([3, 4]))],
      ...     lengths=None,
      ...     time_major=False,
      ...     function="example",
      ... )
      >>> outputs.shape.as_list(), len(finals), used.name
      ([3, 5, 4], 1, 'graph')
    """
    x = inputs if time_major else tf.transpose(inputs, [1, 0, 2])
    uses: list[EngineUsed] = []

    def run_layers(layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any]) -> tuple[tf.Tensor, list[LSTMState]]:
        engine, used = choose(request, layers, function, lengths is not None)
        uses.append(used)
        reads_from_end = from_end and engine.run_from_end is not None
        is_reversed = from_end and not reads_from_end
        run_call = functools.partial(_run_call, engine, starts_from_zeros, reads_from_end)
        return both_directions.run(run_call, layers, x, states, lengths, len(layers) if is_reversed else 0)

    segment = _with_residual_layers(request, segment, lengths, function)
    with mask_ops.choose(request.name, lambda: segments.layers(segment), segments.devices(segment)):
        outputs, finals = segments.run(segment, x, states, lengths, run_layers)
    _set_shapes(finals, states, x.shape[1])
    return outputs if time_major else tf.transpose(outputs, [1, 0, 2]), finals, _summarize(uses)


def _run_call(
    engine: Engine,
    starts_from_zeros: bool,
    from_end: bool,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers in one call of an engine, and records the call. With `from_end`, the engine reads from the end."""
    run_layers: Any = engine.run_from_end if from_end else engine.run_layers
    outputs, finals = recurrent_dropout.run(run_layers, layers, x, states, lengths, starts_from_zeros, from_end)
    outputs.set_shape(x.shape[:2].concatenate([layers[-1].output_size]))
    count = len(layers) if from_end else 0
    calls.record(calls.Call(engine.name, layers, x, states, lengths, outputs, finals, count))
    return outputs, finals


def run_both(
    request: Request,
    stacks: Sequence[Segment],
    x: tf.Tensor,
    states: Sequence[Sequence[Any]],
    lengths: tf.Tensor | None,
    function: str,
) -> tuple[tf.Tensor, list[list[LSTMState]], EngineUsed] | None:
    """Runs two stacks at once: the first from the start of each sequence, the second from its end.

    Args:
      request, lengths, function: as for `run`.
      stacks: a pair of `Segment`s that read the same inputs.
      x: [T, B, I]. It may hold anything past the end of a sequence.
      states: for each stack, a list with a pair (c [B, H_l], h [B, P_l]) per layer.

    Returns:
      (outputs [T, B, P_1 + P_2]; for each stack, a list with an `LSTMState` per layer; `EngineUsed`). Step t of the
      outputs, of masks and of resets belongs to step t of x. None if the engine that `choose` returns cannot do that,
      or if a function or a device is around a layer. Each stack then needs a call of `run`.

    Raises:
      ValueError: as in `choose`.

    Example:
      >>> from stacked_lstm import engines
      >>> from stacked_lstm.engines.segments import Segment
      >>> lstm = stacked_lstm.StackedLSTM([4])
      >>> lstm.build(input_size=2)
      >>> stacks, states = [Segment([lstm.layers[0].layer()])] * 2, [[(tf.zeros([3, 4]), tf.zeros([3, 4]))]] * 2
      >>> engines.run_both(engines.resolve("graph", "example"), stacks, tf.zeros([5, 3, 2]), states, None, "example")
    """
    stacks = [_with_residual_layers(request, stack, lengths, function) for stack in stacks]
    sides = [layers for layers in map(segments.bare_layers, stacks) if layers is not None]
    if len(sides) < len(stacks):
        return None
    choices = [choose(request, layers, function, lengths is not None) for layers in sides]
    engine, used = choices[-1]
    layers, from_end = sum(sides, []), len(sides[-1])
    if not engine.run_both or any(other is not engine for other, _ in choices):
        return None
    if first_problem(engine.both_needs, layers, Place(lengths is not None)):
        return None
    all_states = [state for side in states for state in side]
    outputs, finals = engine.run_both(layers, x, all_states, lengths, from_end)
    outputs.set_shape(x.shape[:2].concatenate([sum(side[-1].output_size for side in sides)]))
    _set_shapes(finals, all_states, x.shape[1])
    calls.record(calls.Call(engine.name, layers, x, all_states, lengths, outputs, finals, from_end))
    return outputs, [finals[:-from_end], finals[-from_end:]], used


def _with_residual_layers(request: Request, segment: Segment, lengths: tf.Tensor | None, function: str) -> Segment:
    """Returns a tree with residual connections in the layers where the engine that runs them can compute that."""

    def takes(layers: Sequence[Layer]) -> bool:
        engine, _ = choose(request, layers, function, lengths is not None)
        needs = engine.residual_needs
        return needs is not None and first_problem(needs, layers, Place(lengths is not None)) is None

    return residual.within_layers(segment, takes)


def _set_shapes(finals: Sequence[LSTMState], states: Sequence[Any], batch: Any) -> None:
    """Gives final states the static shapes of the initial states, with the batch size of the inputs."""
    for final, (c, h) in zip(finals, states):
        final.c.set_shape([batch, c.shape[1]])
        final.h.set_shape([batch, h.shape[1]])


def _summarize(uses: Sequence[EngineUsed]) -> EngineUsed:
    """Returns the `EngineUsed` of a stack, from that of each piece. Equal ones count once."""
    uses = list(dict.fromkeys(uses))
    if len(uses) == 1:
        return uses[0]
    names = list(dict.fromkeys(used.name for used in uses))
    return EngineUsed(" and ".join(names), "; ".join(f"{used.name}: {used.reason}" for used in uses))
