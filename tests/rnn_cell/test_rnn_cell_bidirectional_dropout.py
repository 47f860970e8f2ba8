"""Dropout in both directions of `bidirectional_dynamic_rnn`, on engines and on TensorFlow's loop.

On `native`, the backward cell reads the inputs from the end.
"""

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.engines import native_ops
from support.networks.some_cells import random
from support.references import numeric
from support.suite.sets import some

STEPS, BATCH, WIDTH = 5, 4, 3
LENGTHS = [5, 0, 1, 3]


def stack(*keep_probs, seed, **options):
    """Two layers with dropout, the upper one with a residual connection."""
    cells = [rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(WIDTH), *keep_probs, seed=seed + k, **options) for k in range(2)]
    return rnn_cell.MultiRNNCell([cells[0], rnn_cell.ResidualWrapper(cells[1])])


def variational(*keep_probs, seed):
    options = {"variational_recurrent": True, "dtype": tf.float64, "input_size": WIDTH}
    return stack(*keep_probs, seed=seed, **options)


def normalized(layer_norm, seed):
    return rnn_cell.LayerNormBasicLSTMCell(WIDTH, layer_norm=layer_norm, dropout_keep_prob=0.5, dropout_prob_seed=seed)


# Name -> (function from a seed to a cell, the engine with the masks that `native` must have).
CELLS = {
    "variational": (lambda seed: variational(0.7, 0.6, seed=seed), "stepwise"),
    "variational, states": (lambda seed: variational(0.7, 0.6, 0.5, seed=seed), "stepwise"),
    "candidate": (lambda seed: normalized(False, seed), "stepwise"),
    "layer normalization": (lambda seed: normalized(True, seed), "stepwise"),
    "per step": (lambda seed: stack(0.7, 0.6, seed=seed), "graph"),
    "per step, states": (lambda seed: stack(0.7, 0.6, 0.5, seed=seed), "graph"),
}
EVERY = [(name, *case) for name in CELLS for case in [(True, True), (False, True), (True, False), (False, False)]]
QUICK = [EVERY[4 * k + j] for k, name in enumerate(CELLS) for j in (k % 2, 3 - k % 2)]


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("name, has_lengths, has_starts", some(QUICK, EVERY, oldest=QUICK[:4]))
def test_numbers_and_first_derivatives(name, has_lengths, has_starts, plain_session):
    """Masks that are TensorFlow's on an engine are compared with TensorFlow's loop, the others with `graph`."""
    make, other = CELLS[name]
    values = random([STEPS, BATCH, WIDTH], dtype=np.float64)
    for b, length in enumerate(LENGTHS if has_lengths else []):
        values[length:, b] = 100
    x, results = tf.constant(values), []
    for engine in ("native", other):
        with tf.variable_scope(engine):
            cells = [make(seed) for seed in (3, 8)]
            starts = [cell.zero_state(BATCH, tf.float64) for cell in cells]
            if has_starts:
                starts = tf.nest.map_structure(lambda zeros: zeros + 0.3, starts)
            outputs, states = rnn_cell.bidirectional_dynamic_rnn(
                *cells,
                x,
                LENGTHS if has_lengths else None,
                *(starts if has_starts else (None, None)),
                dtype=tf.float64,
                time_major=True,
                parallel_iterations=1,
                engine=engine,
            )
        assert [rnn_cell.engine_used(side).name for side in outputs] == [engine] * 2
        variables = [variable for cell in cells for variable in cell.trainable_variables]
        parts = tf.nest.flatten(states)
        loss = sum(map(tf.reduce_sum, map(tf.square, outputs))) + sum(tf.reduce_sum(tf.sin(part)) for part in parts)
        results.append([outputs, states, tf.gradients(loss, [x, *variables])])
    plain_session.run(tf.global_variables_initializer())
    variables = tf.trainable_variables()
    half = len(variables) // 2
    for k in range(half):
        value = 0.5 * random(variables[k].shape.as_list(), k, dtype=np.float64)
        for variable in (variables[k], variables[half + k]):
            variable.load(value, plain_session)
    for actual, expected in zip(*map(tf.nest.flatten, plain_session.run(results))):
        assert numeric.relative_difference(actual, expected) < 1e-12
