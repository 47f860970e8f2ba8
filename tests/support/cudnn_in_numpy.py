"""cuDNN's LSTM in NumPy, from NVIDIA's documentation, and in the place of TensorFlow's cuDNN ops.

It knows nothing of the package: the buffer is read as cudnnGetRNNWeightParams has it, linLayerID 0 to 3 for the
matrices of the inputs and 4 to 7 for those of h, in the order input gate, forget gate, new memory, output gate; the
equations are those of CUDNN_LSTM with a double bias; the gradients are written down from them, step by step. What cuDNN
refuses is an AssertionError here, what it leaves undefined is NaN. So are the gradients of a backward pass that comes
after another one on the same reserve space, which the first one has overwritten (cudnnRNNBackwardData_v8).
"""

import collections
import itertools

import numpy as np

from stacked_lstm.compat import tf

ID_INPUT, ID_FORGET, ID_MEMORY, ID_OUTPUT = range(4)

Layer = collections.namedtuple("Layer", ["W", "R", "b_W", "b_R"])
Layer.__doc__ = """One pseudo-layer: W four of [H, I], R four of [H, H], b_W and b_R four of [H] each, by linLayerID."""

Step = collections.namedtuple("Step", ["x", "h", "c", "i", "f", "m", "o", "c_new"])


def read(params, input_size, hidden_size, number):
    """A `Layer` per layer; they are views of the buffer, so that what is written to them is in it."""
    widths, taken = [input_size] + [hidden_size] * (number - 1), [0]
    size = sum(4 * hidden_size * (width + hidden_size) for width in widths) + 8 * hidden_size * number
    assert params.shape == (size,), f"cuDNN: a buffer of {params.shape}, not {size}"

    def take(*shape):
        size = int(np.prod(shape))
        taken[0] += size
        return params[taken[0] - size : taken[0]].reshape(shape)

    matrices = [[[take(hidden_size, n) for _ in range(4)] for n in (width, hidden_size)] for width in widths]
    biases = [[[take(hidden_size) for _ in range(4)] for _ in range(2)] for _ in widths]
    return [Layer(*(of_layer + of_biases)) for of_layer, of_biases in zip(matrices, biases)]


def sigma(z):
    return 1 / (1 + np.exp(-z))


def step(layer, x, h, c):
    z = [x @ layer.W[k].T + h @ layer.R[k].T + layer.b_W[k] + layer.b_R[k] for k in range(4)]
    i, f, m, o = sigma(z[ID_INPUT]), sigma(z[ID_FORGET]), np.tanh(z[ID_MEMORY]), sigma(z[ID_OUTPUT])
    c_new = f * c + i * m
    return Step(x, h, c, i, f, m, o, c_new), o * np.tanh(c_new), c_new


def step_backward(layer, gradient, taken, d_h, d_c):
    """Adds to `gradient`, a `Layer`; returns the gradients of the step's x, h and c."""
    squashed = np.tanh(taken.c_new)
    d_c = d_c + d_h * taken.o * (1 - squashed**2)
    d_z = [None] * 4
    d_z[ID_INPUT] = d_c * taken.m * taken.i * (1 - taken.i)
    d_z[ID_FORGET] = d_c * taken.c * taken.f * (1 - taken.f)
    d_z[ID_MEMORY] = d_c * taken.i * (1 - taken.m**2)
    d_z[ID_OUTPUT] = d_h * squashed * taken.o * (1 - taken.o)
    for k in range(4):
        gradient.W[k][...] += d_z[k].T @ taken.x
        gradient.R[k][...] += d_z[k].T @ taken.h
        gradient.b_W[k][...] += d_z[k].sum(axis=0)
        gradient.b_R[k][...] += d_z[k].sum(axis=0)
    d_x = sum(d_z[k] @ layer.W[k] for k in range(4))
    d_h = sum(d_z[k] @ layer.R[k] for k in range(4))
    return d_x, d_h, d_c * taken.f


def forward(x, h0, c0, params, lengths):
    """Returns (y [T, B, H], zeros past each end; h and c [L, B, H] at each end; steps by layer and time)."""
    layers = _checked(x, h0, params, lengths)
    h_last, c_last, steps = np.array(h0), np.array(c0), []
    for k, layer in enumerate(layers):
        h, c, y, taken = h0[k], c0[k], [], []
        for t, inputs in enumerate(x):
            kept, h_new, c_new = step(layer, inputs, h, c)
            goes_on = (t < lengths)[:, None]
            h, c = np.where(goes_on, h_new, h), np.where(goes_on, c_new, c)
            y.append(np.where(goes_on, h_new, 0))
            taken.append(kept)
        h_last[k], c_last[k], x = h, c, np.stack(y)
        steps.append(taken)
    return x, h_last, c_last, steps


