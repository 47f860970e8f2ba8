"""A few steps of a few sequences on the native engine, whose op reads the weights without packing them."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support.engines import native_ops

pytestmark = native_ops.NEEDS_NATIVE


def stack(x):
    return StackedLSTM([19, 40], engine="native", peepholes=True, cell_clip=0.5)(x, time_major=True)


def normalized(x):
    return StackedLSTM([19, 40], engine="native", layer_norm=True, projection_size=7)(x, time_major=True)


def projected(x):
    return StackedLSTM([19, 40], engine="native", projection_size=7, projection_clip=0.3)(x, time_major=True)


def cells(x):
    layers = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(size) for size in (19, 40)])
    return rnn_cell.dynamic_rnn(layers, x, dtype=x.dtype, time_major=True, engine="native")


def session_without(pass_name):
    """Returns a session without one of TensorFlow's two passes of constant folding."""
    config = tf.ConfigProto()
    if pass_name == "grappler":
        config.graph_options.rewrite_options.disable_meta_optimizer = True
    else:
        config.graph_options.optimizer_options.opt_level = tf.OptimizerOptions.L0
    return tf.Session(config=config)


class Calls:
    """A stack in a graph whose sizes are fixed or unknown. Weights and inputs have a seed."""

    def __init__(self, build, shape):
        with tf.Graph().as_default() as self.graph:
            self.x = tf.placeholder(tf.float32, shape, "x")
            self.outputs, state = build(self.x)
            loss = tf.reduce_sum(tf.square(self.outputs)) + tf.add_n([tf.reduce_sum(c) for c, _ in state])
            self.inference = [self.outputs, state]
            self.training = [*self.inference, tf.gradients(loss, [self.x, *tf.trainable_variables()])]
            self.session = tf.Session()
            random = np.random.RandomState(0)
            for variable in tf.trainable_variables():
                variable.load(random.standard_normal(variable.shape.as_list()), self.session)

    def run(self, fetches, steps, batch):
        x = np.random.RandomState(1).standard_normal([steps, batch, 5])
        return tf.nest.flatten(self.session.run(fetches, {self.x: x}))

    def freeze(self):
        with self.graph.as_default():
            return tf.graph_util.convert_variables_to_constants(
                self.session, self.graph.as_graph_def(), [self.outputs.op.name]
            )


def run_and_find_constants(session, outputs, feed):
    """Returns the outputs, and the shapes of the constants that the engine's ops read as packed weights.

    The shapes are pairs, one for each layer: of `packed` and `padded`. A shape is None if the input is no constant.
    """
    metadata = tf.RunMetadata()
    values = session.run(outputs, feed, tf.RunOptions(output_partition_graphs=True), metadata)
    nodes = {node.name: node for graph in metadata.partition_graphs for node in graph.node}
    shapes = []
    for forward in nodes.values():
        if forward.op == "StackedLstmForward":
            layers = forward.attr["layers"].i
            data_inputs = [name.split(":")[0] for name in forward.input if not name.startswith("^")]
            inputs = [
                tf.make_ndarray(node.attr["value"].tensor).shape if node.op == "Const" else None
                for node in (nodes[name] for name in data_inputs[-2 * layers :])
            ]
            shapes += zip(inputs[:layers], inputs[layers:])
    return values, sorted(shapes, key=str)


def packed_shapes(rows, units, axes):
    """The shapes of the packed weights of a layer without a projection."""
    return tuple((4 * rows * number, *[1] * axes) for number in native_ops.packed_units(units, axes))


@pytest.mark.parametrize("build", [stack, cells, projected, normalized])
def test_steps_without_packing_have_the_same_bits(build):
    """The results of few rows are those of the same rows in a call with many, for which the op packs the weights."""
    calls = Calls(build, [None, None, 5])
    x = np.random.RandomState(2).standard_normal([40, 130, 5])
    many = calls.session.run(calls.outputs, {calls.x: x})
    for steps, batch in ((1, 1), (1, 7), (1, 128), (1, 129), (2, 7), (16, 1), (3, 6)):
        few = calls.session.run(calls.outputs, {calls.x: x[:steps, :batch]})
        np.testing.assert_array_equal(few, many[:steps, :batch])


@pytest.mark.parametrize("build", [stack, cells, projected, normalized])
def test_fixed_and_unknown_sizes_have_the_same_bits(build):
    unknown = Calls(build, [None, None, 5])
    for steps, batch in ((1, 7), (4, 3)):
        fixed = Calls(build, [steps, batch, 5])
        for one, other in zip(fixed.run(fixed.training, steps, batch), unknown.run(unknown.training, steps, batch)):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("build", [stack, normalized, projected])
@pytest.mark.parametrize("pass_name", ["grappler", "graph runner"])
def test_only_constant_weights_are_packed_by_their_own_op(build, pass_name):
    """The op for packing does nothing in a session. Each pass of TensorFlow's constant folding runs it."""
    calls = Calls(build, [None, None, 5])
    frozen = calls.freeze()
    for steps in (1, 3):
        x = np.random.RandomState(2).standard_normal([steps, 2, 5])
        expected, constants = run_and_find_constants(calls.session, calls.outputs, {calls.x: x})
        assert constants == [(None, None)] * 2
        with tf.Graph().as_default():
            names = [calls.x.name, calls.outputs.name]
            placeholder, outputs = tf.import_graph_def(frozen, return_elements=names, name="")
            with session_without("graph runner" if pass_name == "grappler" else "grappler") as session:
                actual, constants = run_and_find_constants(session, outputs, {placeholder: x})
        np.testing.assert_array_equal(actual, expected)
        assert all(full and padded for full, padded in constants)
        if build is stack:
            axes = len(constants[0][0]) - 1
            assert sorted(constants) == sorted([packed_shapes(24, 19, axes), packed_shapes(59, 40, axes)])


@pytest.mark.parametrize("units, projection_size", [(100, None), (650, None), (900, 100)])
@pytest.mark.parametrize("pass_name", ["grappler", "graph runner"])
def test_wide_weights_are_packed_before_the_first_call(units, projection_size, pass_name):
    """TensorFlow's constant folding has limits at 100 KB and at 10 MB. No size fills whole vectors.

    Above 10 MB, the graph runner only folds `padded`. The op then packs all weights.
    """
    calls = Calls(
        lambda x: StackedLSTM([units], engine="native", projection_size=projection_size)(x, time_major=True),
        [None, None, 650],
    )
    x = np.random.RandomState(2).standard_normal([10, 3, 650])
    expected = calls.session.run(calls.outputs, {calls.x: x})
    with tf.Graph().as_default():
        names = [calls.x.name, calls.outputs.name]
        placeholder, outputs = tf.import_graph_def(calls.freeze(), return_elements=names, name="")
        with session_without("graph runner" if pass_name == "grappler" else "grappler") as session:
            actual, ((full, padded),) = run_and_find_constants(session, outputs, {placeholder: x})
    np.testing.assert_array_equal(actual, expected)
    assert padded is not None
    assert (full is None) == (pass_name == "graph runner" and units > 100)
    if full and not projection_size:
        assert (full, padded) == packed_shapes(650 + units, units, len(full) - 1)


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
