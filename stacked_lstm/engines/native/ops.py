"""The compiled ops in a graph. Their first derivatives are an op; their second ones are those of the graph engine."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from stacked_lstm import activations
from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.native import library
from stacked_lstm.lstm.equations import Extras, LayerNorm, Noise, Resets
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import DEFAULT_EPSILON, Norm
from stacked_lstm.state import LSTMState


class _Inputs(NamedTuple):
    """The inputs that the forward op and the backward op share: a tensor x, and lists of tensors."""

    x: tf.Tensor
    c: list[tf.Tensor]
    h: list[tf.Tensor]
    lengths: list[tf.Tensor]
    kernels: list[tf.Tensor]
    biases: list[tf.Tensor]
    peepholes: list[tf.Tensor]
    projections: list[tf.Tensor]
    norms: list[tf.Tensor]
    cell_clips: list[tf.Tensor]
    projection_clips: list[tf.Tensor]
    epsilons: list[tf.Tensor]
    h_masks: list[tf.Tensor]
    zoneout_c: list[tf.Tensor]
    zoneout_h: list[tf.Tensor]
    candidate_masks: list[tf.Tensor]
    c_masks: list[tf.Tensor]
    start_c: list[tf.Tensor]
    start_h: list[tf.Tensor]
    resets: list[tf.Tensor]


# The lists of a layer's `Extras` and of its norms.
EXTRAS = _Inputs._fields[_Inputs._fields.index("peepholes") : _Inputs._fields.index("h_masks")]
# The series of a layer, [T, B, N] or [B, N] for all steps; kernels/lstm.h says what they do.
SERIES = _Inputs._fields[_Inputs._fields.index("h_masks") : -1]
# The attributes with the sizes of the lists in `_Inputs`.
_SIZES = ("layers", "layers") + tuple(f"number_of_{name}" for name in _Inputs._fields[3:])


def forward(
    layers: Sequence[Layer], states: Sequence[Any], x: tf.Tensor, lengths: tf.Tensor | None, from_end: int = 0
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Adds layers that have the same `signature` to the graph as one op; see `Engine.run_layers`.

    The last `from_end` layers are a stack of their own, as in `both_directions`.
    """
    ops = library.load()
    # Each variable is read once: two reads may see different values while another op writes it.
    kernels = [[tf.convert_to_tensor(kernel) for kernel in layer.kernels] for layer in layers]
    extras = [layer_extras(layer, x.dtype) for layer in layers]
    series = [layer_series(layer, *state) for layer, state in zip(layers, states)]
    packed = [
        ops.stacked_lstm_pack(kernels=kernel, projections=extra["projections"])
        for kernel, extra in zip(kernels, extras)
    ]
    outputs, c, h, _ = ops.stacked_lstm_forward(
        x=x,
        c=[c for c, _ in states],
        h=[h for _, h in states],
        lengths=[] if lengths is None else [lengths],
        kernels=sum(kernels, []),
        biases=[tf.convert_to_tensor(bias) for layer in layers for bias in layer.biases],
        resets=[layer.resets.is_reset for layer in layers if layer.resets],
        packed=[full for full, _ in packed],
        padded=[padded for _, padded in packed],
        from_end=from_end,
        residual=[layer.residual for layer in layers] if any(layer.residual for layer in layers) else [],
        activation=layers[0].activation.name,
        recurrent_activation=layers[0].recurrent_activation.name,
        is_carried=layers[0].norm is not None and layers[0].norm.is_carried,
        **{name: sum([tensors[name] for tensors in extras], []) for name in EXTRAS},
        **{name: [tensors[name] for tensors in series if name in tensors] for name in SERIES},
    )
    return outputs, [LSTMState(*state) for state in zip(c, h)]


