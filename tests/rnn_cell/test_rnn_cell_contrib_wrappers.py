"""Wrappers of `tf.contrib.rnn`: their variables and zero states. Their numbers are golden."""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.networks.some_cells import values

SHAPE = [2, 5, 3]


def names(cell, **options):
    rnn_cell.dynamic_rnn(cell, tf.zeros(SHAPE), dtype=tf.float32, **options)
    return [variable.op.name for variable in cell.trainable_variables]


def test_variables_of_wrappers():
    lstm = ["lstm_cell/kernel", "lstm_cell/bias"]
    for scope, cell, expected in (
        ("a", rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False), [*lstm, "carry_w", "carry_b", "transform_w"]),
        ("b", rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(3), 2), ["kernel", "bias", *lstm]),
        ("c", rnn_cell.OutputProjectionWrapper(rnn_cell.LSTMCell(3), 2), [*lstm, "kernel", "bias"]),
        ("d", rnn_cell.AttentionCellWrapper(rnn_cell.LSTMCell(3), 2), ["kernel", "bias", *lstm, "attention/attn_w"]),
    ):
        inner = scope if scope == "a" else f"{scope}/{cell._base_name}"
        assert names(cell, scope=scope)[: len(expected)] == [f"{inner}/{name}" for name in expected]


def test_variables_that_are_not_trainable():
    """A getter of the program decides it."""
    cell = rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3))
    with tf.variable_scope("fixed", custom_getter=lambda get, *a, **k: get(*a, **dict(k, trainable=False))):
        assert names(cell) == [] and len(cell.non_trainable_variables) == 4
    assert [v.op.name for v in cell.variables][2:] == ["fixed/rnn/carry_w", "fixed/rnn/carry_b"]


def test_second_call_reuses():
    cell = rnn_cell.AttentionCellWrapper(rnn_cell.InputProjectionWrapper(rnn_cell.GRUCell(4), 3), 2)
    state = cell.zero_state(2, tf.float32)
    cell(tf.zeros([2, 3]), state)
    count = len(tf.global_variables())
    cell(tf.zeros([2, 3]), state)
    assert len(tf.global_variables()) == count == len(cell.variables)


WRAPPED = {
    "highway": lambda: rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False),
    "highways in a stack": lambda: rnn_cell.MultiRNNCell(
        [rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3))] + [rnn_cell.LSTMCell(2)]
    ),
    "input projection": lambda: rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(4), 2, tf.nn.relu),
    "output projection": lambda: rnn_cell.OutputProjectionWrapper(rnn_cell.LSTMCell(4), 2),
}


@pytest.mark.parametrize("step_first", [False, True])
@pytest.mark.parametrize("name", WRAPPED)
def test_a_step_has_the_variables_of_the_loop(name, step_first, session):
    """A program trains with dynamic_rnn, which runs on an engine, and samples with calls of the cell."""
    cell, x = WRAPPED[name](), tf.constant(np.random.RandomState(5).standard_normal(SHAPE).astype(np.float32))
    state = cell.zero_state(2, tf.float32)

    def loop(reuse):
        with tf.variable_scope("", reuse=reuse):
            outputs, _ = rnn_cell.dynamic_rnn(cell, x, initial_state=state)
        return outputs[:, 0], rnn_cell.engine_used(outputs).name

    def step(reuse):
        with tf.variable_scope("rnn", reuse=reuse):
            return cell(x[:, 0], state)[0]

    if step_first:
        output, (of_loop, used) = step(None), loop(True)
    else:
        (of_loop, used), output = loop(None), step(True)
    assert used == auto_engine()
    session.run(tf.global_variables_initializer())
    first, second = session.run([output, of_loop])
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.std(first) > 1e-3 and len(tf.global_variables()) == len(cell.variables)


def getter(get, name, *args, **options):
    return tf.identity(get(name, *args, **options))


