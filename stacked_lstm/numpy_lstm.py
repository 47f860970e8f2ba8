"""The stacked LSTM in float64 NumPy, forward and backward: the yardstick that the engines are measured with.

It is written from the equations below, one gate and one step at a time, and shares no code with the engines. It is
also meant to be read: every line of `step` and `step_backward` is an equation here.

    outputs, state, cache = numpy_lstm.forward(layers, x, sequence_length=[7, 4])    # x: [T, B, I]
    gradients = numpy_lstm.backward(d_outputs, d_state, cache)
    gradients["layers"][0]["Wf"]                                                      # shaped as layers[0]["Wf"]

Forward. T time steps, B sequences, input width I, hidden width H; * is elementwise, [h, x] is concatenation, s the
recurrent activation (the logistic sigmoid) and phi the activation (tanh). One layer, step t (Hochreiter and
Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and Cummins, 2000):

    (1)  z_k = [h_(t-1), x_t] W_k + b_k        for the gates k = f, i, o and the candidate k = c
    (2)  f = s(z_f)    i = s(z_i)    o = s(z_o)    g = phi(z_c)
    (3)  c_t = f * c_(t-1) + i * g
    (4)  h_t = o * phi(c_t)

The next layer's x_t is h_t. A sequence that has ended keeps its state, and its output is zero.

Backward. E is what is to become smaller, a number; dv is short for its gradient, dE/dv, shaped as v. Each equation is
undone from its end: what it computed has a gradient already, and hands it on to what it computed that from.

    Where h_t and c_t go. h_t is the output of step t, and goes into (1) of step t + 1; c_t goes into (4), and into
    (3) of step t + 1. Gradients of one thing that is used twice add up, so before step t is undone, h_t has
        dh_t = d_outputs_t + (what step t + 1 handed back)
    where d_outputs_t is, for a lower layer, the gradient of the x_t of the layer above; and c_t has what step t + 1
    handed back. After the last step it is the gradient of the final state that is handed back.

    (4)  is a product:       do = dh_t * phi(c_t)           dc_t grows by  dh_t * o * phi'(c_t)
    (3)  are two products, undone with that grown dc_t:
                             df = dc_t * c_(t-1)            di = dc_t * g            dg = dc_t * i
                             dc_(t-1) = dc_t * f
    (2)  is elementwise:     dz_f = df * s'(z_f), likewise dz_i, dz_o             dz_c = dg * phi'(z_c)
         Slopes follow from the values: s'(z_f) = f (1 - f), phi'(z_c) = 1 - g^2 for tanh (g is the tanh already), and
         in (4) phi'(c_t) = 1 - phi(c_t)^2.
    (1)  is z_bj = sum_a [h, x]_ba W_aj + b_j, of sequence b and unit j, whose W and b all sequences and all steps use.
         So dW_aj = sum_b [h, x]_ba dz_bj and d[h, x]_ba = sum_j dz_bj W_aj, or for the matrices, with the sum over
         steps and, since all four gates read the same [h, x], over gates:
                             dW_k = sum_t [h_(t-1), x_t]^T dz_k          db_k = sum over t and sequences of dz_k
                             d[h_(t-1), x_t] = sum_k dz_k W_k^T
         Its first H columns are handed back to h_(t-1), the others are dx_t.

    Where a sequence has ended, step t hands the gradients of its state back as they came, and adds nothing to any
    other gradient; d_outputs_t counts for nothing there. What step 1 hands back is the gradient of the initial state.

The head, at every step: y = softmax(z), z = h Wy + by, that is, y_k = exp(z_k) / sum_j exp(z_j). The slope of y_k in
z_j is y_k ([k = j] - y_j), so dz_j = sum_k dy_k y_k ([k = j] - y_j), or dz = y * (dy - sum_k dy_k y_k); the rest is
undone as (1). For the cross-entropy E = -log y_l of a label l, dy_k = -[k = l] / y_k, which makes dz_k = y_k - [k = l]:
the division by y_l, which may be 0, is gone.

Projected initial states: with x_1 the first step of the input, p_1 = tanh(x_1 V_1) for the first layer and
p_l = tanh(p_(l-1) V_l) for layer l, where p stands for h and V for its W_h, or for c and W_c. dp_l is what `backward`
found for the initial state, plus what layer l + 1 hands down; with a = dp_l * (1 - p_l^2), dV_l = p_(l-1)^T a, and
a V_l^T is handed down to p_(l-1), or to x_1.
"""

