"""Dropout and residual connections of BidirectionalLSTM."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM
from stacked_lstm.compat import tf
from support.references import bidirectional_in_numpy as witness
from support.references import numeric

STEPS, BATCH = 6, 4
LENGTHS = [6, 0, 1, 4]


def test_dropout(session):
    """Both directions see the same inputs; recurrent masks differ; nothing is dropped at other times."""
    x = tf.ones([20, 5, 8])
    training = tf.placeholder_with_default(False, [])
    options = {"input_dropout": 0.5, "merge": None, "engine": "graph", "seed": 3}
    lstm = BidirectionalLSTM([8], weight_initializer="zeros", **options)
    first, _ = lstm(x, training=training)
    gradients = [tf.gradients(side, x)[0] for side in first]
    session.run(tf.global_variables_initializer())
    random = np.random.RandomState(0)
    layer = {"W" + g: random.standard_normal([16, 8]) for g in "fico"}
    layer.update({"b" + g: np.zeros(8) for g in "fico"})
    lstm.set_weights(session, ([layer], None), ([layer], None))
    forward, backward = (d == 0 for d in session.run(gradients, {training: True}))
    np.testing.assert_array_equal(forward, backward)
    assert 0.4 < forward.mean() < 0.6
    assert not any(np.any(d == 0) for d in session.run(gradients))

    options = {"recurrent_dropout": 0.5, "merge": None, "engine": "graph", "seed": 3, "name": "recurrent"}
    lstm = BidirectionalLSTM([8], **options)
    outputs, _ = lstm(x, training=True)
    session.run(tf.global_variables_initializer())
    lstm.set_weights(session, ([layer], None), ([layer], None))
    forward, backward = session.run(outputs)
    assert np.any(forward != backward[:, ::-1])


def test_output_dropout_acts_on_merged_outputs(session):
    lstm = BidirectionalLSTM([8], merge="average", output_dropout=0.5, engine="graph")
    x = tf.random_normal([20, 5, 3], seed=1)
    (on, _), (off, _) = lstm(x, training=True), lstm(x)
    session.run(tf.global_variables_initializer())
    on, off = session.run([on, off])
    kept = on != 0
    assert 0.4 < kept.mean() < 0.6
    np.testing.assert_allclose(on[kept], 2 * off[kept], rtol=1e-6)


@pytest.mark.parametrize("merge, width", [("concat", 8), ("sum", 4)])
def test_residual_layers(merge, width, plain_session):
    """The input of each layer is added to the merged output, and padding stays zero."""
    x = np.random.RandomState(0).standard_normal([STEPS, BATCH, width])
    for b, length in enumerate(LENGTHS):
        x[length:, b] = np.nan
    lstm = BidirectionalLSTM([4, 4], merge=merge, residual=True, dtype=tf.float64, engine="graph")
    outputs, _ = lstm(tf.constant(x), LENGTHS, time_major=True)
    plain_session.run(tf.global_variables_initializer())
    weights, expected = lstm.get_weights(plain_session), np.nan_to_num(x)
    for k in range(2):
        single = [type(side)([side.layers[k]], []) for side in weights]
        expected = expected + witness.run(single, expected, LENGTHS, merge, "layers")[0]
    assert numeric.relative_difference(plain_session.run(outputs), expected) < 1e-12


@pytest.mark.parametrize("stacking", ["layers", "stacks"])
def test_residual_adds_the_input_before_dropout(stacking, session):
    """With weights and biases that are zero, the outputs of a direction are zero, too."""
    options = {"merge": "average", "stacking": stacking, "weight_initializer": "zeros", "engine": "graph"}
    x = np.random.RandomState(0).standard_normal([4, 5, 3]).astype(np.float32)
    outputs, _ = BidirectionalLSTM([3, 3], residual=True, input_dropout=0.5, dropout=0.5, **options)(x, training=True)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(outputs), x)
