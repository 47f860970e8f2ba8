"""The loops over time of the graph engine, forward and backward.

Each loop runs a group of layers in one `tf.while_loop`, so that TensorFlow's executor overlaps the layers in time:
layer 2 computes step t while layer 1 computes step t + 1. TensorArrays keep what a step leaves for the backward pass;
they hold the step's own tensors and copy nothing. The weight gradients are computed after the loop, from all steps at
once.

Sizes in this file: T time steps, B batch, H_l width of the cell state of layer l, P_l width of its h. P_l is H_l, or
the width of the projection if the layer has one.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines.graph.group_layer import GroupLayer
from stacked_lstm.engines.graph.loop_series import (
    array_with_last,
    at_least_one,
    entry_array,
    loop_over_steps,
    mask_at_step,
    noise_at_step,
    reader,
    restart_at_step,
    select,
    select_state,
    state_array,
    step_count,
)
from stacked_lstm.lstm import equations
from stacked_lstm.state import LSTMState


class Tape(NamedTuple):
    """What the forward loop keeps of one layer for the backward pass.

    Fields:
      gates: `equations.Gates` of TensorArrays, one entry [B, H_l] per step, and a last one of zeros if the layer has a
        projection; an empty tuple if TensorFlow differentiates the layer, see `GroupLayer.has_gradient`.
      c, h: TensorArrays of T + 1 entries: the state before the first step and after each step.
    """

    gates: Any
    c: tf.TensorArray
    h: tf.TensorArray


def forward(
    inputs: tf.Tensor,
    layers: Sequence[GroupLayer],
    states: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
    back_prop: bool = False,
) -> tuple[list[LSTMState], list[Tape]]:
    """Runs a group of layers over time.

    States go on changing past the end of a sequence, where nothing depends on them. They stay as they are only if
    `back_prop` is True, because TensorFlow's gradient would multiply what they grow to by zero.

    Args:
      inputs: [T, B, I], the inputs of the first layer, or its input product [T, B, 4H_1], bias included.
      layers: list of `GroupLayer`.
      states: list of `LSTMState`, c [B, H_l] and h [B, P_l].
      lengths: int32 [B], or None if all sequences have T steps.
      back_prop: whether TensorFlow can differentiate the loop itself. The loop then has at least one step, except
        inside functions and control flow.

    Returns:
      (an `LSTMState` per layer after step T; a `Tape` per layer).
    """
    has_extra_step = back_prop and not inside_function_or_control_flow()
    steps = at_least_one(step_count(inputs)) if has_extra_step else step_count(inputs)
    read = reader(inputs, back_prop)
    one = tf.ones_like(states[0].h[:, :1])
    noises = [noise_at_step(layer.noise, back_prop) for layer in layers]
    restarts = [restart_at_step(layer.resets) for layer in layers]

    def body(t: tf.Tensor, variables: Any) -> Any:
        states, tapes = variables
        mask = mask_at_step(t, lengths) if back_prop else None
        x, new_states, new_tapes = read(t), [], []
        x.set_shape(inputs.shape[1:])
        for layer, noise_at, restart, state, tape in zip(layers, noises, restarts, states, tapes):
            noise, before = noise_at(t), restart(t, state)
            z = layer.pre_activations(equations.masked(before.h, noise.recurrent), x, one)
            before = before._replace(c=equations.masked(before.c, noise.cell))
            new_state, gates = _step(layer, z, before, noise)
            new_states.append(select_state(mask, new_state, state))
            new_tapes.append(_record(tape, t, new_state, gates))
            x = new_states[-1].h
        return new_states, new_tapes

    tapes = []
    for layer, state in zip(layers, states):
        # `recurrence` stacks the arrays of a projected layer, and TensorFlow cannot stack an array without entries.
        array = entry_array if layer.extras.projection is None else array_with_last
        names, width = equations.Gates._fields, state.c.shape.as_list()[-1]
        gates = equations.Gates(*[array(steps, state.c, width) for _ in names]) if layer.has_gradient else ()
        tapes.append(Tape(gates, c=state_array(state.c, steps), h=state_array(state.h, steps)))
    return loop_over_steps(
        body, tf.constant(0), lambda t: t < steps, (states, tapes), maximum=steps if back_prop else None
    )


def _step(layer: GroupLayer, z: tf.Tensor, state: LSTMState, noise: equations.Noise) -> tuple[LSTMState, Any]:
    """The state after a step, and its `equations.Gates`, or an empty tuple if TensorFlow differentiates the layer."""
    if layer.step:
        return LSTMState(*layer.step(z, state.c)), ()
    functions = layer.activation, layer.recurrent_activation
    after, gates = equations.step(z, state.c, *functions, layer.extras, layer.norm, noise.candidate)
    if not layer.has_gradient:
        return equations.zoneout(noise, state, after), ()
    return after, gates


def _record(tape: Tape, t: tf.Tensor, state: LSTMState, gates: Any) -> Tape:
    """Writes a step to the tape of its layer."""
    written = tf.nest.map_structure(lambda array, value: array.write(t, value), tape.gates, gates)
    return Tape(written, c=tape.c.write(t + 1, state.c), h=tape.h.write(t + 1, state.h))


def transposed_kernels(layers: Sequence[GroupLayer]) -> list[tf.Tensor]:
    """Returns the kernels' rows for h, and of all layers after the first for the input, transposed: [4H_l, rows].

    A product with a kernel transposed beforehand is up to twice as fast as one that transposes at every step.
    """
    widths = [layer.output_size for layer in layers]
    rows = [widths[0]] + [sum(pair) for pair in zip(widths[1:], widths)]
    return [tf.transpose(layer.kernel[:count]) for layer, count in zip(layers, rows)]


def backward(
    tapes: Sequence[Tape],
    layers: Sequence[GroupLayer],
    transposed: Sequence[tf.Tensor],
    d_outputs: tf.Tensor,
    d_finals: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
) -> tuple[list[equations.StepGradient], list[LSTMState]]:
    """Carries the gradient back through time.

    Past the end of a sequence a step changes nothing: the gradient of the final state passes through to the last step.

    Args:
      tapes: list of `Tape`, from `forward`.
      layers: list of `GroupLayer`, as in `forward`.
      transposed: their `transposed_kernels`.
      d_outputs: [T, B, P_L], the gradient of h of the last layer, zero past the end of each sequence.
      d_finals: list of `LSTMState`, the gradients of the final states.
      lengths: int32 [B], or None if all sequences have T steps.

    Returns:
      (per layer an `equations.StepGradient` of all steps: z [T, B, 4H_l], projected [T, B, P_l] or None, c None;
      per layer an `LSTMState`, the gradients of the initial state).
    """
    steps = tf.shape(d_outputs)[0]
    widths = [layer.output_size for layer in layers]
    noises = [noise_at_step(layer.noise, back_prop=False) for layer in layers]

    def body(t: tf.Tensor, variables: Any) -> Any:
        d_states, arrays = list(variables[0]), list(variables[1])
        mask = mask_at_step(t, lengths)
        dh_above = d_outputs[t]
        for k in reversed(range(len(layers))):
            d_state, tape = d_states[k], tapes[k]
            gradient = equations.step_backward(
                equations.Gates(*[array.read(t) for array in tape.gates]),
                tape.c.read(t),
                d_state.c,
                d_state.h + dh_above,
                layers[k].activation,
                layers[k].recurrent_activation,
                layers[k].extras,
            )
            dz = select(mask, gradient.z, tf.zeros_like(gradient.z))
            dh = tf.matmul(dz, transposed[k])
            if k > 0:
                dh, dh_above = tf.split(dh, [widths[k], widths[k - 1]], axis=-1)
            dh = equations.masked(dh, noises[k](t).recurrent)
            d_states[k] = select_state(mask, LSTMState(gradient.c, dh), d_state)
            values = [dz] if gradient.projected is None else [dz, gradient.projected]
            arrays[k] = [array.write(t, value) for array, value in zip(arrays[k], values)]
        return d_states, arrays

    arrays = []
    for layer, d in zip(layers, d_finals):
        arrays.append([array_with_last(steps, d.c, width=4 * d.c.shape.as_list()[-1])])
        if layer.extras.projection is not None:
            arrays[-1].append(array_with_last(steps, d.h, width=d.h.shape.as_list()[-1]))
    d_states, arrays = loop_over_steps(body, steps - 1, lambda t: t >= 0, (d_finals, arrays), step=-1)
    stacks = [[array.stack()[:-1] for array in layer_arrays] + [None] for layer_arrays in arrays]
    return [equations.StepGradient(z, projected, c=None) for z, projected, *_ in stacks], d_states
