"""ONNX models: one LSTM node per layer; tf2onnx converts the rest of the graph.

The graph is cut at the layers: their results become inputs, and what they read becomes outputs. tf2onnx converts that.
Then LSTM nodes join both ends again.
"""

from __future__ import annotations

import logging
from typing import Any, Iterator, Mapping, Sequence

import numpy as np

from stacked_lstm import activations, checks, layouts
from stacked_lstm.compat import tf
from stacked_lstm.export import graph_nodes
from stacked_lstm.export.frozen import Frozen, check_portable
from stacked_lstm.export.frozen_layers import FrozenCall, by_gate, check_weights
from stacked_lstm.export.portable import with_tensorflow_masks
from stacked_lstm.lstm import layer_features
from stacked_lstm.lstm.layer import Layer

OPSET = 17

# Activation -> its name in ONNX, and the attributes alpha and beta as far as it has them.
_ACTIVATIONS: dict[str, tuple] = {
    "tanh": ("Tanh",),
    "sigmoid": ("Sigmoid",),
    "relu": ("Relu",),
    "hard_sigmoid": ("HardSigmoid", 0.2, 0.5),
    "hard_sigmoid_6": ("HardSigmoid", 1 / 6, 0.5),
    "linear": ("Affine", 1.0, 0.0),
    "elu": ("Elu", 1.0),
    "softsign": ("Softsign",),
    "softplus": ("Softplus",),
}


def model(frozen: Frozen) -> Any:
    """Returns the `onnx.ModelProto` of a graph.

    Raises:
      ImportError: onnx or tf2onnx is not installed.
      ValueError: ONNX has no node for a layer, or tf2onnx cannot convert an op.
    """
    import onnx

    frozen = with_tensorflow_masks(frozen)
    converted = _convert(onnx, *_cut(frozen))
    graph = converted.graph
    inputs, outputs = ({spec.name for spec in specs} for specs in (frozen.inputs, frozen.outputs))
    lstm_nodes = []
    for k, call in enumerate(frozen.calls):
        call_nodes, arrays = _lstm_nodes(onnx, call, f"lstm_{k}")
        lstm_nodes += call_nodes
        tensors = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
        graph.initializer.extend(tensors)
    known = {*inputs, *(tensor.name for tensor in graph.initializer), ""}
    in_order = list(_in_order([*graph.node, *lstm_nodes], known))
    for field, values in (
        (graph.node, in_order),
        (graph.input, [value for value in graph.input if value.name in inputs]),
        (graph.output, [value for value in graph.output if value.name in outputs]),
    ):
        kept = list(values)
        del field[:]
        field.extend(kept)
    onnx.checker.check_model(converted)
    return converted


def _cut(frozen: Frozen) -> tuple[Any, list[str], list[str]]:
    """Cuts a graph at its layers: returns (GraphDef, names of its inputs, names of its outputs)."""
    definition, results = tf.GraphDef(), {}
    definition.CopyFrom(frozen.definition)
    inputs, outputs = ([spec.name for spec in specs] for specs in (frozen.inputs, frozen.outputs))
    for k, call in enumerate(frozen.calls):
        for i, spec in enumerate(call.inputs):
            outputs.append(f"lstm_{k}_input_{i}")
            definition.node.append(graph_nodes.identity(outputs[-1], spec.name, spec.dtype))
        for i, spec in enumerate(call.outputs):
            inputs.append(f"lstm_{k}_result_{i}")
            definition.node.append(graph_nodes.placeholder(inputs[-1], spec.dtype, spec.shape))
            results[spec.name] = inputs[-1] + ":0"
    graph_nodes.redirect(definition.node, results)
    cut = graph_nodes.needed(definition, outputs)
    check_portable(cut)
    present = {node.name for node in cut.node}
    return cut, [name for name in inputs if name in present], outputs


