"""The three loops over time of the graph engine: forward, backward and tangent.

Each loop runs a group of layers in one `tf.while_loop`, so that TensorFlow's executor overlaps the layers in time:
layer 2 computes step t while layer 1 computes step t + 1. TensorArrays keep what a step leaves for the backward pass;
they hold the step's own tensors and copy nothing. The weight gradients are computed after the loop, from all steps at
once.

Sizes in this file: T time steps, B batch, H_l width of the cell state of layer l, P_l width of its h. P_l is H_l, or
the width of the projection if the layer has one.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm import equations
from stacked_lstm.activations import Activation
from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines.loop_series import (
    array_with_last,
    at_least_one,
    entry_array,
    mask_at_step,
    multiply_by_mask,
    noise_at_step,
    reader,
    restart_at_step,
    select,
    select_state,
    state_array,
    step_count,
)
from stacked_lstm.state import LSTMState

# How many steps may be in flight at once; dynamic_rnn's default.
_PARALLEL_ITERATIONS = 32


class GroupLayer(NamedTuple):
    """One layer as the loops take it. Columns are in `equations.GATE_ORDER`.

    Fields:
      kernel: [P_l + I_l + 1, 4H_l]: the rows for h, the rows for the layer's input, and the bias. The bias is the row
        for an input that is always 1, because one product costs less than a product and a sum. Without a bias the last
        row is missing. With an input product, only the rows for h are there.
      has_input_product: whether the product of the inputs was computed before the loop. Only the first layer of a group
        can have it.
      has_bias: whether the kernel has the row of the bias.
      activation, recurrent_activation: `activations.Activation`.
      extras: `equations.Extras`.
      step: None for `equations.step`; another equation is a function (z, c) -> (c', h').
      h_masks: None, or [T, B, P_l]; entry t multiplies h before step t.
      c_masks: None, or [T, B, H_l]; entry t multiplies c before step t.
      norm: None, or `equations.LayerNorm`.
      noise: None, or `equations.Noise`.
      resets: None, or `equations.Resets`.
    """

    kernel: tf.Tensor
    has_input_product: bool
    has_bias: bool
    activation: Activation
    recurrent_activation: Activation
    extras: equations.Extras
    step: Callable | None
    h_masks: tf.Tensor | None = None
    c_masks: tf.Tensor | None = None
    norm: equations.LayerNorm | None = None
    noise: equations.Noise | None = None
    resets: equations.Resets | None = None

    @property
    def has_gradient(self) -> bool:
        """Whether the gradient of the step is written by hand. Otherwise TensorFlow differentiates the loop."""
        return not (self.step or self.c_masks is not None or self.norm or self.noise or self.resets)

    @property
    def output_size(self) -> int:
        """P_l, the width of h."""
        if self.extras.projection is not None:
            return self.extras.projection.shape.as_list()[1]
        return self.kernel.shape.as_list()[1] // 4


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


def _while(
    body: Callable,
    start: Any,
    condition: Callable,
    variables: Any,
    step: int = 1,
    maximum: int | tf.Tensor | None = None,
) -> Any:
    """Runs a `tf.while_loop` over a step counter; returns the final `variables`.

    TensorFlow can differentiate the loop if it has a `maximum` of steps. For XLA that must be an int, not a tensor.
    """
    _, variables = tf.while_loop(
        lambda t, _: condition(t),
        lambda t, loop_variables: (t + step, body(t, loop_variables)),
        (start, variables),
        parallel_iterations=_PARALLEL_ITERATIONS,
        back_prop=maximum is not None,
        maximum_iterations=maximum if isinstance(maximum, int) else None,
    )
    return variables


def _pre_activations(layer: GroupLayer, h: tf.Tensor, x: tf.Tensor, one: tf.Tensor) -> tf.Tensor:
    """z of one step. `x` is the layer's input, or the input product if the layer has one."""
    if layer.has_input_product:
        return x + tf.matmul(h, layer.kernel)
    return tf.matmul(kernel_inputs(layer, h, x, one), layer.kernel)


def kernel_inputs(layer: GroupLayer, h: tf.Tensor, x: tf.Tensor, one: tf.Tensor) -> tf.Tensor:
    """What the kernel of a layer without input product multiplies: [h, x], and `one` if the layer has a bias."""
    return tf.concat([h, x] + [one] * layer.has_bias, axis=-1)


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
    drops = [
        (multiply_by_mask(layer.h_masks, back_prop), multiply_by_mask(layer.c_masks, back_prop)) for layer in layers
    ]
    noises = [noise_at_step(layer.noise) for layer in layers]
    restarts = [restart_at_step(layer.resets) for layer in layers]

    def body(t: tf.Tensor, variables: Any) -> Any:
        states, tapes = variables
        mask = mask_at_step(t, lengths) if back_prop else None
        x, new_states, new_tapes = read(t), [], []
        x.set_shape(inputs.shape[1:])
        for layer, (drop_h, drop_c), noise_at, restart, state, tape in zip(
            layers, drops, noises, restarts, states, tapes
        ):
            noise, before = noise_at(t), restart(t, state)
            h = drop_h(t, before.h)
            h = h if noise.recurrent is None else h * noise.recurrent
            z = _pre_activations(layer, h, x, one)
            new_state, gates = _step(layer, z, LSTMState(drop_c(t, before.c), before.h), noise)
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
    return _while(body, tf.constant(0), lambda t: t < steps, (states, tapes), maximum=steps if back_prop else None)


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


