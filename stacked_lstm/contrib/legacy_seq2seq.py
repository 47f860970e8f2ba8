"""Losses and `rnn_decoder` of `tf.contrib.legacy_seq2seq`, for lists with a tensor for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from stacked_lstm import missing_names
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.loops.decoder import rnn_decoder

__all__ = ["rnn_decoder", "sequence_loss", "sequence_loss_by_example"]


def sequence_loss_by_example(
    logits: list[tf.Tensor],
    targets: list[tf.Tensor],
    weights: list[tf.Tensor],
    average_across_timesteps: bool = True,
    softmax_loss_function: Callable[..., tf.Tensor] | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Returns the weighted cross-entropy of each sequence, summed or averaged over time.

    It replaces `tf.contrib.legacy_seq2seq.sequence_loss_by_example` of TensorFlow 1.15. B is the batch size, N the
    number of classes. Programs that put all steps into one tensor give lists of one entry, with B times T rows.

    Args:
      logits: list of float tensors [B, N], one per step.
      targets: list of int32 or int64 tensors [B], the classes.
      weights: list of float tensors [B].
      average_across_timesteps: bool, default True: divide by the sum of the weights of the sequence.
      softmax_loss_function: function with the keyword arguments `labels` [B] and `logits` [B, N] -> [B]. Default None:
        `tf.nn.sparse_softmax_cross_entropy_with_logits`.
      name: str, the scope of the operations. Default None: "sequence_loss_by_example".

    Returns:
      float [B].

    Raises:
      ValueError: the lists do not have the same length.

    Example:
      >>> from stacked_lstm.contrib import legacy_seq2seq
      >>> logits, targets, weights = [tf.zeros([2, 4])] * 3, [tf.constant([1, 3])] * 3, [tf.ones([2])] * 3
      >>> losses = legacy_seq2seq.sequence_loss_by_example(logits, targets, weights)
      >>> with tf.Session() as session:
      ...     print(session.run(losses).round(4))  # the logarithm of 4
      [1.3863 1.3863]
    """
    if len(targets) != len(logits) or len(weights) != len(logits):
        raise ValueError(
            f"Lengths of logits, weights, and targets must be the same {len(logits)}, {len(weights)}, {len(targets)}."
        )

    def entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        labels = tf.reshape(labels, [-1])  # A scalar is a batch of one sequence.
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)

    loss = softmax_loss_function or entropy
    with tf.name_scope(name, "sequence_loss_by_example", logits + targets + weights):
        steps = zip(targets, logits, weights)
        total = tf.add_n([loss(labels=target, logits=logit) * weight for target, logit, weight in steps])
        # The small number keeps sequences without any weight from dividing zero by zero.
        return total / (tf.add_n(weights) + 1e-12) if average_across_timesteps else total


def sequence_loss(
    logits: list[tf.Tensor],
    targets: list[tf.Tensor],
    weights: list[tf.Tensor],
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    softmax_loss_function: Callable[..., tf.Tensor] | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Returns the sum of `sequence_loss_by_example` over the batch, or its average.

    It replaces `tf.contrib.legacy_seq2seq.sequence_loss` of TensorFlow 1.15. B is the batch size, N the number of
    classes.

    Args:
      logits: list of float tensors [B, N], one per step.
      targets: list of int32 or int64 tensors [B], the classes.
      weights: list of float tensors [B].
      average_across_timesteps: bool, default True: divide the loss of a sequence by the sum of its weights.
      average_across_batch: bool, default True: divide by B.
      softmax_loss_function: see `sequence_loss_by_example`. Default None.
      name: str, the scope of the operations. Default None: "sequence_loss".

    Returns:
      A scalar.

    Raises:
      ValueError: the lists do not have the same length.

    Example:
      >>> from stacked_lstm.contrib import legacy_seq2seq
      >>> logits, targets, weights = [tf.zeros([2, 4])] * 3, [tf.constant([1, 3])] * 3, [tf.ones([2])] * 3
      >>> loss = legacy_seq2seq.sequence_loss(logits, targets, weights, average_across_timesteps=False)
      >>> with tf.Session() as session:
      ...     print(round(float(session.run(loss)), 4))  # three times the logarithm of 4
      4.1589
    """
    with tf.name_scope(name, "sequence_loss", logits + targets + weights):
        losses = sequence_loss_by_example(
            logits,
            targets,
            weights,
            average_across_timesteps=average_across_timesteps,
            softmax_loss_function=softmax_loss_function,
        )
        total = tf.reduce_sum(losses)
        return total / tf.cast(tf.shape(targets[0])[0], total.dtype) if average_across_batch else total


if not TYPE_CHECKING:  # A type checker would take every name for one of the module's.

    def __getattr__(name: str) -> Any:
        raise AttributeError(missing_names.decoder_message(__name__, name))
