"""The native ops, called directly: wrong inputs are an error when the graph is built or when it runs."""

import numpy as np
import pytest

from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library
from support.engines import native_ops
from support.suite.sets import ONCE

pytestmark = native_ops.NEEDS_NATIVE
ERRORS = (tf.errors.InvalidArgumentError, ValueError, TypeError)


@pytest.fixture(scope="module")
def stack():
    """Computes two layers whose sizes are unknown in the graph, so that shape functions accept everything."""
    with tf.Graph().as_default() as graph:
        layers = native_ops.build("float32", layers=2)
        with tf.Session(graph=graph) as session:
            yield lambda values: native_ops.results(layers, values, session)


VALUES = native_ops.random_values(0, 5, 4, 3, [18, 7])
RANDOM = np.random.RandomState(0)


def other_shapes(shape):
    """Shapes with a size that is off by one, swapped sizes, other ranks, or no elements."""
    for axis in range(len(shape)):
        for size in (0, shape[axis] - 1, shape[axis] + 1, 4 * shape[axis]):
            yield shape[:axis] + (size,) + shape[axis + 1 :]
    yield shape + (1,)
    yield (1,) + shape
    yield shape[1:]
    yield ()
    if len(set(shape)) > 1:
        yield shape[::-1]


WRONG_SHAPES = [(name, shape) for name in sorted(VALUES) for shape in other_shapes(VALUES[name].shape)]


@ONCE
@pytest.mark.parametrize("name, shape", WRONG_SHAPES)
def test_wrong_shapes_when_it_runs(name, shape, stack):
    values = dict(VALUES, **{name: np.zeros(shape, VALUES[name].dtype)})
    with pytest.raises(tf.errors.InvalidArgumentError):
        stack(values)


@ONCE
def test_random_shapes_when_it_runs(stack):
    """All inputs have random shapes. Those that fit are computed, all others are refused."""
    refused = 0
    for _ in range(300):
        sizes = [tuple(RANDOM.randint(0, 4, RANDOM.randint(0, 4))) for _ in VALUES]
        values = {name: np.zeros(shape, VALUES[name].dtype) for name, shape in zip(sorted(VALUES), sizes)}
        try:
            stack(values)
        except tf.errors.InvalidArgumentError:
            refused += 1
    assert refused > 200
    assert np.all(np.isfinite(stack(VALUES)["outputs"]))  # The session still works.


@pytest.mark.parametrize("length", [-1, 6, 2**31 - 1, -(2**31)])
def test_lengths_out_of_range(length, stack):
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected sequence lengths from 0 to 5, got {length}"):
        stack(dict(VALUES, lengths=[1, length, 2, 3]))


ONE = native_ops.random_values(0, 5, 4, 3, 18)


def static_layer(name, shape):
    """One layer whose sizes are known when the graph is built."""
    inputs = {key: tf.constant(value, tf.int32 if key == "lengths" else tf.float32) for key, value in ONE.items()}
    inputs[name] = tf.zeros(shape, inputs[name].dtype)
    kernels, biases = ([inputs[kind + gate] for gate in "icfo"] for kind in "Wb")
    return native_ops.forward(inputs["x"], [inputs["c"]], [inputs["h"]], kernels, biases, [inputs["lengths"]])


@pytest.mark.parametrize("name", ["x", "c", "h", "lengths", "Wf", "bo"])
def test_wrong_shapes_when_the_graph_is_built(name):
    for shape in other_shapes(ONE[name].shape):
        if shape[1:] != (4, 3):  # Any number of steps is valid.
            with pytest.raises(ERRORS):
                static_layer(name, shape)
    outputs, (c,), _, _ = static_layer("h", [4, 18])
    assert outputs.shape.as_list() == [5, 4, 18] and c.shape.as_list() == [4, 18]


