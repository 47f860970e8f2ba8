"""The compiled ops of a layer with layer normalization. Derivatives are as in ops.py."""

from __future__ import annotations

from typing import Any

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.native import library
from stacked_lstm.equations import LayerNorm
from stacked_lstm.layer import Layer
from stacked_lstm.normalization import DEFAULT_EPSILON, Norm
from stacked_lstm.state import LSTMState

_FUNCTIONS = ("activation", "recurrent_activation")


def forward(layer: Layer, state: Any, x: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, LSTMState]:
    """Adds a layer with layer normalization to the graph as one op; see `Engine.run_layers`."""
    assert layer.norm
    ops, norm = library.load(), layer.norm
    # Each variable is read once: two reads may see different values while another op writes it.
    kernels = [tf.convert_to_tensor(kernel) for kernel in layer.kernels]
    epsilon = DEFAULT_EPSILON if norm.gates.epsilon is None else norm.gates.epsilon
    outputs, c, h, _ = ops.stacked_lstm_normalized_forward(
        x=x,
        c=state[0],
        h=state[1],
        lengths=[] if lengths is None else [lengths],
        kernels=kernels,
        gate_gain=norm.gates.gamma,
        gate_shift=norm.gates.beta,
        cell_gain=norm.cell.gamma,
        cell_shift=norm.cell.beta,
        epsilon=tf.constant(epsilon, x.dtype),
        packed=ops.stacked_lstm_pack(kernels=kernels, projections=[]),
        is_carried=norm.is_carried,
        activation=layer.activation.name,
        recurrent_activation=layer.recurrent_activation.name,
    )
    return outputs, LSTMState(c, h)


def _inputs(op: tf.Operation) -> tuple[dict[str, Any], list[tf.Tensor]]:
    """The inputs that both ops share, as a dictionary from their names, and the other inputs."""
    tensors, inputs = list(op.inputs), {}
    for name in ("x", "c", "h"):
        inputs[name] = tensors.pop(0)
    for name in ("lengths", "kernels"):
        inputs[name] = [tensors.pop(0) for _ in range(op.get_attr("number_of_" + name))]
    for name in ("gate_gain", "gate_shift", "cell_gain", "cell_shift", "epsilon"):
        inputs[name] = tensors.pop(0)
    return inputs, tensors


def _op_attributes(op: tf.Operation) -> dict[str, Any]:
    functions = {name: op.get_attr(name).decode() for name in _FUNCTIONS}
    return {"is_carried": op.get_attr("is_carried"), **functions}


@tf.RegisterGradient("StackedLstmNormalizedForward")
def _gradient(op: tf.Operation, d_outputs: tf.Tensor, *d_others: tf.Tensor) -> list:
    inputs, _ = _inputs(op)
    with tf.device(None), tf.device(op.outputs[0].device):  # That of the layer, not that of the call of tf.gradients.
        d_x, d_c, d_h, d_kernels, *d_norms = library.load().stacked_lstm_normalized_backward(
            outputs=op.outputs[0],
            cache=op.outputs[3],
            d_outputs=d_outputs,
            d_c_last=d_others[0],
            d_h_last=d_others[1],
            **inputs,
            **_op_attributes(op),
        )
    return [d_x, d_c, d_h] + [None] * len(inputs["lengths"]) + d_kernels + d_norms + [None, None]  # epsilon, packed


@tf.RegisterGradient("StackedLstmNormalizedBackward")
def _second_gradient(op: tf.Operation, *directions: tf.Tensor) -> list:
    inputs, others = _inputs(op)
    norms = [inputs[name] for name in ("gate_gain", "gate_shift", "cell_gain", "cell_shift")]
    primals = [inputs["x"], inputs["c"], inputs["h"], *inputs["kernels"], *norms]
    lengths = inputs["lengths"][0] if inputs["lengths"] else None

    def run(x: tf.Tensor, c: tf.Tensor, h: tf.Tensor, *weights: tf.Tensor) -> list[tf.Tensor]:
        layer = _layer(op, list(weights[:-4]), list(weights[-4:]), inputs["epsilon"])
        return second_derivatives.results([layer], x, [(c, h)], lengths)

    d_primals, d_upstream = second_derivatives.gradient(run, primals, others[2:], directions)
    # epsilon, outputs and cache have none.
    return d_primals[:3] + [None] * len(inputs["lengths"]) + d_primals[3:] + [None] * 3 + d_upstream


def _layer(op: tf.Operation, kernels: list[tf.Tensor], norms: list[tf.Tensor], epsilon: tf.Tensor) -> Layer:
    """The `Layer` of an op, with these weights in the places of its own."""
    if not kernels[0].shape.is_fully_defined():  # The graph was imported without it.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'native' need weights of known shapes, which this imported "
            "graph has lost; build the graph anew, or import it with its shapes"
        )
    rows, columns = kernels[0].shape.as_list()
    hidden_size = columns if len(kernels) == 4 else columns // 4
    gates, cell = Norm(norms[0], norms[1], epsilon), Norm(norms[2], norms[3], epsilon)
    attributes = _op_attributes(op)
    return Layer(
        rows - hidden_size,
        hidden_size,
        kernels,
        activation=activations.ACTIVATIONS[attributes["activation"]],
        recurrent_activation=activations.ACTIVATIONS[attributes["recurrent_activation"]],
        norm=LayerNorm(gates, cell, attributes["is_carried"]),
    )
