"""Finds the random numbers and masks that a graph draws, and feeds values for them."""

import numpy as np

from stacked_lstm.compat import tf

MASK_OP = "StackedLstmRandomMask"


def tensors():
    """The tensors in the default graph that ops draw: numbers of TensorFlow's op, and masks of the package's op."""
    ops = tf.get_default_graph().get_operations()
    return [op.outputs[0] for op in ops if op.type in ("RandomUniform", MASK_OP)]


def feed(session, drawn, noises):
    """Returns a feed that replaces the random numbers by `noises`. A mask is computed as its op describes."""
    values = {}
    for tensor, noise in zip(drawn, noises):
        if tensor.op.type == MASK_OP:
            threshold, value = session.run([tensor.op.inputs[1], tensor.op.inputs[2]])
            is_value = noise < threshold if tensor.op.get_attr("keep_below") else noise >= threshold
            rows_of_ones = np.ones([tensor.op.get_attr("ones"), *noise.shape[1:]])
            values[tensor] = np.concatenate([rows_of_ones, value * is_value])
        else:
            values[tensor] = noise
    return values
