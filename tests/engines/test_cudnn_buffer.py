"""cuDNN's buffer of weights, read back by the cuDNN in NumPy that follows NVIDIA's documentation."""

import os

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, layouts, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.engines import cudnn
from stacked_lstm.lstm.equations import PLAIN
from stacked_lstm.lstm.layer import Layer
from support.files.checkpoint_files import GOLDEN
from support.references import cudnn_in_numpy, numeric
from support.suite.places import ANYWHERE

# Hidden sizes, input size.
STACKS = {"one layer": ([5], 3), "two layers": ([4, 4], 6), "three layers, narrow input": ([3, 3, 3], 1)}


def build_stack(hidden_sizes, input_size, session, **options):
    """A stack with all variables random."""
    lstm = StackedLSTM(hidden_sizes, engine="cudnn", bias_initializer="tn", **options)
    lstm.build(input_size)
    session.run(tf.global_variables_initializer())
    return lstm


# The cuDNN in NumPy itself.


@pytest.mark.parametrize("case, directions", [("stacked", 1), ("bidirectional", 2), ("bidirectional_stacked", 2)])
def test_numpy_cudnn_computes_what_pytorch_did(case, directions):
    """PyTorch passes its weights to cuDNN in the order in which it stores them."""
    with np.load(os.path.join(os.path.dirname(GOLDEN), "pytorch", "network.npz")) as archive:
        golden = {key[len(case) + 1 :]: archive[key] for key in archive.files if key.startswith(case + "/")}
    weights = np.load(os.path.join(os.path.dirname(GOLDEN), "pytorch", case + ".npz"))
    kinds, suffixes = (["weight_ih", "weight_hh"], ["bias_ih", "bias_hh"]), ["", "_reverse"][:directions]
    layers = [f"l{k}{suffix}" for k in range(len(golden["initial_state/h"]) // directions) for suffix in suffixes]
    names = [f"encoder.{name}_{layer}" for kind in kinds for layer in layers for name in kind]
    params = np.concatenate([weights[name].ravel() for name in names]).astype(np.float64)
    x, h, c = golden["inputs"].transpose(1, 0, 2), golden["initial_state/h"], golden["initial_state/c"]
    inputs = x, h, c, params, np.full([x.shape[1]], len(x))
    y, h_last, c_last, _ = cudnn_in_numpy.forward(*inputs, directions)
    d_y = golden["d_outputs"] + golden["d_head"] @ weights["head.weight"]
    upstream = d_y.transpose(1, 0, 2), golden["d_state/h"], golden["d_state/c"]
    d_x, d_h, d_c, d_params = cudnn_in_numpy.backward(*inputs, *upstream, directions)
    actual = {"outputs": y.transpose(1, 0, 2), "state/h": h_last, "state/c": c_last, "params": d_params}
    actual.update({"gradient/inputs": d_x.transpose(1, 0, 2), "gradient/initial_state/h": d_h})
    actual["gradient/initial_state/c"] = d_c
    golden["params"] = np.concatenate([golden["gradient/" + name].ravel() for name in names])
    numeric.check_same(actual, {key: golden[key] for key in actual}, 1e-6)


def test_numpy_cudnn_is_as_strict_as_cudnn():
    x, states, params = np.zeros([3, 2, 1]), np.zeros([1, 2, 4]), np.zeros([4 * 4 * 5 + 8 * 4])
    cudnn_in_numpy.forward(x, states, states, params, np.array([3, 1]))
    for change in (
        {"lengths": np.array([3, 0])},
        {"lengths": np.array([4, 1])},
        {"params": params[1:]},
        {"x": x[:0]},
        {"x": x[:, :0], "h0": states[:, :0], "c0": states[:, :0], "lengths": np.zeros([0], int)},
    ):
        arguments = {"x": x, "h0": states, "c0": states, "params": params, "lengths": np.array([3, 1])}
        arguments.update(change)
        with pytest.raises(AssertionError, match="cuDNN"):
            cudnn_in_numpy.forward(**arguments)
    d_x, _, _, _ = cudnn_in_numpy.backward(x, states, states, params, np.array([3, 1]), 1 + 0 * x, states, states)
    assert np.all(np.isnan(d_x[1:, 1])) and np.all(np.isfinite(d_x[:, 0]))


# The buffer.


@ANYWHERE
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("stack", sorted(STACKS))
def test_buffer(stack, use_bias, session):
    """Read as NVIDIA documents it, the buffer is the network of the variables."""
    (hidden_sizes, input_size), random = STACKS[stack], np.random.RandomState(0)
    lstm = build_stack(hidden_sizes, input_size, session, use_bias=use_bias, dtype=tf.float64)
    x = random.standard_normal([6, 3, input_size])
    starts = [LSTMState(*random.standard_normal([2, 3, size])) for size in hidden_sizes]
    lengths = np.array([6, 1, 4])
    params = session.run(cudnn.pack([layer.layer() for layer in lstm.layers]))
    h0, c0 = (np.stack([getattr(start, field) for start in starts]) for field in "hc")
    y, h, c, _ = cudnn_in_numpy.forward(x, h0, c0, params, lengths)
    expected, state, _ = numpy_lstm.forward(lstm.get_weights(session).layers, x, starts, lengths)
    actual = {"outputs": y, "h": h, "c": c}
    reference = {"outputs": expected, "h": np.stack([s.h for s in state]), "c": np.stack([s.c for s in state])}
    numeric.check_same(actual, reference, 1e-14)


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_buffer_is_what_layouts_has(stack, session):
    hidden_sizes, input_size = STACKS[stack]
    lstm = build_stack(hidden_sizes, input_size, session)
    arrays = [layouts.pack(layer, "cudnn") for layer in lstm.get_weights(session).layers]
    matrices = [array.ravel() for layer in arrays for name, array in layer.items() if not name.startswith("b")]
    biases = [array for layer in arrays for name, array in layer.items() if name.startswith("b")]
    params = session.run(cudnn.pack([layer.layer() for layer in lstm.layers]))
    np.testing.assert_array_equal(params, np.concatenate(matrices + biases))
    unpacked = cudnn.unpack(params, input_size, hidden_sizes[0], len(arrays))
    assert len(unpacked) == len(arrays)
    for layer, expected in zip(unpacked, [weights.layer() for weights in lstm.layers]):
        for field in ("kernels", "biases"):
            np.testing.assert_array_equal(*session.run([getattr(layer, field), getattr(expected, field)]))


def test_projection_in_the_buffer(session):
    """V [P, H] is after R of its layer, and before all biases. `unpack` reads it back."""
    random, layers = np.random.RandomState(0), []
    for inputs in (2, 3):
        kernels = [tf.constant(random.standard_normal([3 + inputs, 5])) for _ in range(4)]
        projection = tf.constant(random.standard_normal([5, 3]))
        layers.append(Layer(inputs, 5, kernels, extras=PLAIN._replace(projection=projection)))
    buffer = cudnn.pack(layers)
    params, (first, second) = session.run([buffer, [layer.extras.projection for layer in layers]])
    begin, size = 4 * 5 * (2 + 3), 3 * 5
    np.testing.assert_array_equal(params[begin : begin + size].reshape(3, 5), first.T)
    begin += size + 4 * 5 * (3 + 3)
    np.testing.assert_array_equal(params[begin : begin + size].reshape(3, 5), second.T)
    assert len(params) == begin + size + 2 * 8 * 5
    for layer, expected in zip(cudnn.unpack(buffer, 2, 5, 2, 3), layers):
        for a, b in session.run(list(zip(layer.kernels, expected.kernels))):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(*session.run([layer.extras.projection, expected.extras.projection]))


def test_layers_from_the_buffer_are_plain_tensors():
    """`unpack` returns what engines take, for second derivatives."""
    (layer,) = cudnn.unpack(tf.zeros([4 * 3 * 5 + 8 * 3]), 2, 3, 1)
    assert isinstance(layer, Layer) and [kernel.shape.as_list() for kernel in layer.kernels] == [[5, 3]] * 4
