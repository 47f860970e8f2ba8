"""The training of ELMo: `static_rnn` in each direction, over clipped LSTMCells with projections, residuals and dropout.

The public program is bilm/training.py of https://github.com/allenai/bilm-tf, after Peters et al., Deep Contextualized
Word Representations, 2018 (https://arxiv.org/abs/1802.05365). The convolutions over characters are left out: tokens
have embeddings, as with the program's option for words. Evaluation fetches the outputs of the last layer, as users of a
trained model do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from programs.graph import ProgramGraph, clipped, random_ids, zeros
from stacked_lstm.compat import tf


class Config(NamedTuple):
    """The options of the published model, except for its vocabulary of 793 471 tokens.

    The time of a step does not depend on the size of the vocabulary: only the sampled tokens are updated.
    """

    batch_size: int = 128
    unroll_steps: int = 20
    n_layers: int = 2
    dim: int = 4096
    projection_dim: int = 512
    cell_clip: float = 3.0
    proj_clip: float = 3.0
    dropout: float = 0.1
    n_tokens_vocab: int = 50000
    n_negative_samples_batch: int = 8192  # 0: the loss is over the whole vocabulary.
    learning_rate: float = 0.2
    all_clip_norm_val: float = 10.0


def build(names: Any, config: Config, training: bool) -> ProgramGraph:
    """Adds the model; `programs` describes the arguments and the result."""
    rnn, keep_prob = names.rnn, 1.0 - config.dropout
    shape = [config.batch_size, config.unroll_steps]

    embedding_weights = tf.get_variable("embedding", [config.n_tokens_vocab, config.projection_dim])
    token_ids, next_token_ids, initial_states, final_states, loops, flat_outputs = [], [], [], [], [], []
    for lstm_num in range(2):  # The second network reads the sentences backwards.
        token_ids.append(tf.placeholder(tf.int32, shape))
        next_token_ids.append(tf.placeholder(tf.int32, shape))
        lstm_input = tf.nn.embedding_lookup(embedding_weights, token_ids[-1])
        lstm_cells = []
        for i in range(config.n_layers):
            lstm_cell = rnn.LSTMCell(
                config.dim, num_proj=config.projection_dim, cell_clip=config.cell_clip, proj_clip=config.proj_clip
            )
            if i > 0:
                lstm_cell = rnn.ResidualWrapper(lstm_cell)
            if training:
                lstm_cell = rnn.DropoutWrapper(lstm_cell, input_keep_prob=keep_prob)
            lstm_cells.append(lstm_cell)
        lstm_cell = rnn.MultiRNNCell(lstm_cells)
        with tf.control_dependencies([lstm_input]):
            initial_states.append(lstm_cell.zero_state(config.batch_size, tf.float32))
            with tf.variable_scope(f"RNN_{lstm_num}"):
                outputs, final_state = rnn.static_rnn(
                    lstm_cell, tf.unstack(lstm_input, axis=1), initial_state=initial_states[-1]
                )
        with tf.control_dependencies(tf.nest.flatten(final_state)):
            lstm_output_flat = tf.reshape(tf.stack(outputs, axis=1), [-1, config.projection_dim])
            if training:
                lstm_output_flat = tf.nn.dropout(lstm_output_flat, keep_prob=keep_prob)
        final_states.append(final_state)
        loops.append(outputs)
        flat_outputs.append(lstm_output_flat)
    total_loss = 0.5 * sum(_losses(config, flat_outputs, next_token_ids))

    fetches: dict[str, Any] = {"lstm_output_embeddings": loops, "final_state": final_states}
    if training:
        optimizer = tf.train.AdagradOptimizer(config.learning_rate, initial_accumulator_value=1.0)
        train_op = clipped(total_loss * config.unroll_steps, optimizer, config.all_clip_norm_val)
        fetches = {"total_loss": total_loss, "final_state": final_states, "train_op": train_op}
    tokens = random_ids(config.n_tokens_vocab, [config.batch_size, config.unroll_steps + 2])
    feeds = {token_ids[0]: tokens[:, 1:-1], next_token_ids[0]: tokens[:, 2:]}
    feeds.update({token_ids[1]: tokens[:, -2:0:-1], next_token_ids[1]: tokens[:, -3::-1]})
    return ProgramGraph(fetches, {**feeds, **zeros(initial_states)}, total_loss, loops)


def _losses(config: Config, outputs: list[tf.Tensor], next_token_ids: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the loss of each direction. The tokens that are not the next one are sampled."""
    with tf.variable_scope("softmax"):
        softmax_w = tf.get_variable("W", [config.n_tokens_vocab, config.projection_dim])
        softmax_b = tf.get_variable("b", [config.n_tokens_vocab], initializer=tf.zeros_initializer())
    losses = []
    for output, ids in zip(outputs, next_token_ids):
        if config.n_negative_samples_batch:
            loss = tf.nn.sampled_softmax_loss(
                softmax_w,
                softmax_b,
                tf.reshape(ids, [-1, 1]),
                output,
                config.n_negative_samples_batch,
                config.n_tokens_vocab,
            )
        else:
            logits = tf.matmul(output, softmax_w, transpose_b=True) + softmax_b
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=tf.reshape(ids, [-1]))
        losses.append(tf.reduce_mean(loss))
    return losses
