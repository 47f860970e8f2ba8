"""Functions of TensorFlow that differentiate inside loops of their own; engines/README.md lists them."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf


def test_hessians_and_jacobian(control_flow, general_engine, session):
    x = tf.constant(np.random.RandomState(0).standard_normal([1, 2, 2]))
    lstm = StackedLSTM([2], dtype=tf.float64, engine=general_engine)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs, _ = lstm(x)
        last = outputs[:, -1]
    loss = tf.reduce_sum(outputs**2)
    rows = [tf.gradients(last[0, k], x)[0] for k in range(2)]
    pairs = [(tape.jacobian(last, x, experimental_use_pfor=False), rows)]
    if control_flow == "control_flow_v1":
        with pytest.raises(ValueError):
            tf.hessians(loss, x)
    else:
        d_x = tf.reshape(tf.gradients(loss, x)[0], [4])
        pairs.append((tf.hessians(loss, x)[0], [tf.gradients(d_x[k], x)[0] for k in range(4)]))
    session.run(tf.global_variables_initializer())
    for actual, expected in session.run(pairs):
        np.testing.assert_allclose(np.ravel(actual), np.ravel(expected), rtol=1e-12, atol=1e-14)
