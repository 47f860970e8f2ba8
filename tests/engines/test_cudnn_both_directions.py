"""Both directions in one call of cuDNN: when the `cudnn` engine has it, and its numbers and derivatives.

On the CPU, TensorFlow's op is cuDNN in NumPy, and the package's op calls a cuDNN in C++; see support/.
"""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, engines, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines import cudnn
from stacked_lstm.engines.cudnn import compiled_op, library
from stacked_lstm.engines.place import Place
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm.equations import PLAIN
from stacked_lstm.lstm.layer import Layer
from support.engines.cudnn_on_host import NEEDS_COMPILED_OP, STANDARD
from support.references import bidirectional_in_numpy, numeric
from support.suite.places import ANYWHERE, GPU
from support.suite.sets import ONCE

BOTH, ONE = "bidirectional", "unidirectional"


def directions(graph, kind="CudnnRNNV3"):
    return [op.get_attr("direction").decode() for op in graph.get_operations() if op.type == kind]


def has_reversals(graph):
    return any(op.type in ("ReverseV2", "ReverseSequence") for op in graph.get_operations())


# When there is one call.

# Name -> (hidden sizes, arguments of the constructor, whether the call trains, direction of each call of cuDNN).
GRAPHS = {
    "layers": ([4, 3], {}, False, [BOTH, BOTH]),
    "merge, residual, dropout": (
        [4, 4],
        {"merge": "sum", "residual": "after layer 1", "dropout": 0.5},
        True,
        2 * [BOTH],
    ),
    "one layer": ([4], {"stacking": "stacks", "initial_state": "learned", "use_bias": False}, False, [BOTH]),
    "inference": ([4], {"recurrent_dropout": 0.5}, False, [BOTH]),
    "stacks": ([4, 4], {"stacking": "stacks"}, False, [ONE, ONE]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_when_there_is_one_call(name, graph):
    hidden_sizes, arguments, training, expected = GRAPHS[name]
    x, lengths = tf.placeholder(tf.float32, [None, 5, 3]), tf.placeholder(tf.int32, [None])
    lstm = BidirectionalLSTM(hidden_sizes, engine="cudnn", **arguments)
    outputs, _ = lstm(x, lengths, training=training)
    assert directions(graph) == expected
    assert outputs.shape.as_list()[1:] == [5, hidden_sizes[-1] * (1 if "merge" in arguments else 2)]
    assert has_reversals(graph) == (ONE in expected)
    assert all(gradient is not None for gradient in tf.gradients(outputs, [x, *lstm.variables]))
    assert directions(graph, "CudnnRNNBackpropV3") == expected


@pytest.mark.parametrize("sizes, expected", [([4, 4], [BOTH]), ([4, 5], [ONE, ONE])])
def test_cells_of_one_size_are_one_call(sizes, expected, graph):
    cells, x = [rnn_cell.LSTMCell(size) for size in sizes], tf.placeholder(tf.float32, [None, 5, 3])
    outputs, _ = rnn_cell.bidirectional_dynamic_rnn(*cells, x, dtype=tf.float32, engine="cudnn")
    assert directions(graph) == expected and [side.shape.as_list()[2] for side in outputs] == sizes


def test_a_backward_stack_alone(graph):
    layers = [Layer(width, 4, [tf.zeros([4 + width, 4])] * 4) for width in (3, 4)]
    states = [(tf.zeros([2, 4]),) * 2] * 2
    request = engines.resolve("cudnn", "test")
    arguments = Segment(layers), tf.zeros([5, 2, 3]), states, None, True, "test"
    outputs, finals, _ = engines.run(request, *arguments, from_end=True)
    assert directions(graph) == [ONE] and has_reversals(graph)
    assert outputs.shape.as_list() == [5, 2, 4] and len(finals) == 2


@NEEDS_COMPILED_OP
@pytest.mark.parametrize(
    "algorithm, dtype, direction",
    [
        ("accurate", "float32", BOTH),
        ("accurate", "float64", BOTH),
        ("accurate", "float16", ONE),
        ("standard", "float16", BOTH),
        ("fastest", "float32", ONE),
        ("fastest", "float64", BOTH),
        ("persistent_static", "float32", ONE),
    ],
)
def test_persistent_algorithms_run_one_direction(algorithm, dtype, direction, host_cudnn, monkeypatch, graph):
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, algorithm)
    outputs, _ = BidirectionalLSTM([4], engine="cudnn", dtype=dtype)(tf.placeholder(dtype, [None, 5, 3]))
    assert set(directions(graph, "StackedLstmCudnn")) == {direction} and outputs.shape.as_list() == [None, 5, 8]


def test_conditions(monkeypatch):
    """Each condition of one call, and its message."""

    def words(*layers, has_lengths=False):
        place = Place(has_lengths)
        return [condition(layers, place) for condition in cudnn.ENGINE.both_needs]

    monkeypatch.setattr(library, "problem", lambda: None)
    monkeypatch.setattr(Place, "has_gpu", True)
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.FASTEST)
    layer = Layer(2, 4, [tf.zeros([6, 4])] * 4)
    wide = Layer(2, 5, [tf.zeros([7, 5])] * 4)
    projected = Layer(2, 4, [tf.zeros([5, 4])] * 4, extras=PLAIN._replace(projection=tf.zeros([4, 3])))
    persistent = "each direction may run on a persistent algorithm"
    assert words(layer, layer) == [None, None, None, persistent]
    assert words(layer, layer, has_lengths=True) == [None] * 4
    assert words(projected, projected) == [None] * 4
    different_sizes = "the layers of both directions have different sizes"
    assert words(layer, wide, has_lengths=True) == [None, None, different_sizes, None]
    assert words(layer, projected)[2] == different_sizes
    upper_layers = "an upper layer of cuDNN reads both directions of the layer below"
    assert words(*[layer] * 4, has_lengths=True) == [None, upper_layers, None, None]
    masked = layer._replace(h_mask=tf.ones([1, 4]))
    assert words(layer, masked, has_lengths=True) == [
        "it does not support dropout on h with one mask for all steps",
        None,
        None,
        None,
    ]


