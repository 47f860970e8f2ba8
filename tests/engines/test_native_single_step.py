"""A single step of a few sequences on the native engine, whose op reads the weights without packing them."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support import native_ops

pytestmark = native_ops.NEEDS_NATIVE


def stack(x):
    return StackedLSTM([19, 40], engine="native", peepholes=True, cell_clip=0.5)(x, time_major=True)


def cells(x):
    layers = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(size) for size in (19, 40)])
    return rnn_cell.dynamic_rnn(layers, x, dtype=x.dtype, time_major=True, engine="native")


def results(build, steps, batch):
    """Returns outputs, states and gradients, and the types of the graph's ops. The weights and inputs have a seed."""
    with tf.Graph().as_default() as graph, tf.variable_scope("", initializer=tf.glorot_uniform_initializer(seed=1)):
        x = tf.placeholder(tf.float32, [steps, batch, 5])
        outputs, state = build(x)
        loss = tf.reduce_sum(tf.square(outputs)) + tf.add_n([tf.reduce_sum(c) for c, _ in state])
        fetches = [outputs, state, tf.gradients(loss, [x, *tf.trainable_variables()])]
        with tf.Session() as session:
            random = np.random.RandomState(0)
            for variable in tf.trainable_variables():
                variable.load(random.standard_normal(variable.shape.as_list()), session)
            values = session.run(fetches, {x: random.standard_normal([1, batch, 5])})
        return tf.nest.flatten(values), [op.type for op in graph.get_operations()]


@pytest.mark.parametrize("build", [stack, cells])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_step_without_packing_has_the_same_bits(build, batch):
    single, single_ops = results(build, 1, batch)
    packed, packed_ops = results(build, None, batch)
    assert "StackedLstmPack" not in single_ops and packed_ops.count("StackedLstmPack") == 2
    for one, other in zip(single, packed):
        np.testing.assert_array_equal(one, other)


def test_large_batches_and_projections_are_packed():
    assert "StackedLstmPack" in results(stack, 1, 65)[1]
    projected = StackedLSTM([8], projection_size=4, engine="native")
    with tf.Graph().as_default() as graph:
        projected(tf.zeros([1, 2, 3]), time_major=True)
        assert "StackedLstmPack" in [op.type for op in graph.get_operations()]


def test_a_graph_of_one_step_imported_with_more():
    """The op then packs the weights of both layers itself."""
    with tf.Graph().as_default() as graph:
        stack(tf.placeholder(tf.float32, [1, 2, 5], name="x"))
        outputs = next(op for op in graph.get_operations() if op.type == "StackedLstmForward").outputs[0].name
        random = np.random.RandomState(0)
        values = [random.standard_normal(v.shape.as_list()).astype("float32") for v in tf.trainable_variables()]
        names = [variable.op.name for variable in tf.trainable_variables()]
    inputs = random.standard_normal([4, 2, 5]).astype("float32")
    with tf.Graph().as_default():
        sources = {f"{name}/read:0": tf.constant(value) for name, value in zip(names, values)}
        got = tf.import_graph_def(graph.as_graph_def(), {"x:0": tf.constant(inputs), **sources}, [outputs])[0]
        lstm = StackedLSTM([19, 40], engine="native", peepholes=True, cell_clip=0.5)
        expected, _ = lstm(tf.constant(inputs), time_major=True)
        with tf.Session() as session:
            for variable, value in zip(lstm.variables, values):
                variable.load(value, session)
            np.testing.assert_array_equal(*session.run([got, expected]))
