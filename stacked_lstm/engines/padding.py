"""Sequences that end before the last time step.

Nothing before the end of a sequence depends on what comes after it. Engines may therefore compute past the end and
clean up afterwards, with the functions here. They select values instead of multiplying by zero, so that even NaN in the
padding changes nothing.
"""

from __future__ import annotations

from stacked_lstm.compat import tf


def _mask(lengths: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Returns bool [T, B]: whether step t is within sequence b."""
    return tf.transpose(tf.sequence_mask(lengths, steps))


def lengths_or_all_steps(lengths: tf.Tensor | None, series: tf.Tensor) -> tf.Tensor:
    """Returns the lengths [B]; if they are None, T for all sequences of `series` [T, B, N]."""
    return tf.fill(tf.shape(series)[1:2], tf.shape(series)[0]) if lengths is None else lengths


def zero_past_end(series: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Returns `series` [T, B, N] with zeros past the end of each sequence; unchanged if `lengths` is None."""
    if lengths is None:
        return series
    shape = tf.shape(series)
    rows = tf.reshape(series, [shape[0] * shape[1], shape[2]])
    rows = tf.where(tf.reshape(_mask(lengths, shape[0]), [-1]), rows, tf.zeros_like(rows))
    result = tf.reshape(rows, shape)
    result.set_shape(series.shape)
    return result


def first_step(inputs: tf.Tensor, lengths: tf.Tensor | None, time_major: bool) -> tf.Tensor:
    """Returns the first step [B, N] of inputs [B, T, N], or [T, B, N] if `time_major`; zeros for empty sequences."""
    time_axis = 0 if time_major else 1
    if not inputs.shape.as_list()[time_axis]:  # There may be no step, so that all sequences are empty.
        inputs = tf.pad(inputs[:1] if time_major else inputs[:, :1], [[0, int(axis == time_axis)] for axis in range(3)])
    first = inputs[0] if time_major else inputs[:, 0]
    return first if lengths is None else tf.where(lengths > 0, first, tf.zeros_like(first))


def last_step(inputs: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Returns the last step [B, N] within each sequence of inputs [T, B, N]; zeros for empty sequences."""
    zeros = tf.zeros(tf.shape(inputs)[1:], inputs.dtype)

    def last() -> tf.Tensor:
        if lengths is None:
            return inputs[-1]
        return tf.where(lengths > 0, entry_at_end(inputs, tf.maximum(lengths - 1, 0)), zeros)

    # There may be no step, so that all sequences are empty.
    step = last() if inputs.shape.as_list()[0] else tf.cond(tf.shape(inputs)[0] > 0, last, lambda: zeros)
    step.set_shape(inputs.shape[1:])
    return step


def reverse(series: tf.Tensor, lengths: tf.Tensor | None, time_major: bool) -> tf.Tensor:
    """Returns `series` with each sequence reversed in time up to its end; up to T if `lengths` is None."""
    time_axis, batch_axis = (0, 1) if time_major else (1, 0)
    if lengths is None:
        return tf.reverse(series, axis=[time_axis])
    return tf.reverse_sequence(series, lengths, seq_axis=time_axis, batch_axis=batch_axis)


def entry_at_end(series: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns entry lengths[b] of each sequence b, [B, H], of `series` [T + 1, B, H]. Entry 0 is the initial state."""
    return tf.gather_nd(series, tf.stack([lengths, tf.range(tf.shape(series)[1])], axis=1))


def ones_at_end(series: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns `series` [T + 1, B, H] with ones in the entry that `entry_at_end` returns."""
    shape = tf.shape(series)
    is_end = tf.equal(tf.range(shape[0])[:, None], lengths[None])
    rows = tf.reshape(series, [-1, shape[2]])
    return tf.reshape(tf.where(tf.reshape(is_end, [-1]), tf.ones_like(rows), rows), shape)


def trim(series: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns `series` [T, B, N] without the steps after the longest sequence; at least one step stays."""
    return series[: tf.maximum(tf.reduce_max(lengths), 1)]


def untrim(series: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Undoes `trim`: adds zeros up to `steps` (int32 scalar) time steps."""
    return tf.pad(series, [[0, steps - tf.shape(series)[0]], [0, 0], [0, 0]])
