"""The NumPy yardstick: against central differences, and against the engines and TensorFlow."""

import warnings

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stacked_lstm import LSTMState, StackedLSTM, activations, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import engine as native_engine
from support.networks.random_networks import GATES, LENGTHS, flat, random_layers, random_states
from support.references import numeric
from support.suite.sessions import plain_session
from support.suite.sets import ONCE, some

NAMES = sorted(native_engine.ACTIVATIONS)  # Those of all engines except cudnn.
OF_GRAPH = sorted(set(numpy_lstm.ACTIVATIONS) - set(NAMES))
UNBOUNDED = ("linear", "relu")  # If both activations are unbounded, exponents triple in every step.
IN_BOTH_ROLES = [(a, "sigmoid") for a in NAMES] + [("tanh", a) for a in NAMES if a != "sigmoid"]
OF_GRAPH_IN_BOTH_ROLES = [(a, "sigmoid") for a in OF_GRAPH] + [("tanh", a) for a in OF_GRAPH]
NAMES_IN_PAIRS = [(a, r) for a in NAMES for r in NAMES if not (a in UNBOUNDED and r in UNBOUNDED)]


class Network:
    """Projections, stack and head in NumPy, and a number that depends on all of their results."""

    def __init__(self, lengths=LENGTHS, use_bias=True, projected=False, **options):
        random = np.random.RandomState(0)
        sizes, batch, steps = [3, 2], len(LENGTHS), 6
        self.options = dict(options, sequence_length=lengths)
        self.x = random.standard_normal([steps, batch, 2])
        self.layers = random_layers(random, sizes, 2, use_bias, scale=0.4)
        self.start = random_states(random, sizes, batch)
        self.projections = [{w: random.standard_normal(shape) for w in ("W_c", "W_h")} for shape in ([2, 3], [3, 2])]
        self.projected = projected
        self.head = {"Wy": random.standard_normal([2, 4]), "by": random.standard_normal([4])}
        self.d_y = random.standard_normal([steps, batch, 4])
        self.d_state = random_states(random, sizes, batch)

    def run(self):
        if self.projected:
            first = self.x[0] * (np.array(self.options["sequence_length"] or [1] * len(LENGTHS)) > 0)[:, None]
            self.start, self.projections_cache = numpy_lstm.projected_forward(self.projections, first)
        outputs, state, self.cache = numpy_lstm.forward(self.layers, self.x, self.start, **self.options)
        y, self.head_cache = numpy_lstm.head_forward(self.head, outputs)
        total = np.sum(y * self.d_y)
        return total + sum(np.sum(s * d) for pair in zip(state, self.d_state) for s, d in zip(*pair))

    def gradients(self):
        """name -> (array, its gradient)."""
        self.run()
        d_head, d_outputs = numpy_lstm.head_backward(self.d_y, self.head_cache)
        gradients = numpy_lstm.backward(d_outputs, self.d_state, self.cache)
        pairs = {name: (self.head[name], d_head[name]) for name in self.head}
        for k, (layer, d_layer) in enumerate(zip(self.layers, gradients["layers"])):
            assert set(layer) == set(d_layer)
            pairs.update({f"{k} {name}": (layer[name], d_layer[name]) for name in layer})
        if self.projected:
            d_projections, d_first = numpy_lstm.projected_backward(gradients["initial_state"], self.projections_cache)
            gradients["x"][0] += (
                d_first * (np.array(self.options["sequence_length"] or [1] * len(LENGTHS)) > 0)[:, None]
            )
            for k, (layer, d_layer) in enumerate(zip(self.projections, d_projections)):
                pairs.update({f"{k} {name}": (layer[name], d_layer[name]) for name in layer})
        else:
            for k, (state, d_start) in enumerate(zip(self.start, gradients["initial_state"])):
                pairs.update({f"{k} {f}0": (getattr(state, f), getattr(d_start, f)) for f in "ch"})
        pairs["x"] = (self.x, gradients["x"])
        return pairs

    def check(self):
        for name, (array, gradient) in self.gradients().items():
            expected = numeric.gradient_by_differences(self.run, array)
            assert np.any(expected), name
            assert numeric.relative_difference(gradient, expected) < 1e-6, name


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("projected, use_bias", [(False, True), (True, True), (False, False)])
def test_every_gradient_by_central_differences(projected, use_bias, lengths):
    Network(lengths, use_bias, projected).check()


@ONCE
@pytest.mark.parametrize("activation, recurrent_activation", IN_BOTH_ROLES + OF_GRAPH_IN_BOTH_ROLES)
def test_gradients_of_activations_by_central_differences(activation, recurrent_activation):
    Network(activation=activation, recurrent_activation=recurrent_activation).check()


