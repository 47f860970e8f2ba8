"""A program as users write it. A test runs it, and a type checker reads it, also where only the wheel is installed."""

from __future__ import annotations

import numpy as np
import tensorflow.compat.v1 as tf

import stacked_lstm
from stacked_lstm import LSTMState, checkpoints, layouts, numpy_lstm, rnn_cell

tf.disable_v2_behavior()


def network(x: tf.Tensor, lengths: tf.Tensor) -> tuple[stacked_lstm.StackedLSTM, tf.Tensor, tuple[LSTMState, ...]]:
    lstm = stacked_lstm.StackedLSTM([4, 3], initial_state="learned", dtype=tf.float32, name="typed")
    outputs, state = lstm(x, sequence_length=lengths)
    return lstm, outputs, state


x = tf.placeholder(tf.float32, [None, None, 2])
lstm, outputs, state = network(x, tf.constant([5, 2]))
cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(3), rnn_cell.LSTMCell(3, use_peepholes=True)])
others, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32)
batch: np.ndarray = np.ones([2, 5, 2], np.float32)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    last: np.ndarray = session.run(state[-1].h, {x: batch})
    layers = lstm.get_weights(session).layers
    checkpoints.write("typed.npz", layers[:1], "pytorch")
kernel = layouts.pack(layers[0], "keras")["kernel"]
numbers, _, _ = numpy_lstm.forward(layers, batch.transpose([1, 0, 2]))
print(last.shape, kernel.shape, numbers.shape, lstm.engine_used, rnn_cell.engine_used(others).name)
