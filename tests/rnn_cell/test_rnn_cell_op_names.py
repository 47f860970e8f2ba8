"""Names of the results of the loops, by which programs freeze graphs: those that TensorFlow's own loops give."""

import itertools

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.suite.sets import some

X = np.random.RandomState(0).standard_normal([2, 5, 3])
LAYOUTS = list(itertools.product([False, True], [False, True]))  # time_major, lengths


def names(nest):
    return [tensor.name for tensor in tf.nest.flatten(nest)]


def run_loops(cells, dynamic_rnn, bidirectional_dynamic_rnn, time_major, lengths):
    """Returns the results of several calls of the loops in one graph."""
    x = tf.placeholder(tf.float32, [None, None, 3], name="x")
    options = {"dtype": tf.float32, "time_major": time_major}
    options["sequence_length"] = tf.placeholder(tf.int32, [None], name="lengths") if lengths else None
    stack = cells.MultiRNNCell([cells.BasicLSTMCell(4), cells.LSTMCell(5, use_peepholes=True, num_proj=2)])
    results = [dynamic_rnn(stack, x, **options)]
    results.append(dynamic_rnn(stack, x, scope="again", **options))
    with tf.variable_scope("encoder"):
        results.append(dynamic_rnn(cells.LSTMCell(4, state_is_tuple=False), x, **options))
    with tf.variable_scope("encoder", reuse=True):
        results.append(dynamic_rnn(cells.LSTMCell(4, state_is_tuple=False), x, **options))
    for scope in (None, "second"):
        both = cells.BasicLSTMCell(4), cells.DropoutWrapper(cells.BasicLSTMCell(4), 0.5)
        results.append(bidirectional_dynamic_rnn(*both, x, scope=scope, **options))
        # Without a wrapper, an engine may run both directions at once.
        both = cells.BasicLSTMCell(4), cells.BasicLSTMCell(3)
        results.append(bidirectional_dynamic_rnn(*both, x, scope=f"{scope}_plain", **options))
    return results


@pytest.mark.parametrize("time_major, lengths", LAYOUTS)
def test_names_of_results(time_major, lengths):
    """Also under the name scopes of TensorFlow, if a scope or a cell is used again."""
    with tf.Graph().as_default():
        expected = run_loops(
            parity.rnn_cell()[0], tf.nn.dynamic_rnn, tf.nn.bidirectional_dynamic_rnn, time_major, lengths
        )
    results = run_loops(rnn_cell, rnn_cell.dynamic_rnn, rnn_cell.bidirectional_dynamic_rnn, time_major, lengths)
    assert rnn_cell.engine_used(results[0][0]).name != "stepwise"
    assert names(results) == names(expected)
    assert ("rnn/transpose_1:0" in names(results)) != time_major


@pytest.mark.parametrize("time_major, lengths", LAYOUTS)
def test_ops_of_the_engine_have_a_scope(time_major, lengths, general_engine, graph):
    """No other op has a name that TensorFlow's loop gives to another tensor."""
    x = tf.placeholder(tf.float32, [None, None, 3])
    rnn_cell.dynamic_rnn(
        rnn_cell.LSTMCell(4),
        x,
        sequence_length=tf.placeholder(tf.int32, [None]) if lengths else None,
        dtype=tf.float32,
        time_major=time_major,
        engine=general_engine,
    )
    variables = ("rnn/lstm_cell/kernel", "rnn/lstm_cell/bias", "rnn/engine/")
    others = {op.name for op in graph.get_operations() if op.name.startswith("rnn/")}
    others = {name for name in others if not name.startswith(variables)}
    outputs = {"rnn/TensorArrayStack/TensorArrayGatherV3"} if time_major else {"rnn/transpose_1"}
    permutations = set() if time_major else {"rnn/transpose", "rnn/transpose/perm", "rnn/transpose_1/perm"}
    assert others == outputs | permutations | {"rnn/while/Exit_3", "rnn/while/Exit_4"}


@pytest.mark.parametrize(
    "time_major, lengths", some(quick=[(False, True), (True, False)], every=LAYOUTS, oldest=[(False, True)])
)
def test_frozen_by_name(time_major, lengths, general_engine, session):
    """A frozen graph that is read by TensorFlow's names returns the outputs and the final state."""
    x = tf.placeholder(tf.float32, [None, None, 3], name="x")
    numbers = tf.placeholder(tf.int32, [None], name="lengths") if lengths else None
    options = {"sequence_length": numbers, "dtype": tf.float32, "time_major": time_major}
    results = rnn_cell.dynamic_rnn(rnn_cell.BasicLSTMCell(4), x, engine=general_engine, **options)
    session.run(tf.global_variables_initializer())
    feed = {"x:0": X.transpose(1, 0, 2) if time_major else X}
    if lengths:
        feed["lengths:0"] = [5, 2]
    expected = session.run(tf.nest.flatten(results), feed)
    nodes = ["rnn/TensorArrayStack/TensorArrayGatherV3" if time_major else "rnn/transpose_1"]
    nodes += ["rnn/while/Exit_3", "rnn/while/Exit_4"]
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, nodes)
    with tf.Graph().as_default() as graph, tf.Session() as other:
        tf.import_graph_def(frozen, name="")
        got = other.run([graph.get_tensor_by_name(node + ":0") for node in nodes], feed)
    for actual, reference in zip(got, expected):
        np.testing.assert_array_equal(actual, reference)
