"""A linear map with variables of its own, as cells of `tf.contrib.rnn` have it."""

from __future__ import annotations

from typing import Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf


def linear(function: str, inputs: Sequence[tf.Tensor], size: int) -> tf.Tensor:
    """Returns [inputs side by side] kernel + bias, [B, size].

    The variables `kernel` and `bias` are in the current scope; the bias starts from zero and is never partitioned.

    Args:
      function: the caller's name, for the error message.
      inputs: list of tensors [B, N_k], N_k known.
      size: int.

    Raises:
      ValueError: another shape.
    """
    shapes = [tensor.shape for tensor in inputs]
    if any(shape.ndims != 2 or shape.as_list()[1] is None for shape in shapes):
        checks.fail(function, "tensors of rank 2 with known widths", f"shapes {shapes}")
    rows, dtype = sum(shape.as_list()[1] for shape in shapes), inputs[0].dtype
    kernel = tf.get_variable("kernel", [rows, size], dtype)
    with tf.variable_scope(tf.get_variable_scope()) as scope:
        scope.set_partitioner(None)
        bias = tf.get_variable("bias", [size], dtype, initializer=tf.zeros_initializer())
    product = tf.matmul(inputs[0] if len(inputs) == 1 else tf.concat(inputs, axis=1), kernel)
    return tf.nn.bias_add(product, bias)
