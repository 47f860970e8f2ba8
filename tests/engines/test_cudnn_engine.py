"""The `cudnn` engine: its ops, and cells and batches of all kinds, with cuDNN in NumPy and on a GPU.

test_cudnn_buffer.py tests its buffer. test_conformance.py, test_engines.py and test_stack.py test what all engines
share. test_gpu.py has the tests that need a GPU.
"""

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm, parity, rnn_cell
from stacked_lstm.compat import tf
from support.engines.cudnn_on_host import NEEDS_COMPILED_OP
from support.engines.native_ops import NEEDS_NATIVE
from support.processes import programs
from support.references import numeric
from support.suite.places import ANYWHERE
from support.suite.sessions import plain_session
from support.suite.sets import ONCE
from support.suite.versions import OLD


@pytest.fixture
def float32_tolerance(place):
    """cuDNN in NumPy computes in float64 and rounds once. cuDNN itself adds in float32, in its own order."""
    return 1e-6 if place == "cpu" else parity.TOLERANCES["float32"]


# With cuDNN in NumPy, against TensorFlow's own loop.


@ANYWHERE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cells(dtype, float32_tolerance, numpy_cudnn, session):
    """A fused kernel with another order of gates, and a forget bias that is added, against TensorFlow's own loop."""
    random, results = np.random.RandomState(0), []
    x = tf.constant(random.standard_normal([3, 5, 2]), dtype)
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(4, forget_bias=0.3) for _ in range(2)])
    for engine in ("cudnn", "stepwise"):
        outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 0, 3], dtype=dtype, engine=engine)
        assert rnn_cell.engine_used(outputs).name == engine
        results.append([outputs, state, tf.gradients([outputs] + tf.nest.flatten(state), [x] + cell.variables)])
    session.run(tf.global_variables_initializer())
    for found, expected in zip(*[tf.nest.flatten(result) for result in session.run(results)]):
        assert numeric.relative_difference(found, expected) < {"float32": float32_tolerance, "float64": 1e-14}[dtype]


@NEEDS_COMPILED_OP
@ANYWHERE
def test_projections(host_cudnn, plain_session):
    """Two layers of one width are one op. First and second derivatives, too, against the graph engine."""
    random, results = np.random.RandomState(0), []
    x = tf.constant(random.standard_normal([3, 5, 2]))
    sizes = ((5, 4), (5, 4), (5, None), (7, 1))
    cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(units, num_proj=width) for units, width in sizes])
    start = tf.nest.map_structure(lambda n: tf.constant(random.standard_normal([3, n])), cell.state_size)
    for engine in ("cudnn", "graph"):
        outputs, state = rnn_cell.dynamic_rnn(cell, x, initial_state=start, engine=engine)
        assert rnn_cell.engine_used(outputs).name == engine
        sources = [x] + tf.nest.flatten(start) + cell.variables
        first = tf.gradients([tf.reduce_sum(tf.sin(part)) for part in [outputs] + tf.nest.flatten(state)], sources)
        second = tf.gradients([tf.reduce_sum(gradient**2) for gradient in first], sources)
        results.append([outputs, state, first, second])
    projections = [op.inputs[1].shape.as_list() for op in ops("StackedLstmCudnn", plain_session.graph)]
    assert projections[:3] == [[2, 3, 4], [1, 3, 5], [1, 3, 1]]
    plain_session.run([v.assign(random.standard_normal(v.shape.as_list())) for v in cell.variables])
    for found, expected in zip(*[tf.nest.flatten(result) for result in plain_session.run(results)]):
        assert found.shape == expected.shape and numeric.relative_difference(found, expected) < 1e-12


@NEEDS_COMPILED_OP
def test_projections_with_lengths(host_cudnn, graph):
    """TensorFlow's op fails on them. "auto" takes another engine."""
    cell = rnn_cell.LSTMCell(5, num_proj=4)
    outputs, _ = rnn_cell.dynamic_rnn(cell, tf.zeros([2, 3, 2]), [3, 1], dtype=tf.float32)
    name, reason = rnn_cell.engine_used(outputs)
    assert name != "cudnn" and "a projection needs the package's op for cuDNN, and that takes no lengths" in reason


# The ops.


def ops(kind, graph):
    return [op for op in graph.get_operations() if op.type == kind]


