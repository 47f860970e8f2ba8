"""The compiled ops in a graph, and their gradients.

First derivatives are an op. Second ones are the graph engine's: the backward op computes J' u, J the Jacobian of the
layer and u the incoming gradient, and whoever differentiates that gets it built once more from TensorFlow's own ops.
"""

import collections

from stacked_lstm import activations, equations, weights
from stacked_lstm.compat import tf
from stacked_lstm.engines import graph
from stacked_lstm.engines.native import library
from stacked_lstm.state import LSTMState

_Inputs = collections.namedtuple("_Inputs", ["x", "c", "h", "lengths", "kernels", "biases", "rest"])
_Inputs.__doc__ = """The inputs of the forward or the backward op; lists but for the first three."""


def layer(of, x, state, sequence_length):
    """Adds a layer to the graph; see `native.run`."""
    ops, (kernels, biases) = library.load(), of.matrices()
    lengths = [] if sequence_length is None else [sequence_length]
    outputs, c, h, _ = ops.stacked_lstm_forward(
        x=x,
        c=state[0],
        h=state[1],
        lengths=lengths,
        kernels=kernels,
        biases=biases,
        packed=ops.stacked_lstm_pack(kernels=kernels),
        activation=of.activation.name,
        recurrent_activation=of.recurrent_activation.name,
    )
    return outputs, LSTMState(c, h)


def _inputs_of(op):
    """The `_Inputs` of an op."""
    inputs, lists = list(op.inputs), []
    first = 3
    for name in ("number_of_lengths", "number_of_kernels", "number_of_biases"):
        lists.append(inputs[first : first + op.get_attr(name)])
        first += op.get_attr(name)
    return _Inputs(*inputs[:3], *lists, rest=inputs[first:])


def _activations_of(op):
    return {name: op.get_attr(name).decode() for name in ("activation", "recurrent_activation")}


@tf.RegisterGradient("StackedLstmForward")
def _gradient(op, d_outputs, d_c_last, d_h_last, _):
    inputs = _inputs_of(op)._asdict()
    del inputs["rest"]
    d_x, d_c, d_h, d_kernels, d_biases = library.load().stacked_lstm_backward(
        outputs=op.outputs[0],
        cache=op.outputs[3],
        d_outputs=d_outputs,
        d_c_last=d_c_last,
        d_h_last=d_h_last,
        **inputs,
        **_activations_of(op),
    )
    return [d_x, d_c, d_h] + [None] * len(inputs["lengths"]) + d_kernels + d_biases + [None]


tf.NotDifferentiable("StackedLstmPack")  # Gradients of the weights are those of the layer, which has both.


@tf.RegisterGradient("StackedLstmBackward")
def _second_gradient(op, *directions):
    """With u the last three inputs: the gradient of <u, J v> for the directions v, and J v for those of u."""
    inputs = _inputs_of(op)
    primals = [inputs.x, inputs.c, inputs.h] + inputs.kernels + inputs.biases
    # The cache and the outputs are functions of the others: what depends on them is in those gradients. A scope of its
    # own, as in `recurrence`: TensorFlow tells gradients of TensorArrays apart by names.
    with tf.name_scope(None), tf.name_scope("stacked_lstm_second"):
        copies = [tf.identity(tensor) for tensor in primals + inputs.rest[2:]]
        (x, c, h), of_weights, upstream = copies[:3], copies[3:-3], copies[-3:]
        kernels, biases = of_weights[: len(inputs.kernels)], of_weights[len(inputs.kernels) :]
        lengths = inputs.lengths[0] if inputs.lengths else None
        outputs, final = graph.run(_explicit(kernels, biases, op), x, (c, h), lengths)
        first = tf.gradients([outputs, final.c, final.h], copies[:-3], upstream)
        second = tf.gradients(first, copies, list(directions))
    return second[:3] + [None] * len(inputs.lengths) + second[3:-3] + [None, None] + second[-3:]


def _explicit(kernels, biases, op):
    """`weights.LayerWeights` from what an op was given."""
    if len(kernels) == 1:
        hidden_size = kernels[0].shape.as_list()[1] // 4
        input_size = kernels[0].shape.as_list()[0] - hidden_size
        of_inputs, recurrent = tf.split(kernels[0], [input_size, hidden_size], axis=0)
        kernels = tf.split(tf.concat([recurrent, of_inputs], axis=0), 4, axis=1)
        biases = tf.split(biases[0], 4) if biases else []
    rows, hidden_size = kernels[0].shape.as_list()
    named = {name: None for name in weights.KERNEL_NAMES + weights.BIAS_NAMES}
    named.update(zip(["W" + gate for gate in equations.GATE_ORDER], kernels))
    named.update(zip(["b" + gate for gate in equations.GATE_ORDER], biases))
    functions = [activations.ACTIVATIONS[name] for name in _activations_of(op).values()]
    return weights.LayerWeights(rows - hidden_size, hidden_size, *functions, **named)