@pytest.mark.parametrize("name, clip", [("hard_sigmoid", 2.5), ("hard_sigmoid_6", 3.0)])
@pytest.mark.parametrize("where", ["gates", "candidate"])
def test_both_sides_of_every_clip(where, name, clip, general_engine, plain_session):
    """Gates, candidate and state lie below, between and above the clips, also just inside and just outside."""
    sides = clip * np.array([-1.2, -1.001, -0.999, 0.4, 0.999, 1.001, 1.2])
    random = np.random.RandomState(0)
    (layer,) = random_layers(random, [2], 7, scale=0.1)
    for k in GATES:
        layer["W" + k][2:] = random.standard_normal([7, 2])
        # One step from zero h: sequence b has x = the b-th unit vector, so that z is `sides`, in another order each.
        layer["W" + k][2:, 0] = np.roll(sides, "fioc".index(k)) - layer["b" + k][0]
    x, start = np.stack([np.eye(7), random.standard_normal([7, 7])]), [(np.zeros([7, 2]), np.zeros([7, 2]))]
    start[0][0][:] = 6 * random.standard_normal([7, 2])
    options = {"recurrent_activation": name} if where == "gates" else {"activation": name}
    function, _ = numpy_lstm.ACTIVATIONS[name]
    assert np.all(function(sides)[:2] == 0) and np.all(function(sides)[-2:] == 1)
    assert np.all((function(sides)[2:5] > 0) & (function(sides)[2:5] < 1))
    outputs, state, cache = numpy_lstm.forward([layer], x, start, **options)
    if where == "candidate":
        c = numpy_lstm.forward([layer], x[:1], start, **options)[1][0].c
        assert np.any(c < -clip) and np.any(np.abs(c) < clip) and np.any(c > clip)
    d_outputs = random.standard_normal(outputs.shape)
    total = lambda: np.sum(numpy_lstm.forward([layer], x, start, **options)[0] * d_outputs)  # noqa: E731
    gradients = numpy_lstm.backward(d_outputs, None, cache)
    for gate in GATES:
        expected = numeric.gradient_by_differences(total, layer["W" + gate])
        assert numeric.relative_difference(gradients["layers"][0]["W" + gate], expected) < 1e-6
    actual = run_engine(
        general_engine, [layer], x, start, None, d_outputs, [(0 * start[0][0],) * 2], plain_session, **options
    )
    numeric.check_same(actual, run_numpy([layer], x, start, None, d_outputs, None, **options), 1e-12)


def run_numpy(layers, x, start, lengths, d_outputs, d_state, **options):
    """Returns name -> outputs, final states and gradients of `numpy_lstm`."""
    outputs, state, cache = numpy_lstm.forward(layers, x, start, lengths, **options)
    numbers = flat(numpy_lstm.backward(d_outputs, d_state, cache))
    numbers.update({"outputs": outputs})
    numbers.update({f"{k} final {f}": getattr(s, f) for k, s in enumerate(state) for f in "ch"})
    return numbers


def run_engine(engine, layers, x, start, lengths, d_outputs, d_state, session, **options):
    """Returns the same of a StackedLSTM in float64; the gradients are from `tf.gradients`."""
    options.update(dtype=tf.float64, use_bias="bf" in layers[0], engine=engine)
    lstm = StackedLSTM([len(layer["Wf"][0]) for layer in layers], **options)
    x, starts = tf.constant(x), [LSTMState(*map(tf.constant, pair)) for pair in start]
    outputs, state = lstm(x, lengths, initial_state=starts, time_major=True)
    results = [outputs] + [part for layer in state for part in layer]
    variables = {f"{k} {n}": v for k, w in enumerate(lstm.variables_by_layer.layers) for n, v in w.items()}
    sources = [x] + [part for pair in starts for part in pair] + list(variables.values())
    grad_ys = [tf.constant(d) for d in [d_outputs] + [part for pair in d_state for part in pair]]
    gradients = tf.gradients(results, sources, grad_ys)
    session.run(tf.global_variables_initializer())
    lstm.set_weights(session, layers)
    results, gradients = session.run([results, gradients])
    names = ["x"] + [f"{k} {f}0" for k in range(len(layers)) for f in "ch"] + list(variables)
    numbers = dict(zip(names, gradients), outputs=results[0])
    finals = [f"{k} final {f}" for k in range(len(layers)) for f in "ch"]
    numbers.update(zip(finals, results[1:]))
    return numbers


# The quick set has every second pair with biases and lengths, and the other pairs without.
WITH, WITHOUT = ([pair + options for pair in IN_BOTH_ROLES] for options in [(True, tuple(LENGTHS)), (False, None)])
QUICK, CASES = WITH[::2] + WITHOUT[1::2], WITH + WITHOUT


@ONCE
@pytest.mark.parametrize(
    "activation, recurrent_activation, use_bias, lengths",
    some(QUICK, CASES),
)
def test_against_the_engines(activation, recurrent_activation, use_bias, lengths, general_engine, plain_session):
    check_engine(general_engine, plain_session, activation, recurrent_activation, use_bias, lengths)


