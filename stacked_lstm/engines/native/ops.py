"""The compiled ops in a graph. Their first derivatives are an op; their second ones are those of the graph engine."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.native import library
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


class _Inputs(NamedTuple):
    """The inputs that the forward op and the backward op share: a tensor x, and lists of tensors."""

    x: tf.Tensor
    c: list[tf.Tensor]
    h: list[tf.Tensor]
    lengths: list[tf.Tensor]
    kernels: list[tf.Tensor]
    biases: list[tf.Tensor]


def forward(
    layers: Sequence[Layer], states: Sequence[Any], x: tf.Tensor, lengths: tf.Tensor | None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Adds layers that have the same `signature` to the graph as one op; see `Engine.run_layers`."""
    ops = library.load()
    # Each variable is read once: two reads may see different values while another op writes it.
    kernels = [[tf.convert_to_tensor(kernel) for kernel in layer.kernels] for layer in layers]
    outputs, c, h, _ = ops.stacked_lstm_forward(
        x=x,
        c=[c for c, _ in states],
        h=[h for _, h in states],
        lengths=[] if lengths is None else [lengths],
        kernels=sum(kernels, []),
        biases=[tf.convert_to_tensor(bias) for layer in layers for bias in layer.biases],
        packed=[ops.stacked_lstm_pack(kernels=layer_kernels) for layer_kernels in kernels],
        activation=layers[0].activation.name,
        recurrent_activation=layers[0].recurrent_activation.name,
    )
    return outputs, [LSTMState(*state) for state in zip(c, h)]


def signature(layer: Layer) -> tuple[str, str, int, int]:
    """What all layers of one op have in common."""
    return layer.activation.name, layer.recurrent_activation.name, len(layer.kernels), len(layer.biases)


def _split_by(op: tf.Operation, tensors: Sequence[tf.Tensor], attributes: Sequence[str]) -> list[list[tf.Tensor]]:
    """Splits a sequence into lists, whose sizes are these attributes of the op. The last list has what is left."""
    lists, first = [], 0
    for attribute in attributes:
        size = op.get_attr(attribute)
        lists.append(list(tensors[first : first + size]))
        first += size
    return lists + [list(tensors[first:])]


def _split_inputs(op: tf.Operation) -> tuple[_Inputs, list[tf.Tensor]]:
    """Returns the shared inputs of a forward op or a backward op, and its other inputs."""
    attributes = ("layers", "layers", "number_of_lengths", "number_of_kernels", "number_of_biases")
    c, h, lengths, kernels, biases, others = _split_by(op, op.inputs[1:], attributes)
    return _Inputs(op.inputs[0], c, h, lengths, kernels, biases), others


def _op_activations(op: tf.Operation) -> dict[str, str]:
    return {name: op.get_attr(name).decode() for name in ("activation", "recurrent_activation")}


@tf.RegisterGradient("StackedLstmForward")
def _gradient(op: tf.Operation, d_outputs: tf.Tensor, *d_others: tf.Tensor) -> list:
    inputs, _ = _split_inputs(op)
    layers = op.get_attr("layers")
    with tf.device(None), tf.device(
        op.outputs[0].device
    ):  # The device of the layers, not that of the call of tf.gradients.
        d_x, d_c, d_h, d_kernels, d_biases = library.load().stacked_lstm_backward(
            outputs=op.outputs[0],
            cache=op.outputs[-1],
            d_outputs=d_outputs,
            d_c_last=d_others[:layers],
            d_h_last=d_others[layers:-1],
            **inputs._asdict(),
            **_op_activations(op),
        )
    d_lengths, d_packed = [None] * len(inputs.lengths), [None] * layers
    return [d_x] + d_c + d_h + d_lengths + d_kernels + d_biases + d_packed


tf.NotDifferentiable("StackedLstmPack")  # The forward op takes the weights themselves, too, and has their gradients.


@tf.RegisterGradient("StackedLstmBackward")
def _second_gradient(op: tf.Operation, *directions: tf.Tensor) -> list:
    inputs, others = _split_inputs(op)
    upstream = others[2:]  # After outputs and cache.
    primals = [inputs.x] + inputs.c + inputs.h + inputs.kernels + inputs.biases
    lengths = inputs.lengths[0] if inputs.lengths else None

    def run(x: tf.Tensor, *copies: tf.Tensor) -> list[tf.Tensor]:
        c, h, kernels, biases = _split_by(op, copies, ("layers", "layers", "number_of_kernels"))
        return second_derivatives.results(_layers(kernels, biases, op), x, list(zip(c, h)), lengths)

    d_primals, d_upstream = second_derivatives.gradient(run, primals, upstream, directions)
    states = 1 + 2 * op.get_attr("layers")
    return d_primals[:states] + [None] * len(inputs.lengths) + d_primals[states:] + [None, None] + d_upstream


def _layers(kernels: Sequence[tf.Tensor], biases: Sequence[tf.Tensor], op: tf.Operation) -> list[Layer]:
    """The `Layer`s of an op, with other tensors in the places of its kernels and biases."""
    if not kernels[0].shape.is_fully_defined():  # The graph was imported without it.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'native' need weights of known shapes, which this imported "
            "graph has lost; build the graph anew, or import it with its shapes"
        )
    layer_count, functions = op.get_attr("layers"), _op_activations(op)
    layers = []
    for k in range(layer_count):
        layer_kernels, layer_biases = (
            tensors[k * len(tensors) // layer_count : (k + 1) * len(tensors) // layer_count]
            for tensors in (kernels, biases)
        )
        rows, columns = layer_kernels[0].shape.as_list()
        hidden_size = columns if len(layer_kernels) == 4 else columns // 4
        layers.append(
            Layer(
                rows - hidden_size,
                hidden_size,
                layer_kernels,
                layer_biases,
                activation=activations.ACTIVATIONS[functions["activation"]],
                recurrent_activation=activations.ACTIVATIONS[functions["recurrent_activation"]],
            )
        )
    return layers
