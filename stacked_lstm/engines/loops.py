"""The three loops over time that the graph engine is made of: forward, backward and tangent.

Each runs a group of layers in one `tf.while_loop`, so that TensorFlow's executor overlaps the layers of a group in
time (layer 2 works on step t while layer 1 works on step t + 1). What a step leaves for the backward pass stays in
TensorArrays, which keep the step's own tensors and copy nothing; the weight gradients are made after the loop, from
all steps at once.

Sizes in this file: T time steps, B batch, H_l width of layer l; where a layer projects its h, that is as wide as the
projection.
"""

import collections

from stacked_lstm import equations
from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMState

# As in dynamic_rnn: how many steps may be in flight at once.
_PARALLEL_ITERATIONS = 32

_FIELDS = ["kernel", "has_input_product", "has_bias", "activation", "recurrent_activation", "extras", "step"]
GroupLayer = collections.namedtuple("GroupLayer", _FIELDS)
GroupLayer.__doc__ = """One layer as the loops see it; columns are in `equations.GATE_ORDER`.

Fields:
  kernel: [H_l + I_l + 1, 4H_l], rows of h before rows of the layer's input, then the bias, which is the row of an
    input that is always 1: one product costs less than a product and a sum. Without the last row where there is no
    bias; the rows of h only for the first layer of a group whose input product was made outside the loop.
  has_input_product: whether that is so.
  has_bias: whether the kernel has the row of the bias.
  activation, recurrent_activation: `activations.Activation`.
  extras: `equations.Extras`. Where h is projected, it has the projection's width instead of H_l.
  step: None for `equations.step`, or another equation, (z, c) -> (c', h').
"""


def _while(body, start, condition, variables, step=1, maximum=None):
    """`tf.while_loop` over a step counter; returns the final `variables`.

    With a `maximum` of steps TensorFlow can differentiate it; for XLA that must be an int, not a tensor.
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


def _steps(series):
    """T of a series [T, B, N]: an int where it is known, else an int32 scalar."""
    steps = series.shape.with_rank(3).as_list()[0]
    return tf.shape(series)[0] if steps is None else steps


def _array(size, like, width=None):
    """A TensorArray of [B, H] entries like `like`'s, or [B, width]. Read twice where two gradients are asked for."""
    shape = like.shape if width is None else [like.shape.as_list()[0], width]
    return tf.TensorArray(like.dtype, size=size, element_shape=shape, clear_after_read=False)


def _series(first, steps):
    """A TensorArray of T + 1 entries: before the first step and after each."""
    return _array(steps + 1, first).write(0, first)


def _pre_activations(layer, h, below, one):
    """z of one step; `below` is the layer's input, or the input product where the kernel has no rows for inputs."""
    if layer.has_input_product:
        return below + tf.matmul(h, layer.kernel)
    return tf.matmul(joined(layer, h, below, one), layer.kernel)


def joined(layer, h, below, one):
    """What the rows of the kernel of a layer without input product are for: [h, x] and, if it has a bias, `one`."""
    return tf.concat([h, below] + [one] * layer.has_bias, axis=-1)


def output_size(layer):
    """The width of h, an int: H_l, or that of its projection."""
    if layer.extras.projection is not None:
        return layer.extras.projection.shape.as_list()[1]
    return layer.kernel.shape.as_list()[1] // 4