# Numbers.

STEPS, BATCH, WIDTH, UNITS = 4, 3, 2, 3
OPS = ["CudnnRNNV3", pytest.param("StackedLstmCudnn", marks=NEEDS_COMPILED_OP)]
with_each_op = pytest.mark.parametrize("kind", OPS)


@pytest.fixture
def lengths(kind, request):
    """Returns lengths for TensorFlow's op, and None for the package's op, which takes no lengths."""
    request.getfixturevalue("numpy_cudnn" if kind == "CudnnRNNV3" else "host_cudnn")
    return [STEPS, 0, 2] if kind == "CudnnRNNV3" else None


@ANYWHERE
@with_each_op
def test_numbers(kind, lengths, plain_session):
    """Two layers with initial states. The results and all gradients equal NumPy's."""
    random, sizes = np.random.RandomState(0), [UNITS, 5]
    x, all_lengths = random.standard_normal([STEPS, BATCH, WIDTH]), lengths or [STEPS] * BATCH
    for b, length in enumerate(all_lengths):
        x[length:, b] = np.nan
    starts = [[tuple(random.standard_normal([2, BATCH, size])) for size in sizes] for _ in "fb"]
    lstm = BidirectionalLSTM(sizes, bias_initializer="tn", dtype=tf.float64, engine="cudnn")
    start_tensors = [[tuple(map(tf.constant, pair)) for pair in side] for side in starts]
    inputs = tf.constant(x)
    outputs, state = lstm(inputs, lengths, start_tensors, time_major=True)
    assert not has_reversals(plain_session.graph)
    targets = [outputs, *tf.nest.flatten(state)]
    upstream = [random.standard_normal([STEPS, BATCH, 2 * sizes[-1]])]
    upstream += [random.standard_normal([BATCH, size]) for size in sizes + sizes for _ in "ch"]
    sources = {variable.op.name.partition("/")[2]: variable for variable in lstm.variables}
    for side, pairs in zip(("forward", "backward"), start_tensors):
        sources.update({f"{side} {k} {f}": part for k, pair in enumerate(pairs) for f, part in zip("ch", pair)})
    sources["x"] = inputs
    tensors = tf.gradients(targets, list(sources.values()), [tf.constant(d) for d in upstream])
    plain_session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(plain_session)
    values, gradients = plain_session.run([targets, dict(zip(sources, tensors))])
    arguments = weights, x, all_lengths, "concat", "layers"
    expected, finals, tape = bidirectional_in_numpy.run(*arguments, starts=starts)
    for value, reference in zip(values, [expected, *tf.nest.flatten(finals)]):
        assert numeric.relative_difference(value, reference) < 1e-12
    d_states = [list(map(LSTMState, side[::2], side[1::2])) for side in (upstream[1:5], upstream[5:])]
    expected_gradients = bidirectional_in_numpy.gradients(tape, all_lengths, "concat", "zeros", upstream[0], d_states)
    numeric.check_same(gradients, expected_gradients, 1e-12)


