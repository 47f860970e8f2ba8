"""Tests of every engine that only run on the CPU: derivatives, loops and functions, the size of the graph.

test_conformance.py has the contract of engines, and the tests that also run on a GPU.
"""

import importlib

import numpy as np
import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.references import numeric
from support.references.derivatives import STACKS, Problem
from support.suite.sets import EXHAUSTIVE, ONCE
from support.suite.versions import OLD

# Only the graph engine runs a function that has no name.
LINEAR = [
    ("linear", "graph"),
    (lambda x: tf.identity(x) * 1.0, "graph"),
    pytest.param("linear", "native", marks=NEEDS_NATIVE),
]


@pytest.mark.parametrize("lengths", [None, [5, 0, 3]])
def test_gradients_of_gathered_results(lengths, engine, plain_session):
    """These gradients reach the engine as IndexedSlices, unlike those of slices."""
    x = tf.constant(np.random.RandomState(0).standard_normal([5, 3, 2]))
    outputs, state = StackedLSTM([4, 3], dtype=tf.float64, engine=engine)(x, lengths, time_major=True)
    gathered = tf.reduce_sum(tf.gather(outputs, [1, 3]) ** 2) + tf.reduce_sum(tf.gather(state[0].h, [2]) ** 3)
    sliced = tf.reduce_sum(outputs[1] ** 2 + outputs[3] ** 2) + tf.reduce_sum(state[0].h[2] ** 3)
    found, expected = (tf.gradients(loss, x)[0] for loss in (gathered, sliced))
    plain_session.run(tf.global_variables_initializer())
    found, expected = plain_session.run([found, expected])
    assert np.all(expected[0, 0] != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("initial_state, use_bias", [("zeros", False), ("learned", True)])
def test_gradients_of_initial_states_and_without_bias(initial_state, use_bias, engine, plain_session):
    Problem(
        plain_session, [8, 3], 2, [5, 0, 3], initial_state=initial_state, use_bias=use_bias, engine=engine
    ).check_gradients()


@pytest.mark.parametrize(
    "activation, recurrent_activation",
    [
        ("tanh", "hard_sigmoid"),
        ("sigmoid", "tanh"),
        ("relu", "sigmoid"),
        ("linear", "sigmoid"),
        ("hard_sigmoid", "relu"),
        ("relu", "hard_sigmoid"),
    ],
)
def test_gradients_of_activations(activation, recurrent_activation, general_engine, plain_session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "engine": general_engine}
    problem = Problem(plain_session, [4, 3], 3, [5, 0, 3], **options)
    problem.draw_weights(scale=0.7)
    problem.check_gradients()


# Functions that only the graph engine has.
OF_GRAPH = ("elu", "selu", "softplus", "softsign", "relu6", "leaky_relu", "swish")
PAIRS_OF_GRAPH = [(name, "sigmoid") for name in OF_GRAPH] + [("tanh", name) for name in OF_GRAPH]


@ONCE
@pytest.mark.parametrize("activation, recurrent_activation", PAIRS_OF_GRAPH)
def test_gradients_of_activations_of_graph(activation, recurrent_activation, plain_session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "engine": "graph"}
    problem = Problem(plain_session, [4, 3], 3, [5, 0, 3], **options)
    problem.draw_weights(_scale(options.values()))
    problem.check_gradients()


def _scale(names):
    """Large weights reach the clip of relu6; gates that are not bounded would grow too much with them."""
    return 0.6 if "relu6" in names else 0.4


@pytest.mark.parametrize(
    "activation, recurrent_activation",
    [
        pytest.param(*pair, marks=[] if pair in (("selu", "sigmoid"), ("tanh", "relu6")) else ONCE)
        for pair in PAIRS_OF_GRAPH
        if "swish" not in pair
    ],
)
def test_second_derivatives_of_activations_of_graph(activation, recurrent_activation, plain_session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "engine": "graph"}
    problem = Problem(plain_session, [4], 3, second=True, **options)
    problem.draw_weights(_scale(options.values()))
    problem.check_second_derivatives()


def test_gradients_under_both_control_flows(control_flow, engine, plain_session):
    Problem(plain_session, [4, 7, 3], 5, [5, 0, 3], initial_state="learned", engine=engine).check_gradients()


# All kinds of loops. Control flow v2 is slow, so it only has a loop with the input product inside and one with the
# product before it. The other engines have the graph engine's second derivatives.
SECOND = [
    pytest.param(stack, "control_flow_v1", "graph", marks=ONCE) for stack in sorted(set(STACKS) - {"shared loop"})
]
SECOND += [("shared loop", "control_flow_v1", "graph"), ("in the loop", "control_flow_v2", "graph")]
SECOND += [pytest.param("shared loop", "control_flow_v2", "graph", marks=ONCE)]
SECOND += [
    pytest.param("shared loop", "control_flow_v1", "native", marks=NEEDS_NATIVE),
    pytest.param("shared loop", "control_flow_v2", "native", marks=[NEEDS_NATIVE, EXHAUSTIVE]),
    pytest.param("shared loop", "control_flow_v1", "cudnn", marks=EXHAUSTIVE),
    pytest.param("shared loop", "control_flow_v2", "cudnn", marks=ONCE),
]


@pytest.mark.parametrize("stack, control_flow, engine", SECOND, indirect=["control_flow", "engine"])
def test_second_derivatives(stack, control_flow, engine, plain_session):
    Problem(
        plain_session, *STACKS[stack], lengths=[5, 0, 3], second=True, initial_state="projected", engine=engine
    ).check_second_derivatives()


@ONCE
@pytest.mark.parametrize(
    "activation, recurrent_activation, scale", [("relu", "hard_sigmoid", 0.7), ("linear", "tanh", 0.4)]
)
def test_second_derivatives_of_activations(activation, recurrent_activation, scale, general_engine, plain_session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "use_bias": False}
    problem = Problem(plain_session, [4, 3], 3, second=True, **options, engine=general_engine)
    problem.draw_weights(scale)
    problem.check_second_derivatives()


# cuDNN has the graph engine's second derivatives, as the native engine has.
INSIDE = [("graph", True), pytest.param("native", True, marks=NEEDS_NATIVE), pytest.param("cudnn", False, marks=ONCE)]


@pytest.mark.parametrize(
    "engine, has_second", INSIDE + [pytest.param("cudnn", True, marks=EXHAUSTIVE)], indirect=["engine"]
)
def test_derivatives_inside_functions(engine, has_second, plain_session):
    """First and second derivatives in functions, which TensorFlow builds again for their gradients."""
    function = importlib.import_module("tensorflow").compat.v2.function
    tf.enable_control_flow_v2()
    try:
        lstm = StackedLSTM([3], dtype=tf.float64, engine=engine)
        lstm.build(2)
        x = tf.constant(np.random.RandomState(0).standard_normal([2, 4, 2]))

        def call(value):
            return lstm(value, [4, 2])[0]

        outputs = {
            "outside": call(x),
            "function": function(call, autograph=False)(x),
            "cond": tf.cond(tf.reduce_sum(x) > -100, lambda: call(x), lambda: tf.zeros([2, 4, 3], tf.float64)),
            "map_fn": tf.map_fn(call, x[None], back_prop=True)[0],
        }
        if OLD and engine == "cudnn":
            del outputs["map_fn"]  # See test_cudnn_engine.py.
        derivatives = {}
        for where, y in outputs.items():
            first = tf.gradients(tf.reduce_sum(y**3), [x] + lstm.variables)
            second = tf.gradients(tf.reduce_sum(first[0] ** 2), [x] + lstm.variables) if has_second else []
            derivatives[where] = first + second
        plain_session.run(tf.global_variables_initializer())
        found = plain_session.run(derivatives)
        expected = found.pop("outside")
        for where, inside in found.items():
            assert max(map(numeric.relative_difference, inside, expected)) < 1e-12, where
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.parametrize("gradients_on", ["/cpu:0", "/gpu:0", None])
@pytest.mark.parametrize(
    "name, kinds, device",
    [
        ("cudnn", ["CudnnRNNV3", "CudnnRNNBackpropV3"], "/device:GPU:1"),
        ("cudnn", ["CudnnRNNV3", "CudnnRNNBackpropV3"], ""),
        pytest.param("native", ["StackedLstmForward", "StackedLstmBackward"], "/device:CPU:0", marks=NEEDS_NATIVE),
    ],
)
def test_gradients_are_where_the_layers_are(name, kinds, device, gradients_on, graph):
    """Gradient ops are on the device of the layers, not on that of the call of tf.gradients."""
    with tf.device(device):
        lstm = StackedLSTM([3], engine=name)
        outputs, _ = lstm(tf.zeros([2, 4, 1]))
    with tf.device(gradients_on):
        tf.gradients(outputs, lstm.variables)
    assert [[op.device for op in graph.get_operations() if op.type == kind] for kind in kinds] == [[device]] * 2


def test_inside_a_loop_of_the_users(control_flow, engine, session):
    """A stack in the body of another loop."""
    lstm = StackedLSTM([3], dtype=tf.float64, engine=engine)
    lstm.build(3)
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 4, 3]))
    looped = tf.while_loop(lambda k, _: k < 3, lambda k, y: (k + 1, lstm(y)[0]), (0, x))[1]
    unrolled = lstm(lstm(lstm(x)[0])[0])[0]
    initialize = tf.global_variables_initializer()
    gradients = [tf.gradients(tf.reduce_sum(y**2), lstm.variables) for y in (looped, unrolled)]
    session.run(initialize)
    for actual, expected in zip(*session.run(gradients)):
        assert numeric.relative_difference(actual, expected) < 1e-12


