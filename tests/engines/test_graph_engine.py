"""The graph engine: hand-written gradients, gradients of callables, and groups of layers.

test_engines.py has the tests of every engine.
"""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import graph as graph_engine
from stacked_lstm.layer import Layer
from support import numeric
from support.derivatives import Problem


def test_third_derivatives_are_refused_under_control_flow_v1(session):
    problem = Problem(session, [3], 2)
    second = tf.gradients(tf.reduce_sum(problem.gradients[0] ** 2), problem.x)[0]
    with pytest.raises(TypeError, match="Second-order gradient for while loops"):
        tf.gradients(tf.reduce_sum(second**2), problem.x)


def test_callable_that_is_not_elementwise(control_flow, session):
    """A softmax couples units, so the table has no derivative for it."""
    second = control_flow == "control_flow_v2"
    problem = Problem(session, [4, 3], 3, [5, 0, 3], second, activation=lambda x: tf.nn.softmax(x) - 0.3)
    problem.check_gradients()
    if second:
        problem.check_second_derivatives()
        return
    with pytest.raises(ValueError, match="enable_control_flow_v2"):
        tf.gradients(tf.reduce_sum(problem.gradients[0] ** 2), problem.x)


def test_callable_with_a_variable_of_its_own(session):
    slope = tf.get_variable("slope", [], tf.float64, tf.constant_initializer(0.8))
    problem = Problem(session, [3], 2, recurrent_activation=lambda x: tf.sigmoid(slope * x))
    gradient = tf.gradients(problem.loss, slope)[0]

    def loss_at(point):
        session.run(slope.assign(point[0]))
        return session.run(problem.loss, {problem.x: problem.point[0]})

    expected = numeric.central_difference(loss_at, [np.float64(0.8)], [np.float64(1)])
    loss_at([0.8])
    assert abs(session.run(gradient, {problem.x: problem.point[0]}) - expected) < 1e-6 * abs(expected)


def test_gradients_of_tapes(session):
    """They are those of `tf.gradients`. Under control flow v1, a tape itself does not have the gradient of a loop."""
    x, options = tf.constant(np.random.RandomState(0).standard_normal([3, 3, 2])), {}
    with tf.variable_scope("resources", use_resource=True):
        slopes = tf.get_variable("slopes", [3], tf.float64, tf.random_uniform_initializer(0.5, 1.5))
        options["plain"] = {}
        options["norm"] = {"layer_norm": True, "initial_state": "projected"}
        options["extras"] = {"zoneout_c": 0.3, "zoneout_h": 0.2, "peepholes": True, "projection_size": 2}
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
            if lstm is stacks[0]:
                results.append((outer.gradient(norm, x), tf.gradients(norm, x)[0]))
                continue
            with pytest.raises(ValueError, match="second derivatives of .* need control flow v2"):
                outer.gradient(norm, x)
    session.run(tf.global_variables_initializer())
    for actual, expected in session.run(results):
        for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
            assert np.any(b) and numeric.relative_difference(a, b) < 1e-12


def test_known_callables_have_the_hand_written_gradient(session):
    assert activations.get(tf.tanh, "", "").name == "tanh" and activations.get(tf.nn.relu, "", "").times_slope
    options = {"activation": tf.nn.tanh, "recurrent_activation": tf.nn.sigmoid}
    problem = Problem(session, [3], 2, second=True, **options)
    problem.check_second_derivatives()  # The loop of a callable could not do this.


def test_layers_are_grouped_by_size():
    sizes = ((300, 8), (8, 300), (8, 8), (300, 8), (300, 300), (8, 300))
    layers = [Layer(inputs, size, kernels=[]) for size, inputs in sizes]
    assert graph_engine._group_sizes(layers) == [1, 2, 1, 1, 1]
