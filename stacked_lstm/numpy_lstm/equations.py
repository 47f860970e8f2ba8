"""A time step of `numpy_lstm`, forward and backward: the equations of the LSTM.

Each line of `step` and `step_backward` is one of these equations.

Letters. T is the number of time steps, B the number of sequences, I the width of the input, H that of the layer.

    x_t [B, I], h_t [B, H], c_t [B, H]    input, hidden state and cell state of step t = 1 ... T
    [h, x] [B, H + I]                     concatenation of the columns
    W_k [H + I, H], b_k [H]               weights and bias; k = f, i, o for the forget, input and output gate,
                                          k = c for the candidate
    f, i, o, g [B, H]                     the three gates and the candidate
    s, phi                                recurrent activation and activation: the logistic sigmoid and tanh
    *                                     the elementwise product

Forward. One layer, step t (Hochreiter and Schmidhuber, Long short-term memory, 1997; the forget gate is from Gers,
Schmidhuber and Cummins, Learning to forget, 2000):

    (1)  z_k = [h_(t-1), x_t] W_k + b_k
    (2)  f = s(z_f)    i = s(z_i)    o = s(z_o)    g = phi(z_c)
    (3)  c_t = f * c_(t-1) + i * g
    (4)  h_t = o * phi(c_t)

The outputs of a layer are its h_t. They are the x_t of the layer above. After the end of a sequence its state stays as
it is, and its outputs are zero.

Backward. E is the loss, a number. dv is short for the gradient dE/dv, which has the shape of v. The backward pass takes
the equations from the last one to the first. When it comes to an equation, it has the gradient of the equation's
result. From this gradient, the chain rule computes the gradients of the operands.

    Sums. If a value is used twice, its gradients add up. h_t is the output of step t, and step t + 1 uses it in (1).
    Step t uses c_t in (4), and step t + 1 uses it in (3). So step t begins with
        dh_t = d_outputs_t + (dh_t that step t + 1 returned)
        dc_t = (dc_t that step t + 1 returned)
    d_outputs_t is the gradient of the layer's outputs; for a lower layer it is dx_t of the layer above. In the last
    step, the gradients of the final state replace those that step t + 1 returned.

    (4)  is a product:             do = dh_t * phi(c_t)        dc_t += dh_t * o * phi'(c_t)
    (3)  is a sum of products,     df = dc_t * c_(t-1)         di = dc_t * g            dg = dc_t * i
         with the new dc_t:        dc_(t-1) = dc_t * f
    (2)  is elementwise:           dz_f = df * s'(z_f), the same for i and o            dz_c = dg * phi'(z_c)
         The slopes follow from the values: s'(z_f) = f (1 - f); for tanh phi'(z_c) = 1 - g^2, because g is the tanh
         already, and in (4) phi'(c_t) = 1 - phi(c_t)^2.
    (1)  in indices is z_bj = sum_a [h, x]_ba W_aj + b_j, with sequence b and unit j. All sequences and all steps use
         the same W and b. So dW_aj = sum_b [h, x]_ba dz_bj, and d[h, x]_ba = sum_j dz_bj W_aj. In matrices, with a sum
         over the steps, and over the gates because all four read the same [h, x]:
                                   dW_k = sum_t [h_(t-1), x_t]^T dz_k        db_k = sum of dz_k over steps and sequences
                                   d[h_(t-1), x_t] = sum_k dz_k W_k^T
         The first H columns of d[h_(t-1), x_t] are dh_(t-1), the others are dx_t.

    After the end of a sequence, a step returns the gradients of the state unchanged, ignores d_outputs_t, and adds
    nothing to any other gradient. Step 1 returns the gradient of the initial state.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np

from stacked_lstm.numpy_lstm.activations import ACTIVATIONS
from stacked_lstm.state import LSTMState, LSTMSteps

GATES = "fioc"


class StepCache(NamedTuple):
    """What `step_backward` needs from `step`: values of the equations, and phi(c_t) as `phi_c`."""

    layer: Mapping[str, np.ndarray]
    hx: np.ndarray
    c: np.ndarray
    f: np.ndarray
    i: np.ndarray
    o: np.ndarray
    g: np.ndarray
    phi_c: np.ndarray
    activation: str
    recurrent_activation: str

    def values(self) -> LSTMSteps:
        """Returns the states after the step, and its gates."""
        return LSTMSteps(self.f * self.c + self.i * self.g, self.o * self.phi_c, self.f, self.i, self.o, self.g)


def step(
    layer: Mapping[str, np.ndarray],
    x: np.ndarray,
    state: Any,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> tuple[LSTMState, StepCache]:
    """Computes one step of one layer, equations (1) to (4).

    Arguments are not checked; `numpy_lstm.forward` checks them.

    Args:
      layer: mapping with float64 arrays Wf, Wi, Wo, Wc, [H + I, H] each, the rows of h before those of x; and bf, bi,
        bo, bc, [H] each, or no biases.
      x: float64 [B, I].
      state: pair (c, h) before the step, float64 [B, H] each.
      activation: phi, a key of `ACTIVATIONS`: "tanh" (the default), "sigmoid", "hard_sigmoid", "hard_sigmoid_6",
        "relu", "linear", "elu", "selu", "softplus", "softsign", "relu6" or "leaky_relu".
      recurrent_activation: s, a key of `ACTIVATIONS`, by default "sigmoid".

    Returns:
      (`LSTMState` after the step, c and h [B, H] each; cache for `step_backward`).

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> layer = {"W" + k: np.ones([3 + 2, 3]) for k in "fioc"}  # H = 3, I = 2, without biases
      >>> state, cache = numpy_lstm.step(layer, np.ones([4, 2]), (np.zeros([4, 3]), np.zeros([4, 3])))
      >>> print(state.c[0].round(2), state.h.shape)  # sigmoid(2) tanh(2)
      [0.85 0.85 0.85] (4, 3)
    """
    (phi, _), (s, _) = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    c, h = state
    hx = np.concatenate([h, x], axis=1)
    z = {k: hx @ layer["W" + k] + (layer["b" + k] if "bf" in layer else 0) for k in GATES}
    f, i, o, g = s(z["f"]), s(z["i"]), s(z["o"]), phi(z["c"])
    c_next = f * c + i * g
    phi_c = phi(c_next)
    return LSTMState(c_next, o * phi_c), StepCache(layer, hx, c, f, i, o, g, phi_c, activation, recurrent_activation)


def step_backward(d_state: Any, cache: StepCache) -> tuple[dict[str, np.ndarray], np.ndarray, LSTMState]:
    """Computes the gradient of `step`, from equation (4) back to (1).

    Arguments are not checked.

    Args:
      d_state: pair of gradients of (c, h) after the step, float64 [B, H] each.
      cache: the cache that `step` returned.

    Returns:
      (gradients of the layer, a dictionary with its names and shapes; gradient of x, [B, I]; `LSTMState` of gradients
      of the state before the step, [B, H] each).

    Example:
      >>> from stacked_lstm import numpy_lstm
      >>> layer, x = {"W" + k: np.full([3 + 2, 3], 0.1) for k in "fioc"}, np.ones([1, 2])
      >>> def loss(c):  # the sum of h after the step
      ...     return np.sum(numpy_lstm.step(layer, x, (np.full([1, 3], c), np.zeros([1, 3])))[0].h)
      >>> state, cache = numpy_lstm.step(layer, x, (np.full([1, 3], 0.5), np.zeros([1, 3])))
      >>> gradients, d_x, d_before = numpy_lstm.step_backward((np.zeros([1, 3]), np.ones([1, 3])), cache)
      >>> print(abs(np.sum(d_before.c) - (loss(0.5 + 1e-5) - loss(0.5 - 1e-5)) / 2e-5) < 1e-8)  # a central difference
      True
    """
    layer, hx, c, f, i, o, g, phi_c, activation, recurrent_activation = cache
    (_, phi_slope), (_, s_slope) = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    dc, dh = d_state
    do = dh * phi_c
    dc = dc + dh * o * phi_slope(phi_c)
    df, di, dg = dc * c, dc * g, dc * i
    dz = {"f": df * s_slope(f), "i": di * s_slope(i), "o": do * s_slope(o), "c": dg * phi_slope(g)}
    gradients = {"W" + k: hx.T @ dz[k] for k in GATES}
    if "bf" in layer:
        gradients.update({"b" + k: np.sum(dz[k], axis=0) for k in GATES})
    d_hx: Any = sum(dz[k] @ layer["W" + k].T for k in GATES)
    hidden_size = c.shape[1]
    return gradients, d_hx[:, hidden_size:], LSTMState(dc * f, d_hx[:, :hidden_size])
