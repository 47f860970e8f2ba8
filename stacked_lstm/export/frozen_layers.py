"""`FrozenCall`: the LSTM layers of a graph, with the values of their weights."""

from __future__ import annotations

from typing import Collection, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import calls
from stacked_lstm.export import graph_nodes
from stacked_lstm.lstm.equations import GATE_ORDER
from stacked_lstm.lstm.layer import Layer


class Spec(NamedTuple):
    """A tensor: its name, its dtype, and its shape: a list of sizes, None for those that are unknown; or None."""

    name: str
    dtype: tf.DType
    shape: Sequence[int | None] | None


class FrozenCall(NamedTuple):
    """LSTM layers in a frozen graph.

    Fields:
      engine: the engine that computes them in the graph.
      layers: list of `Layer` with arrays in the places of their weights. With a `fed_weight` they have tensors.
      inputs: list of `Spec`: x, c and h per layer, and the lengths if there are any. A tensor may occur twice.
      outputs: list of `Spec`: the outputs, and c and h per layer.
      from_end: the number of layers that are a second stack, as in `engines.both_directions`.
      fed_weight: None, or a weight whose value depends on a placeholder, and the name of the placeholder. Only the ops
        of the graph compute such a weight.
    """

    engine: str
    layers: Sequence[Layer]
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]
    from_end: int = 0
    fed_weight: tuple[str, str] | None = None


def calls_in(graph: tf.Graph, nodes: Collection[str]) -> list[calls.Call]:
    """The LSTM layers of a graph with a result among the nodes with these names."""
    return [call for call in calls.in_graph(graph) if any(t.op.name in nodes for t in _results(call))]


def freeze_call(session: tf.Session, call: calls.Call, inputs: Mapping[str, tf.Tensor]) -> FrozenCall:
    """Returns layers with the values of their weights. inputs: dictionary from names in the file to placeholders."""
    read = [call.x] + [tensor for state in call.states for tensor in state]
    read += [] if call.lengths is None else [call.lengths]
    specs = [[spec_of(tensor, tensor.name) for tensor in tensors] for tensors in (read, _results(call))]
    fed_weight = _fed_weight(call.layers, {tensor.op.name: name for name, tensor in inputs.items()})
    layers = call.layers if fed_weight else _with_arrays(session, call.layers)
    return FrozenCall(call.engine, layers, specs[0], specs[1], call.from_end, fed_weight)


def _results(call: calls.Call) -> list[tf.Tensor]:
    return [call.outputs] + [tensor for final in call.finals for tensor in final]


def spec_of(tensor: tf.Tensor, name: str) -> Spec:
    """Returns the `Spec` of a tensor with another name."""
    return Spec(name, tensor.dtype.base_dtype, None if tensor.shape.ndims is None else tensor.shape.as_list())


def _fed_weight(layers: Sequence[Layer], inputs: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns `FrozenCall.fed_weight`. inputs: names of placeholders, and their names in the file."""
    for weight in [weight for layer in layers for weight in layer.weights]:
        deciding = graph_nodes.ancestors([weight])
        needed = {**deciding, **graph_nodes.awaited(deciding)}
        for name, op in needed.items():
            if op.type == "Placeholder" or (name in inputs and name in deciding):
                return weight.name, inputs.get(name, name)
    return None


def check_weights(call: FrozenCall) -> None:
    """Raises ValueError if the layers have no arrays, because a weight depends on a placeholder."""
    if call.fed_weight:
        weight, placeholder = call.fed_weight
        expected = "weights that depend on no placeholder among `inputs`, and on none without a default"
        advice = 'for a SavedModel or a frozen graph, build the layers with engine="graph"'
        checks.fail("export.write", expected, f"{weight}, which depends on {placeholder}; {advice}")


def _with_arrays(session: tf.Session, layers: Sequence[Layer]) -> list[Layer]:
    """The layers with the values of their weights, all from one run."""
    arrays = iter(session.run([weight for layer in layers for weight in layer.weights]))
    return [layer.map_weights(lambda weight: next(arrays)) for layer in layers]


def by_gate(layer: Layer) -> dict[str, np.ndarray]:
    """The weights of a plain layer in the common form of `layouts`: Wf Wi Wc Wo, bf bi bc bo, pf pi po, Wp."""
    kernels, biases = list(layer.kernels), list(layer.biases)
    if len(kernels) == 1:
        rows = np.concatenate([kernels[0][layer.input_size :], kernels[0][: layer.input_size]])  # h before x.
        kernels, biases = np.split(rows, 4, axis=1), np.split(biases[0], 4) if biases else []
    weights = {"W" + gate: kernel for gate, kernel in zip(GATE_ORDER, kernels)}
    weights.update(("b" + gate, bias) for gate, bias in zip(GATE_ORDER, biases))
    weights.update(("p" + gate, peephole) for gate, peephole in zip("ifo", layer.extras.peepholes or ()))
    if layer.extras.projection is not None:
        weights["Wp"] = layer.extras.projection
    return weights
