"""StackedLSTM from outside: values, shapes, dtypes, engines."""

import itertools

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.references import numeric
from support.suite.sets import some
from support.suite.versions import NEEDS_BFLOAT16

# dtype, tolerance, engine
DTYPES = [
    (tf.float16, 2e-3, "graph"),
    pytest.param(tf.bfloat16, 2e-2, "graph", marks=NEEDS_BFLOAT16),
    (tf.float64, 1e-14, "graph"),
    pytest.param(tf.float64, 1e-14, "native", marks=NEEDS_NATIVE),
    (tf.float16, 2e-3, "cudnn"),
    (tf.float32, 1e-6, "cudnn"),
    (tf.float64, 1e-14, "cudnn"),
]


def run_numpy(layers, x, *options):
    """(outputs [B, T, H], states) of `numpy_lstm` for x [B, T, I]."""
    outputs, state, _ = numpy_lstm.forward(layers, x.transpose(1, 0, 2), *options)
    return outputs.transpose(1, 0, 2), state


ACTIVATIONS, RECURRENT = ("tanh", "relu", "linear", "sigmoid"), ("sigmoid", "hard_sigmoid", "hard_sigmoid_6", "tanh")


@pytest.mark.parametrize(
    "activation, recurrent_activation",
    some(
        list(zip(ACTIVATIONS, RECURRENT)) + list(zip(ACTIVATIONS, RECURRENT[1:] + RECURRENT[:1])),
        list(itertools.product(ACTIVATIONS, RECURRENT)),
    ),
)
def test_equations(activation, recurrent_activation, general_engine, plain_session):
    """Against NumPy, with pre-activations on both sides of every kink."""
    lstm = StackedLSTM(
        [5, 4],
        activation=activation,
        recurrent_activation=recurrent_activation,
        initial_state="projected",
        weight_initializer="xavier",
        bias_initializer="tn",
        dtype=tf.float64,
        engine=general_engine,
    )
    random = np.random.RandomState(0)
    x, lengths = random.standard_normal([4, 6, 3]), [6, 0, 1, 4]
    outputs, state = lstm(tf.constant(x), tf.constant(lengths))
    plain_session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(plain_session)
    first = x[:, 0] * (np.array(lengths) > 0)[:, None]
    starts, _ = numpy_lstm.projected_forward(weights.initial_state, first)
    expected, finals = run_numpy(weights.layers, x, starts, lengths, activation, recurrent_activation)
    got, got_state = plain_session.run([outputs, state])
    assert numeric.relative_difference(got, expected) < 1e-12
    for actual, reference in zip(got_state, finals):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-12 * np.max(np.abs(reference)))


def test_no_bias(engine, session):
    lstm = StackedLSTM([3], use_bias=False, dtype=tf.float64, engine=engine)
    x = np.random.RandomState(0).standard_normal([2, 4, 2])
    outputs, _ = lstm(tf.constant(x))
    session.run(tf.global_variables_initializer())
    assert lstm.layers[0].bf is None
    expected, _ = run_numpy(lstm.get_weights(session).layers, x)
    assert numeric.relative_difference(session.run(outputs), expected) < 1e-13


def test_static_shapes(engine):
    lstm = StackedLSTM([4, 6], engine=engine)
    outputs, state = lstm(tf.placeholder(tf.float32, [5, None, 3]))
    assert outputs.shape.as_list() == [5, None, 6]
    assert [s.c.shape.as_list() for s in state] == [[5, 4], [5, 6]]
    outputs, state = lstm(tf.placeholder(tf.float32, [7, None, 3]), time_major=True, sequence_length=[1, 2])
    assert outputs.shape.as_list()[::2] == [7, 6]
    assert all(isinstance(s, LSTMState) for s in state) and isinstance(state, tuple)


def test_unknown_sizes(engine, session):
    x = tf.placeholder(tf.float32, [None, None, 3])
    outputs, state = StackedLSTM([4, 2], initial_state="learned", engine=engine)(x)
    session.run(tf.global_variables_initializer())
    for batch, steps in ((1, 1), (3, 5), (0, 2), (2, 0)):
        got, final = session.run([outputs, state], {x: np.ones([batch, steps, 3])})
        assert got.shape == (batch, steps, 2) and final[0].h.shape == (batch, 4)


def test_time_major_is_the_same(engine, plain_session):
    x = np.random.RandomState(0).standard_normal([3, 5, 2])
    lstm = StackedLSTM([4], dtype=tf.float64, engine=engine)
    batch_major, _ = lstm(tf.constant(x), [5, 2, 0])
    time_major, _ = lstm(tf.constant(x.transpose(1, 0, 2)), [5, 2, 0], time_major=True)
    plain_session.run(tf.global_variables_initializer())
    a, b = plain_session.run([batch_major, time_major])
    np.testing.assert_array_equal(a, b.transpose(1, 0, 2))


def test_called_again_shares_variables(session):
    lstm = StackedLSTM([4])
    first, _ = lstm(tf.ones([2, 3, 2]))
    count = len(tf.global_variables())
    second, _ = lstm(tf.ones([2, 3, 2]))
    assert len(tf.global_variables()) == count
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([first, second]))


def test_initial_state_argument_continues_a_sequence(engine, plain_session):
    """Two pieces, with the state passed on, are the whole sequence, as in truncated backpropagation."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 8, 2]))
    lstm = StackedLSTM([4, 5], initial_state="projected", dtype=tf.float64, engine=engine)
    whole, last = lstm(x)
    first, state = lstm(x[:, :3])
    second, resumed = lstm(x[:, 3:], initial_state=state)
    plain_session.run(tf.global_variables_initializer())
    whole, last, first, second, resumed = plain_session.run([whole, last, first, second, resumed])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=0, atol=1e-15)
    np.testing.assert_allclose(resumed[1].c, last[1].c, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype, tolerance, engine", DTYPES, indirect=["engine"])
def test_dtypes(dtype, tolerance, engine, plain_session):
    """Forward and backward in every float dtype, against NumPy on the same rounded weights."""
    options = {"initial_state": "learned", "weight_initializer": "orthogonal", "dtype": dtype, "engine": engine}
    lstm = StackedLSTM([4, 3], **options)
    x = tf.cast(np.random.RandomState(0).standard_normal([3, 5, 2]), dtype)
    outputs, _ = lstm(x, [5, 0, 3])
    gradients = tf.gradients(outputs, lstm.variables)
    assert outputs.dtype == dtype and all(g.dtype == dtype for g in gradients)
    plain_session.run(tf.global_variables_initializer())
    expected, _ = run_numpy(lstm.get_weights(plain_session).layers, plain_session.run(x), None, [5, 0, 3])
    assert numeric.relative_difference(plain_session.run(outputs).astype(np.float64), expected) < tolerance
    assert all(np.all(np.isfinite(g.astype(np.float64))) for g in plain_session.run(gradients))


def test_engine_used():
    lstm = StackedLSTM([2])
    assert lstm.engine_used is None
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == auto_engine() and "first engine" in lstm.engine_used.reason
    lstm = StackedLSTM([2], engine="graph", name="other")
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used == ("graph", "asked for by name")
