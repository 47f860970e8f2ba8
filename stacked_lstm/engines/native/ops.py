"""The compiled ops in a graph, and their gradients: first derivatives are an op, second ones the graph engine's."""

import collections

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.native import library
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState

_Inputs = collections.namedtuple("_Inputs", ["x", "c", "h", "lengths", "kernels", "biases", "rest"])
_Inputs.__doc__ = """The inputs of the forward or the backward op; x is a tensor, all others are lists of tensors."""


def stack(layers, states, x, lengths):
    """Adds layers that have the same `signature` to the graph; see `Engine.run_layers`."""
    ops = library.load()
    # Read once: two reads of a variable may see different values while others write it.
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


def signature(layer):
    """What is the same for all layers of an op."""
    return layer.activation.name, layer.recurrent_activation.name, len(layer.kernels), len(layer.biases)


def _inputs_of(op):
    """The `_Inputs` of an op."""
    inputs, lists, first = list(op.inputs), [], 1
    for name in ("layers", "layers", "number_of_lengths", "number_of_kernels", "number_of_biases"):
        lists.append(inputs[first : first + op.get_attr(name)])
        first += op.get_attr(name)
    return _Inputs(inputs[0], *lists, rest=inputs[first:])


def _activations_of(op):
    return {name: op.get_attr(name).decode() for name in ("activation", "recurrent_activation")}


@tf.RegisterGradient("StackedLstmForward")
def _gradient(op, d_outputs, *others):
    inputs, layers = _inputs_of(op)._asdict(), op.get_attr("layers")
    del inputs["rest"]
    with tf.device(None), tf.device(op.device):  # Where the layers are, not where the gradients were asked for.
        d_x, d_c, d_h, d_kernels, d_biases = library.load().stacked_lstm_backward(
            outputs=op.outputs[0],
            cache=op.outputs[-1],
            d_outputs=d_outputs,
            d_c_last=others[:layers],
            d_h_last=others[layers:-1],
            **inputs,
            **_activations_of(op),
        )
    none = [None] * len(inputs["lengths"])
    return [d_x] + d_c + d_h + none + d_kernels + d_biases + [None] * layers


tf.NotDifferentiable("StackedLstmPack")  # Gradients of the weights are those of the layer, which has both.


@tf.RegisterGradient("StackedLstmBackward")
def _second_gradient(op, *directions):
    inputs = _inputs_of(op)
    primals = [inputs.x] + inputs.c + inputs.h + inputs.kernels + inputs.biases
    lengths = inputs.lengths[0] if inputs.lengths else None

    def run(*copies):
        x, c, h, kernels, biases = _cut(copies, op)
        return second_derivatives.results(_layers(kernels, biases, op), x, list(zip(c, h)), lengths)

    d_primals, d_upstream = second_derivatives.gradient(run, primals, inputs.rest[2:], directions)
    states = 1 + 2 * op.get_attr("layers")
    return d_primals[:states] + [None] * len(inputs.lengths) + d_primals[states:] + [None, None] + d_upstream


def _cut(copies, op):
    """Cuts a sequence into x and lists of c, h, kernels, biases."""
    cut, first = [copies[0]], 1
    for name in ("layers", "layers", "number_of_kernels", "number_of_biases"):
        cut.append(list(copies[first : first + op.get_attr(name)]))
        first += op.get_attr(name)
    return cut


def _layers(kernels, biases, op):
    """The `Layer`s of an op, of other tensors in the places of its kernels and biases."""
    if not kernels[0].shape.is_fully_defined():  # In a graph that was imported without it.
        message = "StackedLstmBackward: expected `kernels` of known shape for second derivatives, got %s"
        raise ValueError(message % kernels[0].shape)
    number = op.get_attr("layers")
    functions = {role: activations.ACTIVATIONS[name] for role, name in _activations_of(op).items()}
    layers = []
    for k in range(number):
        layer_kernels, layer_biases = (
            part[k * len(part) // number : (k + 1) * len(part) // number] for part in (kernels, biases)
        )
        rows, columns = layer_kernels[0].shape.as_list()
        hidden_size = columns if len(layer_kernels) == 4 else columns // 4
        layers.append(Layer(rows - hidden_size, hidden_size, layer_kernels, layer_biases, **functions))
    return layers
