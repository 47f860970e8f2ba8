"""The weights of cuDNN's LSTM: one vector for all layers and directions, and the kernels and biases in it.

Each direction of a layer is a pseudo-layer. Their order is: layer 0 forward, layer 0 backward, layer 1 forward, and so
on. The vector has the matrices of all pseudo-layers, then their biases:

    W_i W_f W_c W_o R_i R_f R_c R_o            W [H, I] for inputs and R [H, H] for h, each row by row
    bW_i bW_f bW_c bW_o bR_i bR_f bR_c bR_o    [H] each; the two biases of a gate add

Kernels and biases are those of `CudnnCompatibleLSTMCell`: [I + H, 4H] and [4H], with columns in the order i, c, f, o.

Source: NVIDIA, cuDNN API Reference, cudnnGetRNNWeightParams,
https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/cudnn-adv-library.html; TensorFlow 1.15,
https://github.com/tensorflow/tensorflow/blob/v1.15.5/tensorflow/contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

from stacked_lstm.compat import tf

GATES = 4


class Shapes(NamedTuple):
    """The shapes of a network.

    Fields:
      input_size: I, the width of the inputs of layer 0.
      num_units: H.
      num_layers: number of layers.
      num_dirs: 1, or 2 if each layer has two directions.
    """

    input_size: int
    num_units: int
    num_layers: int
    num_dirs: int

    @property
    def input_sizes(self) -> list[int]:
        """The width of the inputs of each pseudo-layer."""
        widths = [self.input_size] + [self.num_dirs * self.num_units] * (self.num_layers - 1)
        return [width for width in widths for _ in range(self.num_dirs)]

    @property
    def weights(self) -> list[tuple[int, int]]:
        """The shapes of all matrices in the order of the vector."""
        rows = self.num_units
        return [(rows, width) for size in self.input_sizes for width in [size] * GATES + [rows] * GATES]

    @property
    def biases(self) -> list[list[int]]:
        """The shapes of all biases in the order of the vector."""
        return [[self.num_units]] * (2 * GATES * len(self.input_sizes))

    @property
    def size(self) -> int:
        """The length of the vector."""
        return sum(rows * columns for rows, columns in self.weights) + self.num_units * len(self.biases)


def unpack(params: tf.Tensor, shapes: Shapes) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Returns the kernel and the bias of each pseudo-layer in a vector, as two lists."""
    units, widths = shapes.num_units, shapes.input_sizes
    sizes = [GATES * units * columns for width in widths for columns in (width, units)]
    parts = tf.split(params, sizes + [2 * GATES * units] * len(widths))
    kernels = []
    for W, R in zip(parts[: len(sizes) : 2], parts[1 : len(sizes) : 2]):
        W, R = (tf.reshape(matrices, [GATES * units, -1]) for matrices in (W, R))
        kernels.append(tf.transpose(_swap_f_and_c(tf.concat([W, R], axis=1))))
    biases = [_swap_f_and_c(tf.add(*tf.split(pair, 2))) for pair in parts[len(sizes) :]]
    return kernels, biases


def pack(kernels: Sequence[tf.Tensor], biases: Sequence[tf.Tensor], shapes: Shapes) -> tf.Tensor:
    """Returns kernels and biases as a vector, the inverse of `unpack`. Each of two biases is half of their sum."""
    parts: list[tf.Tensor] = []
    for kernel, width in zip(kernels, shapes.input_sizes):
        parts += tf.split(_swap_f_and_c(tf.transpose(kernel)), [width, shapes.num_units], axis=1)
    for bias in biases:
        parts += [0.5 * _swap_f_and_c(bias)] * 2
    return tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)


def _swap_f_and_c(gates: tf.Tensor) -> tf.Tensor:
    """Turns the order i, f, c, o on the first axis into i, c, f, o, and back."""
    first, second, third, last = tf.split(gates, GATES)
    return tf.concat([first, third, second, last], axis=0)
