"""The vector in which cuDNN takes all weights of layers of one width.

The graph packs it from the variables, so that gradients reach them and every engine can restore any checkpoint:

    W_i W_f W_c W_o R_i R_f R_c R_o V  of the first layer, W [H, I] for inputs and R [H, P] for h, each row by row;
                                       V [P, H] is the projection, if there is one; otherwise P is H
    W_i ... R_o V                      of the second layer, and so on
    bW_i bW_f bW_c bW_o bR_i ... bR_o  of the first layer, [H] each, two biases per gate that add; and so on

cuDNN calls the layers of one direction pseudo-layers. If cuDNN reads in both directions, each layer has two of them:
pseudo-layer 2 l is the forward direction of layer l, and pseudo-layer 2 l + 1 its backward direction. Each one reads
the outputs of both directions of the layer below, side by side.

Sources: NVIDIA, cuDNN API Reference, cudnnGetRNNWeightParams and cudnnRNNMode_t,
https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html. That V follows R in the buffer is
what Apache MXNet relies on, python/mxnet/gluon/rnn/rnn_layer.py.
"""

from __future__ import annotations

from typing import Sequence

from stacked_lstm.activations import ACTIVATIONS
from stacked_lstm.compat import tf
from stacked_lstm.lstm.equations import GATE_ORDER, PLAIN
from stacked_lstm.lstm.layer import Layer, sort_by_gate

ACTIVATION, RECURRENT_ACTIVATION = "tanh", "sigmoid"  # cuDNN has no others.

_GATES = ("i", "f", "c", "o")  # The order in the buffer.


def pack(layers: Sequence[Layer]) -> tf.Tensor:
    """Returns cuDNN's buffer of the weights of (pseudo-)layers of one width, a vector."""
    matrices, biases = [], []
    for layer in layers:
        matrices += _matrices(layer)
        matrices += [] if layer.extras.projection is None else [tf.transpose(layer.extras.projection)]
        zeros = tf.zeros([4 * layer.hidden_size], layer.dtype)
        biases += [_bias(layer) if layer.biases else zeros, zeros]
    return tf.concat([tf.reshape(part, [-1]) for part in matrices + biases], axis=0)


def _matrices(layer: Layer) -> list[tf.Tensor]:
    """Returns W [4, H, I] and R [4, H, P]."""
    if len(layer.kernels) == 1:
        fused = layer.fused(_GATES)
        return [tf.transpose(fused.inputs), tf.transpose(fused.recurrent)]
    # Few ops, also in the gradient: on a GPU each one takes longer to start than to run.
    kernels = tf.transpose(tf.stack(sort_by_gate(layer.kernels, _GATES)), [0, 2, 1])
    return tf.split(kernels, [layer.output_size, layer.input_size], axis=2)[::-1]


def _bias(layer: Layer) -> tf.Tensor:
    """Returns the biases [4, H] or [4 H]."""
    return layer.fused(_GATES).bias if len(layer.biases) == 1 else tf.stack(sort_by_gate(layer.biases, _GATES))


def unpack(
    params: tf.Tensor,
    input_size: int,
    hidden_size: int,
    layer_count: int,
    projection_size: int = 0,
    direction_count: int = 1,
) -> list[Layer]:
    """Returns the `Layer`s whose weights are in a buffer. The two biases of a gate are added.

    `layer_count` is the number of pseudo-layers, and `direction_count` is 2 if cuDNN reads in both directions.
    """
    output_size = projection_size or hidden_size
    widths = [input_size] * direction_count + [direction_count * output_size] * (layer_count - direction_count)
    sizes = [4 * hidden_size * rows for width in widths for rows in (width, output_size, projection_size / 4)]
    matrices, biases = tf.split(params, [int(sum(sizes)), -1])
    parts = tf.split(matrices, [int(size) for size in sizes])
    biases = tf.reshape(biases, [layer_count, 2, 4, hidden_size])
    layers = []
    for k, width in enumerate(widths):
        inputs, recurrent = (
            tf.transpose(tf.reshape(part, [4, hidden_size, -1]), [0, 2, 1]) for part in parts[3 * k : 3 * k + 2]
        )
        kernels = tf.unstack(tf.concat([recurrent, inputs], axis=1))
        projection = tf.transpose(tf.reshape(parts[3 * k + 2], [projection_size, hidden_size]))
        layer_biases = tf.unstack(tf.add(*tf.unstack(biases[k])))
        layers.append(
            Layer(
                width,
                hidden_size,
                kernels=[kernels[_GATES.index(gate)] for gate in GATE_ORDER],
                biases=[layer_biases[_GATES.index(gate)] for gate in GATE_ORDER],
                activation=ACTIVATIONS[ACTIVATION],
                recurrent_activation=ACTIVATIONS[RECURRENT_ACTIVATION],
                extras=PLAIN._replace(projection=projection) if projection_size else PLAIN,
            )
        )
    return layers
