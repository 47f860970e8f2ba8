"""AutoGraph, which converts what a tf.function calls, does not convert this package: that would take seconds."""

import pytest
from tensorflow.python.autograph.core import ag_ctx

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf


def stack(x, activation):
    return StackedLSTM([3], activation=activation)(x)


def bidirectional(x, activation):
    return BidirectionalLSTM([3], activation=activation)(x)


def loop(x, activation):
    return rnn_cell.dynamic_rnn(rnn_cell.BasicLSTMCell(3, activation=activation), x, dtype=tf.float32)


def unrolled(x, activation):
    cell = rnn_cell.BasicLSTMCell(3, activation=activation)
    return rnn_cell.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32)


@pytest.mark.parametrize("build", [stack, bidirectional, loop, unrolled])
def test_autograph_is_off_inside(build, graph):
    """What the package calls sees it."""
    seen = []

    def activation(x):
        seen.append(ag_ctx.control_status_ctx().status.name)
        return tf.tanh(x)

    def program(x):
        seen.append(ag_ctx.control_status_ctx().status.name)
        return build(x, activation)[0]

    tf.autograph.to_graph(program)(tf.zeros([2, 4, 1]))
    assert seen[0] != "DISABLED" and set(seen[1:]) == {"DISABLED"}
