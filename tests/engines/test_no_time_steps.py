"""Inputs without time steps: empty outputs, the initial state, and its gradient, against NumPy."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf

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
