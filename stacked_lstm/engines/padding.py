"""Sequences that end before the last time step.

Nothing before a sequence's end depends on what comes after it, so engines may run on past the end and tidy up
afterwards, with the helpers here. Selecting (instead of multiplying by zero) keeps even NaN in the padding out.
"""

from stacked_lstm.compat import tf


def _mask(lengths, steps):
    """[T, B] bool: is step t within sequence b?"""
    return tf.transpose(tf.sequence_mask(lengths, steps))


def zero_past_end(series, lengths):
    """`series` [T, B, N] with zeros past each end; unchanged where `lengths` is None."""
    if lengths is None:
        return series
    shape = tf.shape(series)
    rows = tf.reshape(series, [shape[0] * shape[1], shape[2]])
    rows = tf.where(tf.reshape(_mask(lengths, shape[0]), [-1]), rows, tf.zeros_like(rows))
    kept = tf.reshape(rows, shape)
    kept.set_shape(series.shape)
    return kept


def first_step(inputs, lengths, time_major):
    """The first step of inputs [T, B, N], or [B, T, N] unless they are time-major: [B, N]; of empty sequences zeros."""
    first = inputs[0] if time_major else inputs[:, 0]
    return first if lengths is None else tf.where(lengths > 0, first, tf.zeros_like(first))


def reverse(series, lengths, time_major):
    """`series` backward in time, each sequence up to its own end; all of T where `lengths` is None."""
    time_axis, batch_axis = (0, 1) if time_major else (1, 0)
    if lengths is None:
        return tf.reverse(series, axis=[time_axis])
    return tf.reverse_sequence(series, lengths, seq_axis=time_axis, batch_axis=batch_axis)


def at_end(series, lengths):
    """The entry of `series` [T + 1, B, H], which begins with the initial state, at each sequence's end: [B, H]."""
    return tf.gather_nd(series, tf.stack([lengths, tf.range(tf.shape(series)[1])], axis=1))


def trim(series, lengths):
    """Cuts `series` [T, B, N] behind the longest sequence, but leaves one step."""
    return series[: tf.maximum(tf.reduce_max(lengths), 1)]


def untrim(series, steps):
    """Undoes `trim`: zeros up to `steps` (int32 scalar) time steps."""
    return tf.pad(series, [[0, steps - tf.shape(series)[0]], [0, 0], [0, 0]])
