"""Cells for the tests of the drop-in, random data, and values of tensors."""

import numpy as np

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf

LSTMS = [
    lambda **more: rnn_cell.BasicLSTMCell(4, **more),
    lambda **more: rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=0.3, proj_clip=0.2, **more),
]

# name -> function that makes a cell which the engines run.
LAYERS = {
    "basic": lambda: rnn_cell.BasicLSTMCell(4, forget_bias=0.3),
    "everything": lambda: rnn_cell.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=0.3, proj_clip=0.2),
    "stack": lambda: rnn_cell.MultiRNNCell(
        [rnn_cell.LSTMCell(4, num_proj=2), rnn_cell.BasicLSTMCell(5), rnn_cell.LSTMCell(3, True, 0.4)]
    ),
    "coupled": lambda: rnn_cell.CoupledInputForgetGateLSTMCell(4, True, num_proj=3, proj_clip=0.2, num_unit_shards=2),
    "plain stack": lambda: rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4), rnn_cell.BasicLSTMCell(5)]),
    "mixed stack": lambda: rnn_cell.MultiRNNCell(
        [rnn_cell.BasicLSTMCell(4, activation="relu"), rnn_cell.BasicLSTMCell(5), rnn_cell.LSTMCell(3)]
    ),
    "wide": lambda: rnn_cell.LSTMCell(
        300, True, num_proj=8
    ),  # Its loop runs one layer, and the input product is inside the loop.
}


class UserCell(rnn_cell.RNNCell):
    """Makes its variables in `call`."""

    state_size = output_size = property(lambda self: 3)

    def call(self, inputs, state):
        w = tf.get_variable("w", [inputs.shape.as_list()[1], 3], inputs.dtype)
        bound = tf.get_variable("bound", [], trainable=False)
        state = tf.tanh(tf.matmul(inputs, w) + state) * bound
        return state, state


class OldCell(rnn_cell.RNNCell):
    """Overrides `__call__` and does not call the `__init__` of its base class."""

    def __init__(self):
        self.calls = 0

    state_size = output_size = property(lambda self: 3)

    def __call__(self, inputs, state, scope=None):
        self.calls += 1
        with tf.variable_scope(scope or "old"):
            w = tf.get_variable("w", [inputs.shape.as_list()[1], 3], inputs.dtype)
            return tf.matmul(inputs, w), state


def random(shape, seed=0, dtype=np.float32):
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def values(session, tensors):
    session.run(tf.global_variables_initializer())
    return session.run(tensors)
