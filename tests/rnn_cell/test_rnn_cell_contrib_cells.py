"""Cells of `tf.contrib.rnn` on the graph engine in wrappers and stacks: the numbers of TensorFlow's loop in float64."""

import itertools

import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import random, values
from support.references import numeric
from support.suite.sets import some

CELLS = {
    "layer_norm": lambda: rnn_cell.LayerNormBasicLSTMCell(4, 0.5, norm_shift=0.2),
    "layer_norm_relu": lambda: rnn_cell.LayerNormBasicLSTMCell(4, activation="relu"),
    "layer_norm_without": lambda: rnn_cell.LayerNormBasicLSTMCell(4, layer_norm=False),
    "coupled": lambda: rnn_cell.CoupledInputForgetGateLSTMCell(4, True, num_proj=3),
    "coupled_layer_norm": lambda: rnn_cell.CoupledInputForgetGateLSTMCell(4, layer_norm=True, num_proj=3),
    "block": lambda: rnn_cell.LSTMBlockCell(4, cell_clip=0.1, use_peephole=True),
}


def variational(cell):
    return rnn_cell.DropoutWrapper(
        cell, 0.6, 0.7, 0.5, variational_recurrent=True, input_size=5, dtype=tf.float64, seed=3
    )


FLOWS = {"control_flow_v1": {"block", "layer_norm", "coupled_layer_norm"}}
FLOWS["control_flow_v2"] = set(CELLS) - FLOWS["control_flow_v1"]
QUICK = [(name, flow) for flow, names in FLOWS.items() for name in sorted(names)]


@pytest.mark.parametrize(
    "name, control_flow",
    some(QUICK, list(itertools.product(sorted(CELLS), FLOWS)), oldest=QUICK[::3]),
    indirect=["control_flow"],
)
def test_in_wrappers_and_stacks(name, control_flow, plain_session):
    del control_flow
    x = tf.constant(random([3, 6, 5]), tf.float64)
    wrapped = [rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(5)), variational(CELLS[name]()), CELLS[name]()]
    cell = rnn_cell.MultiRNNCell(wrapped)
    results = []
    for engine in ("graph", "stepwise"):
        with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
            outputs, state = rnn_cell.dynamic_rnn(cell, x, [6, 2, 0], dtype=tf.float64, engine=engine)
        parts = [outputs, *tf.nest.flatten(state)]
        loss = tf.add_n([tf.reduce_sum(tf.sin(part)) for part in parts])
        gradients = tf.gradients(loss, [x, *cell.trainable_weights])
        results.append(parts + [gradient for gradient in gradients if gradient is not None])
    actual, expected = values(plain_session, results)
    numeric.check_same(dict(enumerate(actual)), dict(enumerate(expected)), 1e-11)
