"""A language model over words of the Penn Treebank: `static_rnn` over BasicLSTMCell or LSTMBlockCell.

The public program is models/tutorials/rnn/ptb/ptb_word_lm.py of TensorFlow, after Zaremba, Sutskever and Vinyals,
Recurrent Neural Network Regularization, 2014 (https://arxiv.org/abs/1409.2329).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from programs.graph import ProgramGraph, clipped, random_ids, zeros
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The configuration "small"."""

    cell: str = "BasicLSTMCell"
    batch_size: int = 20
    num_steps: int = 20
    num_layers: int = 2
    hidden_size: int = 200
    vocab_size: int = 10000
    keep_prob: float = 1.0
    init_scale: float = 0.1
    learning_rate: float = 1.0
    max_grad_norm: float = 5.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn, dropout = names.rnn, training and config.keep_prob < 1
    size, vocab_size = config.hidden_size, config.vocab_size

    def make_cell() -> Any:
        cell = getattr(rnn, config.cell)(size, forget_bias=0.0)
        return rnn.DropoutWrapper(cell, output_keep_prob=config.keep_prob) if dropout else cell

    input_data = tf.placeholder(tf.int32, [config.batch_size, config.num_steps])
    targets = tf.placeholder(tf.int32, [config.batch_size, config.num_steps])
    initializer = tf.random_uniform_initializer(-config.init_scale, config.init_scale)
    with tf.variable_scope("Model", initializer=initializer):
        embedding = tf.get_variable("embedding", [vocab_size, size])
        inputs = tf.nn.embedding_lookup(embedding, input_data)
        if dropout:
            inputs = tf.nn.dropout(inputs, keep_prob=config.keep_prob)
        cell = rnn.MultiRNNCell([make_cell() for _ in range(config.num_layers)], state_is_tuple=True)
        initial_state = cell.zero_state(config.batch_size, tf.float32)
        inputs = tf.unstack(inputs, num=config.num_steps, axis=1)
        outputs, state = rnn.static_rnn(cell, inputs, initial_state=initial_state, scope="RNN")
        output = tf.reshape(tf.concat(outputs, 1), [-1, size])
        softmax_w = tf.get_variable("softmax_w", [size, vocab_size])
        softmax_b = tf.get_variable("softmax_b", [vocab_size])
        logits = tf.nn.xw_plus_b(output, softmax_w, softmax_b)
        logits = tf.reshape(logits, [config.batch_size, config.num_steps, vocab_size])
        ones = tf.ones([config.batch_size, config.num_steps])
        loss = names.seq2seq.sequence_loss(
            logits, targets, ones, average_across_timesteps=False, average_across_batch=True
        )
        cost = tf.reduce_sum(loss)

    fetches = {"cost": cost, "final_state": state}
    if training:
        optimizer = tf.train.GradientDescentOptimizer(config.learning_rate)
        fetches["train_op"] = clipped(cost, optimizer, config.max_grad_norm)
    words = random_ids(vocab_size, [config.batch_size, config.num_steps + 1])
    feeds = {input_data: words[:, :-1], targets: words[:, 1:], **zeros(initial_state)}
    return ProgramGraph(fetches, feeds, cost, [outputs])
