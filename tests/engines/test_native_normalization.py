"""Layer normalization on the native engine, against `numpy_lstm`, TensorFlow's own loop and central differences."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, engines, numpy_lstm, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library
from stacked_lstm.parity.measure import TOLERANCES
from stacked_lstm.state import LSTMState
from support.engines import native_ops
from support.references import derivatives, numeric
from support.suite.sets import ONCE, some

pytestmark = native_ops.NEEDS_NATIVE
LENGTHS = (5, 0, 3, 1, 5, 2, 4)


def run(kinds, dtype, lengths, x, session, sizes=(18, 33), is_random=True, **extras):
    """Returns the results of a stack and all gradients: ([actual], [expected]), the latter by `numpy_lstm`.

    Without `is_random`, states are zeros, and the weights are those that the stack starts from.
    """
    random = np.random.RandomState(0)
    lstm = StackedLSTM(list(sizes), layer_norm=kinds, dtype=dtype, engine="native", use_bias=kinds[0] is True, **extras)
    widths = zip(sizes, extras.get("projection_size", sizes))
    start = [LSTMState(*[is_random * random.standard_normal([x.shape[1], n]) for n in pair]) for pair in widths]
    inputs, starts = tf.constant(x, dtype), [LSTMState(*[tf.constant(part, dtype) for part in pair]) for pair in start]
    outputs, finals = lstm(inputs, lengths, initial_state=starts, time_major=True)
    results = [outputs, *tf.nest.flatten(finals)]
    upstream = [random.standard_normal(result.shape.as_list()) for result in results]
    by_name = lstm.variables_by_layer.layers
    sources = [inputs, *tf.nest.flatten(starts)] + [v for values in by_name for v in values.values()]
    gradients = tf.gradients(results, sources, [tf.constant(d, dtype) for d in upstream])
    session.run(tf.global_variables_initializer())
    if is_random:
        lstm.set_weights(
            session,
            [
                {
                    n: (0.1 if n == "Wp" else 0.5) * random.standard_normal(v.shape.as_list()) + n.startswith("gain")
                    for n, v in values.items()
                }
                for values in by_name
            ],
        )
    actual = session.run(results + gradients)
    clips = {name: bound for name, bound in extras.items() if name.endswith("clip")}
    options = [numpy_lstm.LayerOptions(layer_norm=kind or True, **clips) for kind in kinds]
    layers = lstm.get_weights(session).layers
    expected, states, cache = numpy_lstm.forward(layers, x, start, lengths, options=options)
    d_states = [LSTMState(*upstream[1 + 2 * k : 3 + 2 * k]) for k in range(len(sizes))]
    d = numpy_lstm.backward(upstream[0], d_states, cache)
    witness = [expected, *tf.nest.flatten(states), d["x"], *tf.nest.flatten(d["initial_state"])]
    return actual, witness + [d["layers"][k][n] for k, values in enumerate(by_name) for n in values]


def check_same(actual, expected, tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert a.shape == b.shape and numeric.relative_difference(a, b) < tolerance


def check_ops(graph, kind):
    """Layers are one op if their normalized cell states all are carried to the next step, or none is."""
    types, count = [op.type for op in graph.get_operations()], len(set(KINDS[kind]))
    assert types.count("StackedLstmForward") == types.count("StackedLstmBackward") == count and "While" not in types


KINDS = {"output": [True, True], "carried": ["tensorflow", "tensorflow"], "both": ["tensorflow", True]}
CASES = [("output", "float64", LENGTHS), ("carried", "float64", None), ("both", "float32", LENGTHS)]
EVERY = [(kind, dtype, lengths) for kind in KINDS for dtype in ("float64", "float32") for lengths in (None, LENGTHS)]


@pytest.mark.parametrize("kind, dtype, lengths", some(CASES, EVERY))
def test_against_numpy(kind, dtype, lengths, plain_session):
    """Outputs, states and all gradients."""
    x = np.random.RandomState(1).standard_normal([5, 7, 4])
    actual, expected = run(KINDS[kind], dtype, lengths, x, plain_session)
    check_ops(plain_session.graph, kind)
    check_same(actual, expected, TOLERANCES[dtype])


PEEPHOLES, CELL, NARROW = {"peepholes": True}, {"cell_clip": 0.8}, {"projection_size": [3, 7]}
WIDE = {"projection_size": [20, 40], "projection_clip": 0.25}
WITH_EXTRAS = {
    "peepholes": PEEPHOLES,
    "cell clip": CELL,
    "projection": NARROW,
    "peepholes, cell clip": {**PEEPHOLES, **CELL},
    "projection, its clip": WIDE,
    "all": {**PEEPHOLES, **CELL, **WIDE},
}


@pytest.mark.parametrize(
    "extras, kind, dtype, lengths",
    some(
        [(name, "both", "float64", LENGTHS) for name in WITH_EXTRAS] + [("all", "output", "float32", None)],
        [(name, *case) for name in WITH_EXTRAS for case in EVERY],
        oldest=[("all", "both", "float64", LENGTHS)],
    ),
)
def test_with_extras(extras, kind, dtype, lengths, plain_session):
    """Values are on both sides of each bound."""
    extras, x = WITH_EXTRAS[extras], np.random.RandomState(1).standard_normal([5, 7, 4])
    actual, expected = run(KINDS[kind], dtype, lengths, x, plain_session, **extras)
    check_ops(plain_session.graph, kind)
    check_same(actual, expected, TOLERANCES[dtype])
    for name, part in (("cell_clip", expected[3]), ("projection_clip", expected[4])):
        at_bound = np.isclose(np.abs(part), extras.get(name, np.inf))
        assert name not in extras or np.any(at_bound) and not np.all(at_bound)


def test_mixed_with_plain_layers(graph, plain_session):
    """Layers with layer normalization are in other ops than those without it."""
    x = np.random.RandomState(1).standard_normal([5, 7, 4])
    kinds = [True, True, False, False, "tensorflow"]
    actual, expected = run(kinds, "float64", LENGTHS, x, plain_session, (18, 9, 5, 6, 17))
    check_same(actual, expected, 1e-12)
    layers = [op.get_attr("layers") for op in graph.get_operations() if op.type == "StackedLstmForward"]
    assert layers == [2, 2, 1]


@pytest.mark.parametrize("kind", sorted(KINDS)[1:])
def test_rows_without_variance(kind, plain_session):
    """Inputs and states are zeros, and so are all products. Only epsilon keeps N and its gradient finite."""
    actual, expected = run(KINDS[kind][1:], "float64", None, np.zeros([1, 2, 3]), plain_session, (8,), is_random=False)
    assert not np.any(actual[0]) and np.any(actual[3]) and np.all(np.isfinite(actual[3]))
    check_same(actual, expected, 1e-12)


@pytest.mark.parametrize("steps, batch", [(0, 2), (4, 0)])
def test_no_steps_and_no_sequences(steps, batch, plain_session):
    x = np.zeros([steps, batch, 3])
    actual, expected = run(KINDS["both"], "float64", None, x, plain_session)
    for a, b in zip(actual, expected):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "dtype, options",
    [
        ("float64", {"activation": tf.nn.relu, "forget_bias": 0.5}),
        ("float32", {"norm_gain": 0.7, "norm_shift": 0.3}),
    ],
)
def test_cells(dtype, options, plain_session):
    """LayerNormBasicLSTMCell, on the engine and on TensorFlow's own loop, which TensorFlow differentiates."""
    random = np.random.RandomState(0)
    x = tf.constant(random.standard_normal([7, 5, 3]), dtype)
    results = []
    for engine in ("native", "stepwise"):
        with tf.variable_scope("cell", reuse=tf.AUTO_REUSE):
            cell = rnn_cell.LayerNormBasicLSTMCell(18, **options)
            start = rnn_cell.LSTMStateTuple(*[tf.constant(0.1 * random.standard_normal([7, 18]), dtype) for _ in "ch"])
            start = results[0][2] if results else start
            outputs, final = rnn_cell.dynamic_rnn(cell, x, LENGTHS, initial_state=start, engine=engine)
        assert rnn_cell.engine_used(outputs).name == engine
        loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(tf.sin(final.c)) + tf.reduce_sum(tf.cos(final.h))
        gradients = tf.gradients(loss, [x, *start, *cell.trainable_weights])
        results.append(([outputs, *final], gradients, start))
    assert len(cell.trainable_weights) == 11
    plain_session.run(tf.global_variables_initializer())
    (a, da, _), (b, db, _) = plain_session.run(results)
    check_same(a + da, b + db, TOLERANCES[dtype])