@ANYWHERE
@with_each_op
def test_cells_and_second_derivatives(kind, lengths, plain_session):
    """Cells equal TensorFlow's own loop. Second derivatives equal central differences of first derivatives."""
    random, results = np.random.RandomState(0), []
    shapes = [[BATCH, STEPS, WIDTH]] + 4 * [[BATCH, UNITS]]
    point, direction = [[random.standard_normal(shape) for shape in shapes] for _ in range(2)]
    x, *starts = fed = [tf.placeholder(tf.float64, shape) for shape in shapes]
    starts = [rnn_cell.LSTMStateTuple(*starts[:2]), rnn_cell.LSTMStateTuple(*starts[2:])]
    cells = [rnn_cell.LSTMCell(UNITS), rnn_cell.BasicLSTMCell(UNITS, forget_bias=0.3)]
    for engine in ("cudnn", "stepwise"):
        outputs, states = rnn_cell.bidirectional_dynamic_rnn(*cells, x, lengths, *starts, engine=engine)
        assert [rnn_cell.engine_used(side).name for side in outputs] == [engine, engine]
        assert has_reversals(plain_session.graph) == (engine == "stepwise")
        targets, sources = tf.nest.flatten([outputs, states]), [*fed, *cells[0].variables, *cells[1].variables]
        results.append([targets, tf.gradients([tf.reduce_sum(tf.sin(target)) for target in targets], sources)])
    (_, first), along = results[0], [tf.constant(part) for part in direction]
    second = tf.gradients([tf.reduce_sum(d * part) for d, part in zip(first, along)], sources)
    plain_session.run(tf.global_variables_initializer())
    *values, second_values = plain_session.run([*results, second], dict(zip(fed, point)))
    for actual, expected in zip(*map(tf.nest.flatten, values)):
        assert numeric.relative_difference(actual, expected) < 1e-12

    def gradients_at(values):
        return np.concatenate([part.ravel() for part in plain_session.run(first, dict(zip(fed, values)))])

    expected = numeric.central_difference(gradients_at, point, direction)
    actual = np.concatenate([part.ravel() for part in second_values])
    assert numeric.relative_difference(actual, expected) < 1e-7


@ONCE
@ANYWHERE
@with_each_op
@pytest.mark.parametrize("steps, batch", [(0, 3), (4, 0)])
def test_empty_batches_and_sequences(steps, batch, kind, lengths, plain_session):
    """The outputs are empty. The initial state is the final state, and its gradient passes through."""
    x, starts = tf.placeholder(tf.float64, [None, None, WIDTH]), [tf.placeholder(tf.float64, [None, UNITS])] * 4
    lstm = BidirectionalLSTM([UNITS], engine="cudnn", dtype=tf.float64)
    zeros = None if lengths is None else tf.zeros([tf.shape(x)[0]], tf.int32)
    outputs, state = lstm(x, zeros, [[tuple(starts[:2])], [tuple(starts[2:])]])
    finals = tf.nest.flatten(state)
    gradients = tf.gradients([outputs, *[final**2 for final in finals]], [x, starts[0]])
    assert not has_reversals(plain_session.graph)
    plain_session.run(tf.global_variables_initializer())
    start = np.full([batch, UNITS], 0.5)
    feed = {x: np.ones([batch, steps, WIDTH]), starts[0]: start}
    y, states, (d_x, d_start) = plain_session.run([outputs, finals, gradients], feed)
    assert y.shape == (batch, steps, 2 * UNITS) and d_x.shape == (batch, steps, WIDTH)
    assert all(np.array_equal(final, start) for final in states)
    np.testing.assert_array_equal(d_start, 4 * 2 * start)