def _convert(onnx: Any, definition: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # The errors below say what matters.
    input_names, output_names = ([name + ":0" for name in names] for names in (inputs, outputs))
    names = {name + ":0": name for name in [*inputs, *outputs]}
    try:
        converted, _ = tf2onnx.convert.from_graph_def(
            definition, input_names=input_names, output_names=output_names, opset=OPSET, tensors_to_rename=names
        )
    except Exception as error:  # tf2onnx has no class of its own.
        raise ValueError(f"export.write: expected a graph that tf2onnx converts, got {error!r}") from error
    known_ops = {schema.name for schema in onnx.defs.get_all_schemas()}
    unknown_nodes = [node for node in _all_nodes(converted.graph) if node.op_type not in known_ops]
    if unknown_nodes:
        described = sorted({f"{node.name} ({node.op_type})" for node in unknown_nodes})
        checks.fail("export.write", "ops that ONNX has", ", ".join(described[:5]))
    return converted


def _all_nodes(graph: Any) -> Iterator[Any]:
    """Yields the nodes of an ONNX graph, and those of the graphs within them, such as the branches of an If."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*attribute.graphs, attribute.g]:
                yield from _all_nodes(inner)


def _lstm_nodes(onnx: Any, call: FrozenCall, name: str) -> tuple[list[Any], dict[str, np.ndarray]]:
    """The nodes of a call between `name`_input_... and `name`_result_..., and their constants."""
    check_weights(call)
    made: list[Any] = []
    constants = {f"{name}_axis_{axis}": np.array([axis], np.int64) for axis in (0, 1)}
    count = len(call.layers)
    lengths = f"{name}_input_{1 + 2 * count}" if len(call.inputs) > 1 + 2 * count else ""
    source = f"{name}_input_0"
    for number, layer in enumerate(call.layers):
        prefix = f"{name}_layer_{number}_"
        weights = layouts.pack(by_gate(_checked(layer, call)), "onnx")
        constants.update((prefix + key, array) for key, array in weights.items())
        states = {part: f"{name}_input_{1 + 2 * number + i}" for i, part in enumerate("ch")}
        for part, state in states.items():
            made.append(_node(onnx, "Unsqueeze", [state, f"{name}_axis_0"], [f"{prefix}initial_{part}"]))
        inputs = [source, prefix + "W", prefix + "R", prefix + "B" if "B" in weights else "", lengths]
        inputs += [prefix + "initial_h", prefix + "initial_c", prefix + "P" if "P" in weights else ""]
        made.append(_node(onnx, "LSTM", inputs, [prefix + part for part in ("Y", "Y_h", "Y_c")], **_attributes(layer)))
        below, source = source, f"{name}_result_0" if number + 1 == count and not lengths else prefix + "outputs"
        hidden = prefix + "hidden" if layer.residual else source
        made.append(_node(onnx, "Squeeze", [prefix + "Y", f"{name}_axis_1"], [hidden]))
        if layer.residual:
            made.append(_node(onnx, "Add", [below, hidden], [source]))
        for i, part in enumerate("ch"):
            result = f"{name}_result_{1 + 2 * number + i}"
            final = f"{prefix}final_{part}" if lengths else result
            made.append(_node(onnx, "Squeeze", [f"{prefix}Y_{part}", f"{name}_axis_0"], [final]))
            if lengths:
                made.append(_node(onnx, "Where", [f"{name}_has_steps", final, states[part]], [result]))
    if lengths:
        constants.update(_mask_constants(name, call))
        made += _mask_nodes(onnx, source, lengths, name)
    return made, constants


def _mask_constants(name: str, call: FrozenCall) -> dict[str, np.ndarray]:
    return {
        f"{name}_axis_2": np.array([2], np.int64),
        f"{name}_first": np.array(0, np.int32),
        f"{name}_step": np.array(1, np.int32),
        f"{name}_zero": np.zeros([], call.outputs[0].dtype.as_numpy_dtype),
    }


def _mask_nodes(onnx: Any, source: str, lengths: str, name: str) -> list[Any]:
    """What ONNX does not say of sequences that end early, or have no steps.

    Outputs past the end of a sequence are zero. `name`_has_steps selects the final states of sequences with steps; the
    others keep their initial states.
    """
    return [
        _node(onnx, "Greater", [lengths, f"{name}_first"], [f"{name}_is_not_empty"]),
        _node(onnx, "Unsqueeze", [f"{name}_is_not_empty", f"{name}_axis_1"], [f"{name}_has_steps"]),
        _node(onnx, "Shape", [source], [f"{name}_time"], end=1),
        _node(onnx, "Squeeze", [f"{name}_time", f"{name}_axis_0"], [f"{name}_count_int64"]),
        _node(onnx, "Cast", [f"{name}_count_int64"], [f"{name}_count"], to=onnx.TensorProto.INT32),
        _node(onnx, "Range", [f"{name}_first", f"{name}_count", f"{name}_step"], [f"{name}_steps"]),
        _node(onnx, "Unsqueeze", [f"{name}_steps", f"{name}_axis_1"], [f"{name}_steps_column"]),
        _node(onnx, "Less", [f"{name}_steps_column", lengths], [f"{name}_mask"]),
        _node(onnx, "Unsqueeze", [f"{name}_mask", f"{name}_axis_2"], [f"{name}_mask_of_units"]),
        _node(onnx, "Where", [f"{name}_mask_of_units", source, f"{name}_zero"], [f"{name}_result_0"]),
    ]


def _node(onnx: Any, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    while not inputs[-1]:
        inputs.pop()
    return onnx.helper.make_node(kind, inputs, outputs, name=outputs[0] + "_node", **attributes)


def _checked(layer: Layer, call: FrozenCall) -> Layer:
    """Returns the layer; raises ValueError if ONNX's LSTM cannot compute it."""
    names = [function.name for function in (layer.activation, layer.recurrent_activation)]
    present = layer_features.present(
        [layer], layer_features.all_except(layer_features.PEEPHOLES, layer_features.RESIDUAL)
    )
    if not all(map(_has_name, (layer.activation, layer.recurrent_activation))):
        present.append(f"the activations {' and '.join(names)}")
    if present:
        where = call.outputs[0].name
        checks.fail("export.write", "layers that the LSTM of ONNX can compute", f"{where} with {', '.join(present)}")
    return layer


def _has_name(function: activations.Activation) -> bool:
    return activations.is_named(function) and function.name in _ACTIVATIONS


def _attributes(layer: Layer) -> dict[str, Any]:
    """The attributes of a node LSTM."""
    functions = [_ACTIVATIONS[f.name] for f in (layer.recurrent_activation, layer.activation, layer.activation)]
    lists: Mapping[str, list] = {
        "activations": [function[0] for function in functions],
        "activation_alpha": [function[1] for function in functions if len(function) > 1],
        "activation_beta": [function[2] for function in functions if len(function) > 2],
    }
    return {"hidden_size": layer.hidden_size, **{key: values for key, values in lists.items() if values}}


def _in_order(graph_nodes: Sequence[Any], known: set[str]) -> Iterator[Any]:
    """Yields nodes so that each comes after those whose results it reads. `known` are names of other tensors."""
    waiting = list(graph_nodes)
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            names = ", ".join(node.name for node in waiting)
            checks.fail("export.write", "a graph without loops around its LSTM layers", f"a loop through {names}")
        for node in ready:
            known.update(node.output)
            yield node
        waiting = [node for node in waiting if node not in ready]
