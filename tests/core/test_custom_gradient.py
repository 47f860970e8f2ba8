"""Functions with a hand-written gradient, against numbers from calculus; the package does not keep graphs in memory."""

import gc
import weakref

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.custom_gradient import custom_gradient
from support.engines.native_ops import NEEDS_NATIVE
from support.suite.sets import EXHAUSTIVE, ONCE
from support.suite.versions import OLD

X, Y = np.array([2.0, -3.0]), np.array([0.5, 4.0])


@custom_gradient
def product_and_cube(x, y):
    """x y and x^3. The gradient is ten times the true one, so that it differs from TensorFlow's. y has none."""
    return {"product": x * y, "cube": x**3}, lambda d_cube, d_product: (10 * (d_cube * 3 * x**2 + d_product * y), None)


def test_results_and_gradients(session):
    """Arrays and variables are arguments, too. A result that is not used adds nothing, and None stops the gradient."""
    x = tf.get_variable("x", initializer=X)
    results = product_and_cube(x, Y)
    gradients = [tf.gradients(result, x)[0] for result in (list(results.values()), results["cube"], results["product"])]
    seconds = tf.gradients(gradients[1], x)
    session.run(tf.global_variables_initializer())
    results, gradients, seconds = session.run([results, gradients, seconds])
    np.testing.assert_allclose(results["cube"], [8, -27], rtol=1e-12)
    np.testing.assert_allclose(results["product"], [1, -12], rtol=1e-12)
    np.testing.assert_allclose(gradients, [[125, 310], [120, 270], [5, 40]], rtol=1e-12)
    np.testing.assert_allclose(seconds, [[120, -180]], rtol=1e-12)
    assert tf.gradients(product_and_cube(X, x)["product"], x) == [None]


def test_gradients_of_tapes(session):
    """A tape uses the hand-written gradient. `tf.recompute_grad` records on one."""
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        cube = product_and_cube(x, tf.constant(Y))["cube"]
    np.testing.assert_allclose(session.run(tape.gradient(cube, x)), [120, 270], rtol=1e-12)


def test_gradients_inside_a_function_and_a_loop(session, control_flow):
    """TensorFlow follows the gradient there, except TensorFlow 1.15 into loops of control flow v2."""
    x = tf.constant(X)
    results = [tf.function(lambda x: product_and_cube(x, Y)["cube"])(x)]
    if not (OLD and control_flow == "control_flow_v2"):
        _, looped = tf.while_loop(lambda k, _: k < 2, lambda k, x: (k + 1, product_and_cube(x, Y)["product"]), (0, x))
        results.append(looped)
    gradients = session.run([tf.gradients(result, x)[0] for result in results])
    for gradient, expected in zip(gradients, [[120, 270], (10 * Y) ** 2]):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_one_op_is_added(graph):
    """As by `tf.custom_gradient`, whose further ops nothing reads."""
    product_and_cube(tf.constant(X), tf.constant(Y))
    assert [op.type for op in graph.get_operations()].count("IdentityN") == 1
    assert {op.type for op in graph.get_operations()} == {"Const", "Mul", "Pow", "IdentityN"}


def test_an_imported_graph_has_no_gradients(graph):
    """The message says what to do. The ops of this program keep theirs beside imported ones."""
    x = tf.placeholder(tf.float32, [3, 2, 4], name="x")
    outputs = tf.identity(StackedLSTM([5], engine="graph")(x)[0], name="outputs")
    meta_graph = tf.train.export_meta_graph()
    for target, scope in ((tf.Graph(), ""), (graph, "imported")):
        with target.as_default():
            tf.train.import_meta_graph(meta_graph, import_scope=scope)
            names = [f"{scope}/{name}:0".lstrip("/") for name in ("x", "outputs")]
            imported_x, imported_outputs = (target.get_tensor_by_name(name) for name in names)
            with pytest.raises(LookupError, match="compute the gradients before you export the graph"):
                tf.gradients(imported_outputs, imported_x)
    assert tf.gradients(outputs, x)[0].shape == x.shape


def add_layers(engine):
    """Adds calls to the default graph, with their gradients, some of them second ones."""
    x = tf.placeholder_with_default(np.ones([3, 2, 4], np.float32), [3, 2, 4])
    stack = StackedLSTM([3, 3], dropout=0.3, engine=engine, initial_state="projected")
    both = BidirectionalLSTM([3], engine=engine)
    calls = [stack(x, training=True)[0], both(x, [2, 0, 1])[0]]
    if engine != "cudnn":  # It does not support them.
        calls.append(StackedLSTM([3], layer_norm=True, engine=engine, name="normalized")(x)[0])
        cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3), state_keep_prob=0.5)
        calls.append(rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, engine=engine)[0])
    gradients = tf.gradients(calls, tf.trainable_variables())
    assert None not in gradients
    assert tf.gradients([tf.reduce_sum(tf.square(d)) for d in gradients[: len(stack.variables)]], x) != [None]


# The graph engine's loops are TensorFlow's of either control flow. The others have loops only in second derivatives.
FREED = [("graph", "control_flow_v1"), ("graph", "control_flow_v2")]
FREED += [pytest.param("native", "control_flow_v1", marks=[NEEDS_NATIVE, EXHAUSTIVE])]
FREED += [pytest.param("native", "control_flow_v2", marks=NEEDS_NATIVE)]
FREED += [
    pytest.param("cudnn", "control_flow_v1", marks=ONCE),
    pytest.param("cudnn", "control_flow_v2", marks=EXHAUSTIVE),
]


@pytest.mark.parametrize("engine, control_flow", FREED, indirect=True)
def test_graphs_are_freed(engine, control_flow):
    """Nothing holds a graph that the program has dropped. TensorFlow holds no graph of plain ops either."""
    with tf.Graph().as_default() as graph:
        add_layers(engine)
    reference = weakref.ref(graph)
    del graph
    gc.collect()
    assert reference() is None
