"""TensorFlow's own loops around the drop-in's cells, and TensorFlow's own cells in its loop."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import LSTMS, UserCell, random, values


@pytest.mark.parametrize("lengths", [None, [5, 2]])
@pytest.mark.parametrize("make", LSTMS + [lambda **_: rnn_cell.MultiRNNCell([LSTMS[0](), LSTMS[1](), UserCell()])])
def test_stepwise_gives_the_bits_of_static_rnn(make, lengths, session):
    cell, x = make(), tf.constant(random([2, 5, 3]))
    outputs, state = rnn_cell.dynamic_rnn(cell, x, lengths, dtype=tf.float32, engine="stepwise")
    static, static_state = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32, sequence_length=lengths)
    session.run(tf.global_variables_initializer())
    for variable in cell.weights:
        variable.load(random(variable.shape.as_list()), session)
    actual, expected = session.run([[outputs, state], [tf.stack(static, axis=1), static_state]])
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        np.testing.assert_array_equal(a, b)
    assert np.all(actual[0][0]) and (lengths is None) == np.any(actual[0][1, 2:])


def test_raw_rnn(session):
    cell, x = rnn_cell.LSTMCell(4, num_proj=3), tf.constant(random([5, 2, 3]))

    def step(time, output, state, _):
        next_state = cell.zero_state(2, tf.float32) if output is None else state
        finished = time >= tf.constant([5, 2])
        return finished, x[tf.minimum(time, 4)], next_state, output, None

    array, state, _ = tf.nn.raw_rnn(cell, step)
    expected, expected_state = rnn_cell.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32, time_major=True)
    session.run(tf.global_variables_initializer())
    actual, expected = session.run([[array.stack(), state], [expected, expected_state]])
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_static_state_saving_rnn(session):
    class Saver:
        """Keeps the state in variables between runs."""

        def __init__(self):
            self.variables = {name: tf.get_variable(name, [2, 4], initializer=tf.zeros_initializer()) for name in "ch"}

        def state(self, name):
            return self.variables[name]

        def save_state(self, name, value):
            return self.variables[name].assign(value)

    cell, x, saver = rnn_cell.BasicLSTMCell(4), tf.constant(random([2, 6, 3])), Saver()
    half = tf.placeholder_with_default(x[:, :3], [2, 3, 3])
    outputs, _ = tf.nn.static_state_saving_rnn(cell, tf.unstack(half, axis=1), saver, ("c", "h"))
    whole, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32)
    session.run(tf.global_variables_initializer())
    parts = [np.stack(session.run(outputs, {half: part}), 1) for part in np.split(random([2, 6, 3]), 2, axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, 1), session.run(whole), rtol=1e-5, atol=1e-7)


def test_tensorflows_own_cells_in_our_loop(session):
    cells, _ = parity.rnn_cell()
    cell, x = cells.MultiRNNCell([cells.BasicLSTMCell(4), cells.LSTMCell(3)]), tf.constant(random([2, 5, 3]))
    outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32)
    expected = tf.nn.dynamic_rnn(cell, x, [5, 2], dtype=tf.float32, scope="again")
    assert rnn_cell.engine_used(outputs).name == "stepwise"
    actual, expected = values(session, [[outputs, state], expected])
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("engine", ["auto", "graph", "stepwise"])
@pytest.mark.parametrize("use_resource", [True, False])
def test_states_in_variables_that_the_same_run_changes(use_resource, engine, session):
    """The two ways of the README: resource variables, or assignments that wait for the gradients."""
    cell, x = rnn_cell.LSTMCell(64), tf.constant(random([8, 20, 3]))
    start = [random([8, 64]), random([8, 64])]
    state = [tf.Variable(part, trainable=False, use_resource=use_resource) for part in start]
    fed = [tf.constant(part) for part in start]
    outputs, final = rnn_cell.dynamic_rnn(
        cell, x, initial_state=rnn_cell.LSTMStateTuple(*state), scope="r", engine=engine
    )
    with tf.variable_scope("r", reuse=True):
        expected, _ = rnn_cell.dynamic_rnn(
            cell, x, initial_state=rnn_cell.LSTMStateTuple(*fed), scope=tf.get_variable_scope()
        )
    gradients, expected = [tf.gradients(tf.reduce_sum(y**2), cell.trainable_weights) for y in (outputs, expected)]
    with tf.control_dependencies([] if use_resource else gradients):
        updates = [variable.assign(part) for variable, part in zip(state, final)]
    session.run(tf.global_variables_initializer())
    for _ in range(5):
        session.run([variable.initializer for variable in state])
        actual, _ = session.run([gradients, updates])
        for a, b in zip(actual, session.run(expected)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