ATTRIBUTES = {
    "rnn_mode": b"lstm",
    "input_mode": b"linear_input",
    "direction": b"unidirectional",
    "dropout": 0.0,
    "num_proj": 0,
    "time_major": True,
}


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64])
@pytest.mark.parametrize(
    "hidden_sizes, calls", [([4], [1]), ([4, 4, 4], [3]), ([4, 3], [1, 1]), ([4, 4, 3, 3, 4], [2, 2, 1])]
)
def test_ops_and_their_gradients(hidden_sizes, calls, dtype, graph):
    """Successive layers of one width are one op, with these shapes and attributes; every variable has a gradient."""
    x = tf.placeholder(dtype, [7, 3, 2])
    lstm = StackedLSTM(hidden_sizes, engine="cudnn", dtype=dtype, initial_state="projected")
    outputs, state = lstm(x, [6, 7, 0], time_major=True)
    assert outputs.dtype == dtype and outputs.shape.as_list() == [7, 3, hidden_sizes[-1]]
    assert all(part.shape.as_list() == [3, size] for pair, size in zip(state, hidden_sizes) for part in pair)
    gradients = tf.gradients(outputs, [x] + lstm.variables)
    for gradient, variable in zip(gradients, [x] + lstm.variables):
        assert gradient.dtype == dtype and gradient.shape.as_list() == variable.shape.as_list()
    forward, backward = ops("CudnnRNNV3", graph), ops("CudnnRNNBackpropV3", graph)
    widths = [hidden_sizes[sum(calls[:k])] for k in range(len(calls))]
    assert [op.inputs[1].shape.as_list() for op in forward] == [[n, 3, size] for n, size in zip(calls, widths)]
    # One step is added, so that no sequence of any batch has all steps.
    assert [op.inputs[0].shape.as_list() for op in forward] == [[8, 3, inputs] for inputs in [2] + widths[:-1]]
    for op in forward + backward:
        assert {name: op.get_attr(name) for name in ATTRIBUTES} == ATTRIBUTES and op.get_attr("T") == dtype
    assert all(op.get_attr("is_training") for op in forward)
    for op, number, size, inputs in zip(forward, calls, widths, [2] + widths[:-1]):
        expected = 4 * size * (inputs + size) + (number - 1) * 8 * size * size + number * 8 * size
        assert op.inputs[3].shape.as_list() == [expected]
    assert len(backward) == len(forward)
    for backward_op, forward_op in zip(reversed(backward), forward):
        assert list(backward_op.inputs)[:5] == list(forward_op.inputs)
        assert list(backward_op.inputs)[11:] == list(forward_op.outputs)[3:]


def test_each_gradient_has_its_own_reserve_space(graph):
    """cuDNN overwrites it. The first gradient takes that of the forward pass, each other one computes a new one."""
    x = tf.placeholder(tf.float32, [4, 3, 2])
    outputs, _ = StackedLSTM([3], engine="cudnn")(x)
    for k in range(3):
        assert len(ops("CudnnRNNV3", graph)) == max(k, 1)
        tf.gradients((k + 1.0) * outputs, x)
    spaces = [op.inputs[11] for op in ops("CudnnRNNBackpropV3", graph)]
    assert [space.op for space in spaces] == ops("CudnnRNNV3", graph) and len(spaces) == 3


