"""`sequence_loss` of `tf.contrib.seq2seq`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from stacked_lstm import missing_names
from stacked_lstm.compat import tf

__all__ = ["sequence_loss"]


def sequence_loss(
    logits: tf.Tensor,
    targets: tf.Tensor,
    weights: tf.Tensor,
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    sum_over_timesteps: bool = False,
    sum_over_batch: bool = False,
    softmax_loss_function: Callable[..., tf.Tensor] | None = None,
    name: str | None = None,
) -> tf.Tensor:
    """Returns the weighted cross-entropy of sequences, summed or averaged over time, over the batch, or over both.

    It replaces `tf.contrib.seq2seq.sequence_loss` of TensorFlow 1.15. B is the batch size, T the number of time
    steps, N the number of classes. Averages are the weighted sum divided by the sum of the weights. Sums are divided,
    too: by the number of weights that are not zero. Both are zero if all weights are zero. If one axis is to be
    averaged and the other one summed, the function averages only, as TensorFlow's does.

    Args:
      logits: float [B, T, N].
      targets: int32 or int64 [B, T], the classes.
      weights: float [B, T], for example 1 within a sequence and 0 past its end.
      average_across_timesteps: bool, default True: average over time.
      average_across_batch: bool, default True: average over the batch.
      sum_over_timesteps: bool, default False: sum over time, see above.
      sum_over_batch: bool, default False: sum over the batch, see above.
      softmax_loss_function: function with the keyword arguments `labels` [B * T] and `logits` [B * T, N] -> [B * T].
        Default None: `tf.nn.sparse_softmax_cross_entropy_with_logits`.
      name: str, the scope of the operations. Default None: "sequence_loss".

    Returns:
      A scalar; or [B] if only the time is reduced, [T] if only the batch is, and [B, T] if nothing is.

    Raises:
      ValueError: `logits` does not have three dimensions, or `targets` or `weights` does not have two; or an axis is
        to be both averaged and summed.

    Example:
      >>> from stacked_lstm.contrib import seq2seq
      >>> logits, targets = tf.zeros([2, 5, 4]), tf.zeros([2, 5], tf.int32)
      >>> loss = seq2seq.sequence_loss(logits, targets, tf.sequence_mask([5, 2], dtype=tf.float32))
      >>> with tf.Session() as session:
      ...     print(round(float(session.run(loss)), 4))  # the logarithm of 4
      1.3863
    """
    for value, rank, message in (
        (logits, 3, "Logits must be a [batch_size x sequence_length x logits] tensor"),
        (targets, 2, "Targets must be a [batch_size x sequence_length] tensor"),
        (weights, 2, "Weights must be a [batch_size x sequence_length] tensor"),
    ):
        if len(value.get_shape()) != rank:
            raise ValueError(message)
    for average, total, axis in (
        (average_across_timesteps, sum_over_timesteps, "timesteps"),
        (average_across_batch, sum_over_batch, "batch"),
    ):
        if average and total:
            raise ValueError(f"average_across_{axis} and sum_over_{axis} cannot be set to True at same time.")
    entropy = softmax_loss_function or tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.name_scope(name, "sequence_loss", [logits, targets, weights]):
        flat_logits = tf.reshape(logits, [-1, tf.shape(logits)[2]])
        losses = entropy(labels=tf.reshape(targets, [-1]), logits=flat_logits) * tf.reshape(weights, [-1])
        losses = tf.reshape(losses, tf.shape(logits)[:2])
        averaged = _axes(average_across_batch, average_across_timesteps)
        summed = _axes(sum_over_batch, sum_over_timesteps)
        if averaged:
            return tf.div_no_nan(tf.reduce_sum(losses, averaged), tf.reduce_sum(weights, averaged))
        if summed:
            count = tf.cast(tf.math.count_nonzero(weights, summed), losses.dtype)
            return tf.div_no_nan(tf.reduce_sum(losses, summed), count)
        return losses


def _axes(batch: bool, time: bool) -> list[int]:
    """Returns the axes of [B, T] that are to be reduced."""
    return [0] * batch + [1] * time


if not TYPE_CHECKING:  # A type checker would take every name for one of the module's.

    def __getattr__(name: str) -> Any:
        raise AttributeError(missing_names.decoder_message(__name__, name))
