"""The recurrent dropout of LayerNormBasicLSTMCell on engines, and the variational dropout of states in one step."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines import native_ops
from support.networks.some_cells import random, values
from support.references import numeric

KEEP, UNITS, SHAPE = 0.7, 10, [40, 50, 3]
ENGINES = ["graph", "native"]


def run(cell, x, **options):
    outputs, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, **options)
    return outputs


@pytest.fixture
def wide_gates():
    """A scope in which i and o are 1, f is 0, and the candidate depends on x."""
    bias = np.repeat([200.0, 1.0, -200.0, 200.0], UNITS)
    kernel = np.zeros([3 + UNITS, 4 * UNITS])
    kernel[:3, UNITS : 2 * UNITS] = 0.1

    def getter(get, name, *args, **options):
        value = kernel if name.endswith("kernel") else bias
        return get(name, *args, **dict(options, initializer=tf.constant_initializer(value)))

    with tf.variable_scope("wide", custom_getter=getter):
        yield


@pytest.mark.parametrize("engine", ["graph", pytest.param("native", marks=native_ops.NEEDS_NATIVE)])
def test_masks(engine, wide_gates, session):
    """Each entry is kept with the probability, then h = tanh(g / keep); the gradient has the same mask."""
    x = tf.constant(random(SHAPE))
    cell = rnn_cell.LayerNormBasicLSTMCell(UNITS, 0.0, layer_norm=False, dropout_keep_prob=KEEP)
    outputs = run(cell, x, engine=engine)
    assert rnn_cell.engine_used(outputs).name == engine
    first = outputs[:, :, 0]
    actual, gradient, second = values(session, [outputs, tf.gradients(first, x)[0], tf.gradients(outputs, x)[0]])
    count = actual.size
    assert abs(np.sum(actual != 0) - KEEP * count) < 5 * np.sqrt(count * KEEP * (1 - KEEP))
    expected = np.tanh(np.tanh(1 + 0.1 * random(SHAPE).sum(axis=2, keepdims=True)) / KEEP) * (actual != 0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_array_equal(gradient != 0, np.repeat(actual[:, :, :1] != 0, 3, axis=2))
    assert np.all(second[np.any(actual != 0, axis=2)] != 0)
    again = session.run(outputs)
    assert np.any((again != 0) != (actual != 0)) and np.any(actual[:, 0] != actual[:, 1])


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("layer_norm", [True, False])
def test_seed(layer_norm, plain_session):
    """Outputs, states and gradients are those of TensorFlow's loop in each run of a session. The probability is fed."""
    keep, x = tf.placeholder(tf.float64, []), tf.constant(random([4, 7, 3]), tf.float64)
    start = rnn_cell.LSTMStateTuple(*(tf.constant(random([4, UNITS], seed), tf.float64) for seed in (1, 2)))
    results = []
    initializer = tf.random_normal_initializer(stddev=0.5, seed=3)
    for engine in [*ENGINES, "stepwise"]:
        with tf.variable_scope("same", reuse=tf.AUTO_REUSE, initializer=initializer):
            options = {"layer_norm": layer_norm, "dropout_keep_prob": keep, "dropout_prob_seed": 3}
            cell = rnn_cell.LayerNormBasicLSTMCell(UNITS, **options)
            outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 0, 2, 3], initial_state=start, engine=engine)
        assert rnn_cell.engine_used(outputs).name == engine
        loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(tf.sin(state.c)) + tf.reduce_sum(tf.cos(state.h))
        results.append([outputs, state, tf.gradients(loss, [x, *start, *cell.trainable_weights, keep])])
    plain_session.run(tf.global_variables_initializer())
    runs = [plain_session.run(results, {keep: probability}) for probability in (0.7, 0.7, 0.4)]
    for *actual, expected in runs:
        for one in actual:
            for a, e in zip(tf.nest.flatten(one), tf.nest.flatten(expected)):
                assert numeric.relative_difference(a, e) < 1e-12
    assert np.any(runs[0][0][0] != runs[1][0][0])


@pytest.mark.parametrize("layer_norm", [True, False])
def test_probability_that_is_fed(layer_norm, session):
    """At 1.0 the numbers are those of a cell without dropout; another number drops."""
    keep, x = tf.placeholder_with_default(1.0, []), tf.constant(random(SHAPE))
    outputs = []
    for probability in (1.0, keep):
        with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
            cell = rnn_cell.LayerNormBasicLSTMCell(UNITS, layer_norm=layer_norm, dropout_keep_prob=probability)
            outputs.append(run(cell, x, engine="graph"))
    plain, kept = values(session, outputs)
    np.testing.assert_allclose(kept, plain, rtol=1e-5, atol=1e-6)
    assert np.max(np.abs(session.run(outputs[1], {keep: 0.5}) - plain)) > 0.01