def layer_extras(layer: Layer, dtype: tf.DType) -> dict[str, list]:
    """Returns the inputs of an op for the `Extras` and the norms of a layer, by the names in `EXTRAS`."""
    peepholes, cell_clip, projection, projection_clip = layer.extras
    norm, epsilon = layer.norm, None
    if norm:
        epsilon = DEFAULT_EPSILON if norm.gates.epsilon is None else norm.gates.epsilon
    return {
        "peepholes": list(peepholes or []),
        "projections": [] if projection is None else [projection],
        "norms": [norm.gates.gamma, norm.gates.beta, norm.cell.gamma, norm.cell.beta] if norm else [],
        "cell_clips": [] if cell_clip is None else [tf.constant(cell_clip, dtype)],
        "projection_clips": [] if projection_clip is None else [tf.constant(projection_clip, dtype)],
        "epsilons": [] if epsilon is None else [tf.constant(epsilon, dtype)],
    }


def layer_series(layer: Layer, c: tf.Tensor, h: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the series that a layer has, by the names in `SERIES`. c and h are its states before the first step."""
    noise = layer.noise
    series = {
        "h_masks": noise.recurrent,
        "zoneout_c": _share(noise.zoneout_c, c),
        "zoneout_h": _share(noise.zoneout_h, h),
        "candidate_masks": noise.candidate,
        "c_masks": noise.cell,
        "start_c": layer.resets and layer.resets.start.c,
        "start_h": layer.resets and layer.resets.start.h,
    }
    return {name: tensor for name, tensor in series.items() if tensor is not None}


def series_options(tensors: Sequence[Sequence[tf.Tensor]]) -> dict[str, Any]:
    """Returns the fields of a `Layer` with series and resets. `tensors` has a list of one tensor or none for each."""
    h_mask, zoneout_c, zoneout_h, candidate_mask, c_mask, start_c, start_h, is_reset = (
        tensor[0] if tensor else None for tensor in tensors
    )
    return {
        "resets": None if is_reset is None else Resets(is_reset, LSTMState(start_c, start_h)),
        "noise": Noise(h_mask, c_mask, candidate_mask, zoneout_c, zoneout_h),
    }


def _share(share: Any, state: tf.Tensor) -> tf.Tensor | None:
    """A share of zoneout as a series: a number becomes [B, N], as a state is."""
    if share is None or (tf.is_tensor(share) and share.shape.ndims != 0):
        return share
    number = share if tf.is_tensor(share) else np.array(share, state.dtype.as_numpy_dtype)
    series = tf.fill(tf.shape(state), number)
    series.set_shape(state.shape)
    return series


def signature(layer: Layer) -> tuple:
    """What all layers of one op have in common."""
    functions = layer.activation.name, layer.recurrent_activation.name
    extras = [extra is not None for extra in layer.extras]
    noise = [part is not None for part in layer.noise]
    is_carried = None if layer.norm is None else layer.norm.is_carried
    shape = len(layer.kernels), len(layer.biases), is_carried, layer.resets is not None
    return (*functions, *shape, *extras, *noise)


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
    *lists, others = _split_by(op, op.inputs[1:], _SIZES)
    return _Inputs(op.inputs[0], *lists), others


def _op_activations(op: tf.Operation) -> dict[str, str]:
    return {name: op.get_attr(name).decode() for name in ("activation", "recurrent_activation")}


@tf.RegisterGradient("StackedLstmForward")
def _gradient(op: tf.Operation, d_outputs: tf.Tensor, *d_others: tf.Tensor) -> list:
    inputs, packed = _split_inputs(op)
    layers = op.get_attr("layers")
    device = op.outputs[0].device  # That of the layers, not that of the call of tf.gradients.
    with tf.device(None), tf.device(device):
        d_x, d_c, d_h, *d_lists = library.load().stacked_lstm_backward(
            outputs=op.outputs[0],
            cache=op.outputs[-1],
            d_outputs=d_outputs,
            d_c_last=d_others[:layers],
            d_h_last=d_others[layers:-1],
            **inputs._asdict(),
            **_op_activations(op),
            **{name: op.get_attr(name) for name in ("from_end", "residual", "is_carried")},
        )
    d_scalars = [None] * len(inputs.cell_clips + inputs.projection_clips + inputs.epsilons)
    d_weights: list = sum(d_lists[: -len(SERIES)], [])
    d_series: list = sum(d_lists[-len(SERIES) :], [])
    d_lengths, d_rest = [None] * len(inputs.lengths), [None] * (len(inputs.resets) + len(packed))
    return [d_x, *d_c, *d_h, *d_lengths, *d_weights, *d_scalars, *d_series, *d_rest]


tf.NotDifferentiable("StackedLstmPack")  # The forward op takes the weights themselves, too, and has their gradients.


@tf.RegisterGradient("StackedLstmBackward")
def _second_gradient(op: tf.Operation, *directions: tf.Tensor) -> list:
    inputs, others = _split_inputs(op)
    upstream = others[2:]  # After outputs and cache.
    # Of the lists that have gradients.
    names = "c", "h", "kernels", "biases", "peepholes", "projections", "norms", *SERIES
    lists = [getattr(inputs, name) for name in names]
    lengths = inputs.lengths[0] if inputs.lengths else None

    def run(x: tf.Tensor, *copies: tf.Tensor) -> list[tf.Tensor]:
        substitutes = inputs._replace(**dict(zip(names, split_like(lists, copies))))
        layers, states = _layers(substitutes, op), list(zip(substitutes.c, substitutes.h))
        return second_derivatives.results(layers, x, states, lengths, op.get_attr("from_end"))

    primals = [inputs.x] + sum(lists, [])
    d_primals, d_upstream = second_derivatives.gradient(run, primals, upstream, directions)
    d_lists = dict(zip(names, split_like(lists, d_primals[1:])))
    # Lengths, clips, epsilons, resets, outputs and cache have none.
    d_inputs = [d_lists.get(name, [None] * len(getattr(inputs, name))) for name in _Inputs._fields[1:]]
    return d_primals[:1] + sum(d_inputs, []) + [None, None] + d_upstream


def split_like(lists: Sequence[Sequence[Any]], flat: Sequence[Any]) -> list[list[Any]]:
    """Splits a sequence into lists of the same lengths as `lists`."""
    remaining = iter(flat)
    return [[next(remaining) for _ in one] for one in lists]


def _layers(inputs: _Inputs, op: tf.Operation) -> list[Layer]:
    """The `Layer`s of an op, with these inputs in the places of its own."""
    if not inputs.kernels[0].shape.is_fully_defined():  # The graph was imported without it.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'native' need weights of known shapes, which this imported "
            "graph has lost; build the graph anew, or import it with its shapes"
        )
    layer_count, functions = op.get_attr("layers"), _op_activations(op)
    residual = op.get_attr("residual") or [False] * layer_count
    layers = []
    for k in range(layer_count):
        kernels, biases, peepholes, projection, norms, cell_clip, projection_clip, epsilon, *series_and_resets = (
            tensors[k * len(tensors) // layer_count : (k + 1) * len(tensors) // layer_count] for tensors in inputs[4:]
        )
        rows, columns = kernels[0].shape.as_list()
        hidden_size = columns if len(kernels) == 4 else columns // 4
        extras = Extras(
            peepholes or None, *(tensor[0] if tensor else None for tensor in (cell_clip, projection, projection_clip))
        )
        norm = None
        if norms:
            gates, cell = Norm(*norms[:2], *epsilon), Norm(*norms[2:], *epsilon)
            norm = LayerNorm(gates, cell, op.get_attr("is_carried"))
        output_size = projection[0].shape.as_list()[1] if projection else hidden_size
        layers.append(
            Layer(
                rows - output_size,
                hidden_size,
                kernels,
                biases,
                activation=activations.ACTIVATIONS[functions["activation"]],
                recurrent_activation=activations.ACTIVATIONS[functions["recurrent_activation"]],
                extras=extras,
                norm=norm,
                residual=residual[k],
                **series_options(series_and_resets),
            )
        )
    return layers