@pytest.mark.parametrize(
    "loop, scope",
    [
        (rnn_cell.dynamic_rnn, {}),
        (rnn_cell.static_rnn, {}),
        (rnn_cell.dynamic_rnn, {"partitioner": tf.fixed_size_partitioner(2)}),
        (rnn_cell.static_rnn, {"custom_getter": getter}),  # Tensors that a loop makes are of no use after it.
    ],
)
@pytest.mark.parametrize("name", WRAPPED)
def test_variables_of_two_calls(name, loop, scope, session):
    """The variables are those of TensorFlow's loop, also if each scope has some of its own."""
    x = np.random.RandomState(5).standard_normal(SHAPE).astype(np.float32)
    results = []
    for engine in ("stepwise", None):
        with tf.variable_scope(engine or "engine", initializer=tf.constant_initializer(0.3), **scope) as variables:
            cell, outputs = WRAPPED[name](), []
            for call in ("first", "second"):
                inputs = tf.constant(x) if loop is rnn_cell.dynamic_rnn else tf.unstack(tf.constant(x), axis=1)
                outputs.append(loop(cell, inputs, dtype=tf.float32, scope=call, engine=engine)[0])
        used = {rnn_cell.engine_used(output).name for output in outputs}
        assert used == {engine or auto_engine()}
        names = [variable.op.name for variable in tf.global_variables(variables.name + "/")]
        if loop is rnn_cell.static_rnn:
            outputs = [tf.stack(output, axis=1) for output in outputs]
        results.append((outputs, [variable.split("/", 1)[1] for variable in names]))
    session.run(tf.global_variables_initializer())
    (expected, expected_names), (outputs, names) = results
    assert names == expected_names and len(set(names)) == len(names)
    np.testing.assert_allclose(session.run(outputs), session.run(expected), atol=1e-6)


def test_two_calls_in_one_scope():
    """The second call of a `HighwayWrapper` would make its variables again, as in TensorFlow."""
    cell = rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3))
    names(cell)
    with pytest.raises(ValueError, match="rnn/carry_w already exists"):
        names(cell)


def test_a_subclass_with_another_highway(session):
    class Doubled(rnn_cell.HighwayWrapper):
        def _highway(self, inp, out):
            return inp + 2 * out

    x = tf.ones(SHAPE)
    with tf.variable_scope("scope", initializer=tf.constant_initializer(0.3)):
        outputs, _ = rnn_cell.dynamic_rnn(Doubled(rnn_cell.LSTMCell(3, name="cell")), x, dtype=tf.float32)
        expected, _ = rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(3, name="cell"), x, dtype=tf.float32, scope="plain")
    assert not [variable for variable in tf.global_variables() if "carry" in variable.op.name]
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([outputs, x + 2 * expected]), atol=1e-6)


@pytest.mark.parametrize("name", WRAPPED)
def test_half_precision_with_variables_in_float32(name, session):
    def float32_storage(getter, name, shape=None, dtype=None, **options):
        return tf.cast(getter(name, shape=shape, dtype=tf.float32, **options), dtype)

    positive = tf.constant_initializer(0.3)  # A relu of drawn weights may close all units.
    with tf.variable_scope("half", custom_getter=float32_storage, initializer=positive):
        outputs, _ = rnn_cell.dynamic_rnn(WRAPPED[name](), tf.ones(SHAPE, tf.float16), dtype=tf.float16)
    assert rnn_cell.engine_used(outputs).name != "stepwise"
    assert {variable.dtype.base_dtype.name for variable in tf.global_variables()} == {"float32"}
    session.run(tf.global_variables_initializer())
    assert np.any(session.run(outputs))


