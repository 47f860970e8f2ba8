"""StackedLSTM from outside: values, shapes, names, sharing, checkpoints, dtypes."""

import numpy as np
import pytest

import naive
from stacked_lstm import LSTMState, StackedLSTM
from stacked_lstm.compat import tf

BFLOAT16 = pytest.param(
    tf.bfloat16,
    2e-2,
    marks=pytest.mark.skipif(tf.__version__.startswith("1."), reason="TensorFlow 1.15 has no gradients of bfloat16"),
)

GATES = ("Wf", "Wi", "Wo", "Wc", "bf", "bi", "bo", "bc")


def values_of(lstm, session):
    return [{name: session.run(getattr(layer, name)) for name in GATES} for layer in lstm.layers]


@pytest.mark.parametrize("recurrent_activation", ["sigmoid", "hard_sigmoid", "tanh"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "sigmoid"])
def test_equations(activation, recurrent_activation, session):
    """Against NumPy, with pre-activations on both sides of every kink."""
    lstm = StackedLSTM(
        [5, 4],
        activation=activation,
        recurrent_activation=recurrent_activation,
        initial_state="projected",
        weight_initializer="xavier",
        bias_initializer="tn",
        dtype=tf.float64,
    )
    random = np.random.RandomState(0)
    x, lengths = random.standard_normal([4, 6, 3]), [6, 0, 1, 4]
    outputs, state = lstm(tf.constant(x), tf.constant(lengths))
    session.run(tf.global_variables_initializer())
    projections = session.run(lstm.variables[-4:])
    starts, c, h = [], x[:, 0] * (np.array(lengths) > 0)[:, None], x[:, 0] * (np.array(lengths) > 0)[:, None]
    for W_c, W_h in zip(projections[::2], projections[1::2]):
        c, h = np.tanh(c @ W_c), np.tanh(h @ W_h)
        starts.append((c, h))
    expected, finals = naive.lstm(values_of(lstm, session), x, starts, lengths, activation, recurrent_activation)
    got, got_state = session.run([outputs, state])
    assert naive.relative_difference(got, expected) < 1e-12
    for ours, theirs in zip(got_state, finals):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.max(np.abs(theirs)))


def test_variable_names_and_shapes():
    """Names are what checkpoints hold: they never change."""
    lstm = StackedLSTM([4, 6], initial_state="projected", name="encoder")
    lstm.build(3)
    names = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    expected = {}
    for layer, rows, width in ((1, 7, 4), (2, 10, 6)):
        expected.update({"encoder/layer_%d/W%s" % (layer, g): [rows, width] for g in "fico"})
        expected.update({"encoder/layer_%d/b%s" % (layer, g): [width] for g in "fico"})
    for layer, shape in ((1, [3, 4]), (2, [4, 6])):
        expected.update({"encoder/initial_state/layer_%d/W_%s" % (layer, f): shape for f in "ch"})
    assert names == expected
    assert {v.op.name for v in lstm.variables} == set(expected)
    assert tf.trainable_variables() == tf.global_variables()


def test_learned_names_and_start(session):
    lstm = StackedLSTM([4], initial_state="learned")
    outputs, _ = lstm(tf.zeros([2, 1, 3]))
    assert [v.op.name for v in lstm.variables[-2:]] == [
        "stacked_lstm/initial_state/layer_1/c",
        "stacked_lstm/initial_state/layer_1/h",
    ]
    session.run(tf.global_variables_initializer())
    assert not np.any(session.run(lstm.variables[-2:]))
    before = session.run(outputs)
    session.run(lstm.variables[-2].assign([1.0, -1.0, 2.0, 0.0]))
    assert np.any(session.run(outputs) != before)


def test_scope_around_the_stack():
    with tf.variable_scope("model"):
        StackedLSTM([2], use_bias=False).build(1)
    assert [v.op.name for v in tf.global_variables()] == ["model/stacked_lstm/layer_1/W" + g for g in "fioc"]


def test_no_bias(session):
    lstm = StackedLSTM([3], use_bias=False, dtype=tf.float64)
    x = np.random.RandomState(0).standard_normal([2, 4, 2])
    outputs, _ = lstm(tf.constant(x))
    session.run(tf.global_variables_initializer())
    assert lstm.layers[0].bf is None
    (layer,) = ({name: session.run(getattr(w, name)) for name in GATES[:4]} for w in lstm.layers)
    layer.update({name: np.zeros(3) for name in GATES[4:]})
    expected, _ = naive.lstm([layer], x, [(np.zeros([2, 3]), np.zeros([2, 3]))])
    assert naive.relative_difference(session.run(outputs), expected) < 1e-13


def test_forget_bias(session):
    lstm = StackedLSTM([3], forget_bias=2.5)
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(lstm.layers[0].bf), [2.5] * 3)
    np.testing.assert_array_equal(session.run(lstm.layers[0].bi), [0.0] * 3)


def test_static_shapes():
    lstm = StackedLSTM([4, 6])
    outputs, state = lstm(tf.placeholder(tf.float32, [5, None, 3]))
    assert outputs.shape.as_list() == [5, None, 6]
    assert [s.c.shape.as_list() for s in state] == [[5, 4], [5, 6]]
    outputs, state = lstm(tf.placeholder(tf.float32, [7, None, 3]), time_major=True, sequence_length=[1, 2])
    assert outputs.shape.as_list() == [7, None, 6]
    assert all(isinstance(s, LSTMState) for s in state) and isinstance(state, tuple)