def test_gradients_in_a_loop(numpy_cudnn, control_flow, session):
    """Each step of the loop computes the forward pass again, because there is one reserve space outside of the loop."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 2, 3]))
    outputs, _ = StackedLSTM([4, 4], engine="cudnn", dtype="float64")(x, [3, 2], time_major=True)
    numbers = tf.reshape(outputs, [-1])
    rows = tf.map_fn(lambda k: tf.gradients(numbers[k], x)[0], tf.range(4), dtype=x.dtype)
    expected = tf.stack([tf.gradients(numbers[k], x)[0] for k in range(4)])
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([rows, expected]), rtol=0, atol=1e-14)


def test_gradients_do_not_wait_for_the_gpu(graph):
    """Sizes stay on the host: no gradient of a slice or a pad, which would be computed from them on the GPU."""
    x = tf.placeholder(tf.float32, [None, None, 2])
    start = tuple(LSTMState(tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.float32, [None, 3])) for _ in "ab")
    outputs, state = StackedLSTM([3, 3], engine="cudnn")(x, [3, 1], start)
    count = len(graph.get_operations())
    tf.gradients([outputs] + tf.nest.flatten(state), [x] + tf.nest.flatten(start))
    sizes = [op for op in graph.get_operations()[count:] if "/sub" in op.name and len(op.inputs) == 2]
    assert sizes and all(part.op.type == "Shape" for op in sizes for part in op.inputs)


@ONCE
def test_second_derivatives_have_a_graph(graph):
    """With the real ops. test_engines.py tests the numbers."""
    x = tf.placeholder(tf.float32, [None, None, 2])
    lstm = StackedLSTM([4, 4, 3], engine="cudnn")
    first = tf.gradients(lstm(x)[0], [x] + lstm.variables)
    second = tf.gradients([tf.reduce_sum(gradient**2) for gradient in first], [x] + lstm.variables)
    assert all(gradient is not None for gradient in second)
    # Second derivatives need the gradient of the lower op once more, which computes its forward pass again.
    assert len(ops("CudnnRNNV3", graph)) == 3


def test_two_gradients_in_loops_of_unknown_sizes(numpy_cudnn, session):
    """In a function each gradient computes the forward pass again. The sizes are known when the graph runs."""
    values, found = np.random.RandomState(0).standard_normal([2, 3, 4, 2]), []
    tf.enable_control_flow_v2()
    try:
        for engine in ("cudnn", "graph"):
            x = tf.placeholder_with_default(values, [None, None, None, 2])
            lstm = StackedLSTM([3], engine=engine, dtype=tf.float64, name=engine)
            lstm.build(2)
            outputs = tf.map_fn(lambda sequences, lstm=lstm: lstm(sequences)[0], x, back_prop=True)
            found.append([outputs, tf.gradients(outputs, x)[0], tf.gradients(outputs**2, x)[0]])
        session.run(tf.global_variables_initializer())
        session.run([a.assign(b) for a, b in zip(*[tf.global_variables(scope) for scope in ("cudnn/", "graph/")])])
        for actual, expected in zip(*session.run(found)):
            assert numeric.relative_difference(actual, expected) < 1e-14
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.skipif(not OLD, reason="since TensorFlow 2 loops keep shapes; test_engines.py has the numbers")
def test_second_derivatives_in_loops_of_tensorflow_1(numpy_cudnn, session):
    """TensorFlow 1.15 loses the shapes of the op's inputs there, and the buffer does not tell the number of layers."""
    tf.enable_control_flow_v2()
    try:
        x = tf.constant(np.random.RandomState(0).standard_normal([1, 2, 4, 2]))
        lstm = StackedLSTM([3], engine="cudnn", dtype=tf.float64)
        lstm.build(2)
        first = tf.gradients(tf.map_fn(lambda sequences: lstm(sequences)[0], x, back_prop=True), x)[0]
        with pytest.raises(
            ValueError, match="second derivatives of the engine 'cudnn' need inputs and states of known widths"
        ):
            tf.gradients(first, x)
        direct = tf.gradients(lstm(x[0])[0], x)[0]
        session.run(tf.global_variables_initializer())
        assert numeric.relative_difference(*session.run([first, direct])) < 1e-14
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.parametrize("soft_placement", [False, True])
def test_run_without_a_gpu(soft_placement):
    """The error names the engines that need no GPU."""
    lstm = StackedLSTM([3], engine="cudnn")
    outputs, _ = lstm(tf.zeros([2, 4, 1]))
    tf.gradients(outputs, lstm.variables)
    config = tf.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=soft_placement)
    with tf.Session(config=config) as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="needs_a_GPU.*engine_native_or_graph"):
            session.run(tf.global_variables_initializer())
            session.run(outputs)


# With cuDNN in NumPy.


@ONCE
@ANYWHERE
@pytest.mark.parametrize("has_lengths", [False, True])
@pytest.mark.parametrize("steps, batch", [(0, 3), (4, 0), (0, 0)])
def test_empty_batches_and_sequences(steps, batch, has_lengths, numpy_cudnn, plain_session):
    """cuDNN refuses them. The engine returns empty outputs and the initial state, and passes its gradient through."""
    x = tf.placeholder(tf.float64, [None, None, 2])
    start = tuple(LSTMState(*[tf.placeholder(tf.float64, [None, size]) for _ in "ch"]) for size in (3, 3, 4))
    lstm = StackedLSTM([3, 3, 4], engine="cudnn", dtype=tf.float64)
    outputs, state = lstm(x, tf.zeros([tf.shape(x)[0]], tf.int32) if has_lengths else None, start)
    loss = tf.reduce_sum(outputs) + tf.add_n([tf.reduce_sum(tf.square(part)) for pair in state for part in pair])
    gradients = tf.gradients(loss, [x] + tf.nest.flatten(start)), tf.gradients(loss, lstm.variables)
    plain_session.run(tf.global_variables_initializer())
    values = [np.full([batch, part.shape.as_list()[1]], 0.5 + k) for k, part in enumerate(tf.nest.flatten(start))]
    feed = dict(zip(tf.nest.flatten(start), values))
    feed[x] = np.ones([batch, steps, 2])
    outputs, state, ((d_x, *d_start), d_variables) = plain_session.run([outputs, state, gradients], feed)
    assert outputs.shape == (batch, steps, 4) and d_x.shape == (batch, steps, 2)
    for final, d_initial, value in zip(tf.nest.flatten(state), d_start, values):
        np.testing.assert_array_equal(final, value)
        np.testing.assert_array_equal(d_initial, 2 * value)
    assert not any(np.any(gradient) for gradient in d_variables)


