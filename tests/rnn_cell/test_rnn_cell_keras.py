"""Cells as objects: in Keras' layer RNN, which is refused, and under copy.deepcopy."""

import copy

import pytest
import tensorflow

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf

CELLS = {
    "LSTM": lambda m: m.LSTMCell(4),
    "GRU": lambda m: m.GRUCell(4),
    "stack": lambda m: m.MultiRNNCell([m.BasicLSTMCell(4), m.LSTMCell(4)]),
    "wrapper": lambda m: m.DropoutWrapper(m.LSTMCell(4), 0.5),
    "fed rate": lambda m: m.DropoutWrapper(m.LSTMCell(4), tf.placeholder_with_default(0.5, [])),
}


@pytest.mark.parametrize("name", sorted(CELLS))
def test_refused_in_the_layer_rnn_of_keras(name):
    """The layer would run with variables that nobody initializes and trains."""
    layer = tensorflow.keras.layers.RNN(CELLS[name](rnn_cell))
    with pytest.raises(TypeError, match="Keras' layer RNN does not find the variables .* call rnn_cell.dynamic_rnn"):
        layer(tf.placeholder(tf.float32, [2, 3, 4]))


def copies(m, name, resource):
    """Copies a cell before and after it is built; returns the names of variables, and the class of the error."""
    with tf.Graph().as_default(), tf.variable_scope("model", use_resource=resource):
        cell = CELLS[name](m)
        for scope, instance in (("first", cell), ("second", copy.deepcopy(cell))):
            tf.nn.dynamic_rnn(instance, tf.zeros([2, 3, 4]), dtype=tf.float32, scope=scope)
        error = None
        try:
            copy.deepcopy(cell)
        except Exception as raised:
            error = type(raised)
        return [variable.name for variable in tf.global_variables()], error


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("name", sorted(CELLS))
def test_copied_as_in_tensorflow(name, resource):
    """A copy of a new cell makes variables of its own. A cell that was built cannot be copied."""
    names, error = copies(rnn_cell, name, resource)
    assert (names, error) == copies(parity.rnn_cell()[0], name, resource)
    assert error is not None and len(set(names)) == len(names) and any("second/" in variable for variable in names)
