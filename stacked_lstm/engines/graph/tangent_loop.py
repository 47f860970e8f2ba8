"""The loop over time that computes directional derivatives; second derivatives of the graph engine need it.

Sizes are those of `loops`.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines.graph.group_layer import GroupLayer
from stacked_lstm.engines.graph.loop_series import (
    at_least_one,
    loop_over_steps,
    mask_at_step,
    noise_at_step,
    reader,
    select_state,
    state_array,
    step_count,
)
from stacked_lstm.lstm import equations
from stacked_lstm.state import LSTMState


def tangent(
    inputs: tf.Tensor,
    layers: Sequence[GroupLayer],
    states: Sequence[LSTMState],
    inputs_dot: tf.Tensor,
    layers_dot: Sequence[GroupLayer],
    states_dot: Sequence[LSTMState],
    lengths: tf.Tensor | None = None,
) -> tuple[list[LSTMState], list[LSTMState]]:
    """Computes the directional derivative of `loops.forward`: the change of c and h if all that they depend on changes.

    The loop is an ordinary one, so that TensorFlow can differentiate it; see `recurrence`. It has at least one step.

    Args:
      inputs, layers, states, lengths: as in `loops.forward`.
      inputs_dot, layers_dot, states_dot: the directions of `inputs`, `layers` and `states`.

    Returns:
      The derivatives of c and h: (an `LSTMState` per layer after step T; an `LSTMState` of TensorArrays with T + 1
      entries per layer).
    """
    steps = at_least_one(step_count(inputs))
    one = tf.ones_like(states[0].h[:, :1])
    reads = [reader(series, back_prop=True) for series in (inputs, inputs_dot)]
    noises = [[noise_at_step(layer.noise, back_prop=True) for layer in pair] for pair in zip(layers, layers_dot)]

    def body(t: tf.Tensor, variables: Any) -> Any:
        states, states_dot, arrays = variables
        mask = mask_at_step(t, lengths)
        x, x_dot = (read(t) for read in reads)
        x.set_shape(inputs.shape[1:])
        x_dot.set_shape(inputs.shape[1:])
        new_states, new_states_dot, new_arrays = [], [], []
        for layer, layer_dot, noise_pair, state, state_dot, array in zip(
            layers, layers_dot, noises, states, states_dot, arrays
        ):
            h, h_dot = state.h, state_dot.h
            h_mask, h_mask_dot = (noise_at(t).recurrent for noise_at in noise_pair)
            if h_mask is not None:
                h, h_dot = h * h_mask, h_dot * h_mask + h * h_mask_dot
            z = layer.pre_activations(h, x, one)
            z_dot = layer.pre_activations(h_dot, x_dot, tf.zeros_like(one))
            z_dot += layer_dot.pre_activations(h, tf.zeros_like(x) if layer.has_input_product else x, one)
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
    _, finals, arrays = loop_over_steps(
        body, tf.constant(0), lambda t: t < steps, (states, states_dot, arrays), maximum=steps
    )
    return finals, arrays