def forward(below, layers, states, lengths=None, back_prop=False):
    """Runs a group of layers over time.

    States run on past a sequence's end, where nothing depends on them any more. Only where TensorFlow is to
    differentiate the loop they are held, because its gradient would multiply what they grow to by zero.

    Args:
      below: [T, B, I] inputs of the first layer, or its input product [T, B, 4H_1], bias included.
      layers: list of `GroupLayer`.
      states: list of `LSTMState`, each [B, H_l].
      lengths: int32 [B], or None where all sequences have T steps.
      back_prop: whether TensorFlow shall be able to differentiate the loop itself.

    Returns:
      (list of `LSTMState` after step T, [B, H_l] each; an `equations.Step` of TensorArrays per layer: c and h with
      T + 1 entries, the state before the first step and after each; the others with one entry per step, or none where
      the layer has another equation).
    """
    steps = _steps(below)
    # Slicing [t] off a tensor shares its memory, but differentiates badly: one [T, B, N] gradient per step.
    read = tf.TensorArray(below.dtype, steps).unstack(below).read if back_prop else lambda t: below[t]
    one = tf.ones_like(states[0].h[:, :1])

    def body(t, variables):
        states, tapes = variables
        alive = _alive(t, lengths) if back_prop else None
        x, new_states, new_tapes = read(t), [], []
        x.set_shape(below.shape[1:])
        for layer, state, tape in zip(layers, states, tapes):
            z = _pre_activations(layer, state.h, x, one)
            taken = _step(layer, z, state.c)
            new_states.append(_state_where(alive, taken, state))
            new_tapes.append(_record(tape, t, taken))
            x = new_states[-1].h
        return new_states, new_tapes

    tapes = []
    for state in states:
        of_steps = [_array(steps, state.c) for _ in equations.Step._fields[:-2]]
        tapes.append(equations.Step(*of_steps, c=_series(state.c, steps), h=_series(state.h, steps)))
    return _while(body, tf.constant(0), lambda t: t < steps, (states, tapes), maximum=steps if back_prop else None)


def _step(layer, z, c):
    """The `equations.Step` of a layer; of another equation's, c' and h' alone."""
    if layer.step is None:
        return equations.step(z, c, layer.activation, layer.recurrent_activation, layer.extras)
    c, h = layer.step(z, c)
    return equations.Step(*[None] * len(equations.Step._fields[:-2]), c=c, h=h)


def _record(tape, t, taken):
    written = [array if value is None else array.write(t, value) for array, value in zip(tape[:-2], taken[:-2])]
    return equations.Step(*written, c=tape.c.write(t + 1, taken.c), h=tape.h.write(t + 1, taken.h))


def backward(tapes, layers, d_outputs, d_finals, lengths=None):
    """Carries the gradient back through time.

    Past a sequence's end a step changes nothing: the gradient of the final state passes through to the last step.

    Args:
      tapes, layers: as returned by and given to `forward`.
      d_outputs: [T, B, H_L], gradient of the last layer's h, zero past each end.
      d_finals: `LSTMState` per layer, gradients of the final states.
      lengths: int32 [B], or None where all sequences have T steps.

    Returns:
      (per layer `equations.StepGradient` of all steps, z [T, B, 4H_l] and projected [T, B, P_l] or None, without c;
      gradients of the initial states as `LSTMState` per layer).
    """
    steps = tf.shape(d_outputs)[0]
    # A product with a kernel transposed beforehand is up to twice as fast as one that transposes at every step.
    widths = [output_size(layer) for layer in layers]
    rows = [widths[0]] + [sum(pair) for pair in zip(widths[1:], widths)]
    transposed = [tf.transpose(layer.kernel[:count]) for layer, count in zip(layers, rows)]

    def body(t, variables):
        d_states, series = list(variables[0]), list(variables[1])
        alive = _alive(t, lengths)
        d_above = d_outputs[t]
        for k in reversed(range(len(layers))):
            before, tape = d_states[k], tapes[k]
            taken = equations.Step(*[array.read(t) for array in tape[:-2]], c=None, h=None)
            gradient = equations.step_backward(
                taken,
                tape.c.read(t),
                before.c,
                before.h + d_above,
                layers[k].activation,
                layers[k].recurrent_activation,
                layers[k].extras,
            )
            dz = _where_alive(alive, gradient.z, tf.zeros_like(gradient.z))
            dh = tf.matmul(dz, transposed[k])
            if k > 0:
                dh, d_above = tf.split(dh, [widths[k], widths[k - 1]], axis=-1)
            d_states[k] = _state_where(alive, LSTMState(gradient.c, dh), before)
            written = [dz]
            if gradient.projected is not None:
                written.append(gradient.projected)
            series[k] = [array.write(t, value) for array, value in zip(series[k], written)]
        return d_states, series

    series = []
    for layer, d in zip(layers, d_finals):
        series.append([_array(steps, d.c, width=4 * d.c.shape.as_list()[-1])])
        if layer.extras.projection is not None:
            series[-1].append(_array(steps, d.h))
    d_states, series = _while(body, steps - 1, lambda t: t >= 0, (d_finals, series), step=-1)
    stacked = [[array.stack() for array in arrays] + [None] for arrays in series]
    return [equations.StepGradient(arrays[0], arrays[1], c=None) for arrays in stacked], d_states


