"""`tf.gradients(..., stop_gradients=...)` stops the gradients of the tensors that it names, and of no other result."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support.suite.places import with_general_engines
from support.suite.sets import ONCE

STEPS, BATCH, WIDTH = 3, 2, 3


def stack(time_major, x, engine):
    return StackedLSTM([4, 3], engine=engine)(x, time_major=time_major)


def bidirectional(merge, x, engine):
    return BidirectionalLSTM([4], engine=engine, merge=merge)(x, time_major=True)


def cudnn_lstm(direction, x, engine):
    return rnn_cell.CudnnLSTM(2, 4, direction=direction)(x, engine=engine)


def dynamic_rnn(time_major, x, engine):
    cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4), rnn_cell.LSTMCell(3)])
    return rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, time_major=time_major, engine=engine)


def static_rnn(_, x, engine):
    return rnn_cell.static_rnn(rnn_cell.LSTMCell(4), tf.unstack(x), dtype=tf.float32, engine=engine)


def static_bidirectional_rnn(_, x, engine):
    cells = rnn_cell.LSTMCell(4), rnn_cell.LSTMCell(4)
    return rnn_cell.static_bidirectional_rnn(*cells, tf.unstack(x), dtype=tf.float32, engine=engine)


@pytest.mark.parametrize(
    "function, argument",
    [
        pytest.param(stack, False, marks=ONCE),
        (stack, True),
        (bidirectional, "concat"),
        pytest.param(bidirectional, None, marks=ONCE),
        pytest.param(cudnn_lstm, "unidirectional", marks=ONCE),
        (cudnn_lstm, "bidirectional"),
        (dynamic_rnn, True),
        (static_rnn, None),
        (static_bidirectional_rnn, None),
    ],
)
@with_general_engines
def test_other_results_keep_their_gradients(function, argument, general_engine, plain_session):
    """Against the gradients of a loss that the stopped result is no part of."""
    x = tf.constant(np.random.RandomState(0).standard_normal([STEPS, BATCH, WIDTH]), tf.float32)
    results = tf.nest.flatten(function(argument, x, general_engine))
    parts = [tf.reduce_sum(tf.square(result)) for result in results]
    total = tf.add_n(parts)
    gradients, expected = [], []
    for stopped in (slice(0, 1), slice(1, None), slice(-1, None)):  # The outputs, all others, the last state.
        others = list(parts)
        del others[stopped]
        gradients += tf.gradients(total, x, stop_gradients=results[stopped])
        expected += tf.gradients(tf.add_n(others), x)
    plain_session.run(tf.global_variables_initializer())
    for gradient, reference in zip(*plain_session.run([gradients, expected])):
        np.testing.assert_allclose(gradient, reference, rtol=1e-5, atol=1e-6)
