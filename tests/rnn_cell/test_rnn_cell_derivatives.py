"""dynamic_rnn of the drop-in on the engines: its derivatives are those of TensorFlow's loop around the same cell."""

import functools
import itertools

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.networks.some_cells import LAYERS, random
from support.references import numeric
from support.suite.sessions import plain_session
from support.suite.sets import some


def numbers(name, engine, x, lengths):
    """Outputs, final states, and their first and second derivatives with respect to the input and all variables."""
    with tf.Graph().as_default(), plain_session() as session:
        cell, x = LAYERS[name](), tf.constant(x)
        outputs, state = rnn_cell.dynamic_rnn(cell, x, lengths, dtype=x.dtype, engine=engine)
        results, sources = [outputs] + tf.nest.flatten(state), [x] + cell.trainable_weights
        first = tf.gradients([tf.reduce_sum(r * random(r.shape.as_list(), 7, np.float64)) for r in results], sources)
        second = tf.gradients([tf.reduce_sum(g * random(g.shape.as_list(), 9, np.float64)) for g in first], sources)
        variables = tf.global_variables()
        values = {
            v.initializer.inputs[1]: 0.5 * random(v.shape.as_list(), k, np.float64) for k, v in enumerate(variables)
        }
        session.run([variable.initializer for variable in variables], values)
        return session.run(results + first + second)


@pytest.fixture(scope="module")
def loop_numbers():
    """Function that returns `numbers` of TensorFlow's loop, which has second derivatives under control flow v2 only."""

    @functools.lru_cache(None)
    def compute(name, lengths):
        tf.enable_control_flow_v2()
        try:
            return numbers(name, "stepwise", X, lengths)
        finally:
            tf.disable_control_flow_v2()

    return compute


X = random([4, 5, 3], dtype=np.float64)
LENGTHS = (7, 2, 0, -1)

# Every pair of the three is in the quick set.
NAMES = sorted(set(LAYERS) - {"plain stack", "mixed stack"})
CASES = list(itertools.product(NAMES, [None, LENGTHS], ["control_flow_v1", "control_flow_v2"]))
QUICK = [(name, None, "control_flow_v1") for name in ("basic", "wide")]
QUICK += [(name, LENGTHS, "control_flow_v1") for name in ("everything", "stack", "coupled")]
QUICK += [(name, LENGTHS, "control_flow_v2") for name in ("basic", "wide")]
QUICK += [(name, None, "control_flow_v2") for name in ("everything", "stack")]


@pytest.mark.parametrize(
    "name, lengths, control_flow", some(QUICK, CASES, oldest=QUICK[2:3]), indirect=["control_flow"]
)
def test_derivatives(name, lengths, loop_numbers, control_flow):
    """As in TensorFlow's loop, lengths beyond T count as T and negative ones as 0. NaN in the padding has no effect."""
    x = X.copy()
    if lengths:
        x[1, 2:], x[2:] = np.nan, np.nan
    expected = loop_numbers(name, lengths)
    actual = numbers(name, "graph", x, lengths)
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert a.shape == b.shape and numeric.relative_difference(a, b) < 1e-12


@NEEDS_NATIVE
@pytest.mark.parametrize(
    "name, lengths",
    some(
        [("basic", None), ("mixed stack", LENGTHS), ("everything", LENGTHS), ("stack", LENGTHS)],
        list(itertools.product(sorted(LAYERS), [None, LENGTHS])),
        oldest=[("stack", LENGTHS)],
    ),
)
def test_derivatives_of_the_native_engine(name, lengths, loop_numbers):
    """The engine reads the cell's kernel. Layers with different activations or extras are different ops."""
    actual = numbers(name, "native", X, lengths)
    for a, b in zip(actual, loop_numbers(name, lengths)):
        assert a.shape == b.shape and numeric.relative_difference(a, b) < 1e-12


def test_gradients_at_the_bounds_of_clips(session):
    """At the bound itself TensorFlow passes the gradient on."""
    for name, make in (
        ("cell", lambda: rnn_cell.LSTMCell(2, cell_clip=0.5, forget_bias=1e3)),
        ("projection", lambda: rnn_cell.LSTMCell(2, num_proj=2, proj_clip=0.0, forget_bias=1e3)),
    ):
        gradients = []
        for engine in (auto_engine(), "graph", "stepwise"):
            cell = make()
            c = tf.constant([[0.5, -0.5], [0.25, -0.75]])
            start = rnn_cell.LSTMStateTuple(c, tf.zeros([2, 2]))
            with tf.variable_scope(name + engine, initializer=tf.zeros_initializer()):
                outputs, state = rnn_cell.dynamic_rnn(cell, tf.zeros([2, 3, 3]), initial_state=start, engine=engine)
            gradients.append(tf.gradients([outputs, state.c], [c] + cell.weights))
        session.run(tf.global_variables_initializer())
        *results, expected = session.run(gradients)
        for actual in results:
            for a, b in zip(actual, expected):
                np.testing.assert_allclose(a, b, rtol=1e-6)
        assert np.any(expected[0][0])


def test_states_that_grow_behind_the_end(session):
    """Past the end of a sequence, what the loop computes may become infinite. No gradient may depend on it."""
    cell = rnn_cell.LSTMCell(3, use_peepholes=True, num_proj=2, activation="relu", initializer="ones")
    x = tf.stack([tf.zeros([400, 3]), tf.ones([400, 3])])  # The first sequence stays where it is.
    options = {"dtype": tf.float32, "engine": "graph"}
    outputs, _ = rnn_cell.dynamic_rnn(cell, x, [400, 3], **options)
    _, grown = rnn_cell.dynamic_rnn(cell, x, scope="all_steps", **options)
    gradients = tf.gradients(outputs, cell.weights)
    session.run(tf.global_variables_initializer())
    assert not np.any(np.isfinite(session.run(grown.c[1])))
    assert all(np.all(np.isfinite(gradient)) for gradient in session.run(gradients))