def _alive(t, lengths):
    """[B] bool: has the sequence a step t? None where all have."""
    return None if lengths is None else t < lengths


def _where_alive(alive, value, otherwise):
    """Row by row `value` where the sequence is still running, `otherwise` past its end."""
    return value if alive is None else tf.where(alive, value, otherwise)


def _state_where(alive, state, otherwise):
    """c and h of `state` where the sequence is still running; static shapes as a loop's variables must keep them."""
    c, h = _where_alive(alive, state.c, otherwise.c), _where_alive(alive, state.h, otherwise.h)
    c.set_shape(otherwise.c.shape)
    h.set_shape(otherwise.h.shape)
    return LSTMState(c, h)


def tangent(below, layers, states, below_dot, layers_dot, states_dot, lengths=None):
    """The directional derivative of `forward`: how c and h move when everything they depend on moves.

    The loop is an ordinary one, so that TensorFlow can differentiate it once more; see `recurrence`.

    Args:
      below, layers, states, lengths: as in `forward`.
      below_dot, layers_dot, states_dot: the directions, as `below`, `layers` and `states`.

    Returns:
      The directional derivatives of c and h: (list of `LSTMState` after step T; an `LSTMState` of TensorArrays with
      T + 1 entries per layer).
    """
    steps = _steps(below)
    one = tf.ones_like(states[0].h[:, :1])
    reads = [tf.TensorArray(series.dtype, steps).unstack(series).read for series in (below, below_dot)]

    def body(t, variables):
        states, states_dot, tapes = variables
        alive = _alive(t, lengths)
        x, x_dot = (read(t) for read in reads)
        x.set_shape(below.shape[1:])
        x_dot.set_shape(below.shape[1:])
        new_states, new_states_dot, new_tapes = [], [], []
        for layer, layer_dot, state, dot, tape in zip(layers, layers_dot, states, states_dot, tapes):
            z = _pre_activations(layer, state.h, x, one)
            z_dot = _pre_activations(layer, dot.h, x_dot, tf.zeros_like(one))
            z_dot += _pre_activations(layer_dot, state.h, tf.zeros_like(x) if layer.has_input_product else x, one)
            functions = layer.activation, layer.recurrent_activation
            taken = equations.step(z, state.c, *functions, extras=layer.extras)
            moved = equations.step_tangent(taken, state.c, z_dot, dot.c, *functions, layer.extras, layer_dot.extras)
            new_states.append(_state_where(alive, taken, state))
            new_states_dot.append(_state_where(alive, moved, dot))
            new_tapes.append(LSTMState(tape.c.write(t + 1, moved.c), tape.h.write(t + 1, moved.h)))
            x, x_dot = new_states[-1].h, new_states_dot[-1].h
        return new_states, new_states_dot, new_tapes

    tapes = [LSTMState(_series(dot.c, steps), _series(dot.h, steps)) for dot in states_dot]
    variables = _while(body, tf.constant(0), lambda t: t < steps, (states, states_dot, tapes), maximum=steps)
    return variables[1:]
