"""Residual connections in the native engine's op: where they are, and derivatives, against NumPy and other engines."""

import itertools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, StackedLSTM, numpy_lstm, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library
from stacked_lstm.parity.measure import TOLERANCES
from support.engines import native_ops
from support.engines.native_ops import EXTRAS, NEEDS_NATIVE, SERIES
from support.networks.random_networks import flat
from support.references import numeric
from support.suite.sets import ONCE, some

pytestmark = NEEDS_NATIVE

# Widths of the input and of each layer, and which layers are residual.
STACKS = {
    "one": ([5, 5], [True]),
    "wide": ([40, 40], [True]),
    "first": ([5, 5, 9], [True, False]),
    "last": ([3, 18, 18], [False, True]),
    "middle": ([3, 7, 7, 4], [False, True, False]),
    "all": ([6, 6, 6, 6, 6], [True, True, True, True]),
    "every other": ([4, 4, 9, 9, 17], [True, False, True, False]),
}
LENGTHS = (4, 0, 6, 1, 6)


def build(engine, widths, residual, dtype, has_lengths, **options):
    """A stack with random inputs; x is NaN past the end. Returns (stack, lengths, feeds, tensors by name)."""
    random = np.random.RandomState(0)
    lengths = LENGTHS if has_lengths else None
    lstm = StackedLSTM(
        widths[1:], dtype=dtype, bias_initializer="tn", engine=engine, residual=residual, seed=3, **options
    )
    x = random.standard_normal([6, 5, widths[0]])
    for b, length in enumerate(lengths or []):
        x[length:, b] = np.nan
    sizes = [(width, options.get("projection_size") or width) for width in widths[1:]]
    start = [LSTMState(*[random.standard_normal([5, size]) for size in pair]) for pair in sizes]
    inputs, starts = tf.constant(x, dtype), [LSTMState(*[tf.constant(part, dtype) for part in pair]) for pair in start]
    outputs, state = lstm(inputs, lengths, starts, time_major=True, training=bool(options.get("recurrent_dropout")))
    upstream = [random.standard_normal([6, 5, sizes[-1][1]])]
    upstream += [random.standard_normal([5, size]) for pair in sizes for size in pair]
    for b, length in enumerate(lengths or []):
        upstream[0][length:, b] = np.nan  # The gradients of what is zero do not count.
    sources = {f"{k} {n}": v for k, w in enumerate(lstm.variables_by_layer.layers) for n, v in w.items()}
    sources.update({f"{k} {f}0": getattr(pair, f) for k, pair in enumerate(starts) for f in "ch"}, x=inputs)
    results = [outputs] + [part for pair in state for part in pair]
    gradients = tf.gradients(results, list(sources.values()), [tf.constant(d, dtype) for d in upstream])
    tensors = {"outputs": outputs, "state": state, "gradients": dict(zip(sources, gradients))}
    return lstm, (x, start, lengths, upstream), tensors


def op_types(graph):
    return [op.type for op in graph.get_operations()]


QUICK = [(name, False, True) for name in STACKS] + [("all", False, False)]
QUICK += [("all", True, True), ("wide", "tensorflow", False), ("every other", "tensorflow", True)]


@pytest.mark.parametrize(
    "name, layer_norm, has_lengths",
    some(QUICK, list(itertools.product(STACKS, [False, True, "tensorflow"], [False, True])), oldest=QUICK[::2]),
)
def test_against_numpy(name, layer_norm, has_lengths, graph, plain_session):
    """One op computes the stack. Outputs, states and all gradients in float64, with NaN past the end."""
    widths, residual = STACKS[name]
    lstm, (x, start, lengths, upstream), tensors = build(
        "native", widths, residual, tf.float64, has_lengths, layer_norm=layer_norm
    )
    types = op_types(graph)
    assert types.count("StackedLstmForward") == types.count("StackedLstmBackward") == 1
    assert not {"Add", "AddV2", "AddN"} & set(types[types.index("StackedLstmForward") :])
    plain_session.run(tf.global_variables_initializer())
    options = [numpy_lstm.LayerOptions(residual=one, layer_norm=layer_norm or True) for one in residual]
    layers = lstm.get_weights(plain_session).layers
    expected, finals, cache = numpy_lstm.forward(layers, x, start, lengths, options=options)
    d_outputs, *d_parts = upstream
    gradients = numpy_lstm.backward(d_outputs, [LSTMState(*pair) for pair in zip(d_parts[::2], d_parts[1::2])], cache)
    actual = plain_session.run(tensors)
    assert numeric.relative_difference(actual["outputs"], expected) < 1e-12
    for pair, expected_pair in zip(actual["state"], finals):
        numeric.check_same(pair._asdict(), expected_pair._asdict(), 1e-12)
    numeric.check_same(actual["gradients"], flat(gradients), 1e-12)


