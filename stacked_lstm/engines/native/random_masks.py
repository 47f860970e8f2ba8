"""The compiled ops that draw random masks. They draw the same bits as TensorFlow's ops."""

from __future__ import annotations

from stacked_lstm.compat import tf
from stacked_lstm.engines.native import library
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.dropout_masks import Mask, TensorSeed


def draw(mask: Mask) -> tf.Tensor:
    """Adds the op that draws a mask to the graph."""
    ops, arguments = library.load(), {"ones": mask.ones, "keep_below": mask.keep_below}
    if isinstance(mask.seed, TensorSeed):
        seeds = dropout_masks.seed_pair(mask.seed)
        return ops.stacked_lstm_stateless_random_mask(mask.shape, mask.threshold, mask.value, seeds, **arguments)
    seed, seed2 = tf.get_seed(mask.seed)  # tf.random_uniform also uses the seed of the graph.
    arguments.update(seed=seed or 0, seed2=seed2 or 0)
    return ops.stacked_lstm_random_mask(mask.shape, mask.threshold, mask.value, **arguments)


@tf.RegisterGradient("StackedLstmRandomMask")
@tf.RegisterGradient("StackedLstmStatelessRandomMask")
def _gradient(op: tf.Operation, d_mask: tf.Tensor) -> list:
    """Computes the gradient with respect to the value. Other inputs have no gradient."""
    ones, threshold = op.get_attr("ones"), op.inputs[1]
    all_are_value = threshold >= 1 if op.get_attr("keep_below") else threshold <= 0  # Even if the value is 0.
    is_value = tf.logical_or(tf.not_equal(op.outputs[0], 0), all_are_value)
    products = tf.cast(is_value, d_mask.dtype) * d_mask
    d_value = tf.reduce_sum(products[ones:] if ones else products)
    return [None, None, d_value] + [None] * (len(op.inputs) - 3)
