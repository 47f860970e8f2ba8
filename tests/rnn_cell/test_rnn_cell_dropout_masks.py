"""DropoutWrapper with a mask per step and sequence in calls that run on engines.

The tests feed the noise that the masks are made from, and compare with the same network in NumPy, in complex numbers:
its first derivative along a direction is the imaginary part that a tiny imaginary step leaves.
"""

import itertools
import re

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks import drawn_noise
from support.networks.some_cells import random
from support.references import numeric
from support.suite.sessions import plain_session, set_variables
from support.suite.sets import some

LENGTHS = [4, 2, 0]
KEEP = [0.7, 0.6, 0.8, 0.9]  # Inputs and outputs of the first layer, then of the second one.
KEEP_STATES = [0.7, 0.8]  # Of the two layers.


def only_c(state):
    """A `dropout_state_filter_visitor`."""
    return rnn_cell.LSTMStateTuple(c=True, h=False) if isinstance(state, rnn_cell.LSTMStateTuple) else True


# What is dropped out of a state -> (options of cells, options of wrappers).
STATES = {
    "h": ({}, {}),
    "c": ({}, {"dropout_state_filter_visitor": only_c}),
    "hc": ({"state_is_tuple": False}, {}),
}


def network(x, lengths, engine, keep, seeds=(1, 2), keep_states=(1.0, 1.0), states="h", **options):
    """Two layers with dropout on inputs and outputs, and a residual connection around the second one."""
    cell_options, options = STATES[states][0], dict(options, **STATES[states][1])
    layers = [
        rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3, **cell_options), *probabilities, keep_state, seed=seed, **options)
        for probabilities, keep_state, seed in zip((keep[:2], keep[2:]), keep_states, seeds)
    ]
    cell = rnn_cell.MultiRNNCell([layers[0], rnn_cell.ResidualWrapper(layers[1])])
    outputs, state = rnn_cell.dynamic_rnn(cell, x, lengths, dtype=x.dtype, time_major=True, engine=engine)
    return outputs, state, cell.trainable_weights


def numpy_loss(x, weights, noises, lengths, state_noises):
    """The sum of the squares of the outputs and of the cosines of the final states; x is [T, B, I].

    `state_noises` has the noises for h and c of both layers, or None for no dropout.
    """
    sigma = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    total, alive = 0, np.arange(len(x))[:, None] < np.array(lengths)
    masks = [mask(noise, keep) for noise, keep in zip(noises, KEEP)]
    pairs = zip(state_noises, KEEP_STATES)
    state_masks = [[np.ones([4, 3, 3]) if n is None else mask(n, keep) for n in pair] for pair, keep in pairs]
    for layer in range(2):
        (kernel, bias), series = weights[2 * layer : 2 * layer + 2], []
        c = h = np.zeros([x.shape[1], 3])
        rows = zip(x * masks[2 * layer], masks[2 * layer + 1], *state_masks[layer], alive[:, :, None])
        for x_t, output_mask, h_mask, c_mask, here in rows:
            i, j, f, o = np.split(np.concatenate([x_t, h], axis=1) @ kernel + bias, 4, axis=1)
            new_c = sigma(f + 1) * c + sigma(i) * np.tanh(j)
            new_h = sigma(o) * np.tanh(new_c)
            c, h = np.where(here, new_c * c_mask, c), np.where(here, new_h * h_mask, h)
            series.append(np.where(here, new_h * output_mask, 0))
        x, total = np.stack(series) + (x if layer else 0), total + np.sum(np.cos(c)) + np.sum(np.cos(h))
    return total + np.sum(x**2)


def mask(noise, keep):
    keep = np.float64(np.float32(keep))  # The wrapper rounds probabilities to float32.
    return (noise >= 1 - keep) / keep


def test_values_and_derivatives_with_fed_noise(general_engine, plain_session):
    check_derivatives(general_engine, plain_session)