def backward(
    tapes: Sequence[Tape],
    layers: Sequence[GroupLayer],
    d_outputs: tf.Tensor,
    d_finals: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
) -> tuple[list[equations.StepGradient], list[LSTMState]]:
    """Carries the gradient back through time.

    Past the end of a sequence a step changes nothing: the gradient of the final state passes through to the last step.

    Args:
      tapes: list of `Tape`, from `forward`.
      layers: list of `GroupLayer`, as in `forward`.
      d_outputs: [T, B, P_L], the gradient of h of the last layer, zero past the end of each sequence.
      d_finals: list of `LSTMState`, the gradients of the final states.
      lengths: int32 [B], or None if all sequences have T steps.

    Returns:
      (per layer an `equations.StepGradient` of all steps: z [T, B, 4H_l], projected [T, B, P_l] or None, c None;
      per layer an `LSTMState`, the gradients of the initial state).
    """
    steps = tf.shape(d_outputs)[0]
    # A product with a kernel transposed beforehand is up to twice as fast as one that transposes at every step.
    widths = [layer.output_size for layer in layers]
    rows = [widths[0]] + [sum(pair) for pair in zip(widths[1:], widths)]
    transposed = [tf.transpose(layer.kernel[:count]) for layer, count in zip(layers, rows)]
    drops = [multiply_by_mask(layer.h_masks, back_prop=False) for layer in layers]

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
            d_states[k] = select_state(mask, LSTMState(gradient.c, drops[k](t, dh)), d_state)
            values = [dz] if gradient.projected is None else [dz, gradient.projected]
            arrays[k] = [array.write(t, value) for array, value in zip(arrays[k], values)]
        return d_states, arrays

    arrays = []
    for layer, d in zip(layers, d_finals):
        arrays.append([array_with_last(steps, d.c, width=4 * d.c.shape.as_list()[-1])])
        if layer.extras.projection is not None:
            arrays[-1].append(array_with_last(steps, d.h, width=d.h.shape.as_list()[-1]))
    d_states, arrays = _while(body, steps - 1, lambda t: t >= 0, (d_finals, arrays), step=-1)
    stacks = [[array.stack()[:-1] for array in layer_arrays] + [None] for layer_arrays in arrays]
    return [equations.StepGradient(z, projected, c=None) for z, projected, *_ in stacks], d_states


def tangent(
    inputs: tf.Tensor,
    layers: Sequence[GroupLayer],
    states: Sequence[LSTMState],
    inputs_dot: tf.Tensor,
    layers_dot: Sequence[GroupLayer],
    states_dot: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
) -> tuple[list[LSTMState], list[LSTMState]]:
    """Computes the directional derivative of `forward`: the change of c and h when everything they depend on changes.

    The loop is an ordinary one, so that TensorFlow can differentiate it; see `recurrence`.

    Args:
      inputs, layers, states, lengths: as in `forward`.
      inputs_dot, layers_dot, states_dot: the directions of `inputs`, `layers` and `states`.

    Returns:
      The derivatives of c and h: (an `LSTMState` per layer after step T; an `LSTMState` of TensorArrays with T + 1
      entries per layer).
    """
    steps = step_count(inputs)
    one = tf.ones_like(states[0].h[:, :1])
    reads = [reader(series, back_prop=True) for series in (inputs, inputs_dot)]
    masked = [pair for pair in zip(layers, layers_dot) if pair[0].h_masks is not None]
    read_masks = [[reader(layer.h_masks, back_prop=True) for layer in pair] for pair in masked]

    def body(t: tf.Tensor, variables: Any) -> Any:
        states, states_dot, arrays = variables
        mask = mask_at_step(t, lengths)
        x, x_dot = (read(t) for read in reads)
        x.set_shape(inputs.shape[1:])
        x_dot.set_shape(inputs.shape[1:])
        new_states, new_states_dot, new_arrays = [], [], []
        remaining = iter(read_masks)
        for layer, layer_dot, state, state_dot, array in zip(layers, layers_dot, states, states_dot, arrays):
            h, h_dot = state.h, state_dot.h
            if layer.h_masks is not None:
                h_mask, h_mask_dot = (read(t) for read in next(remaining))
                h, h_dot = h * h_mask, h_dot * h_mask + h * h_mask_dot
            z = _pre_activations(layer, h, x, one)
            z_dot = _pre_activations(layer, h_dot, x_dot, tf.zeros_like(one))
            z_dot += _pre_activations(layer_dot, h, tf.zeros_like(x) if layer.has_input_product else x, one)
            functions = layer.activation, layer.recurrent_activation
            new_state, gates = equations.step(z, state.c, *functions, extras=layer.extras)
            new_state_dot = equations.step_tangent(
                new_state.c, gates, state.c, z_dot, state_dot.c, *functions, layer.extras, layer_dot.extras
            )
            new_states.append(select_state(mask, new_state, state))
            new_states_dot.append(select_state(mask, new_state_dot, state_dot))
            new_arrays.append(LSTMState(array.c.write(t + 1, new_state_dot.c), array.h.write(t + 1, new_state_dot.h)))
            x, x_dot = new_states[-1].h, new_states_dot[-1].h
        return new_states, new_states_dot, new_arrays

    arrays = [LSTMState(state_array(dot.c, steps), state_array(dot.h, steps)) for dot in states_dot]
    _, finals, arrays = _while(body, tf.constant(0), lambda t: t < steps, (states, states_dot, arrays), maximum=steps)
    return finals, arrays
