"""Objects with variables of one graph, which are called in a second graph, and in functions of the first."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, StateStore, rnn_cell
from stacked_lstm.compat import tf

X = np.ones([2, 3, 4], np.float32)


def by_dynamic_rnn(cell):
    return lambda: rnn_cell.dynamic_rnn(cell, X, dtype=tf.float32)[0]


def by_call(layer, **arguments):
    return lambda: layer(X, **arguments)[0]


# object -> function that makes it, and returns a call of it.
CALLS = {
    "stacked_lstm": lambda: by_call(StackedLSTM([4, 3])),
    "bidirectional_lstm": lambda: by_call(BidirectionalLSTM([4, 3], initial_state="learned")),
    "lstm_cell_1": lambda: by_dynamic_rnn(rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(4))),
    "gru_cell_1": lambda: by_dynamic_rnn(rnn_cell.GRUCell(4)),
    "lstm_fused_cell": lambda: by_call(rnn_cell.LSTMBlockFusedCell(4), dtype=tf.float32),
    "CudnnLSTM": lambda: by_call(rnn_cell.CudnnLSTM(1, 4)),
}


def refused(name, noun="variables"):
    message = f"^{name}: expected a call in the graph of its {noun}, got one in another graph; make a new object for"
    return pytest.raises(ValueError, match=message)


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_second_graph(name, resource):
    with tf.Graph().as_default() as first, tf.variable_scope("scope", use_resource=resource):
        call = CALLS[name]()
        call()
    with refused(name):
        call()
    with first.as_default():
        call()


@pytest.mark.parametrize("name", sorted(CALLS))
def test_functions_and_branches(name, control_flow, session):
    """They have graphs of their own under control flow v2."""
    with tf.variable_scope("scope", use_resource=True):
        call = CALLS[name]()
        outside = call()
    inside = tf.cond(tf.reduce_sum(outside) > -1000, call, call)
    by_function = tf.function(call)()
    session.run(tf.global_variables_initializer())
    expected, *others = session.run([outside, inside, by_function])
    for values in others:
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)


def test_state_store():
    with tf.Graph().as_default():
        lstm = StackedLSTM([4], initial_state="learned")
        lstm(X)
        store = StateStore(lstm, batch_size=2)
    for name, call in (
        ("StateStore.update", lambda: store.update([(tf.zeros([2, 4]), tf.zeros([2, 4]))])),
        ("StateStore.reset", store.reset),
        ("stacked_lstm.initial_states", lambda: lstm.initial_states(2)),
    ):
        with refused(name):
            call()


def test_step_outside_of_the_graph_of_its_tensors():
    """TensorFlow adds the ops of a cell to the graph of the tensors."""
    with tf.Graph().as_default() as first:
        cell = rnn_cell.LSTMCell(4)
        x, state = tf.ones([2, 4]), cell.zero_state(2, tf.float32)
        cell(x, state)
    outputs, _ = cell(x, state)
    assert outputs.graph is first


@pytest.mark.parametrize("engine", ["graph", "stepwise"])
def test_variational_dropout(engine):
    """Its noise is in the graph of the wrapper's constructor."""
    with tf.Graph().as_default():
        options = {"variational_recurrent": True, "input_size": 4, "dtype": tf.float32}
        cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), 0.5, state_keep_prob=0.5, **options)
    with refused("dropout_wrapper_1", "variational dropout"):
        rnn_cell.dynamic_rnn(cell, X, dtype=tf.float32, engine=engine)


def test_linear():
    with tf.Graph().as_default():
        linear = rnn_cell._Linear(tf.ones([2, 4]), 3, build_bias=True)
    with refused("_Linear"):
        linear(tf.ones([2, 4]))
