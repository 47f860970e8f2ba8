"""A language model over characters: `dynamic_rnn`, with dropout whose keep probability is a placeholder.

The public program is intro-to-rnns (Anna KaRNNa) of https://github.com/udacity/deep-learning.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from programs.graph import ProgramGraph, clipped, random_ids, zeros
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The values of the notebook; the text has 83 characters."""

    batch_size: int = 100
    num_steps: int = 100
    num_layers: int = 2
    lstm_size: int = 512
    num_classes: int = 83
    keep_prob: float = 0.5
    learning_rate: float = 0.001
    grad_clip: float = 5.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn = names.rnn

    def build_cell(lstm_size: int, keep_prob: tf.Tensor) -> Any:
        lstm = rnn.BasicLSTMCell(lstm_size)
        return rnn.DropoutWrapper(lstm, output_keep_prob=keep_prob)

    inputs = tf.placeholder(tf.int32, [config.batch_size, config.num_steps], name="inputs")
    targets = tf.placeholder(tf.int32, [config.batch_size, config.num_steps], name="targets")
    keep_prob = tf.placeholder(tf.float32, name="keep_prob")
    cell = rnn.MultiRNNCell([build_cell(config.lstm_size, keep_prob) for _ in range(config.num_layers)])
    initial_state = cell.zero_state(config.batch_size, tf.float32)
    x_one_hot = tf.one_hot(inputs, config.num_classes)
    outputs, state = rnn.dynamic_rnn(cell, x_one_hot, initial_state=initial_state)

    x = tf.reshape(outputs, [-1, config.lstm_size])
    with tf.variable_scope("softmax"):
        softmax_w = tf.Variable(tf.truncated_normal([config.lstm_size, config.num_classes], stddev=0.1))
        softmax_b = tf.Variable(tf.zeros([config.num_classes]))
    logits = tf.matmul(x, softmax_w) + softmax_b
    y_reshaped = tf.reshape(tf.one_hot(targets, config.num_classes), logits.get_shape())
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=logits, labels=y_reshaped))

    fetches = {"loss": loss, "final_state": state}
    if training:
        fetches["train_op"] = clipped(loss, tf.train.AdamOptimizer(config.learning_rate), config.grad_clip)
    characters = random_ids(config.num_classes, [config.batch_size, config.num_steps + 1])
    feeds = {inputs: characters[:, :-1], targets: characters[:, 1:], **zeros(initial_state)}
    feeds[keep_prob] = np.float32(config.keep_prob if training else 1.0)
    return ProgramGraph(fetches, feeds, loss, [outputs])