@pytest.mark.parametrize(
    "control_flow, lengths",
    some(
        [("control_flow_v1", tuple(LENGTHS)), ("control_flow_v2", (3, 2, 0))],
        list(itertools.product(["control_flow_v1", "control_flow_v2"], [tuple(LENGTHS), (3, 2, 0)])),
        oldest=[("control_flow_v2", (3, 2, 0))],
    ),
    indirect=["control_flow"],
)
def test_values_and_derivatives_with_dropout_on_h(general_engine, lengths, control_flow, plain_session):
    check_derivatives(general_engine, plain_session, "h", list(lengths))


@pytest.mark.parametrize(
    "states, control_flow", [("c", "control_flow_v2"), ("hc", "control_flow_v1")], indirect=["control_flow"]
)
def test_values_and_derivatives_with_dropout_on_c(general_engine, states, control_flow, plain_session):
    check_derivatives(general_engine, plain_session, states, [3, 2, 0])


def check_derivatives(engine, session, states="", lengths=LENGTHS):
    """Values, slope and curvature of the loss, with dropout on the named parts of states besides inputs and outputs."""
    keep_states = KEEP_STATES if states else (1.0, 1.0)
    x = tf.placeholder(tf.float64, [4, 3, 3])
    outputs, state, weights = network(x, lengths, engine, KEEP, keep_states=keep_states, states=states or "h")
    loss = tf.add_n([tf.reduce_sum(tf.square(outputs))] + [tf.reduce_sum(tf.cos(p)) for p in tf.nest.flatten(state)])
    variables = [x] + weights
    direction = [random(variable.shape.as_list(), k, np.float64) for k, variable in enumerate(variables)]

    def along_direction(gradients):
        return tf.add_n([tf.reduce_sum(gradient * d) for gradient, d in zip(gradients, direction)])

    slope = along_direction(tf.gradients(loss, variables))
    curvature = along_direction(tf.gradients(slope, variables))
    drawn = [noise for noise in drawn_noise.tensors() if noise.shape.ndims == 3 or noise.shape.ndims is None]
    per_layer = 2 + len(states)  # A layer draws for its inputs, its h, its c and its outputs.
    drawn_noises = [np.random.RandomState(k).uniform(size=[4, 3, 3]) for k in range(2 * per_layer)]
    layers = [drawn_noises[:per_layer], drawn_noises[per_layer:]]
    noises = [noise for layer in layers for noise in (layer[0], layer[-1])]
    state_noises = [[layer[1 + states.index(part)] if part in states else None for part in "hc"] for layer in layers]
    point = [random([4, 3, 3], 10, np.float64)] + [
        0.5 * random(w.shape.as_list(), 11 + k, np.float64) for k, w in enumerate(weights)
    ]
    session.run(tf.global_variables_initializer())
    set_variables(session, weights, point[1:])
    past_end = np.arange(4)[:, None] >= np.array(lengths)
    feed = drawn_noise.feed(session, drawn, drawn_noises)
    feed[x] = np.where(past_end[:, :, None], np.nan, point[0])
    actual = session.run([loss, slope, curvature], feed)
    point[0][past_end] = 0

    def loss_at(point):
        return numpy_loss(point[0], point[1:], noises, lengths, state_noises)

    def slope_at(point):
        return loss_at([p + 1e-30j * d for p, d in zip(point, direction)]).imag / 1e-30

    assert numeric.relative_difference(actual[0], loss_at(point)) < 1e-12
    assert numeric.relative_difference(actual[1], slope_at(point)) < 1e-12
    assert numeric.relative_difference(actual[2], eighth_order_difference(slope_at, point, direction)) < 1e-12
    assert len(drawn) == len(drawn_noises)


def eighth_order_difference(function, point, direction, step=0.002):
    """Derivative of `function` along `direction`; its error falls with the eighth power of the step.

    The function is computed in long double. In double, its rounding alone would be up to 1.3e-12 of the derivative.
    """
    point = [np.asarray(p, np.longdouble) for p in point]
    factors = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    moved = {n: function([p + n * step * d for p, d in zip(point, direction)]) for k in factors for n in (k, -k)}
    return sum(factor * (moved[k] - moved[-k]) for k, factor in factors.items()) / step