def test_wrong_activations_numbers_of_weights_and_types(session):
    x, c, kernel = tf.zeros([5, 4, 3]), tf.zeros([4, 18]), tf.zeros([21, 18])
    valid = {"x": x, "c": [c], "h": [c], "kernels": [kernel] * 4}
    valid["packed"] = native_ops.pack(valid["kernels"])

    def call(**changes):
        return session.run(native_ops.forward(**dict(valid, **changes)))

    assert call()[0].shape == (5, 4, 18)
    bias, lengths, vector_axes = tf.zeros([18]), tf.zeros([4], tf.int32), count_vector_axes("float32", session)
    one, (filling, padding) = [1] * vector_axes, (84 * units for units in native_ops.packed_units(18, vector_axes))

    def packed(full=(filling, *one), padded=(padding, *one)):
        return {"packed": {"packed": [tf.zeros(full)], "padded": [tf.zeros(padded)]}}

    for complete_or_not in (packed(), packed(full=[0, *one]), packed(padded=[0, *one])):
        assert call(**complete_or_not)[0].shape == (5, 4, 18)
    for changes in (
        {"activation": "softmax"},
        {"kernels": [kernel] * 2},
        {"kernels": [kernel] * 5},
        {"kernels": [kernel] * 8},
        {"kernels": []},
        {"biases": [bias] * 3},
        {"biases": [bias]},
        {"lengths": [lengths] * 2},
        {"lengths": [tf.zeros([4])]},
        packed(full=[filling - 1, *one]),
        packed(full=[filling, *one, 1]),  # For another processor.
        packed(full=[filling]),
        packed(full=[21, filling // 21]),
        packed(padded=[padding + 1, *one]),
        packed(padded=[padding, *one, 1]),
        packed(padded=[padding]),
        {"packed": {"packed": [], "padded": []}},
        {"packed": {"packed": [tf.zeros([0])], "padded": [tf.zeros([0])] * 2}},
        {"x": tf.zeros([5, 4, 3], tf.float64)},
        {"x": tf.zeros([5, 4, 3], tf.int32)},
        {"c": [tf.zeros([4, 18], tf.float16)]},
        {"c": [c, c]},
        {"c": [], "h": []},
        {"c": [c, c], "h": [c, c], "kernels": [kernel] * 8},  # The second layer gets 18 numbers, not 3.
    ):
        with pytest.raises(ERRORS):
            call(**changes)


def count_vector_axes(dtype, session):
    """The number of axes of size 1 that packed weights and caches have on this processor."""
    return session.run(native_ops.pack([tf.zeros([3, 2], dtype)] * 4)["packed"][0]).ndim - 1


def test_what_the_forward_op_has_made(session):
    """The backward op refuses outputs and caches of other sizes, or of a processor with other vectors."""
    ops, state, kernels = library.load(), [tf.zeros([4, 18])], [tf.zeros([21, 18])] * 4
    inputs = {"x": tf.zeros([5, 4, 3]), "c": state, "h": state, "lengths": [], "kernels": kernels, "biases": []}
    inputs.update(activation="tanh", recurrent_activation="sigmoid")
    outputs, _, _, cache = session.run(native_ops.forward(**inputs))

    def backward(outputs, cache):
        gradients = {"d_outputs": tf.zeros([5, 4, 18]), "d_c_last": state, "d_h_last": state}
        outputs, cache = (tf.placeholder_with_default(array, None) for array in (outputs, cache))
        inputs_and_extras = dict(inputs, **native_ops.NO_EXTRAS)
        return session.run(ops.stacked_lstm_backward(outputs=outputs, cache=cache, **gradients, **inputs_and_extras))

    assert backward(outputs, cache)[0].shape == (5, 4, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`cache` comes from a machine with another processor"):
        backward(outputs, cache[..., None])
    longer = np.concatenate([cache, cache[:1]])
    for changes in ((outputs[1:], cache), (outputs.ravel(), cache), (outputs, cache[1:]), (outputs, longer)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="StackedLstm: expected"):
            backward(*changes)


def test_size_of_the_cache(session):
    """Gates, cell states and outputs, except those of the last layer; no gaps if units fill whole vectors."""
    T, B, H = 5, 3, [64, 32, 16]
    kernels = [tf.zeros([width + size, size]) for width, size in zip([2] + H, H) for _ in range(4)]
    states = [tf.zeros([B, size]) for size in H]
    packed = native_ops.pack(*(kernels[4 * k : 4 * k + 4] for k in range(len(H))))
    cache = session.run(native_ops.forward(tf.zeros([T, B, 2]), states, states, kernels, packed=packed))[3]
    assert cache.size == T * B * (5 * sum(H) + sum(H[:-1]))


@pytest.mark.parametrize("steps", [2**58, 2**60])
def test_more_numbers_than_can_be_counted(steps, session):
    """Without input columns an array of any length is empty, but the outputs would not be."""
    state = [tf.zeros([1, 16])]
    shape = tf.placeholder(tf.int64, [3])  # TensorFlow 1.15's optimizer fails at a constant.
    outputs = native_ops.forward(tf.reshape(tf.zeros([0]), shape), state, state, [tf.zeros([16, 16])] * 4)
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError)):
        session.run(outputs, {shape: [steps, 1, 0]})


def test_many_steps_of_no_sequences(session):
    """Empty sequences may have any number of steps."""
    kernels, state = [tf.zeros([19, 16])] * 4, [tf.zeros([0, 16])]
    shape = tf.placeholder(tf.int64, [3])
    forward = native_ops.forward(tf.reshape(tf.zeros([0]), shape), state, state, kernels)
    d_kernel = tf.gradients(forward[0], kernels[0], forward[0])[0]
    outputs_shape, d_kernel = session.run([tf.shape(forward[0], out_type=tf.int64), d_kernel], {shape: [2**50, 0, 3]})
    assert outputs_shape.tolist() == [2**50, 0, 16] and d_kernel.shape == (19, 16) and not np.any(d_kernel)
