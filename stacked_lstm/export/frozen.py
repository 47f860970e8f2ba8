"""`Frozen`: a graph whose variables are constants, and the LSTM layers in it."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import calls
from stacked_lstm.equations import GATE_ORDER
from stacked_lstm.export import nodes
from stacked_lstm.layer import Layer

# Ops that only programs with this package, or with a GPU, can run.
_NOT_PORTABLE = ("StackedLstmForward", "StackedLstmPack", "CudnnRNN", "CudnnRNNV2", "CudnnRNNV3")


class Spec(NamedTuple):
    """A tensor: its name, its dtype, and its shape: a list of sizes, None for those that are unknown; or None."""

    name: str
    dtype: tf.DType
    shape: Sequence[int | None] | None


class FrozenCall(NamedTuple):
    """LSTM layers in a frozen graph.

    Fields:
      engine: the engine that computes them in the graph.
      layers: list of `Layer` with arrays in the places of tensors.
      inputs: list of `Spec`: x, c and h per layer, and the lengths if there are any. A tensor may occur twice.
      outputs: list of `Spec`: the outputs, and c and h per layer.
    """

    engine: str
    layers: Sequence[Layer]
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]


class Frozen(NamedTuple):
    """A graph without variables.

    Fields:
      definition: the GraphDef.
      inputs, outputs: lists of `Spec` with names of nodes. The inputs are placeholders.
      calls: list of `FrozenCall`: the LSTM layers that the outputs need.
    """

    definition: Any
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]
    calls: Sequence[FrozenCall]


def freeze(session: tf.Session, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]) -> Frozen:
    """Replaces the variables of a session by constants, and gives the inputs and outputs new names.

    Args:
      session: an open session with initialized variables.
      inputs, outputs: dictionaries from new names to tensors of the session's graph. Inputs are placeholders.

    Raises:
      ValueError: an argument has no such tensors, a name is taken, or an output needs a placeholder that is not among
        the inputs.
    """
    _check_tensors(session, inputs, outputs)
    names = sorted({tensor.op.name for tensor in outputs.values()})
    definition = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), names)
    present = {node.name for node in definition.node}
    used = [call for call in calls.in_graph(session.graph) if any(t.op.name in present for t in _results(call))]
    frozen_calls = [_frozen_call(session, call) for call in used]
    _rename(definition, inputs, outputs, frozen_calls)
    specs = [[_spec(tensor, name) for name, tensor in tensors.items()] for tensors in (inputs, outputs)]
    return Frozen(definition, *specs, frozen_calls)


def _check_tensors(session: tf.Session, inputs: Any, outputs: Any) -> None:
    for argument, tensors in (("inputs", inputs), ("outputs", outputs)):
        are_tensors = isinstance(tensors, Mapping) and all(isinstance(t, tf.Tensor) for t in tensors.values())
        if not are_tensors or not tensors or any(tensor.graph is not session.graph for tensor in tensors.values()):
            expected = f"`{argument}` to be a dictionary from names to tensors of the session's graph"
            checks.fail("export.write", expected, repr(tensors))
    for name, tensor in inputs.items():
        if tensor.op.type != "Placeholder":
            checks.fail("export.write", f"`inputs[{name!r}]` to be a placeholder", f"the result of {tensor.op.type}")


def _rename(
    definition: Any, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor], layers: list[FrozenCall]
) -> None:
    """Renames the placeholders, and adds a node for each output. Calls that read a placeholder change, too."""
    new_names = {tensor.name: f"{name}:0" for name, tensor in inputs.items()}
    old_nodes = {tensor.op.name: name for name, tensor in inputs.items()}
    placeholders = [node for node in definition.node if node.op == "Placeholder"]
    missing = [node.name for node in placeholders if node.name not in old_nodes]
    if missing:
        expected = "`inputs` to have all placeholders that `outputs` need"
        checks.fail("export.write", expected, f"none for {', '.join(missing)}")
    unused = [name for old, name in old_nodes.items() if old not in {node.name for node in placeholders}]
    if unused:
        checks.fail("export.write", "`inputs` that `outputs` need", f"also {', '.join(unused)}")
    others = {node.name for node in definition.node} - set(old_nodes)
    taken = sorted(others & {*inputs, *outputs}) + sorted({*inputs} & {*outputs})
    if taken:
        checks.fail("export.write", "names that no other op of the graph has", ", ".join(taken))
    for node in placeholders:
        node.name = old_nodes[node.name]
    nodes.redirect(definition.node, new_names)
    for name, tensor in outputs.items():
        source = new_names.get(tensor.name, tensor.name)
        definition.node.append(nodes.identity(name, source, tensor.dtype.base_dtype))
    for k, call in enumerate(layers):
        specs = [spec._replace(name=new_names.get(spec.name, spec.name)) for spec in call.inputs]
        layers[k] = call._replace(inputs=specs)


def _frozen_call(session: tf.Session, call: calls.Call) -> FrozenCall:
    inputs = [call.x] + [tensor for state in call.states for tensor in state]
    inputs += [] if call.lengths is None else [call.lengths]
    return FrozenCall(
        call.engine,
        [_with_arrays(session, layer) for layer in call.layers],
        *[[_spec(tensor, tensor.name) for tensor in tensors] for tensors in (inputs, _results(call))],
    )


def _results(call: calls.Call) -> list[tf.Tensor]:
    return [call.outputs] + [tensor for final in call.finals for tensor in final]


def _spec(tensor: tf.Tensor, name: str) -> Spec:
    return Spec(name, tensor.dtype.base_dtype, None if tensor.shape.ndims is None else tensor.shape.as_list())


def _with_arrays(session: tf.Session, layer: Layer) -> Layer:
    """The layer with the values of its weights."""
    extras = layer.extras
    projections = [] if extras.projection is None else [extras.projection]
    kernels, biases, peepholes, projections = session.run(
        [list(layer.kernels), list(layer.biases), list(extras.peepholes or ()), projections]
    )
    extras = extras._replace(peepholes=peepholes or None, projection=projections[0] if projections else None)
    return layer._replace(kernels=kernels, biases=biases, extras=extras)


def is_plain(layer: Layer) -> bool:
    """Whether the layer is an LSTM without masks and without another equation."""
    return layer.step is None and layer.h_mask is None and layer.h_masks is None


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


def check_portable(definition: Any) -> None:
    """Raises ValueError if the graph has ops that other programs cannot run."""
    inner = [node for function in definition.library.function for node in function.node_def]
    names = [node.name for node in [*definition.node, *inner] if node.op in _NOT_PORTABLE]
    if names:
        expected = 'layers inside functions and loops to be built with engine="graph"'
        checks.fail("export.write", expected, f"ops that other programs cannot run: {', '.join(names)}")
