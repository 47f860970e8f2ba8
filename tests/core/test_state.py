"""The class of states: states go from stacks to TensorFlow's loops around cells, and back."""

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf

X = np.random.RandomState(0).standard_normal([2, 5, 3])

# name -> function of (cell, inputs [B, T, I], state) -> final state.
LOOPS = {
    "dynamic_rnn": lambda cell, x, state: tf.nn.dynamic_rnn(cell, x, initial_state=state)[1],
    "static_rnn": lambda cell, x, state: tf.nn.static_rnn(cell, tf.unstack(x, axis=1), initial_state=state)[1],
    "while_loop": lambda cell, x, state: tf.while_loop(
        lambda k, _: k < 5, lambda k, state: (k + 1, cell(x[:, k], state)[1]), [0, state]
    )[1],
}


def test_one_class():
    assert LSTMState is rnn_cell.LSTMStateTuple and LSTMState.__name__ == "LSTMStateTuple"
    assert LSTMState(tf.zeros([1]), tf.zeros([1])).dtype == tf.float32
    with pytest.raises(TypeError, match="LSTMStateTuple.dtype: c is float32, h is float64"):
        assert LSTMState(tf.zeros([1]), tf.zeros([1], tf.float64)).dtype is None


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_states_go_there_and_back(loop, session):
    """A stack, then TensorFlow's loop, then the stack, each from the last state, are one call on 3 T steps."""
    x = tf.constant(X)
    lstm = StackedLSTM([4], dtype=tf.float64, forget_bias=0.0)
    _, (first,) = lstm(x)
    cell = rnn_cell.BasicLSTMCell(4, forget_bias=0.0, dtype=tf.float64)
    second = LOOPS[loop](cell, x, first)
    _, (third,) = lstm(x, initial_state=(second,))
    _, (expected,) = lstm(tf.concat([x, x, x], axis=1))
    session.run(tf.global_variables_initializer())
    layer = lstm.get_weights(session).layers[0]
    kernel = np.concatenate([layer["W" + gate] for gate in "icfo"], axis=1)
    session.run(cell.variables[0].assign(np.concatenate([kernel[4:], kernel[:4]])))
    actual, reference = session.run([third, expected])
    np.testing.assert_allclose(actual, reference, rtol=1e-12)
