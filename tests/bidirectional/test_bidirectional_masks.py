"""Two stacks side by side with dropout, zoneout and residual connections, on engines and in NumPy with the same masks.

Entry t of a mask belongs to step t of the inputs, also in the backward stack.
"""

import itertools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.lstm import dropout_masks
from support.engines import native_ops
from support.networks.option_masks import SEED, Masks, numpy_options
from support.references import bidirectional_in_numpy as witness
from support.references import numeric
from support.suite.sets import some

STEPS, BATCH, WIDTH = 6, 4, 3
LENGTHS = [6, 0, 1, 4]
OPTIONS = {
    "dropout": {"dropout": 0.5},
    "all dropout": {"input_dropout": 0.3, "dropout": 0.5, "output_dropout": 0.2, "residual": True},
    "recurrent": {"recurrent_dropout": 0.5, "dropout": 0.3},
    "candidate": {"recurrent_dropout": 0.5, "recurrent_dropout_kind": "candidate", "residual": True},
    "zoneout": {"zoneout_c": 0.4, "zoneout_h": 0.3, "dropout": 0.3},
    "projection": {"zoneout_h": 0.4, "projection_size": 2, "projection_clip": 0.3, "input_dropout": 0.3},
    "normalization": {"layer_norm": True, "zoneout_c": 0.4, "recurrent_dropout": 0.3, "dropout": 0.3},
}
EVERY = [(name, has_lengths) for name in OPTIONS for has_lengths in (True, False)]
QUICK = [(name, k % 2 == 0) for k, name in enumerate(OPTIONS)]


@pytest.fixture
def masks(monkeypatch):
    return Masks(monkeypatch)


def in_reading_order(value, lengths, n):
    """A series in the order in which direction n reads it. What is the same in all steps stays."""
    return witness.reverse(value, lengths) if n and np.ndim(value) == 3 else value


def in_numpy(weights, x, lengths, options, drawn, output_mask):
    """Returns (outputs, final states, name -> gradient of outputs^2 / 2 and of the sines of the final states)."""
    all_lengths, outputs, finals, caches, gradients = lengths or [STEPS] * BATCH, [], [], [], {"x": 0}
    for n, side in enumerate(weights):
        values = {place: in_reading_order(value, all_lengths, n) for place, value in drawn[n].items()}
        arguments = numpy_options(values, options, len(side.layers))
        series = in_reading_order(x, all_lengths, n)
        y, states, cache = numpy_lstm.forward(side.layers, series, None, lengths, **arguments)
        outputs.append(in_reading_order(y, all_lengths, n))
        finals.append(states)
        caches.append(cache)
    output_mask = output_mask if np.ndim(output_mask) else 1.0
    merged = np.concatenate(outputs, axis=2) * output_mask
    d_merged = merged * output_mask
    for n, (name, d) in enumerate(zip(witness.SIDES, np.split(d_merged, 2, axis=2))):
        d_states = [type(state)(*[np.cos(part) for part in state]) for state in finals[n]]
        found = numpy_lstm.backward(in_reading_order(d, all_lengths, n), d_states, caches[n])
        gradients["x"] = gradients["x"] + in_reading_order(found["x"], all_lengths, n)
        for k, layer in enumerate(found["layers"]):
            gradients.update({f"{name}/layer_{k + 1}/{leaf}": value for leaf, value in layer.items()})
    return merged, finals, gradients


@pytest.mark.parametrize("name, has_lengths", some(QUICK, EVERY, oldest=QUICK[:3]))
def test_against_numpy(name, has_lengths, masks, general_engine, plain_session):
    options, lengths = OPTIONS[name], LENGTHS if has_lengths else None
    random = np.random.RandomState(0)
    x = random.standard_normal([STEPS, BATCH, WIDTH])
    for b, length in enumerate(LENGTHS if has_lengths else []):
        x[length:, b] = np.nan
    lstm = BidirectionalLSTM(
        [WIDTH, WIDTH], stacking="stacks", dtype=tf.float64, engine=general_engine, seed=SEED, **options
    )
    source = tf.constant(x)
    outputs, states = lstm(source, lengths, time_major=True, training=True)
    assert lstm.engine_used.name == general_engine
    loss = tf.reduce_sum(tf.square(outputs)) / 2 + sum(tf.reduce_sum(tf.sin(part)) for part in tf.nest.flatten(states))
    seeds = [dropout_masks.seed_at(f"{side}/None", SEED) for side in witness.SIDES]
    drawn = [masks.by_place(2, seed) for seed in seeds], masks.at("output_0/dropout")
    results = outputs, states, tf.gradients(loss, [source, *lstm.variables])
    plain_session.run(tf.global_variables_initializer())
    for variable in lstm.variables:
        variable.load(0.7 * random.standard_normal(variable.shape.as_list()), plain_session)
    weights = lstm.get_weights(plain_session)
    (actual, actual_states, actual_gradients), (values, output_mask) = plain_session.run([results, drawn])
    drawn_values = [[value for value in side.values() if np.ndim(value)] for side in values]
    assert drawn_values[0] and len(drawn_values[0]) == len(drawn_values[1])
    assert all(np.any(pair[0] != pair[1]) for pair in zip(*drawn_values))

    expected = in_numpy(weights, np.nan_to_num(x), lengths, options, values, output_mask)
    assert numeric.relative_difference(actual, expected[0]) < 1e-12
    for pair in zip(tf.nest.flatten(actual_states), tf.nest.flatten(expected[1])):
        assert numeric.relative_difference(*pair) < 1e-12
    names = ["x", *[variable.op.name.split("/", 1)[1] for variable in lstm.variables]]
    for key, gradient in zip(names, actual_gradients):
        assert numeric.relative_difference(gradient, expected[2][key]) < 1e-12, key


DERIVATIVES = list(itertools.product(("dropout", "all dropout", "recurrent", "zoneout"), (True, False)))
QUICK_DERIVATIVES = [("all dropout", True), ("zoneout", False)]


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("control_flow", ["control_flow_v2"], indirect=True)
@pytest.mark.parametrize("name, has_lengths", some(QUICK_DERIVATIVES, DERIVATIVES, oldest=QUICK_DERIVATIVES[:1]))
def test_second_derivatives(name, control_flow, has_lengths, plain_session):
    """Equal seeds draw equal masks on both engines."""
    results, x = [], tf.constant(np.random.RandomState(0).standard_normal([3, BATCH, WIDTH]))
    lengths, stacks = ([3, 0, 1, 2] if has_lengths else None), []
    for engine in ("native", "graph"):
        arguments = {"stacking": "stacks", "dtype": tf.float64, "engine": engine, "seed": SEED, "name": engine}
        lstm = BidirectionalLSTM([WIDTH, WIDTH], **arguments, **OPTIONS[name])
        outputs, states = lstm(x, lengths, time_major=True, training=True)
        loss = tf.reduce_sum(tf.square(outputs)) + sum(tf.reduce_sum(tf.sin(p)) for p in tf.nest.flatten(states))
        first = tf.gradients(loss, [x, *lstm.variables])
        second = tf.gradients([tf.square(d) for d in first], [x, *lstm.variables])
        results.append([outputs, states, first, second])
        stacks.append(lstm)
    plain_session.run(tf.global_variables_initializer())
    stacks[1].set_weights(plain_session, *stacks[0].get_weights(plain_session))
    for actual, expected in zip(*map(tf.nest.flatten, plain_session.run(results))):
        assert np.any(expected) and numeric.relative_difference(actual, expected) < 1e-11
