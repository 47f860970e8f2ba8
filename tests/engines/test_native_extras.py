"""Peepholes, projections and clips on the native engine, against TensorFlow's own loop and the graph engine."""

import itertools

import numpy as np
import pytest

from stacked_lstm import engines, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library
from stacked_lstm.lstm.equations import PLAIN, Extras
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.parity.measure import TOLERANCES
from support.engines import native_ops
from support.references import numeric
from support.suite.sets import ONCE, some

pytestmark = native_ops.NEEDS_NATIVE

# Peepholes, bound of c, width of the projection and its bound. The quick set has every pair of values.
EVERY = list(itertools.product([False, True], [None, 0.3], [None, 3, 20], [None, 0.2]))
QUICK = [(True, None, None, None), (False, 0.3, None, None), (False, None, 20, None), (True, 0.3, 20, 0.2)]
QUICK += [(False, 0.3, 3, None), (False, None, 3, 0.2), (True, 0.3, 3, None), (True, None, 3, 0.2)]
EVERY = [options for options in EVERY if options[2] or not options[3]]
LENGTHS = (5, 0, 3, 1, 5, 2, 4)


def derivatives(cell, engine, dtype, lengths):
    """Outputs, final states and the gradients of the input, the initial states and all variables."""
    random = np.random.RandomState(0)
    x = tf.constant(random.standard_normal([7, 5, 3]), dtype)
    start = tf.nest.map_structure(
        lambda size: tf.constant(0.4 * random.standard_normal([7, size]), dtype), cell.state_size
    )
    outputs, state = rnn_cell.dynamic_rnn(cell, x, lengths, initial_state=start, engine=engine)
    assert rnn_cell.engine_used(outputs).name == engine
    results = [outputs] + tf.nest.flatten(state)
    sources = [x] + tf.nest.flatten(start) + cell.trainable_weights
    upstream = [tf.constant(random.standard_normal(result.shape.as_list()), dtype) for result in results]
    return results, tf.gradients(results, sources, upstream)


def assign_random(session, variables):
    random = np.random.RandomState(1)
    values = {v.initializer.inputs[1]: 0.7 * random.standard_normal(v.shape.as_list()) for v in variables}
    session.run([v.initializer for v in variables], values)


def check_same(actual, expected, dtype):
    for a, b in zip(tf.nest.flatten(actual), tf.nest.flatten(expected)):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert numeric.relative_difference(a, b) < TOLERANCES[dtype]


@pytest.mark.parametrize(
    "dtype, lengths",
    some([("float64", LENGTHS), ("float32", None)], list(itertools.product(["float64", "float32"], [None, LENGTHS]))),
)
@pytest.mark.parametrize("peepholes, cell_clip, num_proj, proj_clip", some(QUICK, EVERY, oldest=QUICK[3:5]))
def test_cells(peepholes, cell_clip, num_proj, proj_clip, dtype, lengths, plain_session):
    """Values are on both sides of each bound. TensorFlow differentiates its loop itself."""
    with tf.variable_scope("cell") as scope:
        cell = rnn_cell.LSTMCell(18, peepholes, cell_clip, None, num_proj, proj_clip)
        expected = derivatives(cell, "stepwise", dtype, lengths)
        scope.reuse_variables()
        actual = derivatives(cell, "native", dtype, lengths)
    assign_random(plain_session, cell.trainable_weights)
    actual, expected = plain_session.run([actual, expected])
    check_same(actual, expected, dtype)
    has_steps = np.array(LENGTHS) > 0
    outputs, c = expected[0][:2]
    for bound, values in ((cell_clip, c[has_steps]), (proj_clip, outputs[has_steps, 0])):
        if bound is not None:
            at_bound = np.isclose(np.abs(values), bound, rtol=1e-6)
            assert np.any(at_bound) and np.any(~at_bound) and np.all(np.abs(values) <= bound * (1 + 1e-6))


@ONCE
def test_negative_bounds(session):
    """TensorFlow's clip_by_value returns its lower bound then, and the gradient of what is clipped is zero."""
    cells = [rnn_cell.LSTMCell(18, True, -0.3, None, 5, -0.2), rnn_cell.LSTMCell(18, False, -0.3)]
    for cell in cells:
        with tf.variable_scope(None, "cell") as scope:
            expected = derivatives(cell, "graph", "float64", LENGTHS)
            scope.reuse_variables()
            actual = derivatives(cell, "native", "float64", LENGTHS)
        assign_random(session, cell.trainable_weights)
        check_same(*session.run([actual, expected]), "float64")