import numpy as np

from stacked_lstm import numpy_checks as checks
from stacked_lstm.state import LSTMState

GATES = "fioc"


def sigmoid(z):
    """1 / (1 + exp(-z)), by exponentials of negative numbers only: those do not overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softmax(z):
    """exp(z_k) / sum_j exp(z_j) over the last axis; a common factor exp(-max z) keeps it from overflowing."""
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# name -> (function, its slope where it has the value y). Slopes at a kink are 0. The hard sigmoids are Keras 2's and
# Keras 3's.
ACTIVATIONS = {
    "tanh": (np.tanh, lambda y: 1 - y**2),
    "sigmoid": (sigmoid, lambda y: y * (1 - y)),
    "hard_sigmoid": (lambda z: np.clip(z / 5 + 1 / 2, 0, 1), lambda y: ((y > 0) & (y < 1)) / 5),
    "hard_sigmoid_6": (lambda z: np.clip(z / 6 + 1 / 2, 0, 1), lambda y: ((y > 0) & (y < 1)) / 6),
    "relu": (lambda z: np.maximum(z, 0), lambda y: (y > 0) * 1.0),
    "linear": (lambda z: z, lambda y: np.ones_like(y)),
}


def step(layer, x, state, activation="tanh", recurrent_activation="sigmoid"):
    """One step of one layer, equations (1) to (4). Arrays are float64, and not checked; `forward` does that.

    Args:
      layer: mapping with Wf Wi Wo Wc, [H + I, H] each, rows of h first; and bf bi bo bc, [H] each, or none of them.
      x: [B, I].
      state: (c, h) before the step, [B, H] each.
      activation, recurrent_activation: called phi and s above: "tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_6",
        "relu" or "linear", the keys of `ACTIVATIONS`.

    Returns:
      (`LSTMState` after the step, cache for `step_backward`).
    """
    (phi, _), (s, _) = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    c, h = state
    hx = np.concatenate([h, x], axis=1)
    z = {k: hx @ layer["W" + k] + (layer["b" + k] if "bf" in layer else 0) for k in GATES}
    f, i, o, g = s(z["f"]), s(z["i"]), s(z["o"]), phi(z["c"])
    c_next = f * c + i * g
    squashed = phi(c_next)
    cache = (layer, hx, c, f, i, o, g, squashed, activation, recurrent_activation)
    return LSTMState(c_next, o * squashed), cache


def step_backward(d_state, cache):
    """The gradient of `step`, from (4) back to (1). Arrays are float64, and not checked.

    Args:
      d_state: gradients of (c, h) after the step, [B, H] each.
      cache: what `step` returned.

    Returns:
      (gradients of the layer, a dictionary named and shaped as it; gradient of x; `LSTMState` of gradients of the
      state before the step).
    """
    layer, hx, c, f, i, o, g, squashed, activation, recurrent_activation = cache
    (_, phi_slope), (_, s_slope) = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    dc, dh = d_state
    do = dh * squashed
    dc = dc + dh * o * phi_slope(squashed)
    df, di, dg = dc * c, dc * g, dc * i
    dz = {"f": df * s_slope(f), "i": di * s_slope(i), "o": do * s_slope(o), "c": dg * phi_slope(g)}
    gradients = {"W" + k: hx.T @ dz[k] for k in GATES}
    if "bf" in layer:
        gradients.update({"b" + k: np.sum(dz[k], axis=0) for k in GATES})
    d_hx = sum(dz[k] @ layer["W" + k].T for k in GATES)
    hidden_size = c.shape[1]
    return gradients, d_hx[:, hidden_size:], LSTMState(dc * f, d_hx[:, :hidden_size])


def forward(layers, x, initial_state=None, sequence_length=None, activation="tanh", recurrent_activation="sigmoid"):
    """The whole stack over time.

    Args:
      layers: sequence of mappings, from the input upwards, as `step` takes them.
      x: [T, B, I].
      initial_state: sequence of (c, h) per layer, [B, H_l] each; None for zeros.
      sequence_length: [B] integers from 0 to T; None where all sequences have T steps. What x holds past an end
        changes nothing.
      activation, recurrent_activation: as in `step`.

    Returns:
      (outputs, state, cache): the last layer's h, [T, B, H_L], zero past each end; a list of `LSTMState` per layer at
      each sequence's last step; what `backward` needs. All in float64.

    Raises:
      ValueError: an unknown activation, or shapes or lengths that do not fit; the message says which.
    """
    for argument, name in (("activation", activation), ("recurrent_activation", recurrent_activation)):
        checks.known(ACTIVATIONS, name, "forward", argument)
    x = checks.sequences(x, "forward")
    layers = checks.layers(layers, x.shape[2], "forward")
    states = checks.states(initial_state, layers, x.shape[1], "forward", "initial_state")
    alive = checks.alive(sequence_length, *x.shape[:2], function="forward")
    outputs, state, caches = np.where(alive, x, 0), [], []
    for layer, start in zip(layers, states):
        outputs, final, steps = _layer_forward(layer, outputs, start, alive, activation, recurrent_activation)
        state.append(final)
        caches.append(steps)
    return outputs, state, (layers, alive, caches)


def backward(d_outputs, d_state, cache):
    """The gradient of `forward`, by backpropagation through all its steps.

    Args:
      d_outputs: gradient of the outputs, [T, B, H_L]; None for zeros. What it holds past an end counts for nothing.
      d_state: gradients of the final state, (c, h) per layer, [B, H_l] each; None for zeros.
      cache: what `forward` returned.

    Returns:
      A dictionary named and shaped as `forward`'s arguments: "layers", a list of dictionaries; "x", [T, B, I];
      "initial_state", a list of `LSTMState`.

    Raises:
      ValueError: shapes that do not fit; the message says which.
    """
    layers, alive, caches = cache
    shape = alive.shape[:2] + (layers[-1]["Wf"].shape[1],)
    d_outputs = np.zeros(shape) if d_outputs is None else checks.shaped(d_outputs, shape, "backward", "d_outputs")
    d_states = checks.states(d_state, layers, shape[1], "backward", "d_state")
    d_layers, d_start = [None] * len(layers), [None] * len(layers)
    for k in reversed(range(len(layers))):
        d_layers[k], d_outputs, d_start[k] = _layer_backward(layers[k], d_outputs, d_states[k], alive, caches[k])
    return {"layers": d_layers, "x": d_outputs, "initial_state": d_start}


def _layer_forward(layer, x, state, alive, activation, recurrent_activation):
    """One layer over time: (outputs [T, B, H], final `LSTMState`, list of the steps' caches)."""
    outputs, caches = np.zeros(x.shape[:2] + layer["Wf"].shape[1:]), []
    for t, alive_t in enumerate(alive):
        # Sequences that have ended step on from zeros, so that nothing of theirs can overflow.
        going_on = [np.where(alive_t, part, 0) for part in state]
        stepped, cache = step(layer, x[t], going_on, activation, recurrent_activation)
        state = LSTMState(*[np.where(alive_t, new, old) for new, old in zip(stepped, state)])
        outputs[t] = np.where(alive_t, stepped.h, 0)
        caches.append(cache)
    return outputs, state, caches


def _layer_backward(layer, d_outputs, d_state, alive, caches):
    """One layer back through time: (gradients of the layer, of x, of the state before the first step)."""
    rows, hidden_size = layer["Wf"].shape
    d_x = np.zeros(d_outputs.shape[:2] + (rows - hidden_size,))
    gradients = {name: np.zeros_like(value) for name, value in layer.items()}
    for t, alive_t in reversed(list(enumerate(alive))):
        d_stepped = [np.where(alive_t, d, 0) for d in (d_state.c, d_state.h + d_outputs[t])]
        of_step, d_x[t], d_before = step_backward(d_stepped, caches[t])
        for name, gradient in of_step.items():
            gradients[name] += gradient
        d_state = LSTMState(*[np.where(alive_t, before, d) for before, d in zip(d_before, d_state)])
    return gradients, d_x, d_state


def head_forward(head, h):
    """A dense layer with softmax, y = softmax(h Wy + by), on every step.

    Args:
      head: mapping with Wy [H, Y] and by [Y].
      h: [..., H], such as `forward`'s outputs; past the end of a sequence the prediction is that of zeros.

    Returns:
      (probabilities [..., Y], cache for `head_backward` and `cross_entropy`).

    Raises:
      ValueError: a part is missing, or shapes do not fit.
    """
    h = np.asarray(h, np.float64)
    head = checks.head(head, h.shape, "head_forward")
    z = h @ head["Wy"] + head["by"]
    y = softmax(z)
    return y, (head, h, z, y)


def head_backward(d_y, cache):
    """The gradient of `head_forward`.

    Args:
      d_y: gradient of the probabilities, [..., Y]; past the end of a sequence it counts, unless it is zero there.

    Returns:
      (gradients of the head, a dictionary with Wy and by; gradient of h, [..., H]).

    Raises:
      ValueError: another shape.
    """
    head, h, _, y = cache
    d_y = checks.shaped(d_y, y.shape, "head_backward", "d_y")
    return _dense_backward(head, h, y * (d_y - np.sum(d_y * y, axis=-1, keepdims=True)))


def cross_entropy(labels, cache, counted=None):
    """The mean of -log y_label over the head's predictions, and its gradient, finite where y_label underflows to 0.

    Args:
      labels: integers [...], from 0 to Y - 1.
      cache: what `head_forward` returned.
      counted: booleans [...], which predictions count, e.g. those before the end of their sequence; None for all.

    Returns:
      (mean; gradients of the head, a dictionary with Wy and by; gradient of h, [..., H]).

    Raises:
      ValueError: other shapes, labels out of range, or no prediction that counts.
    """
    head, h, z, y = cache
    labels, counted = checks.labels(labels, counted, y.shape, "cross_entropy")
    one_hot = np.eye(y.shape[-1])[labels]
    highest = np.max(z, axis=-1, keepdims=True)
    log_y = z - highest - np.log(np.sum(np.exp(z - highest), axis=-1, keepdims=True))
    share = counted[..., None] / np.sum(counted)
    return (-np.sum(share * one_hot * log_y),) + _dense_backward(head, h, share * (y - one_hot))


def _dense_backward(head, h, dz):
    """(gradients of the head, gradient of h) from that of z = h Wy + by."""
    rows, d_rows = h.reshape(-1, h.shape[-1]), dz.reshape(-1, dz.shape[-1])
    return {"Wy": rows.T @ d_rows, "by": np.sum(d_rows, axis=0)}, dz @ head["Wy"].T


def projected_forward(projections, x):
    """Initial states projected from an input: h_1 = tanh(x W_h), next layer's h = tanh(h_1 W_h), likewise c with W_c.

    Args:
      projections: sequence of mappings per layer with W_c and W_h, [I, H_1] each, then [H_(l-1), H_l].
      x: [B, I], the first time step; zeros for sequences of length 0.

    Returns:
      (list of `LSTMState` per layer, [B, H_l] each; cache for `projected_backward`).

    Raises:
      ValueError: a part is missing, or shapes do not fit.
    """
    x = np.asarray(x, np.float64)
    below, states, cache = LSTMState(x, x), [], []
    for layer in checks.projections(projections, x.shape, "projected_forward"):
        state = LSTMState(np.tanh(below.c @ layer["W_c"]), np.tanh(below.h @ layer["W_h"]))
        states.append(state)
        cache.append((layer, below, state))
        below = state
    return states, cache


def projected_backward(d_states, cache):
    """The gradient of `projected_forward`.

    Args:
      d_states: gradients of the states, (c, h) per layer: "initial_state" of what `backward` returned.

    Returns:
      (gradients of the projections, a list of dictionaries; gradient of x, [B, I], which adds to that of `backward`).

    Raises:
      ValueError: other shapes.
    """
    d_states = checks.pairs(d_states, [state.c.shape for _, _, state in cache], "projected_backward", "d_states")
    gradients, d_c, d_h = [], 0, 0  # What the layer above handed down.
    for (layer, below, state), d_state in reversed(list(zip(cache, d_states))):
        a_c, a_h = (d_state.c + d_c) * (1 - state.c**2), (d_state.h + d_h) * (1 - state.h**2)
        gradients.insert(0, {"W_c": below.c.T @ a_c, "W_h": below.h.T @ a_h})
        d_c, d_h = a_c @ layer["W_c"].T, a_h @ layer["W_h"].T
    return gradients, d_c + d_h
