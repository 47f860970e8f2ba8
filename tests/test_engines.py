"""What holds for every engine: its contract, first and second derivatives, lengths, the size of its graph."""

import collections
import importlib

import numpy as np
import pytest

import numeric
from derivatives import STACKS, Problem
from native_ops import NEEDS_NATIVE
from stacked_lstm import StackedLSTM, activations, engines, equations, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer
from versions import OLD

# A function that is not known by name is for the graph engine.
LINEAR = [
    ("linear", "graph"),
    (lambda x: tf.identity(x) * 1.0, "graph"),
    pytest.param("linear", "native", marks=NEEDS_NATIVE),
]


@pytest.mark.parametrize("lengths", [None, [5, 0, 3]])
@pytest.mark.parametrize("stack", sorted(STACKS))
def test_gradients(stack, lengths, engine, session):
    Problem(session, *STACKS[stack], lengths=lengths, initial_state="projected", engine=engine).check_gradients()


@pytest.mark.parametrize("lengths", [None, [5, 0, 3]])
def test_gradients_of_gathered_results(lengths, engine, session):
    """They reach the engine as IndexedSlices; those of slices do not."""
    x = tf.constant(np.random.RandomState(0).standard_normal([5, 3, 2]))
    outputs, state = StackedLSTM([4, 3], dtype=tf.float64, engine=engine)(x, lengths, time_major=True)
    gathered = tf.reduce_sum(tf.gather(outputs, [1, 3]) ** 2) + tf.reduce_sum(tf.gather(state[0].h, [2]) ** 3)
    sliced = tf.reduce_sum(outputs[1] ** 2 + outputs[3] ** 2) + tf.reduce_sum(state[0].h[2] ** 3)
    found, expected = (tf.gradients(loss, x)[0] for loss in (gathered, sliced))
    session.run(tf.global_variables_initializer())
    found, expected = session.run([found, expected])
    assert np.all(expected[0, 0] != 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("initial_state, use_bias", [("zeros", False), ("learned", True)])
def test_gradients_of_initial_states_and_without_bias(initial_state, use_bias, engine, session):
    Problem(
        session, [8, 3], 2, [5, 0, 3], initial_state=initial_state, use_bias=use_bias, engine=engine
    ).check_gradients()


@pytest.mark.parametrize(
    "activation, recurrent_activation, initializer",
    [
        ("tanh", "hard_sigmoid", "xavier"),  # large weights reach both sides of both clips
        ("sigmoid", "tanh", "xavier"),
        ("relu", "sigmoid", "glorot_bengio"),  # what is not bounded would grow out of hand with them
        ("linear", "sigmoid", "glorot_bengio"),
        ("hard_sigmoid", "relu", "dl"),
        ("relu", "hard_sigmoid", "dl"),
    ],
)
def test_gradients_of_activations(activation, recurrent_activation, initializer, general_engine, session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation}
    Problem(
        session, [4, 3], 3, [5, 0, 3], weight_initializer=initializer, **options, engine=general_engine
    ).check_gradients()


def test_gradients_under_both_control_flows(control_flow, engine, session):
    Problem(session, [4, 7, 3], 5, [5, 0, 3], initial_state="learned", engine=engine).check_gradients()


# All kinds of loops, and under control flow v2, which takes its time, where the input product is in one and before one.
# The other engines have the graph engine's second derivatives.
SECOND = [(stack, "control_flow_v1", "graph") for stack in sorted(STACKS)]
SECOND += [(stack, "control_flow_v2", "graph") for stack in ("in the loop", "shared loop")]
SECOND += [
    pytest.param("shared loop", control_flow, *values, **options)
    for values, options in ((["native"], {"marks": NEEDS_NATIVE}), (["cudnn"], {}))
    for control_flow in ("control_flow_v1", "control_flow_v2")
]


@pytest.mark.parametrize("stack, control_flow, engine", SECOND, indirect=["control_flow", "engine"])
def test_second_derivatives(stack, control_flow, engine, session):
    Problem(
        session, *STACKS[stack], lengths=[5, 0, 3], second=True, initial_state="projected", engine=engine
    ).check_second_derivatives()


@pytest.mark.parametrize("activation, recurrent_activation", [("relu", "hard_sigmoid"), ("linear", "tanh")])
def test_second_derivatives_of_activations(activation, recurrent_activation, general_engine, session):
    options = {"activation": activation, "recurrent_activation": recurrent_activation, "use_bias": False}
    Problem(session, [4, 3], 3, second=True, **options, engine=general_engine).check_second_derivatives()


def test_no_gradient_from_padding(engine, session):
    """Outputs past the end are constants, inputs past the end change nothing."""
    lengths = [5, 0, 3]
    problem = Problem(session, [8, 3], 2, lengths, initial_state="projected", engine=engine)
    d_inputs = problem.at(problem.point, problem.gradients[0])
    outputs = problem.at(problem.point, problem.outputs)
    past_end = np.arange(5) >= np.array(lengths)[:, None]
    assert not np.any(d_inputs[past_end]) and np.all(d_inputs[~past_end])
    assert not np.any(outputs[past_end]) and np.all(outputs[~past_end])


def test_garbage_in_the_padding(general_engine, session):
    """Also with an activation that lets it grow, and in weight gradients, where it would meet zeros."""
    problem = Problem(
        session, [8, 3], 2, [5, 0, 3], activation="linear", initial_state="projected", engine=general_engine
    )
    padding = np.arange(5) >= np.array([5, 0, 3])[:, None]

    def results(value):
        problem.point[0][padding] = value
        return tf.nest.flatten(problem.at(problem.point, [problem.outputs, problem.state, problem.gradients]))

    clean = results(0)
    for garbage in (np.nan, np.inf, 1e300):
        for a, b in zip(results(garbage), clean):
            np.testing.assert_array_equal(a, b, err_msg=str(garbage))


def test_derivatives_inside_functions(engine, session):
    """First and second, where TensorFlow rebuilds a function for its gradient."""
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
            derivatives[where] = first + tf.gradients(tf.reduce_sum(first[0] ** 2), [x] + lstm.variables)
        session.run(tf.global_variables_initializer())
        found = session.run(derivatives)
        expected = found.pop("outside")
        for where, inside in found.items():
            assert max(map(numeric.relative_difference, inside, expected)) < 1e-12, where
    finally:
        tf.disable_control_flow_v2()


def test_unused_states_get_no_gradient(engine, session):
    """A loss on the outputs up to step t depends on nothing after t."""
    problem = Problem(session, [4], 2, engine=engine)
    early = tf.gradients(problem.outputs[:, 1], problem.x)[0]
    values = problem.at(problem.point, early)
    assert np.all(values[:, :2]) and not np.any(values[:, 2:])


def test_two_gradients_in_one_run(engine, session):
    """The tape of the forward pass is read by both."""
    problem = Problem(session, [4], 2, engine=engine)
    a, b = tf.gradients(problem.outputs, problem.x)[0], tf.gradients(2.0 * problem.outputs, problem.x)[0]
    together = problem.at(problem.point, [a, b])
    np.testing.assert_allclose(2 * together[0], together[1], rtol=1e-14)


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
    """Of engines with an op for them: not where they were asked for."""
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
    for ours, expected in zip(*session.run(gradients)):
        assert numeric.relative_difference(ours, expected) < 1e-12


@pytest.mark.parametrize("activation, engine", LINEAR)
def test_states_that_grow_past_the_end(activation, engine, session):
    """Steps past the end overflow; neither a loop that TensorFlow differentiates nor a second derivative sees them."""
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
        with tf.Graph().as_default() as built:
            lstm = StackedLSTM([4, 5], activation=activation, engine=engine)
            outputs, _ = lstm(tf.placeholder(tf.float32, [3, steps, 2]))
            tf.gradients(outputs, lstm.variables)
            counts.append(len(built.get_operations()))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("lengths", [None, [3, 0]])
def test_contract_of_run(lengths, engine, session):
    """One layer, time-major, plain tensors for weights, a plain tuple for the state."""
    random = np.random.RandomState(0)
    values = {"W" + gate: random.standard_normal([7, 4]) for gate in equations.GATE_ORDER}
    values.update({"b" + gate: random.standard_normal([4]) for gate in equations.GATE_ORDER})
    x, c, h = (random.standard_normal(shape) for shape in ([5, 2, 3], [2, 4], [2, 4]))
    functions = [activations.ACTIVATIONS[name] for name in ("tanh", "sigmoid")]
    tensors = {name: tf.constant(value) for name, value in values.items()}
    kernels, biases = ([tensors[kind + gate] for gate in equations.GATE_ORDER] for kind in "Wb")
    layer = Layer(3, 4, kernels, biases, *functions)
    padded = np.where(np.arange(5)[:, None, None] < np.array(lengths or [5, 5])[:, None], x, np.nan)
    states, tensor_lengths = [(tf.constant(c), tf.constant(h))], None if lengths is None else tf.constant(lengths)
    outputs, (final,) = engines.ENGINES[engine].run([layer], tf.constant(padded), states, tensor_lengths)
    gradients = tf.gradients([outputs, final.c], [tensors["Wf"], tensors["bo"]])
    assert np.all(np.isfinite(session.run(gradients[0]))) and np.any(session.run(gradients[1]))
    expected, ((expected_c, expected_h),), _ = numpy_lstm.forward([values], x, [(c, h)], lengths)
    got = session.run(collections.OrderedDict(outputs=outputs, c=final.c, h=final.h))
    assert numeric.relative_difference(got["outputs"], expected) < 1e-14
    np.testing.assert_allclose(got["c"], expected_c, rtol=0, atol=1e-14)
    np.testing.assert_allclose(got["h"], expected_h, rtol=0, atol=1e-14)
