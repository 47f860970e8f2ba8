"""Cells as users write them: subclasses of the RNNCell of a module."""

import tensorflow.compat.v1 as tf


def cell_with_call(rnn, units):
    """A cell that makes its variable in `call`, in the scope that the base class opens."""

    class UserCell(rnn.RNNCell):
        def __init__(self, units):
            super().__init__()
            self._units = units

        @property
        def state_size(self):
            return self._units

        @property
        def output_size(self):
            return self._units

        def call(self, inputs, state):
            width = inputs.shape.as_list()[-1] + self._units
            kernel = tf.get_variable("kernel", [width, self._units], inputs.dtype)
            state = tf.tanh(tf.matmul(tf.concat([inputs, state], 1), kernel))
            return state, state

    return UserCell(units)


def cell_with_dunder_call(rnn, units):
    """A cell of 2016: it overrides `__call__`, opens its own scope, and does not call the base class's `__init__`."""

    class OldUserCell(rnn.RNNCell):
        def __init__(self, units):
            self._units = units

        @property
        def state_size(self):
            return self._units

        @property
        def output_size(self):
            return 2 * self._units

        def __call__(self, inputs, state, scope=None):
            with tf.variable_scope(scope or type(self).__name__):
                width = inputs.shape.as_list()[-1] + self._units
                weights = tf.get_variable("weights", [width, self._units], inputs.dtype)
                state = tf.tanh(tf.matmul(tf.concat([inputs, state], 1), weights))
            return tf.concat([state, tf.square(state)], 1), state

    return OldUserCell(units)
