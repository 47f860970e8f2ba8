"""The graph engine: hand-written gradients, gradients of callables, and groups of layers.

test_engines.py has the tests of every engine.
"""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, activations
from stacked_lstm.compat import tf
from stacked_lstm.engines.graph import engine as graph_engine
from stacked_lstm.lstm.layer import Layer
from support.references import numeric
from support.references.derivatives import Problem
from support.suite.sets import ONCE


def test_third_derivatives_are_refused_under_control_flow_v1(plain_session):
    problem = Problem(plain_session, [3], 2)
    second = tf.gradients(tf.reduce_sum(problem.gradients[0] ** 2), problem.x)[0]
    with pytest.raises(TypeError, match="Second-order gradient for while loops"):
        tf.gradients(tf.reduce_sum(second**2), problem.x)


def test_callable_that_is_not_elementwise(control_flow, plain_session):
    """A softmax couples units, so the table has no derivative for it."""
    problem = Problem(plain_session, [4, 3], 3, [5, 0, 3], second=True, activation=lambda x: tf.nn.softmax(x) - 0.3)
    problem.check_gradients()
    problem.check_second_derivatives()


@pytest.mark.parametrize("use_resource", [False, pytest.param(True, marks=ONCE)])
def test_callable_with_a_variable_of_its_own(use_resource, plain_session):
    """First and second derivatives, with respect to the variable and to both the inputs and the variable."""
    with tf.variable_scope("activation", use_resource=use_resource):
        slope = tf.get_variable("slope", [], tf.float64, tf.constant_initializer(0.8))
    problem = Problem(plain_session, [3], 2, recurrent_activation=lambda x: tf.sigmoid(slope * x))
    first = tf.gradients(problem.loss, slope)[0] + tf.reduce_sum(tf.sin(problem.gradients[0]))
    derivatives = tf.gradients(problem.loss, slope)[0], tf.gradients(first, slope)[0]

    def at(point, fetches):
        plain_session.run(slope.assign(point[0]))
        return plain_session.run(fetches, {problem.x: problem.point[0]})

    for value, derivative in zip((problem.loss, first), at([0.8], derivatives)):
        expected = numeric.central_difference(lambda p, v=value: at(p, v), [np.float64(0.8)], [np.float64(1)])
        assert derivative == pytest.approx(expected, rel=1e-6)


def test_second_derivatives_that_control_flow_v1_does_not_have():
    """They are refused: they would be those of other random numbers, or TensorFlow does not have them."""
    x = tf.ones([2, 3, 1])
    noisy = StackedLSTM([2], activation=lambda z: tf.nn.dropout(tf.tanh(z), rate=0.5), engine="graph")
    plain = StackedLSTM([2], engine="graph", name="plain")
    plain.build(1)
    in_a_branch = tf.cond(tf.constant(True), lambda: plain(x)[0], lambda: tf.zeros([2, 3, 2]))
    for outputs, reason in ((noisy(x)[0], "an activation with random numbers"), (in_a_branch, "inside a tf.cond")):
        (first,) = tf.gradients(outputs, [x])
        with pytest.raises(ValueError, match=f"^StackedLSTM: second derivatives of .*{reason}.* need control flow v2"):
            tf.gradients(first, [x])


def test_gradients_of_tapes(plain_session):
    """They are those of `tf.gradients`. Under control flow v1, a tape itself does not have the gradient of a loop."""
    x, options = tf.constant(np.random.RandomState(0).standard_normal([3, 3, 2])), {}
    with tf.variable_scope("resources", use_resource=True):
        slopes = tf.get_variable("slopes", [3], tf.float64, tf.random_uniform_initializer(0.5, 1.5))
        options["plain"] = {}
        options["extras"] = {"layer_norm": True, "zoneout_c": 0.3, "zoneout_h": 0.2, "peepholes": True}
        options["extras"].update(projection_size=2, initial_state="projected")
        options["callable"] = {"activation": lambda z: tf.tanh(slopes * z)}
        stacks = [StackedLSTM([3], dtype=tf.float64, engine="graph", name=n, **o) for n, o in options.items()]
        results = []
        for lstm in stacks:
            lstm.build(2)
            sources = [x, *lstm.variables] + [slopes] * (lstm is stacks[-1])
            with tf.GradientTape() as outer:
                outer.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    outputs, final = lstm(x, [3, 2, 0])
                    loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(tf.sin(final[-1].c))
                gradients = inner.gradient(loss, sources)
                norm = tf.reduce_sum(gradients[0] ** 2)
            results.append((gradients, tf.gradients(loss, sources)))
            results.append((outer.gradient(norm, x), tf.gradients(norm, x)[0]))
    plain_session.run(tf.global_variables_initializer())
    for actual, expected in plain_session.run(results):
        for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
            assert np.any(b) and numeric.relative_difference(a, b) < 1e-12


def test_known_callables_have_the_hand_written_gradient(plain_session):
    assert activations.get(tf.tanh, "", "").name == "tanh" and activations.get(tf.nn.relu, "", "").times_slope
    options = {"activation": tf.nn.tanh, "recurrent_activation": tf.nn.sigmoid}
    problem = Problem(plain_session, [3], 2, second=True, **options)
    problem.check_second_derivatives()
    assert not [op for op in plain_session.graph.get_operations() if op.name.startswith("stacked_lstm_first")]


def test_layers_are_grouped_by_size():
    sizes = ((300, 8), (8, 300), (8, 8), (300, 8), (300, 300), (8, 300))
    layers = [Layer(inputs, size, kernels=[]) for size, inputs in sizes]
    assert graph_engine._group_sizes(layers) == [1, 2, 1, 1, 1]
