"""Networks that are called with the inputs of all steps. Their numbers are golden."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import random, values

X = random([5, 2, 3])
LENGTHS = [5, 3]


@pytest.mark.parametrize("use_dynamic_rnn", [True, False])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_lists_of_steps(use_dynamic_rnn, lengths, session):
    """Lists in, lists out, with the numbers of tensors; the engine is known for both."""
    results = []
    for network in (
        rnn_cell.LSTMBlockFusedCell(4, reuse=tf.AUTO_REUSE),
        rnn_cell.FusedRNNCellAdaptor(rnn_cell.LSTMCell(4, reuse=tf.AUTO_REUSE), use_dynamic_rnn),
    ):
        for inputs in (tf.constant(X), tf.unstack(tf.constant(X))):
            with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
                outputs, state = network(inputs, dtype=tf.float32, sequence_length=lengths)
            assert isinstance(outputs, list) == isinstance(inputs, list)
            assert rnn_cell.engine_used(outputs).name != "stepwise"
            results.append((outputs, state))
    for (outputs, state), (steps, other) in zip(*[iter(values(session, results))] * 2):
        np.testing.assert_allclose(outputs, steps, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(state, other, rtol=1e-5, atol=1e-7)


def test_reversed_list_is_reversed_as_a_whole(session):
    """TensorFlow 1.15 does the same."""

    class Steps(rnn_cell.FusedRNNCell):
        def __call__(self, inputs, initial_state=None, dtype=None, sequence_length=None, scope=None):
            return inputs, inputs[0]

    backward = rnn_cell.TimeReversedFusedRNN(Steps())
    outputs, first = backward(tf.unstack(tf.constant(X)), sequence_length=LENGTHS)
    np.testing.assert_array_equal(session.run(outputs), X)
    np.testing.assert_array_equal(session.run(first), X[-1])
    outputs, first = backward(tf.constant(X), sequence_length=LENGTHS)
    np.testing.assert_array_equal(session.run(outputs), X)
    np.testing.assert_array_equal(session.run(first), [X[4, 0], X[2, 1]])


def test_variables_and_scopes():
    lstm = rnn_cell.LSTMBlockFusedCell(4, use_peephole=True)
    lstm(tf.constant(X), dtype=tf.float32, scope="mine")
    lstm(tf.constant(X), dtype=tf.float32)
    names = [variable.op.name for variable in lstm.variables]
    assert names == ["mine/" + name for name in ("kernel", "bias", "w_i_diag", "w_f_diag", "w_o_diag")]
    assert lstm.weights == lstm.trainable_weights == lstm.trainable_variables == lstm.variables
    assert lstm.non_trainable_weights == lstm.non_trainable_variables == []
    assert (lstm.name, lstm.count_params()) == ("lstm_fused_cell", 7 * 16 + 16 + 3 * 4)
    with tf.variable_scope("outer"):
        for name in ("outer/lstm_fused_cell/", "outer/lstm_fused_cell_1/"):
            lstm = rnn_cell.LSTMBlockFusedCell(4)
            lstm(tf.constant(X), dtype=tf.float32)
            assert lstm.variables[0].op.name == name + "kernel"


def test_errors():
    lstm = rnn_cell.LSTMBlockFusedCell(4)
    for arguments, message in (
        ({"inputs": tf.constant(X)}, "Either initial_state or dtype needs to be specified"),
        ({"inputs": X, "initial_state": (tf.zeros([2, 4]),)}, "initial_state to be a tuple with length 2 or None"),
        ({"inputs": X[0], "dtype": tf.float32}, r"inputs of rank 3, \[time, batch, input\], got shape \(2, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            lstm(**arguments)
    with pytest.raises(TypeError, match="is not an RNNCell"):
        rnn_cell.FusedRNNCellAdaptor(tf.tanh)
    with pytest.raises(NotImplementedError, match="FusedRNNCell.__call__"):
        rnn_cell.FusedRNNCell()(X)