@ANYWHERE
@pytest.mark.parametrize("hidden_sizes", [[4], [4, 4, 3]])
def test_batches_of_all_kinds(hidden_sizes, numpy_cudnn, session):
    """One graph runs and trains on batches with complete, shorter and empty sequences, in turn."""
    x, lengths = tf.placeholder(tf.float64, [None, None, 2]), tf.placeholder(tf.int32, [None])
    lstm = StackedLSTM(hidden_sizes, engine="cudnn", dtype=tf.float64, bias_initializer="tn")
    outputs, _ = lstm(x, lengths, time_major=True)
    gradient = tf.gradients(tf.reduce_sum(outputs**2), lstm.layers[0].Wf)[0]
    session.run(tf.global_variables_initializer())
    layers, random = lstm.get_weights(session).layers, np.random.RandomState(0)
    batches = [(5, [5, 5]), (5, [5, 3]), (5, [5, 5]), (4, [1, 4]), (4, [4]), (6, [0, 0, 2]), (6, [6, 6, 6])]
    for steps, batch_lengths in batches:
        feed = {x: random.standard_normal([steps, len(batch_lengths), 2]), lengths: batch_lengths}
        expected, _, cache = numpy_lstm.forward(layers, feed[x], None, batch_lengths)
        assert numeric.relative_difference(session.run(outputs, feed), expected) < 1e-13
        expected = numpy_lstm.backward(2 * expected, None, cache)["layers"][0]["Wf"]
        assert numeric.relative_difference(session.run(gradient, feed), expected) < 1e-12


# All engines have the same variables.


def network(engine, x):
    lstm = StackedLSTM([4, 4, 3], initial_state="projected", engine=engine)
    outputs, _ = lstm(x, [5, 3])
    loss = tf.reduce_mean(tf.square(outputs - 0.1))
    return outputs, loss, tf.train.AdamOptimizer(0.01).minimize(loss)


@ONCE
@ANYWHERE
@pytest.mark.parametrize("others", ["graph", pytest.param("native", marks=NEEDS_NATIVE)])
@pytest.mark.parametrize("reverse_order", [False, True])
def test_checkpoints(others, reverse_order, float32_tolerance, numpy_cudnn, tmp_path):
    """A network that one engine trained goes on with another one, with its optimizer. Variables restore bit for bit."""
    x = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    path, found = str(tmp_path / "model"), []
    for engine in [others, "cudnn"] if reverse_order else ["cudnn", others]:
        with tf.Graph().as_default(), plain_session() as session:
            outputs, loss, train = network(engine, tf.constant(x))
            variables, saver = tf.global_variables(), tf.train.Saver()
            if not found:
                session.run(tf.global_variables_initializer())
                initial_loss = session.run(loss)
                for _ in range(5):
                    session.run(train)
                assert session.run(loss) < initial_loss
                saver.save(session, path)
            else:
                saver.restore(session, path)
            results = [session.run([outputs] + variables)]
            session.run(train)
            found.append(results + [session.run([loss] + variables)])
    (first, trained), (restored, trained_on) = found
    for a, b in zip(first[1:], restored[1:]):
        np.testing.assert_array_equal(a, b)
    assert numeric.relative_difference(restored[0], first[0]) < float32_tolerance
    for a, b in zip(trained, trained_on):
        assert numeric.relative_difference(b, a) < 1e-5


# A graph that another program imports.

GRADIENTS_OF_AN_IMPORTED_GRAPH = """
import sys
import tensorflow.compat.v1 as tf
import stacked_lstm
tf.disable_v2_behavior()
tf.train.import_meta_graph(sys.argv[1])
x, outputs = (tf.get_default_graph().get_tensor_by_name(name) for name in ("x:0", "outputs:0"))
try:
    tf.gradients(outputs, x)
except LookupError:
    print("LookupError")
import stacked_lstm.engines
print(tf.gradients(outputs, x)[0].shape.as_list())
"""


@ONCE
def test_gradients_of_an_imported_graph_need_the_engines(tmp_path):
    """`import stacked_lstm` imports nothing else; the gradients are registered by `import stacked_lstm.engines`."""
    x = tf.placeholder(tf.float32, [2, 3, 4], name="x")
    outputs, _ = StackedLSTM([5], engine="cudnn")(x)
    tf.identity(outputs, name="outputs")
    path = str(tmp_path / "model.meta")
    tf.train.export_meta_graph(path)
    printed = programs.check(["-c", GRADIENTS_OF_AN_IMPORTED_GRAPH, path])
    assert printed.decode().splitlines() == ["LookupError", "[2, 3, 4]"]