PROJECTIONS = {"projection_size": 6, "projection_clip": 0.3, "peepholes": True, "cell_clip": 0.5}
ZONEOUT = {"zoneout_c": 0.3, "zoneout_h": 0.2}
OPTIONS = {
    "plain": {},
    "projections": PROJECTIONS,
    "zoneout": ZONEOUT,
    "zoneout and projections": {"projection_size": 6, "zoneout_h": 0.2},
    "recurrent dropout": {"recurrent_dropout": 0.5},
    "candidate": {"recurrent_dropout": 0.5, "recurrent_dropout_kind": "candidate"},
    "layer normalization": {"layer_norm": True},
    "carried, zoneout and dropout": {"layer_norm": "tensorflow", "recurrent_dropout": 0.5, **ZONEOUT},
    "layer normalization, zoneout and projections": {"layer_norm": True, **PROJECTIONS, **ZONEOUT},
}


QUICK_OPTIONS = [(name, "float32") for name in OPTIONS]


@pytest.mark.parametrize(
    "options, dtype", some(QUICK_OPTIONS, list(itertools.product(OPTIONS, TOLERANCES)), oldest=QUICK_OPTIONS[::4])
)
def test_against_the_graph_engine(options, dtype, plain_session):
    """With what changes the steps of layers, and with masks of the same seeds."""
    arguments, everything = OPTIONS[options], []
    widths = [6, 6, 6] if "projection_size" not in arguments else [6, 9, 17]
    for engine in ("native", "graph"):
        with tf.variable_scope("stack", reuse=engine == "graph"):
            everything.append(build(engine, widths, [True, True], dtype, True, **arguments)[2])
    plain_session.run(tf.global_variables_initializer())
    actual, expected = map(tf.nest.flatten, plain_session.run(everything))
    for a, b in zip(actual, expected):
        assert numeric.relative_difference(a, b) < TOLERANCES[dtype]


@ONCE
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("steps, batch", [(1, 3), (0, 3), (4, 0), (40, 3), (3, 150)])
def test_sizes_and_inference(steps, batch, layer_norm, plain_session):
    """A single step reads the weights as they are. Without gradients, there is no cache."""
    lstm = StackedLSTM(
        [5, 5], dtype=tf.float64, bias_initializer="tn", engine="native", residual=True, layer_norm=layer_norm
    )
    outputs, state = lstm(tf.constant(np.random.RandomState(0).standard_normal([batch, steps, 5])))
    plain_session.run(tf.global_variables_initializer())
    x, actual, final = plain_session.run([outputs.op.inputs[0].op.inputs[0], outputs, state])
    layers, options = (
        lstm.get_weights(plain_session).layers,
        numpy_lstm.LayerOptions(layer_norm=layer_norm or True, residual=True),
    )
    expected, finals, _ = numpy_lstm.forward(layers, x, options=[options] * 2)
    assert numeric.relative_difference(actual, expected.transpose([1, 0, 2])) < 1e-12
    for pair, expected_pair in zip(final, finals):
        numeric.check_same(pair._asdict(), expected_pair._asdict(), 1e-12)


def check_same(session, pair):
    """Initializes all variables, and compares the numbers of two nests of tensors."""
    session.run(tf.global_variables_initializer())
    for a, b in zip(*map(tf.nest.flatten, session.run(pair))):
        assert numeric.relative_difference(a, b) < 1e-12


