"""`reset=` and `return_steps=` of BidirectionalLSTM: packed sequences have the results of the sequences one by one."""

import collections
import itertools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, LSTMState, StateStore, numpy_lstm, summaries
from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMSteps
from support.references import bidirectional_in_numpy as witness
from support.references import numeric
from support.suite.sets import some

flatten = tf.nest.flatten
STEPS, WIDTH, SIZES = 7, 2, [3, 3]
LENGTHS = [7, 4]
STARTS = [[0, 3, 4], [0, 2]]  # Of the sequences in each row.
BATCH = len(LENGTHS)
KINDS, STACKINGS = ["zeros", "learned", "projected", "argument"], ["layers", "stacks"]


def flags():
    """[B, T]: where sequences start after the first one; and, which must change nothing, at and past the end."""
    result = np.zeros([BATCH, STEPS], bool)
    for row, starts in enumerate(STARTS):
        result[row, starts[1:]] = True
    result[1, LENGTHS[1] :] = True
    return result


def pieces():
    """For each sequence its row, its steps as a slice, and whether each of the two directions starts in it."""
    for row, (starts, length) in enumerate(zip(STARTS, LENGTHS)):
        for begin, end in zip(starts, starts[1:] + [length]):
            yield row, slice(begin, end), (begin == 0, end == length)


def pairs_of_row(sides, row, has_values):
    """A (c, h) per layer and direction, for a single row; zeros for a direction without values."""
    return [
        [LSTMState(*[part[row : row + 1] * used for part in pair]) for pair in side]
        for side, used in zip(sides, has_values)
    ]


def steps_of(tape):
    """For each direction, an `LSTMSteps` per layer, in the order of the inputs."""
    sides = [[step for _, caches, _ in tape for step in numpy_lstm.steps(caches[n][0])] for n in range(2)]
    return sides[0], [LSTMSteps(*[part[::-1] for part in layer]) for layer in sides[1]]


def one_by_one(weights, x, kind, stacking, fed, d_outputs, d_states):
    """What NumPy computes when each sequence is a call of its own.

    Returns:
      (outputs, finals, steps, gradients): [T, B, N]; for each direction a (c, h) per layer; an `LSTMSteps` of [T, B, N]
      per layer; name -> gradient.
    """
    configured = "zeros" if kind == "argument" else kind
    outputs, d_x = np.zeros([STEPS, BATCH, 2 * SIZES[-1]]), np.zeros([STEPS, BATCH, WIDTH])
    finals = [[LSTMState(*np.zeros([2, BATCH, size])) for size in SIZES] for _ in witness.SIDES]
    steps = [[LSTMSteps(*np.zeros([6, STEPS, BATCH, size])) for size in SIZES] for _ in witness.SIDES]
    gradients = collections.Counter()
    for row, time, are_first in pieces():
        are_last = are_first[::-1]  # A direction ends in the sequence in which the other one starts.
        starts = pairs_of_row(fed, row, are_first) if kind == "argument" else None
        piece, d_piece, count = x[time, row : row + 1], d_outputs[time, row : row + 1], [time.stop - time.start]
        output, states, tape = witness.run(weights, piece, count, "concat", stacking, configured, starts)
        outputs[time, row] = output[:, 0]
        d_final = pairs_of_row(d_states, row, are_last)
        piece_gradients = witness.gradients(tape, count, "concat", configured, d_piece, d_final)
        d_x[time, row] = piece_gradients.pop("x")[:, 0]
        gradients.update({name: value for name, value in piece_gradients.items() if " " not in name})
        for total, part in zip(flatten(finals), flatten(pairs_of_row(states, 0, are_last))):
            total[row] += part[0]
        for total, part in zip(flatten(steps), flatten(steps_of(tape))):
            total[time, row] = part[:, 0]
    return outputs, finals, steps, dict(gradients, x=d_x)


