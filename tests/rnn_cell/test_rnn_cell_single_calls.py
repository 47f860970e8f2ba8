"""Calls of a cell for one step, as in a loop that samples: they add no more ops than TensorFlow's own cells."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.suite.versions import OLD

# name -> function from a module of cells to a cell.
CELLS = {
    "basic": lambda cells: cells.BasicLSTMCell(4),
    "basic with one tensor": lambda cells: cells.BasicLSTMCell(4, state_is_tuple=False),
    "lstm": lambda cells: cells.LSTMCell(4),
    "lstm with one tensor": lambda cells: cells.LSTMCell(4, num_proj=3, state_is_tuple=False),
    "peepholes": lambda cells: cells.LSTMCell(4, use_peepholes=True),
    "projection": lambda cells: cells.LSTMCell(4, num_proj=3),
    "everything": lambda cells: cells.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=1.0, proj_clip=1.0),
    "stack": lambda cells: cells.MultiRNNCell([cells.BasicLSTMCell(4) for _ in range(2)]),
    "dropout": lambda cells: cells.DropoutWrapper(cells.BasicLSTMCell(4), 0.5, 0.5, 0.5),
    "residual": lambda cells: cells.ResidualWrapper(cells.BasicLSTMCell(4)),
    "gru": lambda cells: cells.GRUCell(4),
    "rnn": lambda cells: cells.BasicRNNCell(4),
}


def counts(cell):
    """The numbers of ops that a call adds, and that the gradients of its results add; the first call makes variables.

    Constants do not count, because they cost nothing when the graph runs.
    """

    def ops():
        return sum(op.type != "Const" for op in tf.get_default_graph().get_operations())

    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [2, 4])
        state = cell.zero_state(2, tf.float32)
        cell(x, state)
        before = ops()
        results = tf.nest.flatten(cell(x, state))
        after = ops()
        tf.gradients(results, [x] + tf.nest.flatten(state) + cell.trainable_variables)
        return after - before, ops() - after


@pytest.mark.parametrize("name", sorted(CELLS))
def test_no_more_ops_than_tensorflow_s_cells(name):
    peer, _ = parity.rnn_cell()
    assert np.all(np.less_equal(counts(CELLS[name](rnn_cell)), counts(CELLS[name](peer))))


@pytest.mark.parametrize("width", [16, 20, None])
def test_states_with_more_columns(width, session):
    """A stack whose state is one tensor ignores them, as TensorFlow's does."""
    values, x = np.random.RandomState(0).standard_normal([3, width or 16]).astype(np.float32), tf.ones([3, 2])
    state = tf.placeholder_with_default(values, [3, width])
    results = []
    for k, cells in enumerate((rnn_cell, parity.rnn_cell()[0])):
        with tf.variable_scope(f"cells_{k}", initializer=tf.constant_initializer(0.1)):
            stack = [cells.BasicLSTMCell(4, state_is_tuple=False) for _ in range(2)]
            results.append(cells.MultiRNNCell(stack, state_is_tuple=False)(x, state))
    session.run(tf.global_variables_initializer())
    for ours, theirs in zip(*session.run(results)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert session.run(results[0][1]).shape == (3, 16)


# The same for `tf.contrib.rnn`, which TensorFlow 2 does not have.
CONTRIB_CELLS = {
    "layer norm": lambda cells: cells.LayerNormBasicLSTMCell(4, dropout_keep_prob=0.5),
    "layer norm off": lambda cells: cells.LayerNormBasicLSTMCell(4, layer_norm=False),
    "coupled": lambda cells: cells.CoupledInputForgetGateLSTMCell(4, True, num_proj=3, layer_norm=True),
    "nas": lambda cells: cells.NASCell(4, num_proj=3, use_bias=True),
    "attention": lambda cells: cells.AttentionCellWrapper(cells.BasicLSTMCell(4), 3),
}


@pytest.mark.skipif(not OLD, reason="TensorFlow 2 has no tf.contrib")
@pytest.mark.parametrize("name", sorted(CONTRIB_CELLS))
def test_no_more_ops_than_contrib_s_cells(name):
    from tensorflow.contrib import rnn

    assert np.all(np.less_equal(counts(CONTRIB_CELLS[name](rnn_cell)), counts(CONTRIB_CELLS[name](rnn))))


@pytest.mark.parametrize("name", ["LSTMBlockCell", "CudnnCompatibleLSTMCell", "GRUBlockCell", "GRUBlockCellV2"])
def test_a_step_of_a_block_cell_is_one_op(name):
    forward, gradients = counts(getattr(rnn_cell, name)(4))
    assert forward == 1 and gradients < 30


@pytest.mark.parametrize("name", ["basic", "basic with one tensor", "everything", "stack"])
def test_sampling_equals_the_loop(name, session):
    """Each output is the next input, in a while_loop of the user; then the same inputs go through dynamic_rnn."""
    make = CELLS[name]
    with tf.variable_scope("rnn", initializer=tf.random_normal_initializer(seed=3), reuse=tf.AUTO_REUSE) as scope:
        cell, x = make(rnn_cell), tf.constant(np.random.RandomState(0).standard_normal([2, 4]), tf.float32)

        def pad(y):
            return tf.pad(y, [[0, 0], [0, 4 - y.shape.as_list()[1]]])

        def body(t, x, state, series):
            y, state = cell(x, state)
            return t + 1, tf.ensure_shape(pad(y), [2, 4]), state, series.write(t, x)

        start = cell.zero_state(2, tf.float32)
        cell(x, start)
        series = tf.TensorArray(tf.float32, 6)
        _, last, state, series = tf.while_loop(lambda t, *_: t < 6, body, (0, x, start, series))
        inputs = series.stack()
    outputs, final = rnn_cell.dynamic_rnn(cell, inputs, dtype=tf.float32, time_major=True, scope=scope)
    assert rnn_cell.engine_used(outputs).name != "stepwise"
    gradients = [tf.gradients(tensor, cell.trainable_variables) for tensor in (last, pad(outputs[-1]))]
    session.run(tf.global_variables_initializer())
    values = session.run([[last, state], [pad(outputs[-1]), final]])
    for array, reference in zip(*map(tf.nest.flatten, values)):
        np.testing.assert_allclose(array, reference, rtol=1e-5, atol=1e-6)
    # Along both paths the last output depends on the weights through all earlier ones.
    for array, reference in zip(*session.run(gradients)):
        np.testing.assert_allclose(array, reference, rtol=1e-4, atol=1e-5)
