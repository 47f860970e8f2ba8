"""ONNX models: the initializers W, R, B and P of LSTM nodes.

An initializer of a bidirectional node holds the arrays of both directions. Here it is two arrays, which are called
<name>[0] and <name>[1].
"""

from __future__ import annotations

from typing import Any, Iterator, Sequence

import numpy as np

from stacked_lstm.checkpoints import files
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.files import Content
from stacked_lstm.checkpoints.layers import PLAIN, VARIANT, Location, Weights

INPUTS = {"W": 1, "R": 2, "B": 3, "P": 7}  # Array -> index among the inputs of a node.
DIRECTIONS = {"forward": ["forward"], "reverse": ["backward"], "bidirectional": ["forward", "backward"]}
# Attributes with these values are those of a plain LSTM.
DEFAULTS: dict[str, list[Any]] = {
    "input_forget": [0],
    "activations": [["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2],
}
HARMLESS = ("direction", "hidden_size", "layout")  # Attributes that do not change the equations.
OPSET, IR_VERSION = 14, 7


def load(path: str) -> Content:
    """The `Content`, whose container is the model."""
    onnx = _onnx(path)
    with files.file_errors(path, "an ONNX model"):
        model = onnx.load(path)
        onnx.checker.check_model(model)
        arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for name in _bidirectional_initializers(model):
            halves = np.split(arrays.pop(name), 2) if name in arrays and arrays[name].shape[:1] == (2,) else []
            arrays.update((f"{name}[{k}]", half) for k, half in enumerate(halves))
    return Content(arrays, model)


def find(content: Content, path: str) -> list[Location]:
    """The layers. Nodes that each compute from the one before are one network, which has the name of the first."""
    locations: list[Location] = []
    network, previous = "", None
    for k, node in enumerate(_lstm_nodes(content.container)):
        name = node.name or f"lstm_{k}"
        if previous is None or not _feeds(content.container, previous, node):
            network = name
        locations += _locations(node, name, network)
        previous = node
    return locations


def create(layers: Sequence[Weights], layout: str, scope: str | None, path: str) -> tuple[Any, list[Location]]:
    """A model with the input x [T, B, I], one LSTM node per layer, and the output y [T, B, H]; and its locations."""
    onnx = _onnx(path)
    axis = onnx.helper.make_node("Constant", [], ["axis"], value=_tensor(onnx, np.array([1], np.int64), "axis"))
    nodes, locations, source = [axis], [], "x"
    for k, arrays in enumerate(layers):
        name = f"{scope or ''}lstm_{k}"
        target = "y" if k + 1 == len(layers) else name + "_y"
        locations.append(Location(name, "", layout, {key: f"{name}_{key}" for key in arrays}))
        nodes += _lstm_node(onnx, locations[-1], arrays, source, target)
        source = target
    dtype = _tensor(onnx, layers[0]["W"], "W").data_type
    sizes = [("x", layers[0]["W"].shape[2]), ("y", layers[-1]["R"].shape[2])]
    x, y = [onnx.helper.make_tensor_value_info(name, dtype, ["time", "batch", size]) for name, size in sizes]
    graph = onnx.helper.make_graph(nodes, "stacked_lstm", [x], [y])
    for location, arrays in zip(locations, layers):
        graph.initializer.extend(_tensor(onnx, arrays[key], name) for key, name in location.array_names.items())
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), locations


def _lstm_node(onnx: Any, location: Location, arrays: Weights, source: str, target: str) -> list[Any]:
    """The LSTM node of one layer, and the node that takes the axis of directions out of its output."""
    inputs = [""] * (1 + max(INPUTS[key] for key in arrays))
    inputs[0] = source
    for key, name in location.array_names.items():
        inputs[INPUTS[key]] = name
    name, output = location.name, location.name + "_Y"
    return [
        onnx.helper.make_node("LSTM", inputs, [output], name=name, hidden_size=arrays["R"].shape[2]),
        onnx.helper.make_node("Squeeze", [output, "axis"], [target]),  # [T, 1, B, H] to [T, B, H]
    ]


def save(path: str, content: Content) -> None:
    """Writes the container, the model, with the arrays of the content as initializers."""
    onnx, model = _onnx(path), content.container
    arrays = dict(content.arrays)
    for name in _bidirectional_initializers(model):
        arrays[name] = np.concatenate([arrays[f"{name}[0]"], arrays[f"{name}[1]"]])
    for tensor in model.graph.initializer:
        if not files.same_bits(onnx.numpy_helper.to_array(tensor), arrays[tensor.name]):
            tensor.CopyFrom(_tensor(onnx, arrays[tensor.name], tensor.name))
    onnx.save(model, path)


def _lstm_nodes(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == "LSTM" and node.domain in ("", "ai.onnx")]


def _feeds(model: Any, below: Any, above: Any) -> bool:
    """Whether the input X of the node `above` is computed from an output of the node `below`."""
    producers = {name: node for node in model.graph.node for name in node.output}
    names, seen = [above.input[0]], set()
    while names:
        name = names.pop()
        if name in producers and name not in seen:
            names += producers[name].input
        seen.add(name)
    return not seen.isdisjoint(name for name in below.output if name)


def _attributes(node: Any) -> dict[str, Any]:
    """Name -> value of a node's attributes, with texts as str."""
    import onnx

    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return [_text(item) for item in value] if isinstance(value, (list, tuple)) else value


def _inputs(node: Any) -> dict[str, str]:
    """W, R, B, P -> name of the node's input, for those inputs that the node has."""
    return {key: node.input[k] for key, k in INPUTS.items() if k < len(node.input) and node.input[k]}


def _directions(node: Any) -> list[str]:
    return DIRECTIONS[_attributes(node).get("direction", "forward")]


def _bidirectional_initializers(model: Any) -> list[str]:
    """Names of the initializers that hold the arrays of two directions."""
    nodes = [node for node in _lstm_nodes(model) if len(_directions(node)) == 2]
    return sorted({name for node in nodes for name in _inputs(node).values()})


def _locations(node: Any, name: str, network: str) -> Iterator[Location]:
    attributes, inputs, directions = _attributes(node), _inputs(node), _directions(node)
    unusual = [
        f"{key}={value}"
        for key, value in sorted(attributes.items())
        if key not in HARMLESS and value not in DEFAULTS.get(key, [])
    ]
    status, remark = VARIANT if unusual else PLAIN, ", ".join(unusual)
    if len(directions) == 1:
        yield Location(name, network, "onnx", inputs, directions[0], status, remark)
        return
    for k, direction in enumerate(directions):
        array_names = {key: f"{initializer}[{k}]" for key, initializer in inputs.items()}
        yield Location(f"{name}/{direction}", network, "onnx", array_names, direction, status, remark)


def _tensor(onnx: Any, array: np.ndarray, name: str) -> Any:
    return onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)


def _onnx(path: str) -> Any:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        files.fail_without_package("onnx", path)
    return onnx


CODEC = Codec(load=load, find=find, create=create, save=save)
