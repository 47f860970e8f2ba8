"""Inputs without time steps: empty outputs, the initial state, and its gradient, against NumPy."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, numpy_lstm, rnn_cell
from stacked_lstm.compat import tf
from support.suite.sets import ONCE
from support.suite.versions import OLD

SIZES = [4, 3]


@pytest.mark.parametrize("has_lengths", [False, True])
@pytest.mark.parametrize("shape", [[2, 0, 3], [None, None, 3]])
def test_values_and_gradients(shape, has_lengths, engine, session):
    random = np.random.RandomState(0)
    states, weights = [
        [tuple(random.standard_normal([2, size]) for _ in "ch") for size in SIZES] for _ in range(2)
    ]  # Initial states, and the gradients of the final ones.
    x = tf.placeholder(tf.float64, shape)
    starts = [tuple(tf.placeholder_with_default(part, [None, part.shape[1]]) for part in pair) for pair in states]
    lstm = StackedLSTM(SIZES, dtype=tf.float64, engine=engine)
    outputs, finals = lstm(x, [0, 0] if has_lengths else None, initial_state=starts)
    loss = tf.reduce_sum(outputs) + sum(
        tf.reduce_sum(final * weight) for final, weight in zip(tf.nest.flatten(finals), tf.nest.flatten(weights))
    )
    arguments = [x, *tf.nest.flatten(starts), *lstm.variables]
    session.run(tf.global_variables_initializer())
    results = session.run([outputs, finals, tf.gradients(loss, arguments)], {x: np.zeros([2, 0, 3])})
    got_outputs, got_finals, gradients = results

    layers = lstm.get_weights(session).layers
    expected_outputs, expected_finals, cache = numpy_lstm.forward(layers, np.zeros([0, 2, 3]), states)
    assert got_outputs.shape == (2, 0, 3) and expected_outputs.shape == (0, 2, 3)
    expected = numpy_lstm.backward(np.zeros([0, 2, 3]), weights, cache)
    expected_gradients = [np.zeros([2, 0, 3]), *tf.nest.flatten(expected["initial_state"])]
    expected_gradients += [expected["layers"][k][name] for k, layer in enumerate(layers) for name in layer]
    for got, reference in zip(
        tf.nest.flatten(got_finals) + gradients, tf.nest.flatten(expected_finals) + expected_gradients
    ):
        np.testing.assert_array_equal(got, reference)
    assert len(gradients) == len(expected_gradients)


@pytest.mark.parametrize(
    "sizes, options, has_lengths",
    [([4, 3], {}, True), pytest.param([4], {"projection_size": 2, "peepholes": True}, False, marks=ONCE)],
)
def test_second_derivatives(sizes, options, has_lengths, control_flow, general_engine, plain_session):
    """The final states s are the initial ones. The loss is the sum of s ** 3; its gradients are squared."""
    x = tf.placeholder(tf.float64, [None, None, 3])
    lstm = StackedLSTM(sizes, dtype=tf.float64, engine=general_engine, **options)
    values = [[np.full([2, width], k + 1.0) for k, width in enumerate(size)] for size in lstm.state_sizes]
    starts = [[tf.placeholder_with_default(part, [None, part.shape[1]]) for part in pair] for pair in values]
    outputs, finals = lstm(x, [0, 0] if has_lengths else None, initial_state=starts)
    loss = tf.reduce_sum(outputs**2) + tf.add_n([tf.reduce_sum(part**3) for part in tf.nest.flatten(finals)])
    sources = [x, *lstm.variables, *tf.nest.flatten(starts)]
    squares = [tf.reduce_sum(gradient**2) for gradient in tf.gradients(loss, sources)]
    seconds = tf.gradients(tf.add_n(squares), sources)
    plain_session.run(tf.global_variables_initializer())
    d_x, *others = plain_session.run(seconds, {x: np.zeros([2, 0, 3])})
    d_starts = [others.pop() for _ in tf.nest.flatten(starts)][::-1]
    assert d_x.shape == (2, 0, 3) and not any(map(np.any, others))
    for start, d_start in zip(tf.nest.flatten(values), d_starts):
        np.testing.assert_allclose(d_start, 36 * start**3, rtol=1e-12)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("shape", [[0, 2, 3], [None, None, 3]])
def test_projected_initial_state_is_zero(shape, time_major, engine, session):
    """As for an empty sequence in a batch with time steps."""
    shape = shape if time_major else [shape[1], shape[0], 3]
    x = tf.placeholder(tf.float64, shape)
    lstm = StackedLSTM(SIZES, initial_state="projected", dtype=tf.float64, engine=engine)
    outputs, finals = lstm(x, time_major=time_major)
    gradients = tf.gradients(tf.nest.flatten(finals), lstm.variables)
    session.run(tf.global_variables_initializer())
    results = session.run([finals, gradients], {x: np.zeros([0, 2, 3] if time_major else [2, 0, 3])})
    assert [part.shape for part in tf.nest.flatten(results[0])] == [(2, 4), (2, 4), (2, 3), (2, 3)]
    assert not any(np.any(array) for array in tf.nest.flatten(results))


def test_gradients_with_options(session):
    """The gradient of the final states is that of the initial states, and the weights have none."""
    options = [
        {"projection_size": 2, "peepholes": True, "cell_clip": 1.0},
        {"layer_norm": True, "zoneout_c": 0.2, "zoneout_h": 0.2},
        {"recurrent_dropout": 0.5},
        {"activation": "swish"},
        {},
    ]
    x, results = tf.placeholder(tf.float32, [None, None, 3]), []
    for k, choice in enumerate(options):
        lstm = StackedLSTM([4], engine="graph", name=f"lstm_{k}", **choice)
        (size,) = lstm.state_sizes
        starts = [[tf.placeholder_with_default(np.ones([2, width]), [None, width]) for width in (size.c, size.h)]]
        starts = tf.nest.map_structure(lambda part: tf.cast(part, tf.float32), starts)
        resets = {} if choice else {"reset": tf.zeros(tf.shape(x)[:2], tf.bool)}
        outputs, ((c, h),) = lstm(x, initial_state=starts, training=True, **resets)
        loss = tf.reduce_sum(outputs) + tf.reduce_sum(2.0 * c) + tf.reduce_sum(3.0 * h)
        results.append((tf.gradients(loss, [x, *starts[0]]), tf.gradients(loss, lstm.variables)))
    session.run(tf.global_variables_initializer())
    for (d_x, d_c, d_h), d_weights in session.run(results, {x: np.zeros([2, 0, 3])}):
        assert d_x.shape == (2, 0, 3) and np.all(d_c == 2) and np.all(d_h == 3)
        assert not any(map(np.any, d_weights))


def test_dropout_on_states(session):
    """With a mask per step, nothing is dropped before the first step."""
    cell = rnn_cell.DropoutWrapper(rnn_cell.BasicLSTMCell(4), state_keep_prob=0.5)
    x, start = tf.placeholder(tf.float32, [None, None, 3]), rnn_cell.LSTMStateTuple(tf.ones([2, 4]), tf.ones([2, 4]))
    outputs, final = rnn_cell.dynamic_rnn(cell, x, initial_state=start)
    session.run(tf.global_variables_initializer())
    outputs, final = session.run([outputs, final], {x: np.zeros([2, 0, 3])})
    assert outputs.shape == (2, 0, 4) and np.all(final.c == 1) and np.all(final.h == 1)


NEW_ONLY = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 cannot differentiate a loop without steps in a branch")


@pytest.mark.parametrize("steps", [pytest.param(0, marks=NEW_ONLY), 2])
def test_gradients_inside_a_branch(steps, session):
    """The branch reads the number of steps, and gradients pass through it, also through a projected start."""
    x = tf.placeholder_with_default(np.ones([steps, 2, 3], np.float32), [None, 2, 3])
    lstm = StackedLSTM([3, 3], initial_state="projected", engine="graph")
    lstm.build(3)

    def call(inputs):
        outputs, state = lstm(inputs, [steps, 0], time_major=True)
        return [tf.reduce_sum(outputs), *map(tf.reduce_sum, tf.nest.flatten(state))]

    loss = tf.add_n(tf.cond(tf.reduce_sum(x) >= -1, lambda: call(x), lambda: call(2 * x)))
    sources = [x, *lstm.variables]
    both = tf.gradients(loss, sources), tf.gradients(tf.add_n(call(x)), sources)
    session.run(tf.global_variables_initializer())
    for actual, expected in zip(*session.run(both)):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
