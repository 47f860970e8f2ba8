"""`reset=`: an input that holds several sequences has the results and the gradients of the sequences one by one."""

import itertools

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.references import numeric
from support.suite.sets import some

STEPS, WIDTH = 7, 2
STARTS = [0, 3, 4]  # Of the sequences in one row.


@pytest.mark.parametrize(
    "initial_state, time_major",
    some(
        [("zeros", True), ("learned", False), ("projected", False)],
        list(itertools.product(["zeros", "learned", "projected"], [False, True])),
    ),
)
def test_sequences_one_by_one(initial_state, time_major, general_engine, plain_session):
    """Against NumPy, which runs each sequence by itself; gradients against the sum of those of the sequences."""
    random = np.random.RandomState(0)
    lstm = StackedLSTM(
        [3, 3], initial_state=initial_state, dtype=tf.float64, bias_initializer="tn", engine=general_engine
    )
    x, d = random.standard_normal([1, STEPS, WIDTH]), random.standard_normal([STEPS, 1, 3])
    resets = np.zeros([1, STEPS], bool)
    resets[0, STARTS[1:]] = True
    order = [1, 0, 2] if time_major else [0, 1, 2]
    inputs = tf.constant(x.transpose(order))
    outputs, state, steps = lstm(
        inputs, time_major=time_major, reset=resets.T if time_major else resets, return_steps=True
    )
    d_outputs = d if time_major else d.transpose(1, 0, 2)
    matrix = lstm.layers[1].Wc
    gradients = tf.gradients(outputs, [inputs, matrix], tf.constant(d_outputs))
    plain_session.run(tf.global_variables_initializer())
    if initial_state == "learned":
        values = [{f: random.standard_normal([3]) for f in "ch"} for _ in range(2)]
        lstm.set_weights(plain_session, initial_state=values)
    weights = lstm.get_weights(plain_session)
    expected, d_x, d_matrix = np.zeros([STEPS, 1, 3]), np.zeros([STEPS, 1, WIDTH]), 0
    expected_f = np.zeros([STEPS, 1, 3])
    for start, end in zip(STARTS, STARTS[1:] + [STEPS]):
        piece = x.transpose(1, 0, 2)[start:end]
        starts, projections = None, None
        if initial_state == "learned":
            starts = [(layer["c"][None], layer["h"][None]) for layer in weights.initial_state]
        elif initial_state == "projected":
            starts, projections = numpy_lstm.projected_forward(weights.initial_state, piece[0])
        expected[start:end], finals, cache = numpy_lstm.forward(weights.layers, piece, starts)
        expected_f[start:end] = numpy_lstm.steps(cache)[1].f
        piece_gradients = numpy_lstm.backward(d[start:end], None, cache)
        d_x[start:end] = piece_gradients["x"]
        d_matrix = d_matrix + piece_gradients["layers"][1]["Wc"]
        if projections is not None:
            d_x[start] += numpy_lstm.projected_backward(piece_gradients["initial_state"], projections)[1]
    actual, final, actual_steps, actual_gradients = plain_session.run([outputs, state[1], steps, gradients])
    to_time_major = [0, 1, 2] if time_major else [1, 0, 2]
    assert numeric.relative_difference(actual.transpose(to_time_major), expected) < 1e-12
    numeric.check_same(final._asdict(), finals[1]._asdict(), 1e-12)
    assert numeric.relative_difference(actual_steps[1].f.transpose(to_time_major), expected_f) < 1e-12
    assert numeric.relative_difference(actual_gradients[0].transpose(to_time_major), d_x) < 1e-12
    assert numeric.relative_difference(actual_gradients[1], d_matrix) < 1e-12


EXTRAS = dict(peepholes=True, cell_clip=0.4, projection_size=3, projection_clip=0.3, residual=True)
NOISE = dict(zoneout_c=0.2, zoneout_h=0.3)


