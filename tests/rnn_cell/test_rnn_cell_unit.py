"""Small cases as in TensorFlow's own tests of its cells, with the numbers of these tests.

All variables are 0.5 except biases of zero and one, which the cells set themselves. The numbers are in
tensorflow/python/kernel_tests/rnn_cell_test.py and tensorflow/contrib/rnn/python/kernel_tests/ of version 1.15.
"""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import values


@pytest.fixture(autouse=True)
def halves():
    with tf.variable_scope("root", initializer=tf.constant_initializer(0.5)):
        yield


def names():
    return [variable.name for variable in tf.global_variables()]


def tenths(*shape):
    return 0.1 * tf.ones(shape)


def test_gru_cell(session):
    outputs, _ = rnn_cell.GRUCell(2)(tf.ones([1, 2]), tenths(1, 2))
    with tf.variable_scope("other"):
        more, _ = rnn_cell.GRUCell(2)(tf.ones([1, 3]), tenths(1, 2))
    actual = values(session, [outputs, more])
    np.testing.assert_allclose(actual[0], [[0.175991, 0.175991]], rtol=1e-5)
    np.testing.assert_allclose(actual[1], [[0.156736, 0.156736]], rtol=1e-5)


@pytest.mark.parametrize("state_is_tuple", [True, False])
def test_stack_of_basic_lstm_cells(state_is_tuple, session):
    cells = [rnn_cell.BasicLSTMCell(2, state_is_tuple=state_is_tuple) for _ in range(2)]
    stack = rnn_cell.MultiRNNCell(cells, state_is_tuple=state_is_tuple)
    state = tenths(1, 8)
    if state_is_tuple:
        state = tuple(rnn_cell.LSTMStateTuple(tenths(1, 2), tenths(1, 2)) for _ in range(2))
    outputs, new_state = stack(tf.ones([1, 2]), state)
    expected = np.repeat([0.68967271, 0.44848421, 0.39897051, 0.24024698], 2)[None]
    actual = values(session, [outputs, tf.concat(tf.nest.flatten(new_state), axis=1)])
    np.testing.assert_allclose(actual[0], [[0.24024698, 0.24024698]], rtol=1e-6)
    np.testing.assert_allclose(actual[1], expected, rtol=1e-6)
    assert names() == [
        f"root/multi_rnn_cell/cell_{k}/basic_lstm_cell/{name}:0" for k in (0, 1) for name in ("kernel", "bias")
    ]
    if state_is_tuple:
        assert all(isinstance(part, rnn_cell.LSTMStateTuple) for part in new_state)


def test_inputs_of_another_width(session):
    outputs, state = rnn_cell.BasicLSTMCell(2, state_is_tuple=False)(tf.ones([1, 3]), tenths(1, 4))
    actual = values(session, tf.concat([outputs, state], axis=1))
    c = 1 / (1 + np.exp(-1.6)) * np.tanh(1.6) + 0.1 / (1 + np.exp(-2.6))  # 3 x 0.5 of inputs, 2 x 0.05 of h
    h = np.tanh(c) / (1 + np.exp(-1.6))
    np.testing.assert_allclose(actual, [[h, h, c, c, h, h]], rtol=1e-6)


@pytest.mark.parametrize("rows, columns", [(2, 4), (3, 6)])
def test_a_state_of_another_shape_is_an_error(rows, columns, session):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        outputs, _ = rnn_cell.BasicLSTMCell(2, state_is_tuple=False)(tf.zeros([3, 4]), tf.zeros([rows, columns]))
        values(session, outputs)


def test_variables_that_are_not_trainable():
    def getter(get, *args, **options):
        return get(*args, **dict(options, trainable=False))

    with tf.variable_scope("frozen", custom_getter=getter):
        cell = rnn_cell.BasicRNNCell(2)
        cell(tf.ones([1, 2]), tf.ones([1, 2]))
    assert cell.trainable_variables == [] and tf.trainable_variables() == []
    assert [v.name for v in cell.non_trainable_variables] == [
        f"root/frozen/basic_rnn_cell/{name}:0" for name in ("kernel", "bias")
    ]


