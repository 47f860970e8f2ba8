"""Summaries for TensorBoard of what a stack computes in its time steps."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMSteps


def gates(
    steps: Sequence[LSTMSteps], sequence_length: Any = None, time_major: bool = False, name: str = "gates"
) -> tf.Tensor:
    """Makes a histogram and an image of each gate, of the candidate and of the states of each layer.

    A histogram has the values of all units, time steps and sequences. An image shows the first sequence: a row per
    unit, a column per time step. Gates are black at 0 and white at 1. g, c and h are black at their minimum and white
    at their maximum.

    Args:
      steps: what `StackedLSTM` returns with `return_steps=True`, an `LSTMSteps` per layer; or those of a
        direction of a `BidirectionalLSTM`.
      sequence_length: int vector [B], the argument of the stack. Histograms then leave out what comes after the end of
        a sequence, where all values are zero. Default None: all sequences have T time steps.
      time_major: bool, the argument of the stack. Default False.
      name: str, under which TensorBoard lists the summaries. Default "gates".

    Returns:
      A scalar string tensor for `tf.summary.FileWriter.add_summary`: the merged summaries, which `tf.summary.merge_all`
      has, too.

    Raises:
      ValueError: `steps` is not a sequence of `LSTMSteps`.

    Example:
      >>> from stacked_lstm import summaries
      >>> outputs, state, steps = stacked_lstm.StackedLSTM([4])(tf.zeros([2, 3, 1]), return_steps=True)
      >>> summary = summaries.gates(steps)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     values = tf.Summary.FromString(session.run(summary)).value
      >>> sorted({value.tag for value in values})[:3]
      ['gates/layer_1/c', 'gates/layer_1/c/image', 'gates/layer_1/f']
    """
    if not isinstance(steps, (list, tuple)) or not all(isinstance(layer, LSTMSteps) for layer in steps) or not steps:
        checks.fail("summaries.gates", "`steps` to be a sequence of LSTMSteps, one per layer", checks.describe(steps))
    parts = []
    with tf.name_scope("stacked_lstm_summaries"):
        for k, layer in enumerate(steps):
            for field, value in layer._asdict().items():
                value = tf.cast(tf.transpose(value, [1, 0, 2]) if time_major else value, tf.float32)
                entries = value
                if sequence_length is not None:
                    entries = tf.boolean_mask(value, tf.sequence_mask(sequence_length, tf.shape(value)[1]))
                # tf.summary would put the name scope into the tags, and number equal tags.
                tag = f"{name}/layer_{k + 1}/{field}"
                parts.append(tf.raw_ops.HistogramSummary(tag=tag, values=entries))
                parts.append(tf.raw_ops.ImageSummary(tag=tag, tensor=_image(value[:1], field), max_images=1))
        for part in parts:
            tf.add_to_collection(tf.GraphKeys.SUMMARIES, part)
        return tf.summary.merge(parts)


def _image(sequence: tf.Tensor, field: str) -> tf.Tensor:
    """Returns [1, H, T, 1] with values from 0 to 255 for a sequence [1, T, H]. Without steps, it has a black column."""
    if field not in "fio":
        low, high = tf.reduce_min(sequence), tf.reduce_max(sequence)
        sequence = tf.math.divide_no_nan(sequence - low, high - low)
    levels = tf.clip_by_value(sequence * 255, 0, 255)
    image = tf.cast(tf.round(tf.transpose(levels, [0, 2, 1])[..., None]), tf.uint8)
    columns = tf.maximum(1 - tf.shape(image)[2], 0)  # TensorFlow refuses an image without columns.
    return tf.pad(image, [[0, 0], [0, 0], [0, columns], [0, 0]])
