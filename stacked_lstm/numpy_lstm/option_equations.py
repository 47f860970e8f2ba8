"""The step of `numpy_lstm` with everything that a layer may have besides the plain equations, forward and backward.

Masks and noise are arguments, so a step is a function that central differences can check. A layer has peepholes, a
projection or layer normalization if its mapping has their arrays. `layer_options` has the other options.

Letters are those of `equations`. P is the width of h. It is H, or the width of the projection. m, n, d are masks, and
q, r are the share of the old state that zoneout keeps. Terms in brackets are there only if the layer has them.

Forward, step t:

    (1)  y_k = [m * h_(t-1), x_t] W_k                           m: recurrent dropout on h (Gal and Ghahramani, 2016)
         y_k = N(y_k) * gain_k                                  layer normalization (Ba, Kiros and Hinton, 2016)
         z_k = y_k + b_k [+ p_k * c_(t-1) for k = f, i] [+ p_o * u for k = o]     peepholes (Gers and others, 2002)
    (2)  f = s(z_f)    i = s(z_i)    o = s(z_o)    g = n * phi(z_c)    n: dropout on the candidate (Semeniuta, 2016)
    (3)  u = clip(f * c_(t-1) + i * g)                          cell_clip
    (4)  v = clip((o * phi(u)) Wp)                              the projection (Sak and others, 2014), projection_clip
    (5)  c_t = q * c_(t-1) + (1 - q) * u                        zoneout (Krueger and others, 2017)
         h_t = r * h_(t-1) + (1 - r) * v

N(y) = (y - mean) / sqrt(variance + epsilon), with mean and variance of each row. b_k shifts what is normalized. The
cell state is normalized in one of two places. `layer_norm=True` is Ba's: (4) has phi(N(u) * gain_cell + shift_cell),
and the memory itself is not normalized. `layer_norm="tensorflow"` is TensorFlow 1's LayerNormBasicLSTMCell: (3) has
u = clip(N(f * c_(t-1) + i * g) * gain_cell + shift_cell), which the next step reads.

A mask of dropout has 0 for what is dropped, and 1 / (1 - rate) for what is kept. While a layer trains, q and r are 0 or
1. At other times they are the rate of zoneout, its expectation. In (5), v is from u, not from c_t, as in the paper.

A reset before step t replaces c_(t-1) and h_(t-1) by another state. dc_(t-1) and dh_(t-1) are then gradients of this
other state. The state after step t-1 gets no gradient from step t.

Around the steps of a layer, its input is multiplied by a mask d, and a residual connection adds the input, as it is
before the mask, to the output: output_t = h_t [+ x_t]. The state is h_t.

Backward. dv is the gradient of v. The backward pass takes the equations from the last one to the first:

    (5)  dv = (1 - r) * dh_t     dh_(t-1) = r * dh_t     du = (1 - q) * dc_t     dc_(t-1) = q * dc_t
    (4)  clip has the slope 1 within its bounds and at them, and 0 outside. The product of matrices has the gradients
         dWp = (o * phi(u))^T dv and d(o * phi(u)) = dv Wp^T. The rest is (4) of `equations`.
         The peephole adds dz_o * p_o to du, and dp_o = the sum of dz_o * u over sequences and steps.
    (3)  is (3) of `equations`, after the slope of the clip.
    (2)  dphi = n * dg. The rest is (2) of `equations`.
    (1)  The peepholes add dz_f * p_f + dz_i * p_i to dc_(t-1). Their gradients are sums of dz_k * c_(t-1). db_k is a
         sum of dz_k. The product has the gradients of `equations`, with m * h_(t-1) for h_(t-1); dh_(t-1) += m * its
         gradient.
    N    With e = N(y), a = de and j = 1 / sqrt(variance + epsilon): y reaches e by itself, by the mean, and by the
         variance. The first gives j a, the second -j mean(a). The third gives -j e mean(a e), because
         de/dj = e / j, dj/dvariance = -j^3 / 2 and dvariance/dy = 2 e / (j H). So dy = j (a - mean(a) - e mean(a e)).
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np

from stacked_lstm.numpy_lstm.activations import ACTIVATIONS
from stacked_lstm.numpy_lstm.equations import GATES
from stacked_lstm.numpy_lstm.layer_options import LayerOptions
from stacked_lstm.state import LSTMState, LSTMSteps

_EPSILON = {True: 1e-5, "tensorflow": 1e-12}


class Norm(NamedTuple):
    """What `_norm_backward` needs of N(y): its value, and 1 / sqrt(variance + epsilon) of each row."""

    unit: np.ndarray
    inverse: np.ndarray


class OptionsCache(NamedTuple):
    """What `step_backward` needs from `step`: values of the equations. `norms` has N of gates and of the cell state."""

    layer: Mapping[str, np.ndarray]
    options: LayerOptions
    hx: np.ndarray
    c: np.ndarray
    gates: dict[str, np.ndarray]
    norms: dict[str, Norm]
    sum: np.ndarray
    u: np.ndarray
    phi_u: np.ndarray
    projected: np.ndarray
    activation: str
    recurrent_activation: str
    after: LSTMState

    def values(self) -> LSTMSteps:
        """Returns the states after the step, and its gates."""
        f, i, o = (self.gates[k] for k in "fio")
        return LSTMSteps(*self.after, f, i, o, self.options.candidate_mask * self.gates["c"])


def _norm(y: np.ndarray, options: LayerOptions) -> Norm:
    epsilon = _EPSILON[options.layer_norm] if options.epsilon is None else options.epsilon
    inverse = 1 / np.sqrt(np.var(y, axis=1, keepdims=True) + epsilon)
    return Norm((y - np.mean(y, axis=1, keepdims=True)) * inverse, inverse)


def _norm_backward(d_unit: np.ndarray, norm: Norm) -> np.ndarray:
    means = [np.mean(value, axis=1, keepdims=True) for value in (d_unit, d_unit * norm.unit)]
    return norm.inverse * (d_unit - means[0] - norm.unit * means[1])


def _clip(value: np.ndarray, bound: float | None) -> np.ndarray:
    return value if bound is None else np.clip(value, -bound, bound)


def _clip_backward(d: np.ndarray, value: np.ndarray, bound: float | None) -> np.ndarray:
    return d if bound is None else np.where(np.abs(value) > bound, 0, d)


def step(
    layer: Mapping[str, np.ndarray],
    x: np.ndarray,
    state: Any,
    activation: str,
    recurrent_activation: str,
    options: LayerOptions,
) -> tuple[LSTMState, OptionsCache]:
    """Computes one step of one layer, equations (1) to (5). Arguments are not checked.

    Args:
      layer: mapping with the arrays of `equations.step`, and any of pf, pi, po, [H] each; Wp [H, P]; gain_f, gain_i,
        gain_o, gain_c and gain_cell, and shift_cell, [H] each. With Wp, W_k are [P + I, H].
      x: float64 [B, I].
      state: pair (c [B, H], h [B, P]) before the step.
      activation, recurrent_activation: as in `equations.step`.
      options: the `LayerOptions` of this step.

    Returns:
      (`LSTMState` after the step; cache for `step_backward`).
    """
    (phi, _), (s, _) = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    c, h = state
    hx = np.concatenate([options.recurrent_mask * h, x], axis=1)
    z, norms = {}, {}
    for k in GATES:
        z[k] = hx @ layer["W" + k]
        if "gain_" + k in layer:
            norms[k] = _norm(z[k], options)
            z[k] = norms[k].unit * layer["gain_" + k]
        z[k] = z[k] + layer.get("b" + k, 0.0)
    gates = {k: s(z[k] + layer.get("p" + k, 0.0) * c) for k in "fi"}
    gates["c"] = phi(z["c"])

    def normalized_cell(value: np.ndarray) -> np.ndarray:
        norms["cell"] = _norm(value, options)
        return norms["cell"].unit * layer["gain_cell"] + layer.get("shift_cell", 0.0)

    total = gates["f"] * c + gates["i"] * options.candidate_mask * gates["c"]
    if "gain_cell" in layer and options.layer_norm == "tensorflow":
        total = normalized_cell(total)
    u = _clip(total, options.cell_clip)
    gates["o"] = s(z["o"] + layer.get("po", 0.0) * u)
    phi_u = phi(normalized_cell(u) if "gain_cell" in layer and options.layer_norm is True else u)
    v = projected = gates["o"] * phi_u
    if "Wp" in layer:
        projected = v @ layer["Wp"]
        v = _clip(projected, options.projection_clip)
    q, r = options.zoneout_c, options.zoneout_h
    after = LSTMState(q * c + (1 - q) * u, r * h + (1 - r) * v)
    functions = activation, recurrent_activation
    return after, OptionsCache(layer, options, hx, c, gates, norms, total, u, phi_u, projected, *functions, after)


def step_backward(d_state: Any, cache: OptionsCache) -> tuple[dict[str, np.ndarray], np.ndarray, LSTMState]:
    """Computes the gradient of `step`, from equation (5) back to (1). Arguments are not checked.

    Args:
      d_state: pair of gradients of (c, h) after the step.
      cache: the cache that `step` returned.

    Returns:
      (gradients of the layer, a dictionary with its names and shapes; gradient of x; `LSTMState` of gradients of the
      state before the step).
    """
    layer, options, norms, f, i = cache.layer, cache.options, cache.norms, cache.gates["f"], cache.gates["i"]
    (_, phi_slope), (_, s_slope) = ACTIVATIONS[cache.activation], ACTIVATIONS[cache.recurrent_activation]
    gradients: dict[str, np.ndarray] = {}

    def d_normalized(d: np.ndarray, name: str) -> np.ndarray:
        gradients["gain_" + name] = np.sum(d * norms[name].unit, axis=0)
        return _norm_backward(d * layer["gain_" + name], norms[name])

    def d_normalized_cell(d: np.ndarray) -> np.ndarray:
        if "shift_cell" in layer:
            gradients["shift_cell"] = np.sum(d, axis=0)
        return d_normalized(d, "cell")

    # (5)
    (dc, dh), q, r = d_state, options.zoneout_c, options.zoneout_h
    du, dv, dc_before, dh_before = (1 - q) * dc, (1 - r) * dh, q * dc, r * dh
    # (4)
    if "Wp" in layer:
        dv = _clip_backward(dv, cache.projected, options.projection_clip)
        gradients["Wp"] = (cache.gates["o"] * cache.phi_u).T @ dv
        dv = dv @ layer["Wp"].T
    dz = {"o": dv * cache.phi_u * s_slope(cache.gates["o"])}
    d_phi = dv * cache.gates["o"] * phi_slope(cache.phi_u)
    is_normed = "gain_cell" in layer
    du = du + (d_normalized_cell(d_phi) if is_normed and options.layer_norm is True else d_phi)
    du = du + dz["o"] * layer.get("po", 0.0)
    # (3)
    du = _clip_backward(du, cache.sum, options.cell_clip)
    if is_normed and options.layer_norm == "tensorflow":
        du = d_normalized_cell(du)
    dc_before = dc_before + du * f
    # (2)
    mask = options.candidate_mask
    dz["f"], dz["i"] = du * cache.c * s_slope(f), du * mask * cache.gates["c"] * s_slope(i)
    dz["c"] = du * i * mask * phi_slope(cache.gates["c"])
    # (1)
    for k, cell in [("f", cache.c), ("i", cache.c), ("o", cache.u)]:
        if "p" + k in layer:
            gradients["p" + k] = np.sum(dz[k] * cell, axis=0)
    dc_before = dc_before + dz["f"] * layer.get("pf", 0.0) + dz["i"] * layer.get("pi", 0.0)
    d_hx: Any = 0.0
    for k in GATES:
        if "b" + k in layer:
            gradients["b" + k] = np.sum(dz[k], axis=0)
        dy = d_normalized(dz[k], k) if "gain_" + k in layer else dz[k]
        gradients["W" + k] = cache.hx.T @ dy
        d_hx = d_hx + dy @ layer["W" + k].T
    width = dh_before.shape[1]
    return gradients, d_hx[:, width:], LSTMState(dc_before, dh_before + options.recurrent_mask * d_hx[:, :width])
