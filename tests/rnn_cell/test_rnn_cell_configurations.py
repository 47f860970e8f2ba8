"""The drop-in's cells from configurations, and activations and initializers by their names."""

import json
from itertools import zip_longest

import numpy as np
import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf


@pytest.mark.parametrize(
    "cell",
    [
        rnn_cell.BasicLSTMCell(4, forget_bias=0.3, activation="relu", name="basic"),
        rnn_cell.LSTMCell(3, True, 0.4, tf.truncated_normal_initializer(stddev=0.3), 3, 0.3, activation=tf.nn.elu),
        rnn_cell.LSTMCell(3, initializer="ones", activation=tf.nn.softmax),
        rnn_cell.LSTMCell(3, initializer="ones", activation=lambda v: 0.5 * v),
        rnn_cell.LSTMBlockCell(4, 0.5, cell_clip=0.3, use_peephole=True, name="block"),
        rnn_cell.CudnnCompatibleLSTMCell(4),
        rnn_cell.BasicRNNCell(3, activation="relu", name="basic"),
        rnn_cell.GRUCell(3, kernel_initializer="ones", bias_initializer=tf.constant_initializer(0.5)),
        rnn_cell.GRUBlockCell(cell_size=3),
        rnn_cell.LayerNormBasicLSTMCell(3, 0.5, activation=tf.nn.relu, norm_gain=0.5, norm_shift=0.25),
        rnn_cell.CoupledInputForgetGateLSTMCell(3, True, num_proj=2, proj_clip=0.1, norm_gain=0.5, layer_norm=True),
        rnn_cell.NASCell(3, num_proj=2, use_bias=True, name="nas"),
        rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False, 0.5),
        rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(3), 2, activation=tf.nn.relu),
        rnn_cell.OutputProjectionWrapper(rnn_cell.GRUCell(3), 2),
        rnn_cell.AttentionCellWrapper(rnn_cell.LSTMCell(3), 2, attn_size=4, attn_vec_size=5, input_size=6),
        rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4, state_is_tuple=False)], state_is_tuple=False),
        rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(3), residual_fn=lambda x, y: x - y),
        rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(3), "/cpu:0"),
        rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3), 0.5, 0.25, 0.125, seed=4),
        rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(3), 0.5, 0.25, 0.125, seed=4, dtype="float32", input_size=3,
                                variational_recurrent=True, dropout_state_filter_visitor=lambda s: True),
    ],
    ids=lambda cell: type(cell).__name__,
)  # fmt: skip
def test_configurations(cell, session):
    """The cell that `from_config` makes computes the same from the same weights."""
    if isinstance(
        cell, rnn_cell.DropoutWrapper
    ):  # The parameter was made at import, so its constants are in another graph.
        cell = type(cell).from_config(cell.get_config())
    copy = type(cell).from_config(cell.get_config())
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 3]).astype(np.float32))
    results = []
    for scope, network in (("cell", cell), ("copy", copy)):
        with tf.variable_scope(scope):
            results.append(tf.nest.flatten(network(x, network.zero_state(2, tf.float32))))
    assert len(tf.global_variables()) == len(cell.weights) + len(copy.weights)
    session.run(tf.global_variables_initializer())
    session.run([tf.assign(a, b) for a, b in zip_longest(copy.weights, cell.weights)])
    first, second = session.run(results)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


def test_configurations_are_plain_data():
    cell = rnn_cell.MultiRNNCell([rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(3, initializer="GlorotUniform"), "/cpu:0")])
    config = json.loads(json.dumps(cell.get_config()))
    assert config["cells"][0]["class_name"] == "DeviceWrapper"
    inner = config["cells"][0]["config"]["cell"]["config"]
    assert inner["initializer"]["class_name"] == "GlorotUniform" and inner["num_units"] == 3
    assert rnn_cell.MultiRNNCell.from_config(config).get_config() == cell.get_config()
    with pytest.raises(ValueError, match="from_config: expected `class_name` to be one of .*LSTMCell.*, got 'Nobody'"):
        rnn_cell.MultiRNNCell.from_config({"cells": [{"class_name": "Nobody", "config": {}}]})


# Name in TensorFlow 1.15's Keras -> (mean, standard deviation) of a matrix [80, 160].
INITIALIZERS = {
    "random_uniform": (0, 0.1 / 12**0.5),
    "Uniform": (0, 0.1 / 12**0.5),
    "RandomNormal": (0, 0.05),
    "normal": (0, 0.05),
    "truncated_normal": (0, 0.05 * 0.88),
    "GlorotUniform": (0, (2 / 240.0) ** 0.5),
    "glorot_normal": (0, (2 / 240.0) ** 0.5),
    "he_normal": (0, (2 / 80.0) ** 0.5),
    "he_uniform": (0, (2 / 80.0) ** 0.5),
    "lecun_normal": (0, (1 / 80.0) ** 0.5),
    "orthogonal": (0, (1 / 160.0) ** 0.5),
    "Ones": (1, 0),
    "zeros": (0, 0),
}


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_initializers_are_those_of_keras(name, session):
    cell = rnn_cell.LSTMCell(40, initializer=name)
    cell.build([None, 40])
    session.run(tf.global_variables_initializer())
    kernel = session.run(cell.weights[0])
    mean, deviation = INITIALIZERS[name]
    assert kernel.mean() == pytest.approx(mean, abs=0.1 * deviation)
    assert kernel.std() == pytest.approx(deviation, rel=0.05)


def test_initializers_by_name(session):
    cell = rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=2, initializer="ones")
    cell.build([None, 3])
    session.run(tf.global_variables_initializer())
    arrays = session.run(cell.weights)
    assert [np.unique(array).tolist() for array in arrays] == [[1], [0], [1], [1], [1], [1]]
    with pytest.raises(ValueError, match="LSTMCell: expected `initializer` to be one of .*ones.*, got 'one'"):
        rnn_cell.LSTMCell(4, initializer="one")
