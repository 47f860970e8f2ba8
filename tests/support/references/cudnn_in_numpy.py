"""cuDNN's LSTM in NumPy, written from NVIDIA's documentation. It can replace TensorFlow's cuDNN ops.

Its equations do not depend on the package. It reads the buffer as cudnnGetRNNWeightParams describes it: linLayerID 0 to
3 are the matrices for inputs and 4 to 7 those for h, in the order input gate, forget gate, new memory, output gate; 8
is the projection, if there is one. The equations are those of CUDNN_LSTM with a double bias and the projSize of
cudnnSetRNNDescriptor_v8, and the gradients are derived from them, step by step. Inputs that cuDNN refuses raise
AssertionError. With two directions, pseudo-layer 2 l is the forward direction of layer l, and 2 l + 1 its backward
direction. Both read the outputs of both directions of the layer below, side by side, the forward direction first
(cudnnGetRNNWeightParams, pseudoLayer; cudnnDirectionMode_t). Results that cuDNN leaves undefined are NaN. The gradients
of a second backward pass on one reserve space are NaN, too, because the first pass overwrites the space
(cudnnRNNBackwardData_v8).
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from stacked_lstm.compat import tf

ID_INPUT, ID_FORGET, ID_MEMORY, ID_OUTPUT = range(4)


class Layer(NamedTuple):
    """One pseudo-layer. W has four matrices [H, I], R four [H, P], b_w and b_r four vectors [H] each, by linLayerID; V
    is the projection [P, H], or None."""

    W: Any
    R: Any
    b_w: Any
    b_r: Any
    V: Any


class Step(NamedTuple):
    """What one step takes and computes, [B, I] or [B, H] each; m is the new memory."""

    x: Any
    h: Any
    c: Any
    i: Any
    f: Any
    m: Any
    o: Any
    c_new: Any


def read(params, input_size, hidden_size, layer_count, output_size=None, directions=1):
    """Returns a `Layer` per pseudo-layer. The arrays are views: a change of an array changes the buffer."""
    projects = output_size not in (None, hidden_size)
    P = output_size if projects else hidden_size
    assert P <= hidden_size, f"cuDNN: a projection from {hidden_size} to {P}"
    widths, taken = [input_size] * directions + [directions * P] * (layer_count - directions), [0]
    size = sum(4 * hidden_size * (width + P) for width in widths) + 8 * hidden_size * layer_count
    size += projects * P * hidden_size * layer_count
    assert params.shape == (size,), f"cuDNN: a buffer of {params.shape}, not {size}"

    def take(*shape):
        size = int(np.prod(shape))
        taken[0] += size
        return params[taken[0] - size : taken[0]].reshape(shape)

    matrices = [
        [[take(hidden_size, n) for _ in range(4)] for n in (width, P)] + [take(P, hidden_size) if projects else None]
        for width in widths
    ]
    biases = [[[take(hidden_size) for _ in range(4)] for _ in range(2)] for _ in widths]
    return [Layer(W, R, *layer_biases, V) for (W, R, V), layer_biases in zip(matrices, biases)]


def sigma(z):
    return 1 / (1 + np.exp(-z))


def step(layer, x, h, c):
    z = [x @ layer.W[k].T + h @ layer.R[k].T + layer.b_w[k] + layer.b_r[k] for k in range(4)]
    i, f, m, o = sigma(z[ID_INPUT]), sigma(z[ID_FORGET]), np.tanh(z[ID_MEMORY]), sigma(z[ID_OUTPUT])
    c_new = f * c + i * m
    h_new = o * np.tanh(c_new)
    return Step(x, h, c, i, f, m, o, c_new), h_new if layer.V is None else h_new @ layer.V.T, c_new


def step_backward(layer, gradient, taken, d_h, d_c):
    """Adds to `gradient`, a `Layer`; returns the gradients of x, h and c of the step."""
    tanh_c = np.tanh(taken.c_new)
    if layer.V is not None:
        gradient.V[...] += d_h.T @ (taken.o * tanh_c)
        d_h = d_h @ layer.V
    d_c = d_c + d_h * taken.o * (1 - tanh_c**2)
    d_z = [None] * 4
    d_z[ID_INPUT] = d_c * taken.m * taken.i * (1 - taken.i)
    d_z[ID_FORGET] = d_c * taken.c * taken.f * (1 - taken.f)
    d_z[ID_MEMORY] = d_c * taken.i * (1 - taken.m**2)
    d_z[ID_OUTPUT] = d_h * tanh_c * taken.o * (1 - taken.o)
    for k in range(4):
        gradient.W[k][...] += d_z[k].T @ taken.x
        gradient.R[k][...] += d_z[k].T @ taken.h
        gradient.b_w[k][...] += d_z[k].sum(axis=0)
        gradient.b_r[k][...] += d_z[k].sum(axis=0)
    d_x = sum(d_z[k] @ layer.W[k] for k in range(4))
    d_h = sum(d_z[k] @ layer.R[k] for k in range(4))
    return d_x, d_h, d_c * taken.f


def times(k, steps, directions):
    """Returns the steps in the order in which pseudo-layer k reads them. The backward direction starts at the last."""
    return list(range(steps))[:: -1 if k % directions else 1]


def forward(x, h0, c0, params, lengths, directions=1):
    """Returns (y [T, B, H], which is zero past each end; h and c [L, B, H] at each end; steps by layer and time).

    L counts pseudo-layers. With two directions, y is [T, B, 2 H].
    """
    layers = _check_layers(x, h0, c0, params, lengths, directions)
    h_last, c_last, steps, sides = np.array(h0), np.array(c0), [], []
    for k, layer in enumerate(layers):
        h, c, y, taken = h0[k], c0[k], [None] * len(x), [None] * len(x)
        for t in times(k, len(x), directions):
            taken[t], h_new, c_new = step(layer, x[t], h, c)
            is_running = (t < lengths)[:, None]
            h, c = np.where(is_running, h_new, h), np.where(is_running, c_new, c)
            y[t] = np.where(is_running, h_new, 0)
        h_last[k], c_last[k] = h, c
        steps.append(taken)
        sides.append(np.stack(y))
        if len(sides) == directions:
            x, sides = np.concatenate(sides, axis=2), []
    return x, h_last, c_last, steps


def backward(x, h0, c0, params, lengths, d_y, d_h_last, d_c_last, directions=1):
    """Returns the gradients of x, h0, c0 and the buffer; past each end that of x is undefined, here NaN."""
    layers = _check_layers(x, h0, c0, params, lengths, directions)
    _, _, _, steps = forward(x, h0, c0, params, lengths, directions)
    d_params, P = np.zeros_like(params), h0.shape[2]
    gradients = read(d_params, x.shape[2], c0.shape[2], len(h0), P, directions)
    d_h0, d_c0, d_x = np.array(d_h_last), np.array(d_c_last), 0
    for k in reversed(range(len(layers))):
        side = k % directions
        d_h, d_c, d_inputs = d_h_last[k], d_c_last[k], [None] * len(x)
        for t in times(k, len(x), directions)[::-1]:
            is_running, d_outputs = (t < lengths)[:, None], d_y[t][:, side * P : (side + 1) * P]
            d_state = np.where(is_running, d_h + d_outputs, 0), np.where(is_running, d_c, 0)
            dx_step, dh_step, dc_step = step_backward(layers[k], gradients[k], steps[k][t], *d_state)
            d_h, d_c = np.where(is_running, dh_step, d_h), np.where(is_running, dc_step, d_c)
            d_inputs[t] = np.where(is_running, dx_step, 0 if k >= directions else np.nan)
        d_h0[k], d_c0[k], d_x = d_h, d_c, d_x + np.stack(d_inputs)
        if side == 0:
            d_y, d_x = d_x, 0
    return d_y, d_h0, d_c0, d_params


def _check_layers(x, h0, c0, params, lengths, directions):
    """Returns the layers; raises AssertionError if cuDNN would fail."""
    steps, batch, input_size = x.shape
    layer_count, states, output_size = h0.shape
    assert steps > 0 and batch > 0 and states == batch, f"cuDNN: sizes {x.shape}, {h0.shape}"
    assert lengths.shape == (batch,) and lengths.min() > 0 and lengths.max() <= steps, f"cuDNN: lengths {lengths}"
    assert c0.shape[:2] == h0.shape[:2], f"cuDNN: states {h0.shape}, {c0.shape}"
    assert layer_count % directions == 0, f"cuDNN: {directions} directions with states {h0.shape}"
    return read(params, input_size, c0.shape[2], layer_count, output_size, directions)


def _to_float64(arrays):
    return [np.asarray(array, np.float64) for array in arrays]


_tickets = itertools.count()
_reserved = set()  # The tickets of reserve spaces that no backward pass has used.
_DIRECTIONS = {"unidirectional": 1, "bidirectional": 2}


def _run_forward(directions, x, h0, c0, params, lengths):
    """The op CudnnRNNV3; the reserve space is a ticket in the last output, for the backward op alone."""
    results = forward(*_to_float64([x, h0, c0, params]), lengths, directions)[:3]
    ticket = next(_tickets)
    _reserved.add(ticket)
    return [result.astype(x.dtype) for result in results] + [np.zeros([0], x.dtype), np.array([ticket])]


def _run_backward(directions, x, h0, c0, params, lengths, y, h, c, d_y, d_h, d_c, reserve_space, host_reserved):
    """The op CudnnRNNBackpropV3."""
    (ticket,) = host_reserved
    undefined = np.nan if ticket not in _reserved else 0.0
    _reserved.discard(ticket)
    gradients = backward(*_to_float64([x, h0, c0, params]), lengths, *_to_float64([d_y, d_h, d_c]), directions)
    return [(gradient + undefined).astype(x.dtype) for gradient in gradients]


def _forward_op(input, input_h, input_c, params, sequence_lengths, is_training, direction, **attributes):
    inputs, directions = [input, input_h, input_c, params, sequence_lengths], _DIRECTIONS[direction]
    width = input_h.shape.as_list()[2]
    outputs_shape = input.shape[:2].concatenate([width and directions * width])
    shapes = [outputs_shape, input_h.shape, input_c.shape, None, None]
    function = functools.partial(_run_forward, directions)
    return _op("CudnnRNNV3", function, inputs, [input.dtype] * 4 + [tf.int64], shapes)


def _backward_op(input, input_h, input_c, params, sequence_lengths, direction, **others):
    names = "output output_h output_c output_backprop output_h_backprop output_c_backprop reserve_space host_reserved"
    primals = [input, input_h, input_c, params]
    inputs = primals + [sequence_lengths] + [others[name] for name in names.split()]
    shapes = [primal.shape for primal in primals]
    function = functools.partial(_run_backward, _DIRECTIONS[direction])
    return _op("CudnnRNNBackpropV3", function, inputs, [input.dtype] * 4, shapes)


def _check_kind(function):
    """Returns `function` with checks: the states have one width, and all its batches are like the first one, with or
    without shorter sequences.

    TensorFlow's op keeps from its first batch whether cuDNN is told the lengths (`ShouldUsePaddedIO` in its
    cudnn_rnn_ops.cc, whose result is in the descriptor that the op keeps). In version 1.15 this holds for any number of
    steps: https://github.com/tensorflow/tensorflow/issues/41630.
    """
    kept = []

    def checked_function(x, h0, c0, params, lengths, *others):
        assert h0.shape == c0.shape, f"cuDNN: states {h0.shape}, {c0.shape}"
        is_whole = bool(np.all(lengths == len(x)))
        kept.append(is_whole)
        assert kept[0] == is_whole, (
            f"cuDNN: a batch of {'whole' if is_whole else 'ragged'} sequences after another kind"
        )
        return function(x, h0, c0, params, lengths, *others)

    return checked_function


def _op(name, function, inputs, dtypes, shapes):
    """A tf.py_func that replaces the op, with the same inputs, outputs and gradient."""
    graph = tf.get_default_graph()
    with graph.gradient_override_map({"PyFunc": graph._gradient_override_map[name]}):
        outputs = tf.py_func(_check_kind(function), inputs, dtypes, name=name)
    for output, shape in zip(outputs, shapes):
        output.set_shape(shape)
    return outputs


def install(monkeypatch):
    """Replaces the cuDNN ops, which have no kernels for CPUs, by NumPy in new graphs."""
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", _forward_op)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNBackpropV3", _backward_op)