def test_first_values(session):
    wrapped = [
        rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False, 0.5),
        rnn_cell.EmbeddingWrapper(rnn_cell.LSTMCell(3), 2000, 5),
    ]
    wrapped[0](tf.zeros([2, 3]), wrapped[0].zero_state(2, tf.float32))
    wrapped[1](tf.zeros([2, 1], tf.int32), wrapped[1].zero_state(2, tf.float32))
    arrays = values(session, {v.op.name: v for v in tf.global_variables()})
    assert np.all(arrays["carry_b"] == 0.5) and np.all(arrays["transform_b"] == -0.5)
    table = arrays["embedding_wrapper/embedding"]
    assert abs(np.var(table) - 1) < 0.05 and 1.7 < np.max(np.abs(table)) <= 3**0.5
    assert np.all(arrays["embedding_wrapper/lstm_cell/bias"] == 0)


@pytest.mark.parametrize("bias", [True, False])
def test_private_linear_maps(bias, session):
    """`_linear` and `_Linear`, which old programs import from TensorFlow's private modules."""
    random = np.random.RandomState(3)
    x, h, kernel, shift = [random.standard_normal(shape) for shape in ([4, 3], [4, 2], [5, 6], [6])]
    initializers = [tf.constant_initializer(shift), tf.constant_initializer(kernel)]
    with tf.variable_scope("both", dtype=tf.float64):
        y = rnn_cell._linear([tf.constant(x), tf.constant(h)], 6, bias, *initializers)
    with tf.variable_scope("both", reuse=True):
        again = rnn_cell._Linear([tf.constant(x), tf.constant(h)], 6, bias)
    with tf.variable_scope("one"):
        single = rnn_cell._linear(tf.constant(h), 6, bias, kernel_initializer=tf.constant_initializer(kernel[3:]))
    names = [f"{scope}/{name}" for scope in ("both", "one") for name in ("kernel", "bias")[: 1 + bias]]
    assert [variable.op.name for variable in tf.global_variables()] == names
    session.run(tf.global_variables_initializer())
    y, again, single = session.run([y, again([tf.constant(2 * x), tf.constant(h)]), single])
    expected = x @ kernel[:3] + h @ kernel[3:] + bias * shift
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(again, expected + x @ kernel[:3], rtol=1e-12)
    np.testing.assert_allclose(single, h @ kernel[3:], rtol=1e-12)  # Biases start from zero.


def test_private_names_of_tensorflow(session):
    """Copies of TensorFlow's cells and decoders import them from the module that has the cells."""
    for name in rnn_cell.TENSORFLOW_NAMES:
        assert getattr(rnn_cell, name) is not None
    cell = rnn_cell.LSTMCell(3)
    rnn_cell.assert_like_rnncell("cell", cell)
    x = tf.reshape(tf.range(24), [2, 3, 4])
    zeros, swapped = session.run([rnn_cell._zero_state_tensors(3, 2, tf.float32), rnn_cell._transpose_batch_time(x)])
    np.testing.assert_array_equal(zeros, np.zeros([2, 3]))
    assert rnn_cell.transpose_batch_time is rnn_cell._transpose_batch_time
    np.testing.assert_array_equal(swapped, np.arange(24).reshape([2, 3, 4]).swapaxes(0, 1))
    assert (rnn_cell._WEIGHTS_VARIABLE_NAME, rnn_cell._BIAS_VARIABLE_NAME) == ("kernel", "bias")
    assert rnn_cell._RNNCell is rnn_cell._LayerRNNCell is rnn_cell.RNNCell and (cell._base_name, cell.name) == (
        "lstm_cell",
        "lstm_cell_1",
    )
    with pytest.raises(AttributeError):
        _ = rnn_cell._no_name


def test_errors_of_private_linear_maps():
    with pytest.raises(ValueError, match="`args` must be specified"):
        rnn_cell._linear([], 3, True)
    message = r"linear: expected tensors of rank 2 with known widths, got shapes \(2, 3\), \(2, 3, 4\)$"
    with pytest.raises(ValueError, match=message):
        rnn_cell._linear([tf.zeros([2, 3]), tf.zeros([2, 3, 4])], 3, True)
    with pytest.raises(
        TypeError, match="^_linear: expected no `scope`, .* got 'attention'; call it inside `with tf.var"
    ):
        rnn_cell._linear(tf.zeros([2, 3]), 3, True, scope="attention")
