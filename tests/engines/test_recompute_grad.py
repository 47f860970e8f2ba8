"""`tf.recompute_grad` around a stack: it works with resource variables, as with any other function of TensorFlow."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.references import numeric
from support.suite.versions import NEEDS_RECOMPUTE_GRAD

X = np.random.RandomState(0).standard_normal([2, 5, 3])


@pytest.mark.parametrize(
    "lengths, options", [(None, {}), ([5, 2], {}), ([5, 2], {"layer_norm": True, "zoneout_h": 0.2})]
)
def test_gradients(lengths, options, general_engine, session):
    """They are those without it, for the inputs and for all variables."""
    x = tf.constant(X)
    with tf.variable_scope("resources", use_resource=True):
        lstm = StackedLSTM([4, 3], initial_state="projected", dtype=tf.float64, engine=general_engine, **options)
        lstm.build(3)

    def outputs(series):
        return lstm(series, lengths)[0]

    arguments = [x, *lstm.variables]
    got, expected = (
        tf.gradients(tf.reduce_sum(tf.square(function(x))), arguments)
        for function in (tf.recompute_grad(outputs), outputs)
    )
    session.run(tf.global_variables_initializer())
    for actual, reference in zip(*session.run([got, expected])):
        assert np.any(reference) and numeric.relative_difference(actual, reference) < 1e-12


@NEEDS_RECOMPUTE_GRAD
def test_variables_that_are_no_resources_are_refused_by_tensorflow():
    """It refuses a product in the same way. The page says so."""
    lstm = StackedLSTM([4], dtype=tf.float64, engine="graph")
    lstm.build(3)
    matrix = tf.get_variable("matrix", [3, 3], tf.float64, use_resource=False)
    x, errors = tf.constant(X), []
    for function in (lambda x: lstm(x)[0], lambda x: tf.tensordot(x, matrix, 1)):
        with pytest.raises((SystemError, TypeError)) as error:
            outputs = tf.recompute_grad(function)(x)
            tf.gradients(outputs, x)
        errors.append(error.type)
    assert errors[0] is errors[1]
