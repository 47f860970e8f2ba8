"""Layer normalization, as `tf.contrib.layers.layer_norm` of TensorFlow 1.15 computes it.

Source: Ba, Kiros and Hinton, Layer Normalization, 2016, https://arxiv.org/abs/1607.06450.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import tf


class Norm(NamedTuple):
    """The variables of a normalization, [..., H] each.

    Fields:
      gamma: the gain.
      beta: the shift.
    """

    gamma: Any
    beta: Any

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        """Returns `value` [B, ..., H] with mean 0 and variance 1 along its last axis, times gamma, plus beta."""
        epsilon = 1e-3 if value.dtype == tf.float16 else 1e-12
        mean, variance = tf.nn.moments(value, [value.shape.ndims - 1], keepdims=True)
        return tf.nn.batch_normalization(value, mean, variance, self.beta, self.gamma, epsilon)


def add_norm(cell: Any, name: str, width: int, gain: float, shift: float) -> Norm:
    """Makes the variables `<name>/gamma` and `<name>/beta` of a cell, [width] each, with these initial values."""
    gamma = cell.add_variable(name + "/gamma", [width], initializer=tf.constant_initializer(gain))
    return Norm(gamma, cell.add_variable(name + "/beta", [width], initializer=tf.constant_initializer(shift)))


def stack(norms: Sequence[Norm]) -> Norm:
    """Returns one normalization for values [B, len(norms), H]. It takes fewer operations than one for each."""
    return Norm(*[tf.stack([tf.convert_to_tensor(part) for part in parts]) for parts in zip(*norms)])