@native_ops.NEEDS_NATIVE
def test_masks_and_variational_dropout_on_states(session):
    """The masks are drawn once, also if the initial state is not zero."""
    x = tf.constant(random(SHAPE))
    start = rnn_cell.LSTMStateTuple(*(tf.constant(random([SHAPE[0], UNITS], seed)) for seed in (1, 2)))
    options = {"variational_recurrent": True, "dtype": tf.float32, "seed": 5}
    outputs = []
    with tf.variable_scope("same", initializer=tf.random_normal_initializer(seed=3)):
        for engine in [*ENGINES, "stepwise"]:
            cell = rnn_cell.LayerNormBasicLSTMCell(UNITS, dropout_keep_prob=KEEP, dropout_prob_seed=3)
            wrapper = rnn_cell.DropoutWrapper(cell, state_keep_prob=0.5, **options)
            outputs.append(rnn_cell.dynamic_rnn(wrapper, x, initial_state=start, scope=engine, engine=engine)[0])
    *actual, expected = values(session, outputs)
    for one in actual:
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("has_start", [True, False])
def test_variational_dropout_on_the_states_of_one_step(has_start, plain_session):
    """The engines then run the layers' own kernels. Only the final states are dropped out, where there is a step."""
    values, units = random([4, 1, 3], dtype=np.float64), 6
    start = rnn_cell.LSTMStateTuple(*(tf.constant(random([4, units], seed), tf.float64) for seed in (1, 2)))
    results = []
    for engine, steps in (("graph", 1), ("native", 1), ("graph", None), ("native", None), ("stepwise", 1)):
        x = tf.placeholder_with_default(values, [4, steps, 3])
        with tf.variable_scope("same", reuse=tf.AUTO_REUSE, initializer=tf.random_normal_initializer(seed=3)):
            wrap, options = rnn_cell.DropoutWrapper, {"variational_recurrent": True, "dtype": tf.float64, "seed": 5}
            cell = wrap(rnn_cell.BasicLSTMCell(units), state_keep_prob=0.5, **options)
            state = start if has_start else None
            outputs, final = rnn_cell.dynamic_rnn(cell, x, [1, 0, 1, 1], state, dtype=x.dtype, engine=engine)
        loss = tf.reduce_sum(tf.sin(outputs)) + tf.reduce_sum(tf.square(final.h) + tf.cos(final.c))
        results.append([outputs, final, tf.gradients(loss, [x, *tf.trainable_variables()])])
    plain_session.run(tf.global_variables_initializer())
    *engines, expected = (tf.nest.flatten(result) for result in plain_session.run(results))
    assert np.any(expected[2] == 0) and np.any(expected[2] != 0)  # h at the end.
    for actual in engines:
        for one, other in zip(actual, expected):
            assert numeric.relative_difference(one, other) < 1e-12


@native_ops.NEEDS_NATIVE
def test_masks_multiply_kernels_only_if_that_changes_the_results():
    """There is no product for one step, and none for masks of ones."""
    options = {"variational_recurrent": True, "dtype": tf.float64, "seed": 5}
    x, keep = tf.placeholder(tf.float64, [None, 2, 3]), tf.placeholder(tf.float64, [])
    cells = [rnn_cell.BasicLSTMCell(6), rnn_cell.BasicLSTMCell(5)]
    wrappers = [rnn_cell.DropoutWrapper(cell, state_keep_prob=keep, **options) for cell in cells]
    arguments = {"dtype": x.dtype, "time_major": True, "scope": "one"}
    results = []
    for engine in ("native", "stepwise"):
        with tf.variable_scope("", reuse=tf.AUTO_REUSE, initializer=tf.random_normal_initializer(seed=3)):
            outputs, _ = rnn_cell.dynamic_rnn(rnn_cell.MultiRNNCell(wrappers), x, engine=engine, **arguments)
        loss = tf.reduce_sum(tf.sin(outputs))
        results.append([outputs, tf.gradients(loss, [x, keep, *tf.trainable_variables()])])
    operations = tf.get_default_graph().get_operations()
    products = [op.name for op in operations if op.type == "Mul" and op.name.split("/")[-2].startswith("multiply_if")]
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # It changes names.
    with tf.Session(config=config) as session:
        session.run(tf.global_variables_initializer())
        for steps, probability, is_product in ((1, 0.5, False), (3, 1.0, False), (3, 0.5, True)):
            feed, metadata = {x: random([steps, 2, 3], dtype=np.float64), keep: probability}, tf.RunMetadata()
            session.run(results[0], feed, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
            executed = {node.node_name for device in metadata.step_stats.dev_stats for node in device.node_stats}
            assert len(products) == 4 and {name in executed for name in products} == {is_product}
            for one, other in zip(*map(tf.nest.flatten, session.run(results, feed))):
                assert numeric.relative_difference(one, other) < 1e-12


@pytest.mark.parametrize("engine", ["graph", pytest.param("native", marks=native_ops.NEEDS_NATIVE)])
def test_mixed_second_derivatives_with_variational_dropout_on_states(engine, plain_session):
    """The order of differentiation does not matter, also if the mask has only ones and multiplies no kernel."""
    x, keep = tf.constant(random([4, 2, 3], dtype=np.float64)), tf.placeholder(tf.float64, [])
    options = {"variational_recurrent": True, "dtype": tf.float64, "seed": 5}
    cell = rnn_cell.DropoutWrapper(rnn_cell.BasicLSTMCell(6), state_keep_prob=keep, **options)
    with tf.variable_scope("", initializer=tf.random_normal_initializer(seed=3)):
        outputs, _ = rnn_cell.dynamic_rnn(cell, x, dtype=x.dtype, engine=engine)
    kernel, _ = tf.trainable_variables()
    d_kernel, d_keep = tf.gradients(tf.reduce_sum(tf.sin(outputs)), [kernel, keep])
    direction = random(kernel.shape.as_list(), 2, np.float64)
    kernel_first = tf.gradients(tf.reduce_sum(d_kernel * direction), keep)[0]
    keep_first = tf.reduce_sum(tf.gradients(d_keep, kernel)[0] * direction)
    plain_session.run(tf.global_variables_initializer())
    for probability in (1.0, 0.7):
        one, other = plain_session.run([kernel_first, keep_first], {keep: probability})
        assert abs(one) > 1e-3 and numeric.relative_difference(one, other) < 1e-12
