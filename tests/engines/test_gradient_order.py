"""An optimizer changes variables in place, possibly while other gradients are computed. They read the old values.

A wrong order shows by chance. At these sizes a step was wrong in 50% to 90% of the runs when nothing kept the order.
"""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support.suite.sets import ONCE

RUNS = 12


def recurrent(cells, x, **options):
    return rnn_cell.dynamic_rnn(rnn_cell.MultiRNNCell(cells), x, time_major=True, dtype=tf.float32, **options)


def trainable_initial_states(x):
    states = [rnn_cell.LSTMStateTuple(*[tf.get_variable(part + k, [1, 12]) for part in "ch"]) for k in "01"]
    return recurrent([rnn_cell.BasicLSTMCell(12) for _ in "01"], x, initial_state=tuple(states))


def projections(x):
    return recurrent([rnn_cell.LSTMCell(256, use_peepholes=True, num_proj=5) for _ in "01"], x)


NETWORKS = {  # The batch and a function.
    "trainable initial states": (1, trainable_initial_states),
    "projections": (16, projections),
    "layer normalization": (16, lambda x: StackedLSTM([256, 256], peepholes=True, layer_norm=True)(x)),
}


@pytest.mark.parametrize(
    "name", ["layer normalization", pytest.param("projections", marks=ONCE), "trainable initial states"]
)
def test_no_gradient_reads_a_variable_that_has_changed(name, control_flow, general_engine, session, monkeypatch):
    """The gradients in a training step are those without the change of the variables."""
    monkeypatch.setenv("STACKED_LSTM_ENGINE", general_engine)
    batch, network = NETWORKS[name]
    x = tf.constant(np.random.RandomState(0).randn(2, batch, 6), tf.float32)
    with tf.variable_scope("network", initializer=tf.random_uniform_initializer(-0.5, 0.5)):
        results = network(x * tf.get_variable("scale", [6]))
    loss = tf.add_n([tf.reduce_sum(tf.square(result)) for result in tf.nest.flatten(results)])
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    pairs = optimizer.compute_gradients(loss)
    gradients, variables = [tf.convert_to_tensor(gradient) for gradient, _ in pairs], [pair[1] for pair in pairs]
    train, initial = optimizer.apply_gradients(pairs), [tf.placeholder(v.dtype.base_dtype, v.shape) for v in variables]
    restore = tf.group(*[tf.assign(*pair) for pair in zip(variables, initial)])

    session.run(tf.global_variables_initializer())
    values, expected = session.run(variables), session.run(gradients)
    for _ in range(RUNS):
        session.run(restore, dict(zip(initial, values)))
        actual, _ = session.run([gradients, train])
        for variable, *pair in zip(variables, actual, expected):
            np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-5 * np.abs(pair[1]).max(), err_msg=variable.name)
