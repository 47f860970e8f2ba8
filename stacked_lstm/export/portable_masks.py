"""The native ops that draw random masks, built again with TensorFlow's own ops, which draw the same bits."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.lstm import dropout_masks

_OPS = ("StackedLstmRandomMask", "StackedLstmStatelessRandomMask")


def nodes(definition: Any) -> list[Any]:
    """Returns the nodes of a GraphDef whose native ops draw masks."""
    return [node for node in definition.node if node.op in _OPS]


def build(node: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Adds TensorFlow's ops for a node to the default graph. Returns placeholders for its inputs, and the mask."""
    dtype = tf.as_dtype(node.attr["T"].type)
    dtypes = [tf.int32, dtype, dtype] + [tf.int64] * (node.op == _OPS[1])
    inputs = [tf.placeholder(dtype, name="input") for dtype in dtypes]
    shape, threshold, value = inputs[:3]
    if len(inputs) == 4:
        draws = tf.random.stateless_uniform(shape, inputs[3], dtype=dtype)
    else:
        seeds = {name: node.attr[name].i for name in ("seed", "seed2")}
        draws = tf.raw_ops.RandomUniform(shape=shape, dtype=dtype, **seeds)
    is_value = draws < threshold if node.attr["keep_below"].b else draws >= threshold
    return inputs, dropout_masks.after_ones(tf.cast(is_value, dtype) * value, node.attr["ones"].i)