@ONCE
@pytest.mark.parametrize("activation, recurrent_activation", OF_GRAPH_IN_BOTH_ROLES)
def test_against_the_graph_engine(activation, recurrent_activation, plain_session):
    check_engine("graph", plain_session, activation, recurrent_activation, True, tuple(LENGTHS))


@pytest.mark.parametrize("name", sorted(numpy_lstm.ACTIVATIONS))
def test_functions_are_those_of_tensorflow(name, session):
    """Also for large numbers, and with slopes that follow from the values. No number is a kink."""
    z = np.concatenate([np.linspace(-9.03, 9.01, 73), [-1000.0, -50.0, 50.0, 1000.0]])
    function, slope = numpy_lstm.ACTIVATIONS[name]
    x = tf.constant(z)
    y = activations.ACTIVATIONS[name].function(x)
    hand_written = activations.ACTIVATIONS[name].times_slope(y, tf.ones_like(y))
    expected, expected_slope, actual_slope = session.run([y, tf.gradients(y, x)[0], hand_written])
    np.testing.assert_allclose(function(z), expected, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(slope(function(z)) * np.ones_like(z), expected_slope, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(actual_slope, expected_slope, rtol=1e-11, atol=1e-14)


def check_engine(engine, plain_session, activation, recurrent_activation, use_bias, lengths):
    random = np.random.RandomState(1)
    sizes = [3, 5]
    layers, start = random_layers(random, sizes, 4, use_bias), random_states(random, sizes, 4)
    x, d_outputs, d_state = (
        random.standard_normal([6, 4, 4]),
        random.standard_normal([6, 4, 5]),
        random_states(random, sizes, 4),
    )
    case = (layers, x, start, lengths, d_outputs, d_state)
    options = {"activation": activation, "recurrent_activation": recurrent_activation}
    numeric.check_same(run_engine(engine, *case, session=plain_session, **options), run_numpy(*case, **options), 1e-12)


# Every run draws the same networks. Hypothesis does not shrink a failing one, which would take minutes for graphs.
@ONCE
@settings(max_examples=16, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
@given(st.data())
def test_random_networks_against_the_engines(general_engine, data):
    """Any depth, widths, lengths, activations. The first sequence is tame; the others may saturate every gate.

    With unbounded activations the sequences are tame, too: large values would magnify the rounding of slopes near
    saturation, 1 - y^2.
    """
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4), "hidden sizes")
    input_size, steps = data.draw(st.integers(1, 12), "I"), data.draw(st.integers(1, 7), "T")
    pair = data.draw(st.sampled_from(NAMES_IN_PAIRS), "activation, recurrent activation")
    options = dict(zip(("activation", "recurrent_activation"), pair))
    magnitudes = [1e-3, 1.0] if set(pair) & set(UNBOUNDED) else [1e-3, 1.0, 30.0, 1000.0]
    scales = [1.0] + data.draw(st.lists(st.sampled_from(magnitudes), max_size=4), "scales")
    batch = len(scales)
    several = st.lists(st.integers(0, steps), min_size=batch - 1, max_size=batch - 1)
    lengths = data.draw(st.none() | several.map(lambda drawn: [steps] + drawn), "lengths")
    random = np.random.RandomState(data.draw(st.integers(0, 2**32 - 1), "seed"))
    layers = random_layers(random, sizes, input_size, data.draw(st.booleans(), "use_bias"), 0.5)
    x = random.standard_normal([steps, batch, input_size]) * np.array(scales)[:, None]
    d_outputs = random.standard_normal([steps, batch, sizes[-1]])
    case = (layers, x, random_states(random, sizes, batch), lengths, d_outputs, random_states(random, sizes, batch))
    with tf.Graph().as_default(), plain_session() as session:
        actual, expected = run_engine(general_engine, *case, session=session, **options), run_numpy(*case, **options)
    numeric.check_same(actual, expected, 1e-12)
    for name in set(expected) & {"x", "0 c0", "0 h0", "0 final c", "0 final h"}:
        # Sequence by sequence. In saturated gates the slope is only the rounding error of 1 - y^2.
        axes = tuple(axis for axis in range(np.ndim(expected[name])) if axis != np.ndim(expected[name]) - 2)
        off, size = (np.max(np.abs(part), axis=axes) for part in (actual[name] - expected[name], expected[name]))
        assert np.all(off <= 1e-12 * size + 1e-14 * np.max(size)), name


def test_large_inputs_give_no_warning_and_no_nan():
    large = np.array([-1000.0, -745.0, -37.0, 0.0, 37.0, 745.0, 1000.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, p = numpy_lstm.sigmoid(large), numpy_lstm.softmax(large)
        q = numpy_lstm.softmax(np.stack([large, 0 * large]))
        (layer,) = random_layers(np.random.RandomState(0), [3], 2)
        outputs, _, cache = numpy_lstm.forward([layer], 1000 * np.random.RandomState(1).standard_normal([5, 4, 2]))
        predicted, head_cache = numpy_lstm.head_forward({"Wy": 1000 * np.ones([3, 2]), "by": [0, 1000]}, outputs)
        d_head, d_outputs = numpy_lstm.head_backward(predicted, head_cache)
        gradients = flat(numpy_lstm.backward(d_outputs, None, cache))
    np.testing.assert_array_equal(y[[0, 3, 6]], [0, 0.5, 1])
    np.testing.assert_allclose(y, [0.0, np.exp(-745), np.exp(-37), 0.5, 1, 1, 1], rtol=1e-15, atol=0)
    np.testing.assert_allclose(p, [0, 0, 0, 0, 0, np.exp(-255), 1], rtol=1e-15, atol=0)
    np.testing.assert_allclose(np.sum(q, axis=1), [1, 1], rtol=1e-15)  # each row by itself
    np.testing.assert_allclose(q[1], [1 / 7] * 7, rtol=1e-15)
    values = list(gradients.values()) + list(d_head.values()) + [outputs, predicted]
    assert all(np.all(np.isfinite(value)) for value in values)


def test_same_activations_as_the_engines():
    """Except swish, whose derivative does not follow from its value."""
    assert set(numpy_lstm.ACTIVATIONS) | {"swish"} == set(activations.ACTIVATIONS)
    assert [name for name, function in activations.ACTIVATIONS.items() if function.times_slope is None] == ["swish"]


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_cross_entropy_by_central_differences(lengths):
    network = Network(lengths)
    labels = np.random.RandomState(5).randint(4, size=[6, len(LENGTHS)])
    counted = np.arange(6)[:, None] < np.array(lengths or [6] * len(LENGTHS))

    def mean():
        outputs, _, _ = numpy_lstm.forward(network.layers, network.x, network.start, **network.options)
        y, _ = numpy_lstm.head_forward(network.head, outputs)
        return -np.mean([np.log(y[t, b, labels[t, b]]) for t, b in zip(*np.nonzero(counted))])

    outputs, _, cache = numpy_lstm.forward(network.layers, network.x, network.start, **network.options)
    _, head_cache = numpy_lstm.head_forward(network.head, outputs)
    loss, d_head, d_outputs = numpy_lstm.cross_entropy(labels, head_cache, None if lengths is None else counted)
    assert abs(loss - mean()) < 1e-14
    gradients = numpy_lstm.backward(d_outputs, None, cache)
    for array, gradient in [
        (network.head["Wy"], d_head["Wy"]),
        (network.head["by"], d_head["by"]),
        (network.layers[0]["Wo"], gradients["layers"][0]["Wo"]),
        (network.x, gradients["x"]),
    ]:
        assert numeric.relative_difference(gradient, numeric.gradient_by_differences(mean, array)) < 1e-6


def test_cross_entropy_where_the_label_is_impossible():
    """Its probability underflows to 0. The loss and its gradient stay exact."""
    y, cache = numpy_lstm.head_forward({"Wy": [[0.0, 1.0]], "by": [0.0, 0.0]}, [[1000.0]])
    assert y[0, 0] == 0
    loss, d_head, d_h = numpy_lstm.cross_entropy([0], cache)
    assert loss == 1000
    np.testing.assert_array_equal(d_h, [[1.0]])
    np.testing.assert_array_equal(d_head["by"], [-1, 1])


def test_head_and_cross_entropy_against_tensorflow(session):
    random = np.random.RandomState(0)
    head, h = (
        {"Wy": random.standard_normal([3, 4]), "by": random.standard_normal([4])},
        random.standard_normal([5, 2, 3]),
    )
    d_y, labels = random.standard_normal([5, 2, 4]), random.randint(4, size=[5, 2])
    inputs = [tf.constant(value) for value in (head["Wy"], head["by"], h)]
    z = tf.tensordot(inputs[2], inputs[0], 1) + inputs[1]
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=z))
    expected = session.run([tf.nn.softmax(z), tf.gradients(tf.nn.softmax(z), inputs, tf.constant(d_y))])
    expected += session.run([loss, tf.gradients(loss, inputs)])
    y, cache = numpy_lstm.head_forward(head, h)
    d_head, d_h = numpy_lstm.head_backward(d_y, cache)
    mean, d_head_2, d_h_2 = numpy_lstm.cross_entropy(labels, cache)
    actual = [y, [d_head["Wy"], d_head["by"], d_h], mean, [d_head_2["Wy"], d_head_2["by"], d_h_2]]
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        assert numeric.relative_difference(a, b) < 1e-12
