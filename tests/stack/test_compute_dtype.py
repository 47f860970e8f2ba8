"""`compute_dtype`: the layers compute in half precision, and everything outside of them is float32."""

import logging

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, log, numpy_lstm, rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.references import numeric
from support.suite.sets import some
from support.suite.versions import NEEDS_BFLOAT16

LENGTHS = [5, 0, 3]

# compute_dtype, tolerance of values, tolerance of gradients, engine
HALF_PRECISION = [
    (tf.float16, 2e-3, 1e-2, "graph"),
    (tf.float16, 2e-3, 1e-2, "cudnn"),
    pytest.param(tf.bfloat16, 2e-2, 5e-2, "graph", marks=NEEDS_BFLOAT16),
]


def rounded(arrays, dtype):
    """A nest of arrays, rounded to a dtype, as float64."""
    return tf.nest.map_structure(lambda a: np.float64(np.asarray(a, dtype.as_numpy_dtype)), arrays)


@pytest.mark.parametrize("compute_dtype, tolerance, gradient_tolerance, engine", HALF_PRECISION, indirect=["engine"])
@pytest.mark.parametrize("initial_state", ["learned", "argument"])
def test_values(initial_state, compute_dtype, tolerance, gradient_tolerance, engine, plain_session):
    """Results and gradients against NumPy on rounded weights and inputs. All of them are float32."""
    kind = "zeros" if initial_state == "argument" else initial_state
    options = {"weight_initializer": "orthogonal", "bias_initializer": "tn", "initial_state": kind, "engine": engine}
    lstm = StackedLSTM([4, 3], compute_dtype=compute_dtype, **options)
    random = np.random.RandomState(0)
    x = tf.constant(random.standard_normal([3, 5, 2]), tf.float32)
    states = [[tf.constant(random.standard_normal([3, n]), tf.float32) for _ in "ch"] for n in (4, 3)]
    outputs, state = lstm(x, LENGTHS, initial_state=states if initial_state == "argument" else None)
    d_outputs = random.standard_normal([3, 5, 3]).astype(np.float32)
    gradients = tf.gradients(outputs, [x, *lstm.variables_by_layer.layers[1].values()], d_outputs)
    tensors = [outputs, *tf.nest.flatten(state), *gradients, *lstm.variables]
    assert {tensor.dtype.base_dtype for tensor in tensors} == {tf.float32}
    assert lstm.dtype == tf.float32 and lstm.compute_dtype == compute_dtype

    plain_session.run(tf.global_variables_initializer())
    starts = plain_session.run(states) if initial_state == "argument" else [np.zeros([2, 3, n]) for n in (4, 3)]
    layers, inputs, starts = rounded(
        [lstm.get_weights(plain_session).layers, plain_session.run(x), starts], compute_dtype
    )
    results = numpy_lstm.forward(layers, inputs.transpose(1, 0, 2), [tuple(pair) for pair in starts], LENGTHS)
    expected_outputs, expected_state, cache = results
    got_outputs, got_state = plain_session.run([outputs, state])
    assert numeric.relative_difference(got_outputs, expected_outputs.transpose(1, 0, 2)) < tolerance
    for got, expected in zip(tf.nest.flatten(got_state), tf.nest.flatten(expected_state)):
        assert numeric.relative_difference(got, expected) < tolerance
    no_gradient = [(np.zeros([3, n]), np.zeros([3, n])) for n in (4, 3)]
    expected = numpy_lstm.backward(np.float64(d_outputs).transpose(1, 0, 2), no_gradient, cache)
    d_x, *d_weights = plain_session.run(gradients)
    assert numeric.relative_difference(d_x, expected["x"].transpose(1, 0, 2)) < gradient_tolerance
    for name, d_weight in zip(lstm.variables_by_layer.layers[1], d_weights):
        assert numeric.relative_difference(d_weight, expected["layers"][1][name]) < gradient_tolerance, name


@NEEDS_NATIVE
def test_native_is_refused_by_name_and_passed_over():
    lstm = StackedLSTM([4], compute_dtype=tf.float16)
    lstm(tf.zeros([2, 3, 1]))
    assert lstm.engine_used.name != "native"
    assert "not native: it computes in float32 and float64, not in float16" in lstm.engine_used.reason
    with pytest.raises(ValueError, match="'native'.*cannot run.*float32 and float64, not in float16"):
        StackedLSTM([4], compute_dtype=tf.float16, engine="native", name="other")(tf.zeros([2, 3, 1]))