def test_unknown_sizes(session):
    x = tf.placeholder(tf.float32, [None, None, 3])
    outputs, state = StackedLSTM([4, 2], initial_state="learned")(x)
    session.run(tf.global_variables_initializer())
    for batch, steps in ((1, 1), (3, 5), (0, 2), (2, 0)):
        got, final = session.run([outputs, state], {x: np.ones([batch, steps, 3])})
        assert got.shape == (batch, steps, 2) and final[0].h.shape == (batch, 4)


def test_time_major_is_the_same(session):
    x = np.random.RandomState(0).standard_normal([3, 5, 2])
    lstm = StackedLSTM([4], dtype=tf.float64)
    batch_major, _ = lstm(tf.constant(x), [5, 2, 0])
    time_major, _ = lstm(tf.constant(x.transpose(1, 0, 2)), [5, 2, 0], time_major=True)
    session.run(tf.global_variables_initializer())
    a, b = session.run([batch_major, time_major])
    np.testing.assert_array_equal(a, b.transpose(1, 0, 2))


def test_called_again_shares_variables(session):
    lstm = StackedLSTM([4])
    first, _ = lstm(tf.ones([2, 3, 2]))
    count = len(tf.global_variables())
    second, _ = lstm(tf.ones([2, 3, 2]))
    assert len(tf.global_variables()) == count
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([first, second]))


def test_initial_state_argument_continues_a_sequence(session):
    """Two halves with the state handed on are the whole: truncated backpropagation."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 8, 2]))
    lstm = StackedLSTM([4, 5], initial_state="projected", dtype=tf.float64)
    whole, last = lstm(x)
    first, state = lstm(x[:, :3])
    second, resumed = lstm(x[:, 3:], initial_state=state)
    session.run(tf.global_variables_initializer())
    whole, last, first, second, resumed = session.run([whole, last, first, second, resumed])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=0, atol=1e-15)
    np.testing.assert_allclose(resumed[1].c, last[1].c, rtol=0, atol=1e-15)


@pytest.mark.parametrize("initial_state", ["zeros", "learned", "projected"])
def test_saved_and_restored_bit_for_bit(initial_state, session, tmp_path):
    x = np.random.RandomState(0).standard_normal([3, 5, 2])
    outputs, _ = StackedLSTM([4, 3], initial_state=initial_state)(tf.constant(x, tf.float32))
    session.run(tf.global_variables_initializer())
    expected = session.run(outputs)
    path = tf.train.Saver().save(session, str(tmp_path / "model"))
    with tf.Graph().as_default(), tf.Session() as other:
        outputs, _ = StackedLSTM([4, 3], initial_state=initial_state)(tf.constant(x, tf.float32))
        tf.train.Saver().restore(other, path)
        np.testing.assert_array_equal(other.run(outputs), expected)


@pytest.mark.parametrize("dtype, tolerance", [(tf.float16, 2e-3), BFLOAT16, (tf.float64, 1e-14)])
def test_dtypes(dtype, tolerance, session):
    """Forward and backward in every float dtype, against NumPy on the same rounded weights."""
    lstm = StackedLSTM([4, 3], initial_state="learned", weight_initializer="orthogonal", dtype=dtype)
    x = tf.cast(np.random.RandomState(0).standard_normal([3, 5, 2]), dtype)
    outputs, _ = lstm(x, [5, 0, 3])
    gradients = tf.gradients(outputs, lstm.variables)
    assert outputs.dtype == dtype and all(g.dtype == dtype for g in gradients)
    session.run(tf.global_variables_initializer())
    layers = [{k: v.astype(np.float64) for k, v in layer.items()} for layer in values_of(lstm, session)]
    zeros = [(np.zeros([3, n]), np.zeros([3, n])) for n in (4, 3)]
    expected, _ = naive.lstm(layers, session.run(x).astype(np.float64), zeros, [5, 0, 3])
    assert naive.relative_difference(session.run(outputs).astype(np.float64), expected) < tolerance
    assert all(np.all(np.isfinite(g.astype(np.float64))) for g in session.run(gradients))


def test_engine_used():
    lstm = StackedLSTM([2])
    assert lstm.engine_used is None
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == "graph" and "first engine" in lstm.engine_used.reason
    lstm = StackedLSTM([2], engine="graph", name="other")
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used == ("graph", "asked for by name")


def test_initializers_by_variable(session, tmp_path):
    matrix = np.arange(6.0).reshape(3, 2)
    np.savetxt(str(tmp_path / "wf.csv"), matrix, delimiter=",")
    np.savetxt(str(tmp_path / "bi.csv"), [[7.0, 8.0]], delimiter=",")
    lstm = StackedLSTM(
        [2],
        weight_initializer={"layer_1/Wf": str(tmp_path / "wf.csv"), "layer_1/Wi": "zeros"},
        bias_initializer={"layer_1/bi": str(tmp_path / "bi.csv")},
    )
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    layer = lstm.layers[0]
    np.testing.assert_array_equal(session.run(layer.Wf), matrix)
    np.testing.assert_array_equal(session.run(layer.bi), [7, 8])
    assert not np.any(session.run(layer.Wi)) and np.all(session.run(layer.Wo))


def test_partitioner_around_the_stack(session):
    """Variables stay whole: the range that an initializer draws from depends on all rows."""
    with tf.variable_scope("model", partitioner=tf.fixed_size_partitioner(4)):
        lstm = StackedLSTM([200], initial_state="learned")
        lstm(tf.zeros([1, 1, 200]))
    session.run(tf.global_variables_initializer())
    largest = np.max(np.abs(session.run(lstm.layers[0].Wf)))
    assert 0.97 / 20 < largest <= 1 / 20
