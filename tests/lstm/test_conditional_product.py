"""Products that are left out if a condition is false, against NumPy and calculus."""

import numpy as np
import pytest

from stacked_lstm.compat import tf
from stacked_lstm.lstm.conditional_product import multiply_if

VALUE, FACTORS = np.array([[2.0, -3.0], [0.5, 4.0]]), np.array([[5.0], [-2.0]])


@pytest.mark.parametrize("factors", [FACTORS, FACTORS[:1], VALUE + 1], ids=["columns", "scalar", "all"])
def test_product_and_derivatives(factors, control_flow, session):
    """The derivatives are those of the product for both conditions, because the factors are 1 if it is false."""
    condition, value, ones = tf.placeholder(tf.bool, []), tf.placeholder(tf.float64, [2, 2]), np.ones_like(factors)
    factor = tf.placeholder(tf.float64, factors.shape)
    product = multiply_if(condition, value, factor)
    assert product.shape == value.shape
    first = tf.gradients(tf.reduce_sum(product**2), [value, factor])
    second = tf.gradients(tf.reduce_sum(first[0] * VALUE) + tf.reduce_sum(first[1] * factors), [value, factor])
    for is_true, used in ((True, factors), (False, ones)):
        feed = {condition: is_true, value: VALUE, factor: used}
        expected_first = numpy_first(VALUE, used)
        np.testing.assert_allclose(session.run(product, feed), VALUE * used, rtol=1e-12)
        for actual, expected in zip(session.run(first, feed), expected_first):
            np.testing.assert_allclose(actual, expected, rtol=1e-12)
        # The scalar is sum(2 value factor^2 VALUE) + sum(2 value^2 factor factors).
        expected_second = [
            2 * used**2 * VALUE + 4 * VALUE * used * factors,
            sum_like(4 * VALUE * used * VALUE + 2 * VALUE**2 * factors, used),
        ]
        for actual, expected in zip(session.run(second, feed), expected_second):
            np.testing.assert_allclose(actual, expected, rtol=1e-12)


def numpy_first(value, factors):
    """The derivatives of sum((value factors)^2)."""
    return 2 * value * factors**2, sum_like(2 * value**2 * factors, factors)


def sum_like(value, like):
    axes = tuple(k for k, (a, b) in enumerate(zip(value.shape, like.shape)) if b < a)
    return value.sum(axis=axes, keepdims=True)


def test_a_product_that_is_left_out_reads_no_factors(session):
    condition = tf.placeholder(tf.bool, [])
    value = tf.constant(VALUE)
    product = multiply_if(condition, value, tf.constant(np.nan, tf.float64, [1, 1]))
    gradient = tf.gradients(product, value)[0]
    results = session.run([product, gradient], {condition: False})
    np.testing.assert_array_equal(results, [VALUE, np.ones([2, 2])])
    assert np.isnan(session.run([product, gradient], {condition: True})).all()