def random_layer(random, inputs, units, fused, bias, extras, dtype):
    """A `Layer` of placeholders for random weights; `extras` is (peepholes, projection, whether there are clips)."""
    peepholes, projection, clips = extras
    feed = {}

    def weight(*shape):
        tensor = tf.placeholder(dtype, shape)
        feed[tensor] = random.standard_normal(shape) / np.sqrt(shape[0] / 2)
        return tensor

    width = 4 * units if fused else units
    kernels = [weight(inputs + (projection or units), width) for _ in range(1 if fused else 4)]
    biases = [weight(width) for _ in kernels] if bias else []
    return Layer(
        inputs,
        units,
        kernels,
        biases,
        extras=Extras(
            [weight(units) for _ in range(3)] if peepholes else None,
            0.3 if clips else None,
            weight(units, projection) if projection else None,
            0.2 if clips and projection else None,
        ),
    ), feed


STACKS = {
    "one op": ([(5, (True, 3, True)), (17, (True, 20, True)), (4, (True, 2, True))], 1),
    "with plain layers": ([(5, (False, None, False)), (17, (False, 6, False)), (6, (False, None, False))], 3),
    "wide": ([(70, (True, 33, True))], 1),
    "clips of some": ([(9, (False, None, False)), (9, (False, None, True)), (9, (True, None, True))], 3),
}


@ONCE
@pytest.mark.parametrize("fused, bias", [(False, True), (True, False)])
@pytest.mark.parametrize("stack", sorted(STACKS))
def test_stacks(stack, fused, bias, graph, plain_session):
    """Layers with the same kinds of extras are one op. One graph takes all sizes, some of them for several threads."""
    description, op_count = STACKS[stack]
    random, layers, weights, inputs = np.random.RandomState(2), [], {}, 4
    for units, extras in description:
        layer, layer_feed = random_layer(random, inputs, units, fused, bias, extras, "float64")
        layers.append(layer)
        weights.update(layer_feed)
        inputs = layer.output_size
    x = tf.placeholder(tf.float64, [None, None, 4])
    states = [
        [tf.placeholder(tf.float64, [None, n]) for n in (layer.hidden_size, layer.output_size)] for layer in layers
    ]
    lengths, results = tf.placeholder(tf.int32, [None]), []
    for engine in ("native", "graph"):
        outputs, finals = engines.ENGINES[engine].run_layers(layers, x, states, lengths)
        sources = [x] + tf.nest.flatten(states) + list(weights)
        loss = tf.reduce_sum(outputs**2) + sum(tf.reduce_sum(tf.sin(part)) for part in tf.nest.flatten(finals))
        results.append([outputs, finals, tf.gradients(loss, sources)])
    assert sum(op.type == "StackedLstmForward" for op in graph.get_operations()) == op_count
    for steps, batch in [(6, 5), (4, 0), (90, 2), (3, 40)]:
        feed = {x: random.standard_normal([steps, batch, 4]), lengths: random.randint(0, steps + 1, [batch])}
        for part in tf.nest.flatten(states):
            feed[part] = 0.4 * random.standard_normal([batch, part.shape.as_list()[1]])
        check_same(*plain_session.run(results, {**weights, **feed}), "float64")


def test_no_steps(plain_session):
    """The initial states are the final ones, and so are their gradients."""
    layer, feed = random_layer(np.random.RandomState(0), 4, 6, False, True, (True, 3, True), "float64")
    x, state = tf.zeros([0, 2, 4], tf.float64), [tf.ones([2, 6], tf.float64), tf.ones([2, 3], tf.float64)]
    outputs, (final,) = engines.ENGINES["native"].run_layers([layer], x, [state])
    loss = tf.reduce_sum(outputs) + tf.reduce_sum(2.0 * final.c) + tf.reduce_sum(3.0 * final.h)
    gradients = tf.gradients(loss, state), tf.gradients(loss, list(feed))
    outputs, final, (d_state, d_weights) = plain_session.run([outputs, final, gradients], feed)
    assert outputs.shape == (0, 2, 3) and np.all(final.c == 1) and np.all(final.h == 1)
    assert np.all(d_state[0] == 2) and np.all(d_state[1] == 3) and not any(map(np.any, d_weights))


