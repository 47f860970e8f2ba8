"""The `cudnn` engine: its ops, and what it does with cells and batches of all kinds, on NumPy's cuDNN and on a GPU.

Its buffer is in test_cudnn_buffer.py. What all engines have in common is in test_conformance.py, test_engines.py and
test_stack.py; what needs a GPU, in test_gpu.py.
"""

import subprocess
import sys

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm, parity, rnn_cell
from stacked_lstm.compat import tf
from support import numeric
from support.native_ops import NEEDS_NATIVE
from support.places import ANYWHERE
from support.sessions import plain_session
from support.sets import ONCE
from support.versions import OLD


@pytest.fixture
def float32_tolerance(place):
    """NumPy's cuDNN computes in float64 and rounds once; cuDNN itself adds in float32, in an order of its own."""
    return 1e-6 if place == "cpu" else parity.TOLERANCES["float32"]


# On NumPy's cuDNN, against TensorFlow's own loop.


@ANYWHERE
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cells(dtype, float32_tolerance, numpy_cudnn, session):
    """A fused kernel in another order of gates, a forget bias that is added: against TensorFlow's own loop."""
    random, results = np.random.RandomState(0), []
    x = tf.constant(random.standard_normal([3, 5, 2]), dtype)
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(4, forget_bias=0.3) for _ in range(2)])
    for engine in ("cudnn", "stepwise"):
        outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 0, 3], dtype=dtype, engine=engine)
        assert rnn_cell.engine_used(outputs).name == engine
        results.append([outputs, state, tf.gradients([outputs] + tf.nest.flatten(state), [x] + cell.variables)])
    session.run(tf.global_variables_initializer())
    for found, expected in zip(*[tf.nest.flatten(each) for each in session.run(results)]):
        assert numeric.relative_difference(found, expected) < {"float32": float32_tolerance, "float64": 1e-14}[dtype]


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
    """One call per run of layers of one width, its shapes and attributes, and a gradient for every variable."""
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
    # A step more than there are: then no sequence is whole, in any batch.
    assert [op.inputs[0].shape.as_list() for op in forward] == [[8, 3, below] for below in [2] + widths[:-1]]
    for op in forward + backward:
        assert {name: op.get_attr(name) for name in ATTRIBUTES} == ATTRIBUTES and op.get_attr("T") == dtype
    assert all(op.get_attr("is_training") for op in forward)
    for op, number, size, below in zip(forward, calls, widths, [2] + widths[:-1]):
        expected = 4 * size * (below + size) + (number - 1) * 8 * size * size + number * 8 * size
        assert op.inputs[3].shape.as_list() == [expected]
    assert len(backward) == len(forward)
    for after, before in zip(reversed(backward), forward):
        assert list(after.inputs)[:5] == list(before.inputs) and list(after.inputs)[11:] == list(before.outputs)[3:]


def test_each_gradient_has_a_reserve_space_of_its_own(graph):
    """cuDNN overwrites it. The first gradient takes that of the forward pass, each other one computes one again."""
    x = tf.placeholder(tf.float32, [4, 3, 2])
    outputs, _ = StackedLSTM([3], engine="cudnn")(x)
    for k in range(3):
        assert len(ops("CudnnRNNV3", graph)) == max(k, 1)
        tf.gradients((k + 1.0) * outputs, x)
    spaces = [op.inputs[11] for op in ops("CudnnRNNBackpropV3", graph)]
    assert [space.op for space in spaces] == ops("CudnnRNNV3", graph) and len(spaces) == 3


def test_gradients_do_not_wait_for_the_gpu(graph):
    """Sizes stay on the host: no gradient of a slice or a pad, which would be computed from them on the GPU."""
    x = tf.placeholder(tf.float32, [None, None, 2])
    start = tuple(LSTMState(tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.float32, [None, 3])) for _ in "ab")
    outputs, state = StackedLSTM([3, 3], engine="cudnn")(x, [3, 1], start)
    before = len(graph.get_operations())
    tf.gradients([outputs] + tf.nest.flatten(state), [x] + tf.nest.flatten(start))
    sizes = [op for op in graph.get_operations()[before:] if "/sub" in op.name and len(op.inputs) == 2]
    assert sizes and all(part.op.type == "Shape" for op in sizes for part in op.inputs)


@ONCE
def test_second_derivatives_have_a_graph(graph):
    """Of the real ops; what they are is tested in test_engines.py."""
    x = tf.placeholder(tf.float32, [None, None, 2])
    lstm = StackedLSTM([4, 4, 3], engine="cudnn")
    first = tf.gradients(lstm(x)[0], [x] + lstm.variables)
    second = tf.gradients([tf.reduce_sum(gradient**2) for gradient in first], [x] + lstm.variables)
    assert all(gradient is not None for gradient in second)
    # Second derivatives go through the lower call's gradient once more, for which it is computed again.
    assert len(ops("CudnnRNNV3", graph)) == 3