@pytest.mark.parametrize(
    "kind, control_flow",
    [("tensorflow", "control_flow_v1"), pytest.param(True, "control_flow_v2", marks=ONCE)],
    indirect=["control_flow"],
)
def test_second_derivatives_by_central_differences(kind, control_flow, plain_session):
    problem = derivatives.Problem(plain_session, [6], 2, [5, 3, 0], second=True, engine="native", layer_norm=kind)
    problem.check_second_derivatives(step=1e-6)


def test_results_that_nothing_reads(plain_session):
    """Gradients of some inputs alone are those of all together, and their shapes are known."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 4, 2]))
    lstm = StackedLSTM([9], layer_norm=True, dtype=tf.float64, engine="native")
    outputs, _ = lstm(x)
    sources = [x, *lstm.variables]
    together, alone = tf.gradients(outputs, sources), [tf.gradients(outputs, source)[0] for source in sources]
    assert [d.shape.as_list() for d in together] == [source.shape.as_list() for source in sources]
    plain_session.run(tf.global_variables_initializer())
    expected = plain_session.run(together)
    for one, reference in zip(alone, expected):
        np.testing.assert_array_equal(plain_session.run(one), reference)


SHAPES = {"x": [[5, 2, 4]], "c": [[2, 6]], "h": [[2, 6]], "kernels": [[10, 6]] * 4, "lengths": [[2]], "biases": []}
SHAPES.update(norms=[[4, 6], [4, 6], [6], [6]], epsilons=[[]])
# Changes, and what the messages of the shape function and of the kernel say. None: the shape function always sees it.
SIZES = "imension"
WRONG = [
    ({"x": [[5, 2, 3]]}, SIZES, "inputs of width 4"),
    ({"x": [[5, 2]]}, "rank 3", "rank 3"),
    ({"c": [[2, 5]]}, SIZES, "`c` of shape"),
    ({"h": [[3, 6]]}, SIZES, "`h` of shape"),
    ({"kernels": [[10, 5]] * 4}, SIZES, "inputs of width 5"),
    ({"kernels": [[5, 6]] * 4}, SIZES, "`kernels` of shape"),
    ({"lengths": [[3]]}, SIZES, "`lengths` of shape"),
    ({"lengths": [[2, 1]]}, "rank 1", "`lengths` of shape"),
    ({"norms": [[5, 6], [4, 6], [6], [6]]}, SIZES, r"`norms` of shape \[4,6\], got \[5,6\]"),
    ({"norms": [[4, 6], [4, 7], [6], [6]]}, SIZES, r"`norms` of shape \[4,6\], got \[4,7\]"),
    ({"norms": [[24], [4, 6], [6], [6]]}, "rank 2", r"`norms` of shape \[4,6\], got \[24\]"),
    ({"norms": [[4, 6], [4, 6], [1], [6]]}, SIZES, r"`norms` of shape \[6\], got \[1\]"),
    ({"norms": [[4, 6], [4, 6], [6], [6, 1]]}, "rank 1", r"`norms` of shape \[6\], got \[6,1\]"),
    ({"norms": [[4, 6], [4, 6], [6]]}, "4 `norms` and 1 `epsilons` for each of 1 layers, or none, got 3 and 1", None),
    ({"norms": [[4, 6], [4, 6], [6], [6]] * 2, "epsilons": [[]] * 2}, "or none, got 8 and 2", None),
    ({"norms": []}, "or none, got 0 and 1", None),
    ({"epsilons": []}, "or none, got 4 and 0", None),
    ({"epsilons": [[1]]}, "rank 0", r"`epsilons` of shape \[\], got \[1\]"),
    ({"biases": [[6]] * 4}, "no `biases` with `norms`", "no `biases` with `norms`"),
]


@ONCE
@pytest.mark.parametrize("when", ["the graph is built", "it runs"])
def test_wrong_inputs(when, session):
    def call(shapes):
        lists = {}
        for name, of_list in shapes.items():
            lists[name] = [tf.zeros(shape, tf.int32 if name == "lengths" else tf.float32) for shape in of_list]
            if when == "it runs":
                lists[name] = [tf.placeholder_with_default(tensor, None) for tensor in lists[name]]
        lists = {**native_ops.NO_EXTRAS, **native_ops.pack(lists["kernels"]), **lists}
        (x,), functions = lists.pop("x"), {"activation": "tanh", "recurrent_activation": "sigmoid"}
        outputs, c, h, _ = library.load().stacked_lstm_forward(x=x, **lists, **functions)
        return session.run([outputs, tf.gradients([outputs, *c, *h], [x, *lists["norms"]])])

    outputs, gradients = call(SHAPES)
    assert outputs.shape == (5, 2, 6) and [d.shape for d in gradients] == [(5, 2, 4), (4, 6), (4, 6), (6,), (6,)]
    for changes, message, message_of_kernel in WRONG:
        expected = message if when == "the graph is built" or message_of_kernel is None else message_of_kernel
        with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=expected):
            call(dict(SHAPES, **changes))


def test_it_is_the_engine_of_auto():
    lstm = StackedLSTM([3], layer_norm=True)
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == "native" and "native" in engines.ENGINES