@pytest.mark.parametrize("activation, engine", LINEAR)
def test_states_that_grow_past_the_end(activation, engine, session):
    """Steps past the end overflow, which changes neither TensorFlow's gradient of a loop nor a second derivative."""
    x, found = tf.placeholder(tf.float64, [2, None, 3]), []
    options = {"activation": activation, "engine": engine, "dtype": tf.float64}
    lstm = StackedLSTM([4], weight_initializer=tf.constant_initializer(2.0), **options)
    outputs, _ = lstm(x, [3, tf.shape(x)[1]])
    gradients = tf.gradients(outputs[0], [x] + lstm.variables)
    if activation == "linear":
        gradients += tf.gradients(tf.reduce_sum(gradients[0][0] ** 2), [x] + lstm.variables)
    session.run(tf.global_variables_initializer())
    for steps in (3, 150):
        values = session.run(gradients, {x: np.ones([2, steps, 3])})
        found.append([value[:1, :3] if value.ndim == 3 else value for value in values])
    assert any(np.any(value) for value in found[0])
    for short, long in zip(*found):
        assert np.all(np.isfinite(long))
        np.testing.assert_allclose(long, short, rtol=1e-12)


@pytest.mark.parametrize("activation, engine", LINEAR)
def test_graph_does_not_grow_with_time(activation, engine):
    counts = []
    for steps in (2, 200):
        with tf.Graph().as_default() as graph:
            lstm = StackedLSTM([4, 5], activation=activation, engine=engine)
            outputs, _ = lstm(tf.placeholder(tf.float32, [3, steps, 2]))
            tf.gradients(outputs, lstm.variables)
            counts.append(len(graph.get_operations()))
    assert counts[0] == counts[1]