@pytest.mark.parametrize("options", [dict(EXTRAS, **NOISE), dict(EXTRAS, **NOISE, layer_norm=True)], ids=["", "norm"])
def test_with_other_options(options, general_engine, plain_session):
    """Outputs, states and all gradients, also those of the learned vectors, equal NumPy's."""
    random = np.random.RandomState(0)
    lstm = StackedLSTM(
        [3, 3], initial_state="learned", dtype=tf.float64, bias_initializer="tn", engine=general_engine, **options
    )
    x, reset, lengths = random.standard_normal([6, 4, 3]), random.uniform(size=[6, 4]) < 0.4, [6, 0, 4, 5]
    inputs = tf.constant(x)
    outputs, state = lstm(inputs, lengths, time_major=True, reset=reset)
    results = [outputs, *tf.nest.flatten(state)]
    d_results = [random.standard_normal(result.shape.as_list()) for result in results]
    gradients = tf.gradients(results, [inputs, *lstm.variables], list(map(tf.constant, d_results)))
    plain_session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(plain_session)
    starts = [[np.tile(layer[f], [4, 1]) for f in "ch"] for layer in weights.initial_state]
    names = set(options) & {"cell_clip", "projection_clip", "residual", *NOISE}
    numpy_options = [numpy_lstm.LayerOptions(**{name: options[name] for name in names})] * 2
    expected, finals, cache = numpy_lstm.forward(
        weights.layers, x, starts, lengths, options=numpy_options, reset=reset, reset_states=starts
    )
    d_state = [d_results[1:3], d_results[3:]]
    expected_gradients = numpy_lstm.backward(d_results[0], d_state, cache)
    d_starts = zip(expected_gradients["initial_state"], expected_gradients["reset_states"])
    d_learned = [np.sum(a + b, axis=0) for first, later in d_starts for a, b in zip(first, later)]
    actual, actual_gradients = plain_session.run([results, gradients])
    for part, reference in zip(actual, [expected, *tf.nest.flatten(finals)]):
        assert numeric.relative_difference(part, reference) < 1e-12
    check = {"x": (actual_gradients[0], expected_gradients["x"])}
    remaining = iter(actual_gradients[1:])
    for k, layer in enumerate(lstm.variables_by_layer.layers):
        check.update({f"{k} {name}": (next(remaining), expected_gradients["layers"][k][name]) for name in layer})
    check.update({f"learned {k}": (next(remaining), d) for k, d in enumerate(d_learned)})
    numeric.check_same(*[{name: pair[n] for name, pair in check.items()} for n in (0, 1)], 1e-11)


@pytest.mark.parametrize(
    "engine, options",
    [
        ("graph", dict(layer_norm=True, zoneout_c=0.2, zoneout_h=0.2, peepholes=True)),
        pytest.param("native", dict(zoneout_c=0.2, zoneout_h=0.2, peepholes=True), marks=NEEDS_NATIVE),
        pytest.param("native", dict(zoneout_c=0.2, zoneout_h=0.2, layer_norm=True), marks=NEEDS_NATIVE),
        pytest.param("native", dict(projection_size=2, projection_clip=0.5), marks=NEEDS_NATIVE),
    ],
)
def test_nothing_leaks_not_even_nan(engine, options, plain_session):
    """Rows are reset at different steps; with options, too. What is before a reset is NaN."""
    lstm = StackedLSTM([3, 3], dtype=tf.float64, engine=engine, **options)
    x = np.random.RandomState(0).standard_normal([3, 6, 2])
    resets, clean = np.zeros([3, 6], bool), x.copy()
    x[0, :2], x[1, :4] = np.nan, np.nan
    resets[0, 2] = resets[1, 4] = True
    outputs, _ = lstm(tf.constant(x), [6, 6, 3], reset=tf.constant(resets))
    later, _ = lstm(tf.constant(clean[:1, 2:]))
    plain_session.run(tf.global_variables_initializer())
    actual, expected = plain_session.run([outputs, later])
    assert np.all(np.isnan(actual[0, :2])) and np.all(np.isfinite(actual[0, 2:])) and np.all(np.isfinite(actual[2]))
    assert np.all(np.isfinite(actual[1, 4:]))
    assert numeric.relative_difference(actual[0, 2:], expected[0]) < 1e-12


@pytest.mark.parametrize(
    "reset, expected",
    [
        ([[0, 1, 0]], "`reset`"),
        ([True, False], "`reset` [batch, time] of shape [1, 3], got shape (2,)"),
        ([[True, False]], "`reset` [batch, time] of shape [1, 3], got shape (1, 2)"),
    ],
)
def test_bad_input(reset, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([2])(tf.zeros([1, 3, 1]), reset=reset)
    assert expected in str(error.value)


@pytest.mark.parametrize("shape, wrong", [([None, None], [[True, False]]), (None, [True]), (None, [[[True] * 3]])])
def test_another_size_when_the_graph_runs(shape, wrong, plain_session):
    x, reset = tf.placeholder(tf.float32, [None, None, 1]), tf.placeholder(tf.bool, shape)
    outputs, _ = StackedLSTM([2])(x, reset=reset)
    plain_session.run(tf.global_variables_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected `reset` .batch, time. of shape"):
        plain_session.run(outputs, {x: np.zeros([1, 3, 1]), reset: wrong})


def test_engines_by_name():
    with pytest.raises(ValueError, match="it does not support resets"):
        StackedLSTM([2], engine="cudnn")(tf.zeros([1, 3, 1]), reset=[[True, False, True]])
