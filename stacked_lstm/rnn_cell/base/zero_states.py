"""Zeros for the states of cells, and the checks of `get_initial_state` with TensorFlow's messages."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf


def zeros(batch_size: Any, size: Any, dtype: Any) -> tf.Tensor:
    """Returns zeros [batch_size] + size, with the static shape as far as it is known."""
    static = tf.get_static_value(batch_size) if tf.is_tensor(batch_size) else batch_size
    static = None if static is None else int(static)
    size = tf.TensorShape(size).as_list()
    batch = tf.reshape(tf.cast(batch_size, tf.int32), [1]) if static is None else [static]
    zeros = tf.zeros(tf.concat([batch, size], axis=0), dtype)
    zeros.set_shape([static] + size)
    return zeros


def batch_size_of(inputs: tf.Tensor, batch_size: Any) -> Any:
    """Returns the batch size of `inputs`; raises ValueError if it is not known to be `batch_size`."""
    static = inputs.shape.as_list()[0]
    if batch_size is not None:
        expected = tf.get_static_value(batch_size) if tf.is_tensor(batch_size) else batch_size
        if static != expected:
            raise ValueError(
                "batch size from input tensor is different from the input param. "
                f"Input tensor batch: {static}, batch_size: {batch_size}"
            )
    return tf.shape(inputs)[0] if static is None else static


def dtype_of(inputs: tf.Tensor, dtype: Any) -> tf.DType:
    """Returns the dtype of `inputs`; raises ValueError if `dtype` is another one."""
    if dtype is not None and inputs.dtype != dtype:
        raise ValueError(
            "dtype from input tensor is different from the input param. "
            f"Input tensor dtype: {inputs.dtype}, dtype: {dtype}"
        )
    return inputs.dtype