@ONCE
@pytest.mark.parametrize("layer_norm", [False, "tensorflow"])
def test_resets(layer_norm, plain_session):
    options = {"initial_state": "learned", "residual": True, "layer_norm": layer_norm}
    random, results = np.random.RandomState(0), []
    x, flags = tf.constant(random.standard_normal([3, 7, 5])), tf.constant(random.random_sample([3, 7]) < 0.4)
    for engine in ("native", "graph"):
        with tf.variable_scope("stack", reuse=engine == "graph"):
            lstm = StackedLSTM([5, 5], dtype=tf.float64, engine=engine, **options)
            outputs, state = lstm(x, [7, 2, 0], reset=flags)
        loss = tf.reduce_sum(tf.sin(outputs)) + sum(tf.reduce_sum(c * h) for c, h in state)
        results.append([outputs, state, tf.gradients(loss, [x, *lstm.variables])])
    check_same(plain_session, results)


@pytest.mark.parametrize(
    "control_flow_v2, layer_norm, sizes",
    [
        (False, False, [3, 3]),
        pytest.param(True, False, [3, 3], marks=ONCE),
        pytest.param(False, "tensorflow", [3], marks=ONCE),
    ],
)
def test_second_derivatives(control_flow_v2, layer_norm, sizes, plain_session):
    """The native op, built again with the graph engine, beside the graph engine's sums between layers."""
    enabled = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if control_flow_v2 else tf.disable_control_flow_v2)()
    try:
        second = []
        for engine in ("native", "graph"):
            with tf.variable_scope("stack", reuse=engine == "graph"):
                random = np.random.RandomState(0)
                x = tf.constant(random.standard_normal([2, 4, 3]))
                options = {"initial_state": "learned", "residual": True, "layer_norm": layer_norm}
                lstm = StackedLSTM(sizes, dtype=tf.float64, engine=engine, **options)
                outputs, state = lstm(x, [4, 2])
            sources = [x, *lstm.variables]
            loss = tf.reduce_sum(outputs**3) + sum(tf.reduce_sum(tf.sin(h)) for _, h in state)
            gradients = tf.gradients(loss, sources)
            squares = sum(tf.reduce_sum(gradient**2) for gradient in gradients)
            second.append([gradients, tf.gradients(squares, sources)])
    finally:
        (tf.enable_control_flow_v2 if enabled else tf.disable_control_flow_v2)()
    check_same(plain_session, second)


# What keeps a sum between ops -> (arguments of the stack, arguments of the call, ops for layers).
SUMS = {
    "dropout before the layer": ({"dropout": 0.5}, {"training": True}, 2),
    "return_steps": ({}, {"return_steps": True}, 2),
    "the graph engine": ({"engine": "graph"}, {}, 0),
}


@pytest.mark.parametrize("name", SUMS)
def test_where_sums_are(name, graph):
    arguments, call, count = SUMS[name]
    lstm = StackedLSTM([5, 5], **{"engine": "native", "residual": True, **arguments})
    lstm(tf.zeros([2, 4, 5]), **call)
    types = op_types(graph)
    assert types.count("StackedLstmForward") == count
    assert {"Add", "AddV2"} & set(types)


def one():
    """A probability that is known only when the graph runs."""
    return tf.placeholder_with_default(tf.ones([], tf.float64), [])


