"""One LSTM step in TensorFlow, its gradient and its tangent.

    f = sigma([h, x] Wf + bf)      i = sigma([h, x] Wi + bi)
    g = tanh([h, x] Wc + bc)       o = sigma([h, x] Wo + bo)
    c' = f * c + i * g             h' = o * tanh(c')

Engines compute the four products as one: the gate matrices stand side by side in `GATE_ORDER`. `z`, [..., 4H], is
the sum of products and biases before any activation.

`Extras` are what TensorFlow 1's LSTMCell adds (see `rnn_cell`): peepholes p from the cell state to the gates, a
projection Wp of h, and bounds on both states:

    f = sigma([h, x] Wf + bf + pf * c)      i = sigma([h, x] Wi + bi + pi * c)      c' = clip(f * c + i * g)
    o = sigma([h, x] Wo + bo + po * c')     h' = clip((o * tanh(c')) Wp)

`LayerNorm` normalizes the products before their biases, and the cell state; `Noise` are masks of dropout, and the
shares of the old state that zoneout keeps. The docstring of `numpy_lstm.option_equations` has their equations.

Sources:
  The LSTM: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997.
  The forget gate: Gers, Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000.
  Peepholes: Gers, Schraudolph and Schmidhuber, Learning Precise Timing with LSTM Recurrent Networks, JMLR 3, 2002.
  The projection: Sak, Senior and Beaufays, Long Short-Term Memory Recurrent Neural Network Architectures for Large
    Scale Acoustic Modeling, Interspeech 2014.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from stacked_lstm.activations import Activation
from stacked_lstm.compat import tf
from stacked_lstm.lstm.normalization import Norm
from stacked_lstm.state import LSTMState

# The order of the columns of every fused matrix in this package, by the suffixes of the variables. TensorFlow 1's
# cells have this order, so that their kernels are used as they are.
GATE_ORDER = ("i", "c", "f", "o")


class Extras(NamedTuple):
    """What a layer has beyond the plain equations. A field is None if the layer does not have it.

    Fields:
      peepholes: (pi, pf, po), [H] each.
      cell_clip: a number; c' is clipped to [-cell_clip, cell_clip].
      projection: Wp, [H, P].
      projection_clip: a number; the projected h' is clipped to [-projection_clip, projection_clip].
    """

    peepholes: Any
    cell_clip: float | None
    projection: Any
    projection_clip: float | None


PLAIN = Extras(None, None, None, None)


class LayerNorm(NamedTuple):
    """Layer normalization of one layer, whose gates then have no other biases than the shifts.

    Fields:
      gates: the `Norm` of z, [4, H] each, with the gates in `GATE_ORDER`.
      cell: the `Norm` of the cell state, [H] each.
      is_carried: whether the next step sees the normalized cell state. Otherwise only h' comes from it.
    """

    gates: Norm
    cell: Norm
    is_carried: bool

    def map(self, function: Callable[[Any], Any]) -> LayerNorm:
        """Returns the norms with `function(variable)` in the place of each variable."""

        def map_norm(norm: Norm) -> Norm:
            return norm._replace(gamma=function(norm.gamma), beta=function(norm.beta))

        return self._replace(gates=map_norm(self.gates), cell=map_norm(self.cell))


class Noise(NamedTuple):
    """What dropout and zoneout do to the steps of one layer. A field is None if the layer does not have it.

    A field is one tensor for all steps, or has an entry per step: a tensor of rank 3 whose first axis is time. All
    tensors have the dtype of the weights.

    Fields:
      recurrent: [B, P] or [T, B, P], multiplies h in the product with the kernel, but not in zoneout.
      cell: [B, H] or [T, B, H], multiplies c before the step, also in zoneout.
      candidate: [B, H] or [T, B, H], multiplies the candidate.
      zoneout_c: a number, [B, H] or [T, B, H], the share of c in the new cell state.
      zoneout_h: a number, [B, P] or [T, B, P], the share of h in the new h.
    """

    recurrent: tf.Tensor | None = None
    cell: tf.Tensor | None = None
    candidate: tf.Tensor | None = None
    zoneout_c: Any = None
    zoneout_h: Any = None

    @property
    def present(self) -> set[str]:
        """The names of the fields that the layer has."""
        return {name for name, value in zip(self._fields, self) if value is not None}


NO_NOISE = Noise()


class Resets(NamedTuple):
    """Where sequences start again.

    Fields:
      is_reset: bool [T, B], whether the state before step t is replaced by `start`.
      start: `LSTMState`, c [B, H] and h [B, P] for all steps, or with an entry per step, [T, B, H] and [T, B, P].
    """

    is_reset: Any
    start: LSTMState


class Gates(NamedTuple):
    """What one step computes on its way to the new state, [B, H] each. Gradient and tangent of the step need it.

    Fields:
      f, i, o: forget gate, input gate, output gate.
      g: the candidate.
      tanh_c: tanh(c').
    """

    f: Any
    i: Any
    o: Any
    g: Any
    tanh_c: Any


class StepGradient(NamedTuple):
    """Gradients with respect to what one step takes and computes.

    Fields:
      z: [B, 4H], the pre-activations, columns in `GATE_ORDER`.
      projected: [B, P], the projected h before its clip; None without a projection.
      c: [B, H], the cell state before the step.
    """

    z: tf.Tensor
    projected: tf.Tensor | None
    c: tf.Tensor


def _clip(value: tf.Tensor, bound: float | None) -> tf.Tensor:
    return value if bound is None else tf.clip_by_value(value, -bound, bound)


def _times_clip_slope(value: tf.Tensor, vector: tf.Tensor, bound: float | None) -> tf.Tensor:
    """`vector` times the slope of `_clip` at `value`. At the bound itself the slope is 1, as TensorFlow has it."""
    return vector if bound is None else tf.where(tf.abs(value) > bound, tf.zeros_like(vector), vector)


def _projected(gates: Gates, extras: Extras) -> tf.Tensor | None:
    """h' before its clip, computed again; None without a clip."""
    return None if extras.projection_clip is None else tf.matmul(gates.o * gates.tanh_c, extras.projection)


def step(
    z: tf.Tensor,
    c: tf.Tensor,
    activation: Activation,
    recurrent_activation: Activation,
    extras: Extras = PLAIN,
    norm: LayerNorm | None = None,
    candidate_mask: tf.Tensor | None = None,
) -> tuple[LSTMState, Gates]:
    """Computes one LSTM step.

    Args:
      z: [B, 4H], pre-activations with columns in `GATE_ORDER`.
      c: [B, H], the cell state before the step.
      activation: `activations.Activation`, called tanh above.
      recurrent_activation: `activations.Activation`, called sigma above.
      extras: `Extras`.
      norm: `LayerNorm`, or None. `step_backward` and `step_tangent` do not have it.
      candidate_mask: [B, H], or None. `step_backward` and `step_tangent` do not have it.

    Returns:
      (`LSTMState` with c' [B, H] and h' [B, H], or [B, P] with a projection; `Gates`).
    """
    i, g, f, o = tf.split(z, 4, axis=-1) if norm is None else _normalized_gates(z, norm.gates)
    sigma, tanh = recurrent_activation.function, activation.function
    if extras.peepholes:
        i, f = i + extras.peepholes[0] * c, f + extras.peepholes[1] * c
    i, g, f = sigma(i), tanh(g), sigma(f)
    g = masked(g, candidate_mask)
    c = f * c + i * g
    c = _clip(norm.cell.on_engines(c) if norm and norm.is_carried else c, extras.cell_clip)
    o = sigma(o + extras.peepholes[2] * c if extras.peepholes else o)
    tanh_c = tanh(norm.cell.on_engines(c) if norm and not norm.is_carried else c)
    h = o * tanh_c
    if extras.projection is not None:
        h = _clip(tf.matmul(h, extras.projection), extras.projection_clip)
    return LSTMState(c, h), Gates(f, i, o, g, tanh_c)


def _normalized_gates(z: tf.Tensor, norm: Norm) -> list[tf.Tensor]:
    """The pre-activations of i, g, f and o, each normalized by itself, from their products z [B, 4H]."""
    products = tf.reshape(z, [-1, 4, z.shape.as_list()[-1] // 4])
    return tf.unstack(norm.on_engines(products), axis=1)


def is_series(value: Any) -> bool:
    """Whether a field of `Noise` has an entry per step."""
    return tf.is_tensor(value) and value.shape.ndims == 3


def masked(values: Any, mask: Any) -> Any:
    """Returns values times a mask, which is None if nothing is dropped."""
    return values if mask is None else values * mask


def zoneout(noise: Noise, before: LSTMState, after: LSTMState) -> LSTMState:
    """Returns the state after a step with zoneout: a share q of the old state and 1 - q of the new one."""
    shares = noise.zoneout_c, noise.zoneout_h
    return LSTMState(*[new if q is None else q * old + (1 - q) * new for q, old, new in zip(shares, before, after)])


def step_backward(
    gates: Gates,
    c: tf.Tensor,
    dc: tf.Tensor,
    dh: tf.Tensor,
    activation: Activation,
    recurrent_activation: Activation,
    extras: Extras = PLAIN,
) -> StepGradient:
    """Computes the gradient of one step.

    Args:
      gates: the `Gates` of the step.
      c: [B, H], the cell state before the step.
      dc: [B, H], the gradient of c'.
      dh: the gradient of h', in the shape of h'.
      activation, recurrent_activation, extras: as in `step`. Both activations have a `times_slope`.

    Returns:
      A `StepGradient`.
    """
    times_sigma_slope, times_tanh_slope = recurrent_activation.times_slope, activation.times_slope
    assert times_sigma_slope and times_tanh_slope
    d_projected = None
    if extras.projection is not None:
        d_projected = _times_clip_slope(_projected(gates, extras), dh, extras.projection_clip)
        dh = tf.matmul(d_projected, extras.projection, transpose_b=True)
    dzo = times_sigma_slope(gates.o, dh * gates.tanh_c)
    dc += times_tanh_slope(gates.tanh_c, dh * gates.o)
    if extras.peepholes:
        dc += dzo * extras.peepholes[2]
    dc = _times_clip_slope(gates.f * c + gates.i * gates.g, dc, extras.cell_clip)
    dzi, dzf = times_sigma_slope(gates.i, dc * gates.g), times_sigma_slope(gates.f, dc * c)
    dz = tf.concat([dzi, times_tanh_slope(gates.g, dc * gates.i), dzf, dzo], axis=-1)
    dc *= gates.f
    if extras.peepholes:
        dc += dzi * extras.peepholes[0] + dzf * extras.peepholes[1]
    return StepGradient(dz, d_projected, dc)


def step_tangent(
    c_new: tf.Tensor,
    gates: Gates,
    c: tf.Tensor,
    z_dot: tf.Tensor,
    c_dot: tf.Tensor,
    activation: Activation,
    recurrent_activation: Activation,
    extras: Extras = PLAIN,
    extras_dot: Extras = PLAIN,
) -> LSTMState:
    """Computes the directional derivative of one step: the change of (c', h') when everything they depend on changes.

    Args:
      c_new: [B, H], c', the cell state after the step at (z, c).
      gates: the `Gates` of that step.
      c: [B, H], the cell state before the step.
      z_dot, c_dot: the directions of z and c, [B, 4H] and [B, H].
      activation, recurrent_activation, extras: as in `step_backward`.
      extras_dot: `Extras` with the directions of the tensors in `extras`.

    Returns:
      An `LSTMState` of the derivatives of c' and h'.
    """
    times_sigma_slope, times_tanh_slope = recurrent_activation.times_slope, activation.times_slope
    assert times_sigma_slope and times_tanh_slope
    i_dot, g_dot, f_dot, o_dot = tf.split(z_dot, 4, axis=-1)
    if extras.peepholes:
        i_dot += extras.peepholes[0] * c_dot + extras_dot.peepholes[0] * c
        f_dot += extras.peepholes[1] * c_dot + extras_dot.peepholes[1] * c
    i_dot, f_dot = times_sigma_slope(gates.i, i_dot), times_sigma_slope(gates.f, f_dot)
    g_dot = times_tanh_slope(gates.g, g_dot)
    c_dot = f_dot * c + gates.f * c_dot + i_dot * gates.g + gates.i * g_dot
    c_dot = _times_clip_slope(gates.f * c + gates.i * gates.g, c_dot, extras.cell_clip)
    if extras.peepholes:
        o_dot += extras.peepholes[2] * c_dot + extras_dot.peepholes[2] * c_new
    h_dot = times_sigma_slope(gates.o, o_dot) * gates.tanh_c + gates.o * times_tanh_slope(gates.tanh_c, c_dot)
    if extras.projection is not None:
        h_dot = tf.matmul(h_dot, extras.projection) + tf.matmul(gates.o * gates.tanh_c, extras_dot.projection)
        h_dot = _times_clip_slope(_projected(gates, extras), h_dot, extras.projection_clip)
    return LSTMState(c_dot, h_dot)