@NEEDS_COMPILED_OP
@ANYWHERE
def test_projections(host_cudnn, plain_session):
    random, results, stacks = np.random.RandomState(0), [], []
    x = tf.constant(random.standard_normal([BATCH, STEPS, WIDTH]))
    for engine in ("cudnn", "graph"):
        lstm = BidirectionalLSTM([5, 4], projection_size=2, dtype=tf.float64, engine=engine, name=engine)
        outputs, state = lstm(x)
        results.append([outputs, *tf.nest.flatten(state), *tf.gradients(outputs**2, [x, *lstm.variables])])
        stacks.append(lstm)
    assert directions(plain_session.graph, "StackedLstmCudnn") == [BOTH, BOTH]
    plain_session.run(tf.global_variables_initializer())
    stacks[1].set_weights(plain_session, *stacks[0].get_weights(plain_session))
    for actual, expected in zip(*plain_session.run(results)):
        assert numeric.relative_difference(actual, expected) < 1e-12


@NEEDS_COMPILED_OP
def test_calls_of_the_package_s_op(host_cudnn, session):
    """Each pass is one call of cuDNN with the standard algorithm. Each gradient has its own reserve space."""
    outputs, _ = BidirectionalLSTM([UNITS], engine="cudnn")(tf.ones([BATCH, STEPS, WIDTH]))
    gradients = [tf.gradients(k * outputs, tf.trainable_variables()) for k in (1.0, 3.0)]
    session.run(tf.global_variables_initializer())
    host_cudnn.calls()
    one, three = session.run(gradients)
    calls = host_cudnn.calls()
    assert [name for name, _ in calls] == ["forward"] + 2 * ["backward_data", "backward_weights"]
    assert all((facts["algorithm"], facts["L"], facts["D"]) == (STANDARD, 1, 2) for _, facts in calls)
    assert all(numeric.relative_difference(3 * a, b) < 1e-6 for a, b in zip(one, three))
    state = tf.placeholder_with_default(np.zeros([3, BATCH, UNITS], np.float32), None)
    arguments = {"algorithm": "standard", "allow_tf32": False, "direction": BOTH}
    results = library.load().stacked_lstm_cudnn(tf.zeros([1, BATCH, WIDTH]), state, state, [0.0], **arguments)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected x \[T, B, I\], h \[2 L, B, P\]"):
        session.run(results.outputs)


@pytest.mark.parametrize("place", [pytest.param("gpu", marks=GPU)], indirect=True)
@pytest.mark.parametrize("has_lengths", [False, True])
def test_large(has_lengths, place, session):
    """On a GPU, the results in float32 and float16 equal those of the graph engine in float32."""
    x, results, stacks = np.random.RandomState(0).standard_normal([20, 12, 64]), [], []
    lengths = [20, 0, 1, 7] * 3 if has_lengths else None
    for engine, dtype in (("graph", tf.float32), ("cudnn", tf.float32), ("cudnn", tf.float16)):
        lstm = BidirectionalLSTM([128, 128], engine=engine, dtype=dtype, name=engine + dtype.name)
        outputs, _ = lstm(tf.constant(x, dtype), lengths, time_major=True)
        results.append([outputs, *tf.gradients(tf.reduce_mean(tf.sin(outputs)), lstm.variables)])
        stacks.append(lstm)
    session.run(tf.global_variables_initializer())
    for lstm in stacks[1:]:
        lstm.set_weights(session, *stacks[0].get_weights(session))
    expected, single, half = session.run(results)
    assert max(map(numeric.relative_difference, single, expected)) < 1e-5
    assert numeric.relative_difference(half[0].astype(np.float64), expected[0]) < 2e-2