# Cells -> ops for layers.
CELLS = {
    "stack": (lambda: rnn_cell.MultiRNNCell([rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(5)) for _ in range(3)]), 1),
    "layer normalization": (
        lambda: rnn_cell.MultiRNNCell([rnn_cell.ResidualWrapper(rnn_cell.LayerNormBasicLSTMCell(5)) for _ in range(2)]),
        1,
    ),
    "last": (lambda: rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(5), rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(5))]), 1),
    "device": (lambda: rnn_cell.DeviceWrapper(rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(5)), "/cpu:0"), 1),
    "twice": (lambda: rnn_cell.ResidualWrapper(rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(5))), 1),
    "around two": (lambda: rnn_cell.ResidualWrapper(rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(5)] * 2)), 1),
    "dropout": (
        lambda: rnn_cell.MultiRNNCell(
            [rnn_cell.ResidualWrapper(rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(5), one())), rnn_cell.LSTMCell(5)]
        ),
        2,
    ),
    "recurrent dropout": (
        lambda: rnn_cell.ResidualWrapper(
            rnn_cell.DropoutWrapper(
                rnn_cell.LSTMCell(5), state_keep_prob=one(), variational_recurrent=True, dtype=tf.float64, input_size=5
            )
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_wrappers(name, plain_session):
    """Against TensorFlow's own loop."""
    make, count = CELLS[name]
    random, results = np.random.RandomState(0), []
    x = tf.constant(random.standard_normal([3, 6, 5]))
    for engine in ("native", "stepwise"):
        with tf.variable_scope("cells", reuse=engine == "stepwise"):
            cell = make()
            outputs, state = rnn_cell.dynamic_rnn(cell, x, [6, 0, 2], dtype=tf.float64, engine=engine)
            if engine == "native":
                assert op_types(plain_session.graph).count("StackedLstmForward") == count
            loss = tf.reduce_sum(outputs**2) + sum(tf.reduce_sum(tf.sin(part)) for part in tf.nest.flatten(state))
            results.append([outputs, state, tf.gradients(loss, [x, *cell.trainable_variables])])
    check_same(plain_session, results)


# With lengths or without, the kind of layer normalization, whether second derivatives are compared, too.
BOTH = [(False, False, False), (True, False, True), (True, True, False)]


@pytest.mark.parametrize(
    "has_lengths, layer_norm, has_second", some(BOTH, BOTH + [(True, True, True)], oldest=BOTH[:1])
)
def test_both_directions(has_lengths, layer_norm, has_second, plain_session):
    """One op computes two stacks of residual layers, with their outputs side by side."""
    random, results = np.random.RandomState(0), []
    options = {"stacking": "stacks", "residual": [False, True], "layer_norm": layer_norm}
    x = tf.constant(random.standard_normal([3, 6, 5]))
    for engine in ("native", "graph"):
        with tf.variable_scope("stacks", reuse=engine == "graph"):
            lstm = BidirectionalLSTM([5, 5], dtype=tf.float64, engine=engine, **options)
            outputs, *states = lstm(x, [6, 0, 2] if has_lengths else None)
            if engine == "native":
                assert op_types(plain_session.graph).count("StackedLstmForward") == 1
            parts = tf.nest.flatten(states)
            loss = tf.reduce_sum(outputs**2) + sum(tf.reduce_sum(tf.sin(part)) for part in parts)
            gradients = tf.gradients(loss, [x, *lstm.variables])
            squares = sum(tf.reduce_sum(gradient**2) for gradient in gradients)
            results.append([outputs, states, gradients, tf.gradients(squares, x) if has_second else []])
    check_same(plain_session, results)


@pytest.mark.parametrize(
    "residual, units, message",
    [([True, False], 3, "`residual` or 1"), ([True], 4, "Dimensions must be equal|residual")],
)
def test_bad_attributes(residual, units, message, graph):
    """One per layer, and layers as wide as their inputs."""
    kernels = [tf.zeros([units + 3, units])] * 4
    lists = {name: [] for name in ("lengths", "biases", *EXTRAS, *SERIES, "resets")}
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=message):
        library.load().stacked_lstm_forward(
            x=tf.zeros([2, 2, 3]),
            c=[tf.zeros([2, units])],
            h=[tf.zeros([2, units])],
            kernels=kernels,
            activation="tanh",
            recurrent_activation="sigmoid",
            residual=residual,
            **native_ops.pack(kernels),
            **lists,
        )


def test_bad_sizes_when_the_graph_runs(plain_session):
    """Shapes that are known only then."""
    kernels = [tf.placeholder_with_default(tf.zeros([7, 4]), None)] * 4
    lists = {name: [] for name in ("lengths", "biases", *EXTRAS, *SERIES, "resets")}
    state = tf.placeholder_with_default(tf.zeros([2, 4]), None)
    outputs, *_ = library.load().stacked_lstm_forward(
        x=tf.placeholder_with_default(tf.zeros([2, 2, 3]), None),
        c=[state],
        h=[state],
        kernels=kernels,
        activation="tanh",
        recurrent_activation="sigmoid",
        residual=[True],
        **native_ops.pack(kernels),
        **lists,
    )
    message = "`residual` layers as wide as their inputs, got layer 1 with inputs of width 3 and outputs of width 4"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        plain_session.run(outputs)
