"""The compiled ops of a layer with layer normalization. Derivatives are as in ops.py."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.native import library
from stacked_lstm.engines.native.ops import EXTRAS, SERIES, layer_extras, layer_series, series_options, split_like
from stacked_lstm.equations import Extras, LayerNorm
from stacked_lstm.layer import Layer
from stacked_lstm.normalization import DEFAULT_EPSILON, Norm
from stacked_lstm.state import LSTMState

_FUNCTIONS = ("activation", "recurrent_activation")
_NORMS = ("gate_gain", "gate_shift", "cell_gain", "cell_shift")
# The inputs that both ops share; the shared inputs that have gradients; the shared inputs that are lists.
_SHARED = ("x", "c", "h", "lengths", "kernels", *_NORMS, "epsilon", *EXTRAS, *SERIES, "resets")
_DIFFERENTIABLE = ("x", "c", "h", "kernels", *_NORMS, "peepholes", "projections", *SERIES)
_LISTS = ("lengths", "kernels", *EXTRAS, *SERIES, "resets")


def forward(
    layer: Layer, state: Any, x: tf.Tensor, lengths: tf.Tensor | None, from_end: bool
) -> tuple[tf.Tensor, LSTMState]:
    """Adds a layer with layer normalization to the graph as one op; see `Engine.run_layers`.

    from_end: whether it reads each sequence from its end.
    """
    assert layer.norm
    ops, norm = library.load(), layer.norm
    # Each variable is read once: two reads may see different values while another op writes it.
    kernels = [tf.convert_to_tensor(kernel) for kernel in layer.kernels]
    series, extras = layer_series(layer, *state), layer_extras(layer, x.dtype)
    epsilon = DEFAULT_EPSILON if norm.gates.epsilon is None else norm.gates.epsilon
    packed, padded = ops.stacked_lstm_pack(kernels=kernels, projections=extras["projections"])
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
        resets=[layer.resets.is_reset] if layer.resets else [],
        packed=packed,
        padded=[padded],
        is_carried=norm.is_carried,
        from_end=from_end,
        activation=layer.activation.name,
        recurrent_activation=layer.recurrent_activation.name,
        **extras,
        **{name: [series[name]] if name in series else [] for name in SERIES},
    )
    return outputs, LSTMState(c, h)


def _inputs(op: tf.Operation) -> tuple[dict[str, list[tf.Tensor]], list[tf.Tensor]]:
    """Returns the inputs that both ops share, as a dictionary of lists in the order of the op, and the other inputs."""
    tensors = iter(op.inputs)
    sizes = {name: op.get_attr("number_of_" + name) if name in _LISTS else 1 for name in _SHARED}
    inputs = {name: [next(tensors) for _ in range(size)] for name, size in sizes.items()}
    return inputs, list(tensors)


def _op_attributes(op: tf.Operation) -> dict[str, Any]:
    functions = {name: op.get_attr(name).decode() for name in _FUNCTIONS}
    return {**{name: op.get_attr(name) for name in ("is_carried", "from_end")}, **functions}


def _all_gradients(inputs: dict[str, list[tf.Tensor]], gradients: Sequence[list]) -> list:
    """Returns a gradient or None for each of `inputs`. `gradients` has a list for each name in `_DIFFERENTIABLE`."""
    by_name = dict(zip(_DIFFERENTIABLE, gradients))
    return [gradient for name, tensors in inputs.items() for gradient in by_name.get(name, [None] * len(tensors))]


@tf.RegisterGradient("StackedLstmNormalizedForward")
def _gradient(op: tf.Operation, d_outputs: tf.Tensor, *d_others: tf.Tensor) -> list:
    inputs, packed = _inputs(op)
    with tf.device(None), tf.device(op.outputs[0].device):  # That of the layer, not that of the call of tf.gradients.
        gradients = library.load().stacked_lstm_normalized_backward(
            outputs=op.outputs[0],
            cache=op.outputs[3],
            d_outputs=d_outputs,
            d_c_last=d_others[0],
            d_h_last=d_others[1],
            **{name: tensors if name in _LISTS else tensors[0] for name, tensors in inputs.items()},
            **_op_attributes(op),
        )
    return _all_gradients(inputs, [d if isinstance(d, list) else [d] for d in gradients]) + [None] * len(packed)


@tf.RegisterGradient("StackedLstmNormalizedBackward")
def _second_gradient(op: tf.Operation, *directions: tf.Tensor) -> list:
    inputs, others = _inputs(op)
    lists = [inputs[name] for name in _DIFFERENTIABLE]
    lengths = inputs["lengths"][0] if inputs["lengths"] else None

    def run(*copies: tf.Tensor) -> list[tf.Tensor]:
        substitutes = dict(inputs, **dict(zip(_DIFFERENTIABLE, split_like(lists, copies))))
        (x,), (c,), (h,) = (substitutes[name] for name in ("x", "c", "h"))
        return second_derivatives.results([_layer(op, substitutes)], x, [(c, h)], lengths, op.get_attr("from_end"))

    d_primals, d_upstream = second_derivatives.gradient(run, sum(lists, []), others[2:], directions)
    return _all_gradients(inputs, split_like(lists, d_primals)) + [None, None] + d_upstream  # outputs, cache


def _layer(op: tf.Operation, inputs: dict[str, list[tf.Tensor]]) -> Layer:
    """Returns the `Layer` of an op, with `inputs` instead of the inputs of the op."""
    kernels = inputs["kernels"]
    gate_gain, gate_shift, cell_gain, cell_shift, epsilon = (inputs[name][0] for name in (*_NORMS, "epsilon"))
    if not kernels[0].shape.is_fully_defined():  # The graph was imported without it.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'native' need weights of known shapes, which this imported "
            "graph has lost; build the graph anew, or import it with its shapes"
        )
    cell_clip, projection, projection_clip = (
        inputs[name][0] if inputs[name] else None for name in ("cell_clips", "projections", "projection_clips")
    )
    rows, columns = kernels[0].shape.as_list()
    hidden_size = columns if len(kernels) == 4 else columns // 4
    gates, cell = Norm(gate_gain, gate_shift, epsilon), Norm(cell_gain, cell_shift, epsilon)
    attributes = _op_attributes(op)
    output_size = hidden_size if projection is None else projection.shape.as_list()[1]
    return Layer(
        rows - output_size,
        hidden_size,
        kernels,
        activation=activations.ACTIVATIONS[attributes["activation"]],
        recurrent_activation=activations.ACTIVATIONS[attributes["recurrent_activation"]],
        extras=Extras(inputs["peepholes"] or None, cell_clip, projection, projection_clip),
        norm=LayerNorm(gates, cell, attributes["is_carried"]),
        **series_options([inputs[name] for name in (*SERIES, "resets")]),
    )