@pytest.mark.parametrize("states", ["h", "c", "hc"])
def test_masks_for_all_steps_are_those_of_tensorflow_s_loop(states, plain_session):
    x, results = tf.constant(random([4, 3, 3], dtype=np.float64)), []
    options = {"variational_recurrent": True, "input_size": 3, "dtype": tf.float64}
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine, initializer=tf.random_normal_initializer(seed=3)):
            outputs, state, weights = network(
                x, [3, 2, 0], engine, KEEP, keep_states=KEEP_STATES, states=states, **options
            )
        assert rnn_cell.engine_used(outputs).name == engine
        loss = tf.reduce_sum(tf.square(outputs)) + sum(tf.reduce_sum(tf.cos(p)) for p in tf.nest.flatten(state))
        results.append([outputs, *tf.nest.flatten(state), *tf.gradients(loss, [x, *weights])])
    plain_session.run(tf.global_variables_initializer())
    for actual, expected in zip(*plain_session.run(results)):
        assert numeric.relative_difference(actual, expected) < 1e-12


def test_masks_on_h_do_not_depend_on_the_form_of_the_state(plain_session):
    """A wrapper around a stack, with one tensor for all layers: the masks for all steps have TensorFlow's bits."""
    x, results = tf.constant(random([4, 3, 3], dtype=np.float64)), []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope(engine, initializer=tf.random_normal_initializer(seed=3)):
            cells = [rnn_cell.LSTMCell(3, state_is_tuple=False), rnn_cell.LSTMCell(5, num_proj=2, state_is_tuple=False)]
            stack = rnn_cell.MultiRNNCell(cells, state_is_tuple=False)
            cell = rnn_cell.DropoutWrapper(
                stack, state_keep_prob=0.5, variational_recurrent=True, dtype=tf.float64, seed=1
            )
            results.append(rnn_cell.dynamic_rnn(cell, x, dtype=tf.float64, engine=engine))
    plain_session.run(tf.global_variables_initializer())
    for actual, expected in zip(*plain_session.run(results)):
        assert numeric.relative_difference(actual, expected) < 1e-12


def run(feeds, keep, engine="graph", seeds=(1, 2), x=None):
    """Outputs of the network in a session of its own. `keep` are numbers, or names of placeholders in `feeds`."""
    with tf.Graph().as_default(), plain_session() as session:
        tf.set_random_seed(1)
        placeholders = {name: tf.placeholder(tf.float32, []) for name in feeds}
        x = tf.constant(random([5, 4, 3]) if x is None else x)
        keep = [placeholders.get(probability, probability) for probability in keep]
        outputs, state, weights = network(x, None, engine, keep, seeds)
        gradients = tf.gradients([outputs, state], [x] + weights)
        session.run(tf.global_variables_initializer())
        set_variables(session, weights, [random(weight.shape.as_list(), k) for k, weight in enumerate(weights)])
        return session.run([outputs] + tf.nest.flatten(state) + gradients, {placeholders[k]: feeds[k] for k in feeds})


def test_a_probability_that_is_fed_as_one_changes_no_bit(general_engine):
    plain = run({}, [1.0] * 4, general_engine)
    for a, b in zip(run({"p": 1.0}, ["p"] * 4, general_engine), plain):
        np.testing.assert_array_equal(a, b)
    assert np.any(run({"p": 0.5}, ["p"] * 4, general_engine)[0] != plain[0])