def test_checkpoints_are_those_of_a_float32_stack(session, tmp_path):
    """Names, shapes and values. The results of the float32 stack differ by the rounding only."""
    x = np.random.RandomState(0).standard_normal([3, 5, 2]).astype(np.float32)
    lstm = StackedLSTM([4, 3], initial_state="projected", compute_dtype=tf.float16, engine="graph")
    outputs, _ = lstm(tf.constant(x))
    session.run(tf.global_variables_initializer())
    expected, path = session.run(outputs), tf.train.Saver().save(session, str(tmp_path / "model"))
    with tf.Graph().as_default(), tf.Session() as other:
        restored, _ = StackedLSTM([4, 3], initial_state="projected", engine="graph")(tf.constant(x))
        tf.train.Saver().restore(other, path)
        difference = numeric.relative_difference(other.run(restored), expected)
    assert 0 < difference < 2e-3


def losses(steps, sizes, scale=1.0, **options):
    """Losses of a network that repeats its inputs a step later, trained by Adam on one batch."""
    time_steps, batch_size, width, layers = sizes
    x = np.random.RandomState(0).standard_normal([batch_size, time_steps, width])
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        lstm = StackedLSTM([width] * layers, engine="graph", **options)
        outputs, _ = lstm(tf.cast(x, lstm.dtype))
        loss = tf.reduce_mean(tf.square(tf.cast(outputs, tf.float32) - 0.1 * np.roll(x, 1, axis=1).astype(np.float32)))
        optimizer = tf.train.AdamOptimizer(0.001 if width > 100 else 0.02)
        gradients = optimizer.compute_gradients(loss * scale)
        train = optimizer.apply_gradients([(gradient / scale, variable) for gradient, variable in gradients])
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return [session.run([loss, train])[0] for _ in range(steps + 1)]


@pytest.mark.parametrize(
    "steps, sizes",
    some(quick=[(60, (8, 4, 8, 2))], every=[(60, (8, 4, 8, 2)), (200, (35, 20, 200, 2))]),
)
def test_training_ends_as_in_float32(steps, sizes):
    """With loss scaling for float16. Half-precision variables do not get there."""
    reference = losses(steps, sizes)
    assert reference[-1] < 0.5 * reference[0]
    float16 = losses(steps, sizes, scale=4096.0, compute_dtype=tf.float16)
    assert abs(float16[-1] / reference[-1] - 1) < 0.05
    assert not losses(steps, sizes, dtype=tf.float16)[-1] < 2 * reference[-1]


@NEEDS_BFLOAT16
@pytest.mark.parametrize(
    "steps, sizes",
    some(quick=[(60, (8, 4, 8, 2))], every=[(60, (8, 4, 8, 2)), (200, (35, 20, 200, 2))]),
)
def test_training_in_bfloat16_ends_as_in_float32(steps, sizes):
    reference = losses(steps, sizes)
    bfloat16 = losses(steps, sizes, compute_dtype=tf.bfloat16)
    assert abs(bfloat16[-1] / reference[-1] - 1) < 0.05
    assert not losses(steps, sizes, dtype=tf.bfloat16)[-1] < 2 * reference[-1]


def test_half_precision_variables_warn_once(monkeypatch, caplog):
    monkeypatch.setattr(log, "_logged", set())
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        StackedLSTM([4], compute_dtype=tf.float16, name="computes").build(2)
        assert caplog.messages == []
        StackedLSTM([4], dtype=tf.float16).build(2)
        StackedLSTM([4], dtype=tf.float16, name="again").build(2)
    (message,) = caplog.messages
    assert "float16 variables lose small updates" in message and "compute_dtype=tf.float16" in message


@pytest.mark.parametrize(
    "make_cell", [lambda: rnn_cell.BasicLSTMCell(4), lambda: rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3)]
)
def test_cells_with_float32_storage(make_cell, session):
    """The recipe of the page: a custom getter casts the variables."""

    def float32_storage(getter, name, shape=None, dtype=None, **options):
        return tf.cast(getter(name, shape=shape, dtype=tf.float32, **options), dtype)

    x = tf.constant(np.random.RandomState(0).standard_normal([3, 5, 2]), tf.float32)
    with tf.variable_scope("storage", custom_getter=float32_storage):
        half, _ = rnn_cell.dynamic_rnn(make_cell(), tf.cast(x, tf.float16), dtype=tf.float16, engine="graph")
    with tf.variable_scope("storage", reuse=True):
        full, _ = rnn_cell.dynamic_rnn(make_cell(), x, dtype=tf.float32, engine="stepwise")
    variables = tf.trainable_variables("storage")
    gradients = tf.gradients(half, variables)
    assert {tensor.dtype.base_dtype for tensor in variables + gradients} == {tf.float32}
    session.run(tf.global_variables_initializer())
    assert 0 < numeric.relative_difference(*session.run([half, full])) < 5e-3