def test_shapes_are_known():
    """So are those of gradients."""
    layer, _ = random_layer(np.random.RandomState(0), 4, 6, False, True, (True, 3, True), "float32")
    x, state = tf.placeholder(tf.float32, [5, 2, 4]), [tf.zeros([2, 6]), tf.zeros([2, 3])]
    outputs, (final,) = engines.ENGINES["native"].run_layers([layer], x, [state])
    assert outputs.shape.as_list() == [5, 2, 3]
    assert final.c.shape.as_list() == [2, 6] and final.h.shape.as_list() == [2, 3]
    sources = [x, *state, *layer.kernels, *layer.extras.peepholes, layer.extras.projection]
    for source, gradient in zip(sources, tf.gradients(outputs, sources)):
        assert gradient.shape.as_list() == source.shape.as_list()


@ONCE
@pytest.mark.parametrize(
    "changes",
    [
        {"peepholes": [[6], [6], [5]]},
        {"peepholes": [[6], [6]]},
        {"peepholes": [[6]] * 6},
        {"projections": [[5, 3]]},
        {"projections": [[6, 0]]},
        {"projections": [[6, 12]]},
        {"projections": [[18]]},
        {"projections": [[6, 3]] * 2},
        {"projections": []},
        {"cell_clips": [[1]]},
        {"cell_clips": [[]] * 2},
        {"projection_clips": [[1]]},
        {"projections": [], "h": [[2, 6]], "kernels": [[10, 6]] * 4},  # A clip of a projection that is not there.
        {"h": [[2, 6]]},
        {"c": [[2, 3]]},
        {"kernels": [[10, 6]] * 4},
    ],
)
@pytest.mark.parametrize("when", ["the graph is built", "it runs"])
@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_wrong_shapes(norm, when, changes, session):
    shapes = dict(
        native_ops.NO_EXTRAS,
        **{"x": [[5, 2, 4]], "c": [[2, 6]], "h": [[2, 3]], "kernels": [[7, 6]] * 4, "peepholes": [[6]] * 3},
    )
    shapes.update(projections=[[6, 3]], cell_clips=[[]], projection_clips=[[]])
    if norm:
        shapes.update(norms=[[4, 6], [4, 6], [6], [6]], epsilons=[[]])

    def call(shapes):
        tensors = {name: [tf.zeros(shape) for shape in shapes[name]] for name in shapes}
        if when == "it runs":
            tensors = {name: [tf.placeholder_with_default(t, None) for t in tensors[name]] for name in tensors}
        x = tensors.pop("x")[0]
        packed = native_ops.pack(tensors["kernels"], projections=tensors["projections"])
        functions = {"activation": "tanh", "recurrent_activation": "sigmoid"}
        inputs = dict(x=x, lengths=[], biases=[], **packed, **tensors, **functions)
        return session.run(library.load().stacked_lstm_forward(**inputs)[0])

    assert call(shapes).shape == (5, 2, 3)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        call(dict(shapes, **changes))


@pytest.mark.parametrize("units", [6, 32])  # 32 units fill whole vectors.
def test_graphs_from_before_there_were_extras(units, session):
    """Their ops lack the new attributes and the input `padded`, and run. Gradients of them can be added."""
    layer, _ = random_layer(np.random.RandomState(0), 4, units, False, True, (False, None, False), "float32")
    x, state = tf.placeholder(tf.float32, [20, 2, 4], "x"), [tf.zeros([2, units])] * 2
    kernel = tf.reshape(tf.linspace(-1.0, 1.0, (units + 4) * units), [units + 4, units])
    layer = layer._replace(kernels=[kernel] * 4, biases=[tf.ones([units])] * 4, extras=PLAIN)
    outputs, _ = engines.ENGINES["native"].run_layers([layer], x, [state])
    (d_x,) = tf.gradients(outputs, x, name="d_x")
    outputs = tf.identity(outputs, "outputs")
    graph_def = tf.get_default_graph().as_graph_def()
    for node in graph_def.node:
        if node.op.endswith("Forward"):
            padded = node.input.pop()
            assert padded.endswith("StackedLstmPack:1")
        for name in [*native_ops.NO_EXTRAS, "padded"]:
            node.attr.pop("number_of_" + name, None)
        for name in ("from_end", "residual", "is_carried"):
            node.attr.pop(name, None)
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as other:
        new_x, new_outputs = tf.import_graph_def(graph_def, return_elements=["x:0", "outputs:0"], name="")
        (new_d_x,) = tf.gradients(new_outputs, new_x)
        values = np.random.RandomState(1).standard_normal([20, 2, 4])
        actual = other.run([new_outputs, new_d_x], {new_x: values})
        for one, expected in zip(actual, session.run([outputs, d_x], {x: values})):
            np.testing.assert_array_equal(one, expected)
