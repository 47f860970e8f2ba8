"""A tagger of named entities: two `bidirectional_dynamic_rnn`s, over characters and over words, and a CRF.

The public program is https://github.com/guillaumegenthial/sequence_tagging, after Lample et al., Neural Architectures
for Named Entity Recognition, 2016 (https://arxiv.org/abs/1603.01360).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from programs.graph import ProgramGraph, clipped, random_ids
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The configuration of the program. Sentences have up to 35 words, and words up to 12 characters."""

    batch_size: int = 20
    sentence_length: int = 35
    word_length: int = 12
    hidden_size_char: int = 100
    hidden_size_lstm: int = 300
    dim_char: int = 100
    dim_word: int = 300
    nwords: int = 20000
    nchars: int = 85
    ntags: int = 9
    dropout: float = 0.5
    lr: float = 0.001
    clip: float = 5.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn, float32 = names.rnn, tf.float32
    word_ids = tf.placeholder(tf.int32, [None, None], name="word_ids")
    sequence_lengths = tf.placeholder(tf.int32, [None], name="sequence_lengths")
    char_ids = tf.placeholder(tf.int32, [None, None, None], name="char_ids")
    word_lengths = tf.placeholder(tf.int32, [None, None], name="word_lengths")
    labels = tf.placeholder(tf.int32, [None, None], name="labels")
    dropout = tf.placeholder(tf.float32, [], name="dropout")

    with tf.variable_scope("words"):
        _word_embeddings = tf.get_variable("_word_embeddings", [config.nwords, config.dim_word])
        word_embeddings = tf.nn.embedding_lookup(_word_embeddings, word_ids)
    with tf.variable_scope("chars"):
        _char_embeddings = tf.get_variable("_char_embeddings", [config.nchars, config.dim_char])
        char_embeddings = tf.nn.embedding_lookup(_char_embeddings, char_ids)
        s = tf.shape(char_embeddings)
        char_embeddings = tf.reshape(char_embeddings, [s[0] * s[1], s[-2], config.dim_char])
        cell_fw = rnn.LSTMCell(config.hidden_size_char, state_is_tuple=True)
        cell_bw = rnn.LSTMCell(config.hidden_size_char, state_is_tuple=True)
        char_outputs, ((_, output_fw), (_, output_bw)) = rnn.bidirectional_dynamic_rnn(
            cell_fw,
            cell_bw,
            char_embeddings,
            sequence_length=tf.reshape(word_lengths, [s[0] * s[1]]),
            dtype=float32,
        )
        output = tf.reshape(tf.concat([output_fw, output_bw], axis=-1), [s[0], s[1], 2 * config.hidden_size_char])
        word_embeddings = tf.concat([word_embeddings, output], axis=-1)
    word_embeddings = tf.nn.dropout(word_embeddings, keep_prob=dropout)

    with tf.variable_scope("bi-lstm"):
        cell_fw = rnn.LSTMCell(config.hidden_size_lstm)
        cell_bw = rnn.LSTMCell(config.hidden_size_lstm)
        outputs, _ = rnn.bidirectional_dynamic_rnn(
            cell_fw, cell_bw, word_embeddings, sequence_length=sequence_lengths, dtype=float32
        )
        output = tf.nn.dropout(tf.concat(outputs, axis=-1), keep_prob=dropout)
    with tf.variable_scope("proj"):
        w = tf.get_variable("W", [2 * config.hidden_size_lstm, config.ntags])
        b = tf.get_variable("b", [config.ntags], initializer=tf.zeros_initializer())
        nsteps = tf.shape(output)[1]
        pred = tf.matmul(tf.reshape(output, [-1, 2 * config.hidden_size_lstm]), w) + b
        logits = tf.reshape(pred, [-1, nsteps, config.ntags])
    log_likelihood, trans_params = names.crf.crf_log_likelihood(logits, labels, sequence_lengths)
    loss = tf.reduce_mean(-log_likelihood)

    # Viterbi's algorithm runs outside the graph.
    fetches = {"logits": logits, "trans_params": trans_params}
    if training:
        fetches = {"loss": loss, "train_op": clipped(loss, tf.train.AdamOptimizer(config.lr), config.clip)}
    feeds = dict(zip((word_ids, sequence_lengths, char_ids, word_lengths), _sentences(config)))
    feeds[dropout] = np.float32(config.dropout if training else 1.0)
    if training:
        feeds[labels] = random_ids(config.ntags, [config.batch_size, config.sentence_length], seed=1)
    return ProgramGraph(fetches, feeds, loss, [char_outputs, outputs])


def _sentences(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns (words [B, T], their number [B], characters [B, T, C], their number [B, T]), padded with zeros."""
    words = [config.batch_size, config.sentence_length]
    lengths = 1 + random_ids(config.sentence_length, words[:1])
    lengths[0] = config.sentence_length
    word_lengths = 1 + random_ids(config.word_length, words)
    word_lengths *= np.arange(config.sentence_length) < lengths[:, None]
    characters = random_ids(config.nchars, [*words, config.word_length])
    characters *= np.arange(config.word_length) < word_lengths[..., None]
    return random_ids(config.nwords, words) * (word_lengths > 0), lengths, characters, word_lengths