@pytest.mark.parametrize(
    "kind, stacking, time_major",
    some(
        list(zip(KINDS, STACKINGS + STACKINGS[::-1], [True, False, True, False])),
        list(itertools.product(KINDS, STACKINGS, [False, True])),
        oldest=[("projected", "stacks", True)],
    ),
)
def test_sequences_one_by_one(kind, stacking, time_major, general_engine, plain_session):
    """Outputs, final states, all steps and all gradients. What is past the end of a row is NaN."""
    random = np.random.RandomState(0)
    lstm = BidirectionalLSTM(
        SIZES,
        stacking=stacking,
        initial_state="zeros" if kind == "argument" else kind,
        weight_initializer="xavier",
        bias_initializer="tn",
        dtype=tf.float64,
        engine=general_engine,
    )
    x, d_outputs = random.standard_normal([STEPS, BATCH, WIDTH]), random.standard_normal([STEPS, BATCH, 2 * SIZES[-1]])
    x[LENGTHS[1] :, 1] = np.nan
    fed, d_states = ([[LSTMState(*random.standard_normal([2, BATCH, 3])) for _ in SIZES] for _ in "fb"] for _ in "sd")
    axes = [0, 1, 2] if time_major else [1, 0, 2]
    inputs = tf.constant(x.transpose(axes))
    results = lstm(
        inputs,
        LENGTHS,
        [[LSTMState(*map(tf.constant, pair)) for pair in side] for side in fed] if kind == "argument" else None,
        time_major,
        return_steps=True,
        reset=flags().T if time_major else flags(),
    )
    outputs, state, _ = results
    variables = {variable.op.name[len("bidirectional_lstm/") :]: variable for variable in lstm.variables}
    sources = dict(variables, x=inputs)
    targets = [outputs, *flatten(state)]
    upstream = [tf.constant(d) for d in [d_outputs.transpose(axes), *flatten(d_states)]]
    gradients = dict(zip(sources, tf.gradients(targets, list(sources.values()), upstream)))
    plain_session.run(tf.global_variables_initializer())
    if kind == "learned":
        values = [(None, [{f: random.standard_normal([3]) for f in "ch"} for _ in SIZES]) for _ in witness.SIDES]
        lstm.set_weights(plain_session, *values)
    weights = lstm.get_weights(plain_session)
    expected = one_by_one(weights, x, kind, stacking, fed, d_outputs, d_states)

    (actual, finals, steps), actual_gradients = plain_session.run([results, gradients])
    actual_gradients["x"] = actual_gradients["x"].transpose(axes)
    series = [actual, *flatten(steps)]
    references = [expected[0], *flatten(expected[2])]
    assert len(series) == len(references) == 1 + 2 * 2 * 6
    for part, reference in zip(series, references):
        assert numeric.relative_difference(part.transpose(axes), reference) < 1e-12
    for part, reference in zip(flatten(finals), flatten(expected[1])):
        assert numeric.relative_difference(part, reference) < 1e-12
    numeric.check_same(actual_gradients, expected[3], 1e-12)


@pytest.mark.parametrize("stacking", STACKINGS)
def test_nothing_leaks_not_even_nan(stacking, general_engine, plain_session):
    """The sequence in the middle of a row is NaN. The others have the results and gradients of runs of their own."""
    lstm = BidirectionalLSTM(SIZES, stacking=stacking, dtype=tf.float64, engine=general_engine)
    x = np.random.RandomState(0).standard_normal([1, STEPS, WIDTH])
    packed = x.copy()
    packed[0, 3:5] = np.nan
    reset = np.zeros([1, STEPS], bool)
    reset[0, [3, 5]] = True
    inputs = [tf.constant(array) for array in (packed, x[:, :3], x[:, 5:])]
    outputs = [lstm(array, reset=reset if n == 0 else None)[0] for n, array in enumerate(inputs)]
    outputs[0] = [outputs[0][:, :3], outputs[0][:, 5:]]
    gradients = [tf.gradients(series, array)[0] for series, array in zip(outputs, inputs)]
    plain_session.run(tf.global_variables_initializer())
    (actual, *expected), (d_packed, *d_expected) = plain_session.run([outputs, gradients])
    for pair in zip([*actual, d_packed[:, :3], d_packed[:, 5:]], [*expected, *d_expected]):
        assert numeric.relative_difference(*pair) < 1e-12


def test_sizes_known_only_when_the_graph_runs(plain_session):
    """Also without lengths and without time steps. With equal inputs, a start in the middle is the same both ways."""
    x, reset = tf.placeholder(tf.float64, [None, None, WIDTH]), tf.placeholder(tf.bool, [None, None])
    lstm = BidirectionalLSTM([3], merge=None, dtype=tf.float64, engine="graph", name="both")
    outputs, _ = lstm(x, reset=reset)
    plain_session.run(tf.global_variables_initializer())
    forward, _ = lstm.get_weights(plain_session)
    lstm.set_weights(plain_session, backward=forward)
    values = plain_session.run(outputs, {x: np.ones([1, 6, WIDTH]), reset: [[0, 0, 0, 1, 0, 0]]})
    assert np.any(values.forward) and numeric.relative_difference(values.forward[:, ::-1], values.backward) < 1e-12
    np.testing.assert_array_equal(values.forward[:, :3], values.forward[:, 3:])
    values = plain_session.run(outputs, {x: np.ones([2, 0, WIDTH]), reset: np.zeros([2, 0])})
    assert values.backward.shape == (2, 0, 3)


def test_summaries_of_each_direction(session):
    _, _, steps = BidirectionalLSTM([3])(tf.ones([2, 4, 1]), return_steps=True)
    merged = [summaries.gates(side, name=name) for name, side in steps._asdict().items()]
    session.run(tf.global_variables_initializer())
    tags = [value.tag for text in session.run(merged) for value in tf.Summary.FromString(text).value]
    assert {f"{side}/layer_1/{field}" for side in witness.SIDES for field in "chfiog"} <= set(tags)


def test_bad_input():
    lstm = BidirectionalLSTM([2], name="both")
    with pytest.raises(
        ValueError, match=r"^both: expected `reset` \[batch, time\] of shape \[1, 3\], got shape \(1, 2"
    ):
        lstm(tf.zeros([1, 3, 1]), reset=[[True, False]])
    with pytest.raises(ValueError, match="^both: expected `return_steps` to be True or False, got 1"):
        lstm(tf.zeros([1, 3, 1]), return_steps=1)
    with pytest.raises(ValueError, match="^StateStore: expected `lstm` to read forward only, so that a later run can "):
        StateStore(lstm, 1)
