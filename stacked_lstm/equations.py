"""One LSTM step in TensorFlow, and its tangent.

Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997, with the forget gate of Gers,
Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000:

    f = sigma([h, x] Wf + bf)      i = sigma([h, x] Wi + bi)
    g = tanh([h, x] Wc + bc)       o = sigma([h, x] Wo + bo)
    c' = f * c + i * g             h' = o * tanh(c')

Engines compute the four products as one: the gate matrices stand side by side in `GATE_ORDER`. `z`, [..., 4H], is
the result before any activation.
"""

import collections

from stacked_lstm.compat import tf

# Columns of every fused matrix in this package, by the suffix of the variable they come from.
GATE_ORDER = ("f", "i", "o", "c")

Step = collections.namedtuple("Step", ["f", "i", "o", "g", "squashed", "c", "h"])
Step.__doc__ = """All that one step computes, [B, H] each: gates, candidate g, squashed = tanh(c'), and (c', h')."""

Tangent = collections.namedtuple("Tangent", ["c", "h"])
Tangent.__doc__ = """How (c', h') of a step move, [B, H] each."""


def fuse(weights):
    """Returns the kernel [H + I, 4H] and the bias [4H] (None without biases) of one layer, columns in `GATE_ORDER`.

    Args:
      weights: has attributes Wf Wi Wc Wo, [H + I, H] each, and bf bi bc bo, [H] each or all None.
    """
    kernel = tf.concat([getattr(weights, "W" + gate) for gate in GATE_ORDER], axis=1)
    if weights.bf is None:
        return kernel, None
    return kernel, tf.concat([getattr(weights, "b" + gate) for gate in GATE_ORDER], axis=0)


def step(z, c, activation, recurrent_activation):
    """One LSTM step.

    Args:
      z: [B, 4H], pre-activations with columns in `GATE_ORDER`.
      c: [B, H], the cell state before the step.
      activation, recurrent_activation: `activations.Activation`, called tanh and sigma above.

    Returns:
      A `Step`.
    """
    f, i, o, g = tf.split(z, 4, axis=-1)
    sigma, tanh = recurrent_activation.function, activation.function
    f, i, o, g = sigma(f), sigma(i), sigma(o), tanh(g)
    c = f * c + i * g
    squashed = tanh(c)
    return Step(f, i, o, g, squashed, c, o * squashed)


def step_backward(taken, c, dc, dh, activation, recurrent_activation):
    """The gradient of one step.

    Args:
      taken: the `Step`; its c and h are not used.
      c: [B, H], the cell state before the step.
      dc, dh: [B, H], gradients of c' and h'.

    Returns:
      (dz [B, 4H] with columns in `GATE_ORDER`, gradient of `c` [B, H]).
    """
    through_sigma, through_tanh = recurrent_activation.times_slope, activation.times_slope
    dc += through_tanh(taken.squashed, dh * taken.o)
    dz = [
        through_sigma(taken.f, dc * c),
        through_sigma(taken.i, dc * taken.g),
        through_sigma(taken.o, dh * taken.squashed),
        through_tanh(taken.g, dc * taken.i),
    ]
    return tf.concat(dz, axis=-1), dc * taken.f


def step_tangent(taken, c, z_dot, c_dot, activation, recurrent_activation):
    """The directional derivative of one step: how (c', h') move when (z, c) move along (z_dot, c_dot).

    Args:
      taken: the `Step` at (z, c).
      c: [B, H], the cell state before the step.
      z_dot, c_dot: directions, [B, 4H] and [B, H].

    Returns:
      A `Tangent`.
    """
    through_sigma, through_tanh = recurrent_activation.times_slope, activation.times_slope
    f_dot, i_dot, o_dot, g_dot = tf.split(z_dot, 4, axis=-1)
    f_dot, i_dot, o_dot = (through_sigma(y, v) for y, v in zip((taken.f, taken.i, taken.o), (f_dot, i_dot, o_dot)))
    g_dot = through_tanh(taken.g, g_dot)
    c_dot = f_dot * c + taken.f * c_dot + i_dot * taken.g + taken.i * g_dot
    return Tangent(c_dot, o_dot * taken.squashed + taken.o * through_tanh(taken.squashed, c_dot))