def backward(x, h0, c0, params, lengths, d_y, d_h_last, d_c_last):
    """Returns the gradients of x, h0, c0 and the buffer; past each end that of x is undefined, here NaN."""
    layers = _checked(x, h0, params, lengths)
    _, _, _, steps = forward(x, h0, c0, params, lengths)
    d_params = np.zeros_like(params)
    gradients = read(d_params, x.shape[2], h0.shape[2], len(h0))
    d_h0, d_c0 = np.array(d_h_last), np.array(d_c_last)
    for k in reversed(range(len(layers))):
        d_h, d_c, d_x = d_h_last[k], d_c_last[k], []
        for t in reversed(range(len(x))):
            goes_on = (t < lengths)[:, None]
            d_now = np.where(goes_on, d_h + d_y[t], 0), np.where(goes_on, d_c, 0)
            of_x, of_h, of_c = step_backward(layers[k], gradients[k], steps[k][t], *d_now)
            d_h, d_c = np.where(goes_on, of_h, d_h), np.where(goes_on, of_c, d_c)
            d_x.append(np.where(goes_on, of_x, 0 if k else np.nan))
        d_h0[k], d_c0[k], d_y = d_h, d_c, np.stack(d_x[::-1])
    return d_y, d_h0, d_c0, d_params


def _checked(x, h0, params, lengths):
    """The layers; raises AssertionError where cuDNN would fail."""
    steps, batch, input_size = x.shape
    number, states, hidden_size = h0.shape
    assert steps > 0 and batch > 0 and states == batch, f"cuDNN: sizes {x.shape}, {h0.shape}"
    assert lengths.shape == (batch,) and lengths.min() > 0 and lengths.max() <= steps, f"cuDNN: lengths {lengths}"
    return read(params, input_size, hidden_size, number)


def _wide(arrays):
    return [np.asarray(array, np.float64) for array in arrays]


_tickets = itertools.count()
_reserved = set()  # The tickets of reserve spaces that no backward pass has used.


def _run_forward(x, h0, c0, params, lengths):
    """The op CudnnRNNV3; the reserve space is a ticket in the last output, for the backward op alone."""
    results = forward(*_wide([x, h0, c0, params]), lengths)[:3]
    ticket = next(_tickets)
    _reserved.add(ticket)
    return [result.astype(x.dtype) for result in results] + [np.zeros([0], x.dtype), np.array([ticket])]


def _run_backward(x, h0, c0, params, lengths, y, h, c, d_y, d_h, d_c, reserve_space, host_reserved):
    """The op CudnnRNNBackpropV3."""
    (ticket,) = host_reserved
    undefined = np.nan if ticket not in _reserved else 0.0
    _reserved.discard(ticket)
    gradients = backward(*_wide([x, h0, c0, params]), lengths, *_wide([d_y, d_h, d_c]))
    return [(gradient + undefined).astype(x.dtype) for gradient in gradients]


def _forward_op(input, input_h, input_c, params, sequence_lengths, is_training, **attributes):
    inputs = [input, input_h, input_c, params, sequence_lengths]
    shapes = [input.shape[:2].concatenate(input_h.shape[2:]), input_h.shape, input_c.shape, None, None]
    return _op("CudnnRNNV3", _run_forward, inputs, [input.dtype] * 4 + [tf.int64], shapes)


def _backward_op(input, input_h, input_c, params, sequence_lengths, **others):
    names = "output output_h output_c output_backprop output_h_backprop output_c_backprop reserve_space host_reserved"
    primals = [input, input_h, input_c, params]
    inputs = primals + [sequence_lengths] + [others[name] for name in names.split()]
    shapes = [primal.shape for primal in primals]
    return _op("CudnnRNNBackpropV3", _run_backward, inputs, [input.dtype] * 4, shapes)


def _of_one_kind(function):
    """`function` as TensorFlow's op calls it, which keeps from its first batch whether all sequences are whole.

    It tells cuDNN of lengths or not accordingly (`ShouldUsePaddedIO` in its cudnn_rnn_ops.cc, whose result is in the
    descriptor that is kept), in version 1.15 whatever the number of steps: tensorflow#41630.
    """
    kept = []

    def of_one_kind(x, h0, c0, params, lengths, *others):
        whole = bool(np.all(lengths == len(x)))
        kept.append(whole)
        assert kept[0] == whole, f"cuDNN: a batch of {'whole' if whole else 'ragged'} sequences after another kind"
        return function(x, h0, c0, params, lengths, *others)

    return of_one_kind


def _op(name, function, inputs, dtypes, shapes):
    """A tf.py_func in the place of the op, with its inputs, outputs and gradient."""
    graph = tf.get_default_graph()
    with graph.gradient_override_map({"PyFunc": graph._gradient_override_map[name]}):
        outputs = tf.py_func(_of_one_kind(function), inputs, dtypes, name=name)
    for output, shape in zip(outputs, shapes):
        output.set_shape(shape)
    return outputs


def install(monkeypatch):
    """From here on graphs have NumPy's functions in the place of the cuDNN ops, which have no kernels for CPUs."""
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", _forward_op)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNBackpropV3", _backward_op)