def test_reuse_of_scopes():
    x, state = tf.ones([1, 2]), rnn_cell.BasicLSTMCell(2).zero_state(1, tf.float32)
    cell = rnn_cell.BasicLSTMCell(2)
    cell(x, state)
    with tf.variable_scope("elsewhere"):
        cell(x, state)  # A cell keeps its variables.
    rnn_cell.BasicLSTMCell(2)(x, state)  # A new cell has variables of its own.
    with pytest.raises(ValueError, match="shape"):
        wider = rnn_cell.BasicLSTMCell(3, reuse=True)
        wider(x, wider.zero_state(1, tf.float32))
    rnn_cell.BasicLSTMCell(2, reuse=True)(x, state)
    with tf.variable_scope("new"), pytest.raises(ValueError, match="does not exist"):
        rnn_cell.BasicLSTMCell(2, reuse=True)(x, state)
    assert names() == [f"root/basic_lstm_cell{k}/{name}:0" for k in ("", "_1") for name in ("kernel", "bias")]


def test_a_loop_twice_in_one_scope_needs_reuse():
    def run():
        return rnn_cell.dynamic_rnn(rnn_cell.BasicLSTMCell(5), tf.ones([2, 3, 4]), dtype=tf.float32)

    run()
    with pytest.raises(ValueError, match="already exists"):
        run()
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        run()
    assert names() == [f"root/rnn/basic_lstm_cell/{name}:0" for name in ("kernel", "bias")]


def test_device_of_a_cell():
    cell = rnn_cell.DeviceWrapper(rnn_cell.GRUCell(3), "/cpu:14159")
    outputs, _ = cell(tf.ones([1, 3]), tf.ones([1, 3]))
    assert {t.device[-9:] for t in [outputs, cell.zero_state(2, tf.float32), *tf.global_variables()]} == {"CPU:14159"}


def test_call_is_what_a_call_of_the_cell_computes(session):
    cell = rnn_cell.BasicLSTMCell(2)
    state = cell.zero_state(1, tf.float32)
    by_call = [
        cell(tf.ones([1, 2]), state),
        cell.call(tf.ones([1, 2]), state),
        cell(inputs=tf.ones([1, 2]), state=state),
    ]
    results = values(session, [tf.nest.flatten(result) for result in by_call])
    for arrays in results[1:]:
        for array, expected in zip(arrays, results[0]):
            np.testing.assert_array_equal(array, expected)
    assert len(names()) == 2


def test_scalar_and_larger_states(session):
    """A cell decides about its states; loops pass them on."""

    class Counter(rnn_cell.RNNCell):
        output_size = property(lambda self: 1)
        state_size = property(lambda self: tf.TensorShape([]))

        def zero_state(self, batch_size, dtype):
            return tf.zeros([], tf.int32)

        def call(self, inputs, state, scope=None):
            return inputs, state + 1

    outputs, state = rnn_cell.dynamic_rnn(Counter(), tf.ones([1, 4, 1]), dtype=tf.float32, sequence_length=[4])
    np.testing.assert_array_equal(session.run(outputs), np.ones([1, 4, 1]))
    assert session.run(state) == 4


MAKERS = [
    lambda: rnn_cell.BasicLSTMCell(3),
    lambda: rnn_cell.LSTMCell(3, use_peepholes=True, num_proj=2),
    lambda: rnn_cell.GRUCell(3),
    lambda: rnn_cell.MultiRNNCell([rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3), 0.5), rnn_cell.BasicRNNCell(2)]),
    lambda: rnn_cell.CudnnLSTM(1, 3),
]


@pytest.mark.parametrize("make", MAKERS)
def test_weights_as_arrays(make):
    """In the default session, in the order of `weights`."""
    cell = make()
    with pytest.raises(ValueError, match="count_params: expected variables, which the first call makes, got none"):
        cell.count_params()
    cell.build([None, 2] if isinstance(cell, rnn_cell.RNNCell) else [None, None, 2])
    shapes = [variable.shape.as_list() for variable in cell.weights]
    assert cell.count_params() == sum(np.prod(shape) for shape in shapes)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        doubled = [array + k for k, array in enumerate(cell.get_weights())]
        cell.set_weights(doubled)
        for array, expected in zip(session.run(cell.weights), doubled):
            np.testing.assert_array_equal(array, expected)
        with pytest.raises(ValueError, match=r"set_weights: expected arrays of the shapes \["):
            cell.set_weights(doubled[1:])
    with pytest.raises(ValueError, match="get_weights: expected a default session"):
        cell.get_weights()
