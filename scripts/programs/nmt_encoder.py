"""The encoder of a translation model: a bidirectional layer, then layers of one direction, with devices and dropout.

The public program is https://github.com/tensorflow/nmt, with the encoder of GNMT (gnmt_model.py, model_helper.py). The
decoder with attention is left out: the loss is the mean square of the outputs and of the final states.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from programs.graph import ProgramGraph, clipped, random_ids
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The hyperparameters of iwslt15.json, with four layers. Sentences of a bucket have 20 to 29 words."""

    batch_size: int = 128
    shortest: int = 20
    longest: int = 29
    num_layers: int = 4
    num_residual_layers: int = 2
    num_units: int = 512
    src_vocab_size: int = 17191
    dropout: float = 0.2
    forget_bias: float = 1.0
    num_gpus: int = 1
    learning_rate: float = 1.0
    max_gradient_norm: float = 5.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn = names.rnn

    def single_cell(residual: bool, device: str) -> Any:
        cell = rnn.BasicLSTMCell(config.num_units, forget_bias=config.forget_bias)
        if training and config.dropout > 0.0:
            cell = rnn.DropoutWrapper(cell=cell, input_keep_prob=1.0 - config.dropout)
        if residual:
            cell = rnn.ResidualWrapper(cell)
        return rnn.DeviceWrapper(cell, device)

    def rnn_cell(num_layers: int, num_residual_layers: int, base_gpu: int = 0) -> Any:
        cells = [
            single_cell(i >= num_layers - num_residual_layers, f"/gpu:{(i + base_gpu) % config.num_gpus}")
            for i in range(num_layers)
        ]
        return cells[0] if len(cells) == 1 else rnn.MultiRNNCell(cells)

    source = tf.placeholder(tf.int32, [None, None])
    source_sequence_length = tf.placeholder(tf.int32, [None])
    with tf.variable_scope("encoder", initializer=tf.random_uniform_initializer(-0.1, 0.1)):
        embedding = tf.get_variable("embedding_encoder", [config.src_vocab_size, config.num_units])
        inputs = tf.nn.embedding_lookup(embedding, tf.transpose(source))
        bi_outputs, bi_state = rnn.bidirectional_dynamic_rnn(
            rnn_cell(1, 0),
            rnn_cell(1, 0, base_gpu=1),
            inputs,
            dtype=tf.float32,
            sequence_length=source_sequence_length,
            time_major=True,
            swap_memory=True,
        )
        outputs, state = rnn.dynamic_rnn(
            rnn_cell(config.num_layers - 1, config.num_residual_layers, base_gpu=1),
            tf.concat(bi_outputs, -1),
            dtype=tf.float32,
            sequence_length=source_sequence_length,
            time_major=True,
            swap_memory=True,
        )
    encoder_state = (bi_state[1],) + tuple(state)
    loss = tf.reduce_mean(tf.square(outputs))
    loss += sum(tf.reduce_mean(tf.square(part)) for part in tf.nest.flatten(encoder_state))

    fetches: dict[str, Any] = {"outputs": outputs, "state": encoder_state}
    if training:
        optimizer = tf.train.GradientDescentOptimizer(config.learning_rate)
        fetches = {"loss": loss, "train_op": clipped(loss, optimizer, config.max_gradient_norm)}
    lengths = config.shortest + random_ids(config.longest - config.shortest + 1, [config.batch_size])
    lengths[0] = config.longest
    words = random_ids(config.src_vocab_size, [config.batch_size, config.longest])
    words *= np.arange(config.longest) < lengths[:, None]
    return ProgramGraph(fetches, {source: words, source_sequence_length: lengths}, loss, [bi_outputs, outputs])