def test_two_gradients_in_loops_of_unknown_sizes(numpy_cudnn, session):
    """In a function each gradient computes the forward pass again; the sizes are known when it runs."""
    values, found = np.random.RandomState(0).standard_normal([2, 3, 4, 2]), []
    tf.enable_control_flow_v2()
    try:
        for engine in ("cudnn", "graph"):
            x = tf.placeholder_with_default(values, [None, None, None, 2])
            lstm = StackedLSTM([3], engine=engine, dtype=tf.float64, name=engine)
            lstm.build(2)
            outputs = tf.map_fn(lambda each, lstm=lstm: lstm(each)[0], x, back_prop=True)
            found.append([outputs, tf.gradients(outputs, x)[0], tf.gradients(outputs**2, x)[0]])
        session.run(tf.global_variables_initializer())
        session.run([a.assign(b) for a, b in zip(*[tf.global_variables(scope) for scope in ("cudnn/", "graph/")])])
        for ours, expected in zip(*session.run(found)):
            assert numeric.relative_difference(ours, expected) < 1e-14
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.skipif(not OLD, reason="since TensorFlow 2 loops keep shapes; test_engines.py has the numbers")
def test_second_derivatives_in_loops_of_tensorflow_1(numpy_cudnn, session):
    """There TensorFlow forgets what the op was given, and the buffer alone does not tell how many layers it is of."""
    tf.enable_control_flow_v2()
    try:
        x = tf.constant(np.random.RandomState(0).standard_normal([1, 2, 4, 2]))
        lstm = StackedLSTM([3], engine="cudnn", dtype=tf.float64)
        lstm.build(2)
        first = tf.gradients(tf.map_fn(lambda each: lstm(each)[0], x, back_prop=True), x)[0]
        with pytest.raises(ValueError, match="CudnnRNNBackpropV3: expected inputs of known width"):
            tf.gradients(first, x)
        straight = tf.gradients(lstm(x[0])[0], x)[0]
        session.run(tf.global_variables_initializer())
        assert numeric.relative_difference(*session.run([first, straight])) < 1e-14
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.parametrize("soft_placement", [False, True])
def test_run_without_a_gpu(soft_placement):
    """It says which engines there are instead, wherever the session is."""
    lstm = StackedLSTM([3], engine="cudnn")
    outputs, _ = lstm(tf.zeros([2, 4, 1]))
    tf.gradients(outputs, lstm.variables)
    config = tf.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=soft_placement)
    with tf.Session(config=config) as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="needs_a_GPU.*engine_native_or_graph"):
            session.run(tf.global_variables_initializer())
            session.run(outputs)


# On NumPy's cuDNN.


@ONCE
@ANYWHERE
@pytest.mark.parametrize("given_lengths", [False, True])
@pytest.mark.parametrize("steps, batch", [(0, 3), (4, 0), (0, 0)])
def test_empty_batches_and_sequences(steps, batch, given_lengths, numpy_cudnn, plain_session):
    """cuDNN refuses them; here the outputs are empty, the state is the initial one, and its gradient goes through."""
    x = tf.placeholder(tf.float64, [None, None, 2])
    start = tuple(LSTMState(*[tf.placeholder(tf.float64, [None, size]) for _ in "ch"]) for size in (3, 3, 4))
    lstm = StackedLSTM([3, 3, 4], engine="cudnn", dtype=tf.float64)
    outputs, state = lstm(x, tf.zeros([tf.shape(x)[0]], tf.int32) if given_lengths else None, start)
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
    """One graph is given whole, ragged and empty sequences of several lengths, in turn, to run and to train on."""
    x, lengths = tf.placeholder(tf.float64, [None, None, 2]), tf.placeholder(tf.int32, [None])
    lstm = StackedLSTM(hidden_sizes, engine="cudnn", dtype=tf.float64, bias_initializer="tn")
    outputs, _ = lstm(x, lengths, time_major=True)
    gradient = tf.gradients(tf.reduce_sum(outputs**2), lstm.layers[0].Wf)[0]
    session.run(tf.global_variables_initializer())
    layers, random = lstm.get_weights(session).layers, np.random.RandomState(0)
    for steps, given in [(5, [5, 5]), (5, [5, 3]), (5, [5, 5]), (4, [1, 4]), (4, [4]), (6, [0, 0, 2]), (6, [6, 6, 6])]:
        feed = {x: random.standard_normal([steps, len(given), 2]), lengths: given}
        expected, _, cache = numpy_lstm.forward(layers, feed[x], None, given)
        assert numeric.relative_difference(session.run(outputs, feed), expected) < 1e-13
        expected = numpy_lstm.backward(2 * expected, None, cache)["layers"][0]["Wf"]
        assert numeric.relative_difference(session.run(gradient, feed), expected) < 1e-12


# Variables are the same for all engines.


def network(engine, x):
    lstm = StackedLSTM([4, 4, 3], initial_state="projected", engine=engine)
    outputs, _ = lstm(x, [5, 3])
    loss = tf.reduce_mean(tf.square(outputs - 0.1))
    return outputs, loss, tf.train.AdamOptimizer(0.01).minimize(loss)


@ONCE
@ANYWHERE
@pytest.mark.parametrize("others", ["graph", pytest.param("native", marks=NEEDS_NATIVE)])
@pytest.mark.parametrize("back", [False, True])
def test_checkpoints(others, back, float32_tolerance, numpy_cudnn, tmp_path):
    """One trained with one engine goes on with another, optimizer and all, and restores bit for bit."""
    x = np.random.RandomState(0).standard_normal([2, 5, 3]).astype(np.float32)
    path, found = str(tmp_path / "model"), []
    for engine in [others, "cudnn"] if back else ["cudnn", others]:
        with tf.Graph().as_default(), plain_session() as session:
            outputs, loss, train = network(engine, tf.constant(x))
            variables, saver = tf.global_variables(), tf.train.Saver()
            if not found:
                session.run(tf.global_variables_initializer())
                before = session.run(loss)
                for _ in range(5):
                    session.run(train)
                assert session.run(loss) < before
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
    command = [sys.executable, "-c", GRADIENTS_OF_AN_IMPORTED_GRAPH, path]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert result.stdout.decode().splitlines() == ["LookupError", "[2, 3, 4]"]
