"""The native ops as anyone may call them: whatever is wrong is an error, when the graph is built or when it runs."""

import numpy as np
import pytest

import native_ops
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library

pytestmark = native_ops.NEEDS_NATIVE
ERRORS = (tf.errors.InvalidArgumentError, ValueError, TypeError)


@pytest.fixture(scope="module")
def layer():
    """A layer whose sizes are unknown, and a session: shape functions let everything through."""
    with tf.Graph().as_default() as graph:
        built = native_ops.build("float32")
        with tf.Session(graph=graph) as session:
            yield lambda values: session.run(
                built.results, {placeholder: values[name] for name, placeholder in built.feeds.items()}
            )


VALUES = native_ops.random_values(0, 5, 4, 3, 18)
RANDOM = np.random.RandomState(0)


def other_shapes(shape):
    """Shapes one off in a size, with sizes swapped, of other ranks, empty."""
    for axis in range(len(shape)):
        for size in (0, shape[axis] - 1, shape[axis] + 1, 4 * shape[axis]):
            yield shape[:axis] + (size,) + shape[axis + 1 :]
    yield shape + (1,)
    yield (1,) + shape
    yield shape[1:]
    yield ()
    if len(set(shape)) > 1:
        yield shape[::-1]


WRONG = [(name, shape) for name in sorted(VALUES) for shape in other_shapes(VALUES[name].shape)]


@pytest.mark.parametrize("name, shape", WRONG)
def test_wrong_shapes_when_it_runs(name, shape, layer):
    values = dict(VALUES, **{name: np.zeros(shape, VALUES[name].dtype)})
    with pytest.raises(tf.errors.InvalidArgumentError):
        layer(values)


def test_random_shapes_when_it_runs(layer):
    """All inputs at once; whatever happens to fit is computed, everything else is refused."""
    refused = 0
    for _ in range(300):
        sizes = [tuple(RANDOM.randint(0, 4, RANDOM.randint(0, 4))) for _ in VALUES]
        values = {name: np.zeros(shape, VALUES[name].dtype) for name, shape in zip(sorted(VALUES), sizes)}
        try:
            layer(values)
        except tf.errors.InvalidArgumentError:
            refused += 1
    assert refused > 200
    assert np.all(np.isfinite(layer(VALUES)["outputs"]))  # And it still works.


@pytest.mark.parametrize("length", [-1, 6, 2**31 - 1, -(2**31)])
def test_lengths_out_of_range(length, layer):
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected `lengths` from 0 to 5, got %d" % length):
        layer(dict(VALUES, lengths=[1, length, 2, 3]))


def known(name, shape):
    """The same layer with sizes that are known when the graph is built."""
    given = {key: tf.constant(value, tf.int32 if key == "lengths" else tf.float32) for key, value in VALUES.items()}
    given[name] = tf.zeros(shape, given[name].dtype)
    ops, kernels = library.load(), [given["W" + gate] for gate in "icfo"]
    return ops.stacked_lstm_forward(
        x=given["x"],
        c=[given["c"]],
        h=[given["h"]],
        lengths=[given["lengths"]],
        kernels=kernels,
        biases=[given["b" + gate] for gate in "icfo"],
        packed=[ops.stacked_lstm_pack(kernels=kernels)],
        activation="tanh",
        recurrent_activation="sigmoid",
    )


@pytest.mark.parametrize("name", ["x", "c", "h", "lengths", "Wf", "bo"])
def test_wrong_shapes_when_the_graph_is_built(name):
    for shape in other_shapes(VALUES[name].shape):
        if shape[1:] != (4, 3):  # Another number of steps is right.
            with pytest.raises(ERRORS):
                known(name, shape)
    outputs, (c,), _, _ = known("h", [4, 18])
    assert outputs.shape.as_list() == [5, 4, 18] and c.shape.as_list() == [4, 18]


def test_wrong_activations_numbers_of_weights_and_types(session):
    ops = library.load()
    x, c, kernel = tf.zeros([5, 4, 3]), tf.zeros([4, 18]), tf.zeros([21, 18])

    def call(kernels=(kernel,) * 4, biases=(), lengths=(), packed=None, x=x, c=(c,), h=(c,), activation="tanh"):
        return session.run(
            ops.stacked_lstm_forward(
                x=x,
                c=list(c),
                h=list(h),
                lengths=list(lengths),
                kernels=list(kernels),
                biases=list(biases),
                packed=[ops.stacked_lstm_pack(kernels=[kernel] * 4)] if packed is None else packed,
                activation=activation,
                recurrent_activation="sigmoid",
            )
        )

    assert call()[0].shape == (5, 4, 18)
    bias, lengths, right_shape = tf.zeros([18]), tf.zeros([4], tf.int32), packed_shape("float32", session)
    assert call(packed=[tf.zeros([21 * 72] + [1] * right_shape)])[0].shape == (5, 4, 18)
    for wrong in (
        {"activation": "softmax"},
        {"kernels": [kernel] * 2},
        {"kernels": [kernel] * 5},
        {"kernels": [kernel] * 8},
        {"kernels": []},
        {"biases": [bias] * 3},
        {"biases": [bias]},
        {"lengths": [lengths] * 2},
        {"lengths": [tf.zeros([4])]},
        {"packed": [tf.zeros([21 * 72 - 1] + [1] * right_shape)]},
        {"packed": [tf.zeros([21 * 72] + [1] * (right_shape + 1))]},  # For another processor.
        {"packed": [tf.zeros([21 * 72])]},
        {"packed": [tf.zeros([21, 72])]},
        {"packed": []},
        {"x": tf.zeros([5, 4, 3], tf.float64)},
        {"x": tf.zeros([5, 4, 3], tf.int32)},
        {"c": [tf.zeros([4, 18], tf.float16)]},
        {"c": [c, c]},
        {"c": [], "h": []},
        {"c": [c, c], "h": [c, c], "kernels": [kernel] * 8},  # The second layer gets 18 numbers, not 3.
    ):
        with pytest.raises(ERRORS):
            call(**wrong)


def packed_shape(dtype, session):
    """How many axes of size 1 packed weights have on this processor."""
    return session.run(library.load().stacked_lstm_pack(kernels=[tf.zeros([3, 2], dtype)] * 4)).ndim - 1


@pytest.mark.parametrize("steps", [2**58, 2**60])
def test_more_numbers_than_can_be_counted(steps, session):
    """Without inputs an array of any length is empty, but its outputs would not be."""
    ops, kernels, state = library.load(), [tf.zeros([16, 16])] * 4, [tf.zeros([1, 16])]
    shape = tf.placeholder(tf.int64, [3])  # Not a constant, which TensorFlow 1.15's optimizer would fail at.
    packed = [ops.stacked_lstm_pack(kernels=kernels)]
    options = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    outputs = ops.stacked_lstm_forward(
        x=tf.reshape(tf.zeros([0]), shape),
        c=state,
        h=state,
        lengths=[],
        kernels=kernels,
        biases=[],
        packed=packed,
        **options,
    )
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError)):
        session.run(outputs, {shape: [steps, 1, 0]})
