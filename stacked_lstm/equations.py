"""One LSTM step in TensorFlow, its gradient and its tangent.

Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997, with the forget gate of Gers,
Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000:

    f = sigma([h, x] Wf + bf)      i = sigma([h, x] Wi + bi)
    g = tanh([h, x] Wc + bc)       o = sigma([h, x] Wo + bo)
    c' = f * c + i * g             h' = o * tanh(c')

Engines compute the four products as one: the gate matrices stand side by side in `GATE_ORDER`. `z`, [..., 4H], is
the result before any activation.

`Extras` are what LSTMCell of TensorFlow 1 adds (see `rnn_cell`): peepholes p from the cell state to the gates (Gers,
Schraudolph and Schmidhuber, Learning Precise Timing with LSTM Recurrent Networks, JMLR 3, 2002), a projection of h
(Sak, Senior and Beaufays, Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic
Modeling, Interspeech 2014), and bounds on both states:

    f = sigma([h, x] Wf + bf + pf * c)      i = sigma([h, x] Wi + bi + pi * c)      c' = clip(f * c + i * g)
    o = sigma([h, x] Wo + bo + po * c')     h' = clip((o * tanh(c')) Wp)
"""

import collections

from stacked_lstm.compat import tf

# Columns of every fused matrix in this package, by the suffix of the variable they come from: the order of
# TensorFlow 1's cells, so that their kernels are used as they are.
GATE_ORDER = ("i", "c", "f", "o")

Extras = collections.namedtuple("Extras", ["peepholes", "cell_clip", "projection", "projection_clip"])
Extras.__doc__ = """What an LSTM layer may have beyond the plain equations; None where there is nothing.

Fields:
  peepholes: (pi, pf, po), [H] each.
  cell_clip: c' is held between this number and its negative.
  projection: Wp, [H, P].
  projection_clip: likewise h', where it is projected.
"""

PLAIN = Extras(None, None, None, None)

Step = collections.namedtuple("Step", ["f", "i", "o", "g", "squashed", "c", "h"])
Step.__doc__ = """All that one step computes, [B, H] each: gates, candidate g, squashed = tanh(c'), and (c', h').

Here and below h' is [B, P] where it is projected."""

StepGradient = collections.namedtuple("StepGradient", ["z", "projected", "c"])
StepGradient.__doc__ = """Gradients of what one step computes.

Fields:
  z: [B, 4H], of the pre-activations, columns in `GATE_ORDER`.
  projected: [B, P], of the projected h before its clip; None without a projection.
  c: [B, H], of the cell state before the step.
"""

Tangent = collections.namedtuple("Tangent", ["c", "h"])
Tangent.__doc__ = """How (c', h') of a step move, in their shapes."""


def _clip(value, bound):
    return value if bound is None else tf.clip_by_value(value, -bound, bound)


def _through_clip(value, moved, bound):
    """The slope of `_clip` at `value`, times `moved`; at the bound itself TensorFlow lets gradients through."""
    return moved if bound is None else tf.where(tf.abs(value) > bound, tf.zeros_like(moved), moved)


def _projected(taken, extras):
    """h' before its clip, made again from a `Step`; None where nothing is clipped."""
    return None if extras.projection_clip is None else tf.matmul(taken.o * taken.squashed, extras.projection)


def step(z, c, activation, recurrent_activation, extras=PLAIN):
    """One LSTM step.

    Args:
      z: [B, 4H], pre-activations with columns in `GATE_ORDER`.
      c: [B, H], the cell state before the step.
      activation, recurrent_activation: `activations.Activation`, called tanh and sigma above.
      extras: `Extras`.

    Returns:
      A `Step`.
    """
    i, g, f, o = tf.split(z, 4, axis=-1)
    sigma, tanh = recurrent_activation.function, activation.function
    if extras.peepholes:
        i, f = i + extras.peepholes[0] * c, f + extras.peepholes[1] * c
    i, g, f = sigma(i), tanh(g), sigma(f)
    c = _clip(f * c + i * g, extras.cell_clip)
    o = sigma(o + extras.peepholes[2] * c if extras.peepholes else o)
    squashed = tanh(c)
    h = o * squashed
    if extras.projection is not None:
        h = _clip(tf.matmul(h, extras.projection), extras.projection_clip)
    return Step(f, i, o, g, squashed, c, h)


def step_backward(taken, c, dc, dh, activation, recurrent_activation, extras=PLAIN):
    """The gradient of one step.

    Args:
      taken: the `Step`; its c and h are not used.
      c: [B, H], the cell state before the step.
      dc, dh: [B, H], gradients of c' and h'.
      extras: `Extras`.

    Returns:
      A `StepGradient`.
    """
    through_sigma, through_tanh = recurrent_activation.times_slope, activation.times_slope
    d_projected = None
    if extras.projection is not None:
        d_projected = _through_clip(_projected(taken, extras), dh, extras.projection_clip)
        dh = tf.matmul(d_projected, extras.projection, transpose_b=True)
    dzo = through_sigma(taken.o, dh * taken.squashed)
    dc += through_tanh(taken.squashed, dh * taken.o)
    if extras.peepholes:
        dc += dzo * extras.peepholes[2]
    dc = _through_clip(taken.f * c + taken.i * taken.g, dc, extras.cell_clip)
    dzi, dzf = through_sigma(taken.i, dc * taken.g), through_sigma(taken.f, dc * c)
    dz = tf.concat([dzi, through_tanh(taken.g, dc * taken.i), dzf, dzo], axis=-1)
    dc *= taken.f
    if extras.peepholes:
        dc += dzi * extras.peepholes[0] + dzf * extras.peepholes[1]
    return StepGradient(dz, d_projected, dc)


def step_tangent(taken, c, z_dot, c_dot, activation, recurrent_activation, extras=PLAIN, extras_dot=PLAIN):
    """The directional derivative of one step: how (c', h') move when all it depends on moves.

    Args:
      taken: the `Step` at (z, c).
      c: [B, H], the cell state before the step.
      z_dot, c_dot: directions, [B, 4H] and [B, H].
      extras, extras_dot: `Extras`, and the directions of its tensors.

    Returns:
      A `Tangent`.
    """
    through_sigma, through_tanh = recurrent_activation.times_slope, activation.times_slope
    i_dot, g_dot, f_dot, o_dot = tf.split(z_dot, 4, axis=-1)
    if extras.peepholes:
        i_dot += extras.peepholes[0] * c_dot + extras_dot.peepholes[0] * c
        f_dot += extras.peepholes[1] * c_dot + extras_dot.peepholes[1] * c
    i_dot, f_dot, g_dot = through_sigma(taken.i, i_dot), through_sigma(taken.f, f_dot), through_tanh(taken.g, g_dot)
    c_dot = f_dot * c + taken.f * c_dot + i_dot * taken.g + taken.i * g_dot
    c_dot = _through_clip(taken.f * c + taken.i * taken.g, c_dot, extras.cell_clip)
    if extras.peepholes:
        o_dot += extras.peepholes[2] * c_dot + extras_dot.peepholes[2] * taken.c
    h_dot = through_sigma(taken.o, o_dot) * taken.squashed + taken.o * through_tanh(taken.squashed, c_dot)
    if extras.projection is not None:
        h_dot = tf.matmul(h_dot, extras.projection) + tf.matmul(taken.o * taken.squashed, extras_dot.projection)
        h_dot = _through_clip(_projected(taken, extras), h_dot, extras.projection_clip)
    return Tangent(c_dot, h_dot)