def test_a_fed_one_beside_cells_without_wrappers(general_engine, plain_session):
    """On graph, narrow layers share a loop if nothing is between them. This loop rounds differently."""
    keep, x, results = tf.placeholder_with_default(1.0, []), tf.constant(random([4, 5, 3])), []
    for wrap in (lambda cell: cell, lambda cell: rnn_cell.DropoutWrapper(cell, keep, keep, keep)):
        with tf.variable_scope("", reuse=tf.AUTO_REUSE, initializer=tf.random_normal_initializer(seed=3)):
            cell = rnn_cell.MultiRNNCell([wrap(rnn_cell.LSTMCell(n)) for n in (4, 5)])
            outputs, state = rnn_cell.dynamic_rnn(cell, x, [5, 2, 0, 4], dtype=x.dtype, engine=general_engine)
        results.append([outputs, *tf.nest.flatten(state), *tf.gradients(outputs, [x, *cell.trainable_weights])])
    plain_session.run(tf.global_variables_initializer())
    assert len(tf.global_variables()) == 4 and len(results[0]) == len(results[1])
    for wrapped, plain in zip(*plain_session.run(results)):
        tolerance = 0 if general_engine == "native" else 1e-5
        np.testing.assert_allclose(wrapped, plain, rtol=tolerance, atol=tolerance)


def test_seeds():
    """The masks are equal in every session, and differ between seeds and between places."""
    masks = run({}, KEEP)[0]
    np.testing.assert_array_equal(run({}, KEEP)[0], masks)
    np.testing.assert_array_equal(run({"p": KEEP[0]}, ["p"] + KEEP[1:])[0], masks)
    assert np.any(run({}, KEEP, seeds=(1, 3))[0] != masks)


@pytest.mark.parametrize("argument", ["input_keep_prob", "output_keep_prob", "state_keep_prob"])
def test_the_share_that_is_kept(argument, plain_session):
    """Each entry is kept or dropped by itself; the number kept is within 5 standard deviations."""
    keep, shape = 0.3, [60, 50, 60]
    cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(60), seed=1, **{argument: tf.placeholder_with_default(keep, [])})
    x = tf.ones(shape)
    outputs, state = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, time_major=True, engine="graph")
    plain_session.run(tf.global_variables_initializer())
    # Outputs that are dropped are zero; inputs that are dropped have no gradient.
    observed = {"input_keep_prob": tf.gradients(outputs, x)[0], "output_keep_prob": outputs, "state_keep_prob": state.h}
    kept = plain_session.run(observed[argument]) != 0
    assert abs(kept.sum() - keep * kept.size) < 5 * np.sqrt(kept.size * keep * (1 - keep))
    for axis in range(kept.ndim):  # No axis shares a mask.
        assert np.all(kept.mean(axis=axis) > 0) and np.all(kept.mean(axis=axis) < 1)


@pytest.mark.parametrize("selection", [0, np.bool_(True), None, rnn_cell.LSTMStateTuple(True, 1), (True,), "ch"])
def test_a_visitor_returns_bools(selection):
    """As in TensorFlow 1.15, which refuses the same values with a TypeError."""
    cell = rnn_cell.DropoutWrapper(
        rnn_cell.LSTMCell(3), state_keep_prob=0.5, dropout_state_filter_visitor=lambda state: selection
    )
    expected = "DropoutWrapper: expected `dropout_state_filter_visitor` to return a bool, or a bool for each part of "
    with pytest.raises(TypeError, match=re.escape(expected) + ".*got"):
        rnn_cell.dynamic_rnn(cell, tf.ones([2, 3, 4]), dtype=tf.float32)


@pytest.mark.parametrize("place", ["input", "output", "state"])
@pytest.mark.parametrize("engine", ["graph", "stepwise"])
def test_a_mask_that_keeps_nothing_is_an_error(place, engine):
    """On engines as in TensorFlow's dropout: the numbers would be NaN."""
    cell = rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3), **{f"{place}_keep_prob": 0.0})
    with pytest.raises(ValueError, match="above 0, got 0.0|rate. must be|rate must be"):
        rnn_cell.dynamic_rnn(cell, tf.ones([2, 4, 3]), dtype=tf.float32, engine=engine)
