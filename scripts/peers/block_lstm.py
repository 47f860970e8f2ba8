"""TensorFlow's op BlockLSTMV2 for a layer over all time steps, which Sonnet uses on a CPU."""

from __future__ import annotations

from typing import Any

from benchmarking.steps import graphs
from benchmarking.subjects.shapes import Shape
from stacked_lstm.compat import tf


def step(*arguments: Any) -> Any:
    """A benchmark's step, with the arguments of `graphs.graph_step`."""
    return graphs.graph_step(outputs, *arguments)


def outputs(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
    """The outputs of the last layer, [T, B, H], for inputs [T, B, I]."""
    batch = tf.shape(inputs)[1]
    for k in range(shape.layers):
        width, hidden_size = inputs.shape.as_list()[2], shape.hidden_size
        zeros = tf.zeros([batch, hidden_size], inputs.dtype)
        no_peephole = tf.zeros([hidden_size], inputs.dtype)
        results = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
            x=inputs,
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.get_variable(f"w_{k}", [width + hidden_size, 4 * hidden_size], inputs.dtype),
            wci=no_peephole,
            wcf=no_peephole,
            wco=no_peephole,
            b=tf.get_variable(f"b_{k}", [4 * hidden_size], inputs.dtype),
            cell_clip=0.0,
            use_peephole=False,
        )
        inputs = results[-1]
        inputs.set_shape([None, None, hidden_size])
    return inputs
