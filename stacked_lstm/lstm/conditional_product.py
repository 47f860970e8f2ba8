"""A product that is left out if its factor is known to be 1 when the graph runs."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.custom_gradient import custom_gradient


def multiply_if(condition: tf.Tensor, value: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Returns value * factors if `condition` is true, and otherwise `value` itself, which is not copied.

    It must not be called inside functions and control flow. TensorFlow's gradient of a `tf.cond` fills tensors with
    zeros for the other branch. The gradient of this function does not. It is that of the product in both cases.

    Args:
      condition: bool scalar.
      value: tensor.
      factors: tensor of the same dtype whose shape broadcasts to that of `value`.
    """

    @custom_gradient
    def multiply(value: tf.Tensor, factors: tf.Tensor) -> Any:
        def gradient(d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return multiply(d, factors), _sum_to_shape(d * value, factors)

        # The ops of a tf.cond of control flow v1. Without its context, there are a quarter of them.
        with tf.name_scope("multiply_if"):
            same, switched = tf.raw_ops.Switch(data=value, pred=condition)
            product, _ = tf.raw_ops.Merge(inputs=[same, switched * factors])
        product.set_shape(value.shape)
        return product, gradient

    result: tf.Tensor = multiply(value, factors)
    return result


def _sum_to_shape(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Returns the sum of `value` over the axes on which `like` was broadcast to it."""
    _, axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(value), s1=tf.shape(like))
    return tf.reshape(tf.reduce_sum(value, axes), tf.shape(like))
