"""The states and gates of all time steps, computed from the hidden states that an engine returned.

Engines keep only what they need. A layer's gates follow from its inputs, its hidden states and its weights: one product
gives the pre-activations of all steps, and a loop without products gives the cell states. So this runs beside every
engine, and costs nothing where it is not asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.graph import loop_gradients
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import equations
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState, LSTMSteps


class Record(NamedTuple):
    """What a layer ran on: the layer, its inputs [T, B, I] and its outputs [T, B, P], zero past the end.

    The layer has no masks that are still to be drawn.
    """

    layer: Layer
    x: tf.Tensor
    h: tf.Tensor


def recorded(part: Layer | Segment, records: list[Record]) -> Segment:
    """Returns a part of a `Segment` whose layer adds a `Record` to the list when it runs."""
    if isinstance(part, Segment):
        return part._replace(parts=[recorded(child, records) for child in part.parts])

    def record(x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        records.append(Record(part, x, h))
        return h

    return Segment([part], after=record)


def replay(
    records: Sequence[Record],
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    time_major: bool,
    from_end: bool = False,
) -> tuple[LSTMSteps, ...]:
    """Returns the `LSTMSteps` of each layer.

    Args:
      records: a `Record` per layer.
      states: a pair (c, h) per layer, before the first step.
      lengths: int32 [B], or None if all sequences have T steps.
      time_major: bool, whether the results have time as their first axis, or as their second.
      from_end: bool, whether the layers read each sequence from its end. Default False.
    """
    results = []
    for record, (c, h) in zip(records, states):
        steps = _replay(record, LSTMState(c, h), lengths, from_end)
        results.append(steps if time_major else LSTMSteps(*[tf.transpose(part, [1, 0, 2]) for part in steps]))
    return tuple(results)


def _replay(record: Record, start: LSTMState, lengths: tf.Tensor | None, from_end: bool) -> LSTMSteps:
    layer, x, h = record
    noise, steps = layer.noise, tf.shape(x)[0]
    before = _before_from_end(start.h, h, lengths) if from_end else tf.concat([start.h[None], h], axis=0)[:-1]
    if layer.resets is not None:
        before = _select(layer.resets.is_reset, layer.resets.start.h, before)
    z = _products(layer, x, equations.masked(before, noise.recurrent))
    # The projection acts on h, which is known.
    extras = layer.extras._replace(projection=None, projection_clip=None)
    is_alive = tf.transpose(tf.sequence_mask(padding.lengths_or_all_steps(lengths, x), steps))
    zeros = tf.zeros_like(start.c)
    per_step = {"cell": noise.cell, "candidate": noise.candidate, "zoneout_c": noise.zoneout_c}
    per_step = {name: value for name, value in per_step.items() if equations.is_series(value)}
    noise_fields = list(per_step)
    if layer.resets is not None:
        per_step.update(is_reset=layer.resets.is_reset, start_c=_per_step(layer.resets.start.c, x))

    def step(before: LSTMSteps, inputs: dict[str, tf.Tensor]) -> LSTMSteps:
        c_before = tf.where(inputs["is_reset"], inputs["start_c"], before.c) if layer.resets else before.c
        step_noise = noise._replace(zoneout_h=None, **{name: inputs[name] for name in noise_fields})
        c_before = equations.masked(c_before, step_noise.cell)
        functions = layer.activation, layer.recurrent_activation
        after, gates = equations.step(inputs["z"], c_before, *functions, extras, layer.norm, step_noise.candidate)
        c = equations.zoneout(step_noise, LSTMState(c_before, None), after).c
        # Past the end of a sequence c stays, so that nothing in a gradient can overflow.
        c = tf.where(inputs["is_alive"], c, before.c)
        results = LSTMSteps(c, zeros, gates.f, gates.i, gates.o, gates.g)
        for part in results:
            part.set_shape(start.c.shape)  # tf.scan wants the shapes of its start.
        return results

    inputs = dict(per_step, z=z, is_alive=is_alive)
    has_steps = bool(x.shape.as_list()[0])
    if not has_steps:  # tf.scan needs a step. This one is dead.
        inputs = {name: tf.pad(value, [[0, 1]] + [[0, 0]] * (value.shape.ndims - 1)) for name, value in inputs.items()}

    def scan() -> LSTMSteps:
        return tf.scan(step, inputs, LSTMSteps(start.c, *[zeros] * 5), reverse=from_end)

    is_nested = inside_function_or_control_flow()
    series = scan() if is_nested else loop_gradients.differentiable(scan, optional=list(per_step.values()))
    if not has_steps:
        series = LSTMSteps(*[part[:-1] for part in series])
    series = LSTMSteps(*[padding.zero_past_end(part, lengths) for part in series])._replace(h=h)
    for part in series:
        part.set_shape(x.shape[:2].concatenate([None]))
    return series


def _before_from_end(start: tf.Tensor, h: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """h before each step, [T, B, P], for layers that read from the end."""
    before = tf.concat([h, start[None]], axis=0)[1:]
    if lengths is None:
        return before
    is_first = tf.equal(tf.range(1, tf.shape(h)[0] + 1)[:, None], lengths[None])
    return _select(is_first, start, before)


def _per_step(start: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """[B, N] with an entry for each step of x; [T, B, N] as it is."""
    return start if start.shape.ndims == 3 else tf.tile(start[None], [tf.shape(x)[0], 1, 1])


def _select(flags: tf.Tensor, start: tf.Tensor, series: tf.Tensor) -> tf.Tensor:
    """`series` [T, B, N] with `start` where the flags [T, B] are True."""
    width = series.shape.as_list()[-1]
    rows = [tf.reshape(value, [-1, width]) for value in (_per_step(start, series), series)]
    return tf.reshape(tf.where(tf.reshape(flags, [-1]), *rows), tf.shape(series))


def _products(layer: Layer, x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
    """The pre-activations of all steps, [T, B, 4H], from the inputs and the masked hidden states before each step."""
    weights = layer.fused()
    rows = tf.reshape(tf.concat([h, x], axis=2), [-1, layer.output_size + layer.input_size])
    z = tf.matmul(rows, tf.concat([weights.recurrent, weights.inputs], axis=0))
    z = z if weights.bias is None else tf.nn.bias_add(z, weights.bias)
    return tf.reshape(z, [tf.shape(x)[0], tf.shape(x)[1], 4 * layer.hidden_size])
