"""A language model over characters: `rnn_decoder` over BasicLSTMCells.

The public program is https://github.com/sherjilozair/char-rnn-tensorflow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from programs.graph import ProgramGraph, clipped, random_ids, zeros
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The flags of train.py; the text of Shakespeare has 65 characters."""

    batch_size: int = 50
    seq_length: int = 50
    num_layers: int = 2
    rnn_size: int = 128
    vocab_size: int = 65
    input_keep_prob: float = 1.0
    output_keep_prob: float = 1.0
    learning_rate: float = 0.002
    grad_clip: float = 5.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn, rnn_size, vocab_size = names.rnn, config.rnn_size, config.vocab_size

    cells = []
    for _ in range(config.num_layers):
        cell = rnn.BasicLSTMCell(rnn_size)
        if training and (config.output_keep_prob < 1.0 or config.input_keep_prob < 1.0):
            cell = rnn.DropoutWrapper(
                cell, input_keep_prob=config.input_keep_prob, output_keep_prob=config.output_keep_prob
            )
        cells.append(cell)
    cell = rnn.MultiRNNCell(cells, state_is_tuple=True)

    input_data = tf.placeholder(tf.int32, [config.batch_size, config.seq_length])
    targets = tf.placeholder(tf.int32, [config.batch_size, config.seq_length])
    initial_state = cell.zero_state(config.batch_size, tf.float32)
    with tf.variable_scope("rnnlm"):
        softmax_w = tf.get_variable("softmax_w", [rnn_size, vocab_size])
        softmax_b = tf.get_variable("softmax_b", [vocab_size])
    embedding = tf.get_variable("embedding", [vocab_size, rnn_size])
    inputs = tf.nn.embedding_lookup(embedding, input_data)
    if training and config.output_keep_prob < 1.0:
        inputs = tf.nn.dropout(inputs, keep_prob=config.output_keep_prob)
    inputs = [tf.squeeze(step, [1]) for step in tf.split(inputs, config.seq_length, 1)]

    outputs, last_state = rnn.rnn_decoder(inputs, initial_state, cell, loop_function=None, scope="rnnlm")
    output = tf.reshape(tf.concat(outputs, 1), [-1, rnn_size])
    logits = tf.matmul(output, softmax_w) + softmax_b
    loss = names.legacy_seq2seq.sequence_loss_by_example(
        [logits], [tf.reshape(targets, [-1])], [tf.ones([config.batch_size * config.seq_length])]
    )
    cost = tf.reduce_sum(loss) / config.batch_size / config.seq_length

    fetches = {"cost": cost, "final_state": last_state}
    if training:
        learning_rate = tf.Variable(0.0, trainable=False)
        fetches["train_op"] = clipped(cost, tf.train.AdamOptimizer(learning_rate), config.grad_clip)
    characters = random_ids(vocab_size, [config.batch_size, config.seq_length + 1])
    feeds = {input_data: characters[:, :-1], targets: characters[:, 1:], **zeros(initial_state)}
    if training:
        feeds[learning_rate] = np.float32(config.learning_rate)
    return ProgramGraph(fetches, feeds, cost, [outputs])
