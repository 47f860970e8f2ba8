"""ONNX models: the initializers W, R, B and P of LSTM nodes.

An initializer of a bidirectional node holds the arrays of both directions. Here it is two arrays, which are called
<name>[0] and <name>[1].
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np

from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.layers import PLAIN, VARIANT, Location, Weights
from stacked_lstm.checkpoints.onnx import onnx_chains, onnx_external_data, onnx_initial_states
from stacked_lstm.checkpoints.onnx.onnx_graphs import Model, attributes
from stacked_lstm.checkpoints.onnx.onnx_initial_states import Start
from stacked_lstm.checkpoints.safety import files, limits
from stacked_lstm.checkpoints.safety.files import Arrays, Content
from stacked_lstm.checkpoints.safety.limits import Budget

INPUTS = {"W": 1, "R": 2, "B": 3, "P": 7}  # Array -> index among the inputs of a node.
DIRECTIONS = {"forward": ["forward"], "reverse": ["backward"], "bidirectional": ["forward", "backward"]}
# Attributes with these values are those of a plain LSTM.
DEFAULTS: dict[str, list[Any]] = {
    "input_forget": [0],
    "activations": [["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2],
}
HARMLESS = ("direction", "hidden_size", "layout")  # Attributes that do not change the equations.
OPSET, IR_VERSION = 14, 7


class LstmNode(NamedTuple):
    """An LSTM node and what it uses.

    Fields:
      name: its name, with that of the body it is in.
      node: the NodeProto.
      feeds: whether it computes from the LSTM node before it.
      weights: W, R, B, P -> name of the constant.
      problems: what is not constant among them, and what is between the node and the one before it, as text.
      starts: for each direction the list of `onnx_initial_states.Start`.
    """

    name: str
    node: Any
    feeds: bool
    weights: dict[str, str]
    problems: str
    starts: list[list[Start]]


class Container(NamedTuple):
    """What a file holds beside arrays.

    Fields:
      model: the `onnx_graphs.Model`.
      nodes: its LSTM nodes.
      wholes: name of a constant that holds several arrays, such as those of two directions -> the constant.
      parts: name of such an array -> (name of the constant, index in it).
    """

    model: Model
    nodes: list[LstmNode]
    wholes: Arrays
    parts: dict[str, tuple[str, Any]]


def load(path: str, max_bytes: int | None) -> Content:
    """The `Content` with all initializers, and with all other constants that LSTM nodes use."""
    onnx = _onnx(path)
    with files.file_errors(path, "an ONNX model"):
        with files.open_regular(path) as file:
            proto = onnx.load_model_from_string(file.read())
            budget = Budget(path, max_bytes)
        onnx_external_data.embed(Model(onnx, proto, budget), path, budget)
        onnx.checker.check_model(proto)
        return _content(Model(onnx, _without_functions(proto), budget))


def _without_functions(proto: Any) -> Any:
    """A model whose nodes that call functions of the model are replaced by the nodes of these functions."""
    if not proto.functions:
        return proto
    try:
        import onnx.inliner
    except ImportError:
        raise ImportError("the model has functions, which need onnx 1.15 or newer") from None
    return onnx.inliner.inline_local_functions(proto)


def _content(model: Model) -> Content:
    arrays = model.initializers()
    container = Container(model, [], {}, {})
    below: dict[str, str] = {}
    for scope, node, feeds, between in onnx_chains.links(model):
        directions = _directions(model, node)
        below = below if feeds else {}
        starts = [onnx_initial_states.read(model, scope, node, k, below) for k in range(len(directions))]
        below = onnx_initial_states.projected_states(model, scope, node)
        name = scope.path + (node.name or f"lstm_{len(container.nodes)}")
        weights, problems = {}, [f"its input comes from {between}"] * bool(between)
        for key, source in _inputs(node).items():
            owner, array = model.owner(scope, source), model.constant(scope, source)
            weights[key] = owner.path + source
            if isinstance(array, str):
                problems.append(f"{key} is computed by {array} at run time")
            elif len(directions) == 2 and array.shape[:1] == (2,):
                for k in range(2):
                    container.parts[f"{weights[key]}[{k}]"] = (weights[key], slice(k, k + 1))
        for start in sum(starts, []):
            if start.place:
                container.parts[_array_name(start)] = (start.whole, start.place)
        container.nodes.append(LstmNode(name, node, feeds, weights, ", ".join(problems), starts))
    constants = model.constants()
    for node in container.nodes:
        names = [*node.weights.values(), *(start.whole for start in sum(node.starts, []))]
        arrays.update((name, constants[name]) for name in names if name in constants)
    for name, (whole, index) in container.parts.items():
        container.wholes[whole] = constants[whole]
        arrays.pop(whole, None)
        arrays[name] = constants[whole][index]
    return Content(arrays, container)


def _array_name(start: Start) -> str:
    return f"{start.whole}[{', '.join(map(str, start.place))}]" if start.place else start.whole


def find(content: Content, path: str) -> list[Location]:
    """The layers. Nodes that each compute from the one before are one network, which has the name of the first."""
    locations: list[Location] = []
    network = ""
    for item in content.container.nodes:
        network = network if item.feeds else item.name
        locations += _locations(content.container.model, item, network)
    return locations


def create(
    layers: Sequence[Weights], states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[Any, list[Location]]:
    """A model with the input x [T, B, I], one LSTM node per layer, and the output y [T, B, H]; and its locations."""
    onnx = _onnx(path)
    axis = onnx.helper.make_node("Constant", [], ["axis"], value=_tensor(onnx, np.array([1], np.int64), "axis"))
    state_names = [
        {
            key: f"{scope or ''}initial_state/layer_{k + 1}/{key}"
            for key in state
            if key[:2] == "W_" or np.any(state[key])
        }
        for k, state in enumerate(states)
    ]  # Nodes start from zeros without a vector.
    nodes, locations, source = [axis] + onnx_initial_states.make_nodes(onnx, state_names), [], "x"
    for k, arrays in enumerate(layers):
        name = f"{scope or ''}lstm_{k}"
        target = "y" if k + 1 == len(layers) else name + "_y"
        array_names = {key: f"{name}_{key}" for key in arrays}
        locations.append(Location(name, "", layout, array_names, initial_state=state_names[k]))
        nodes += _lstm_node(onnx, locations[-1], arrays, source, target)
        source = target
    dtype = _tensor(onnx, layers[0]["W"], "W").data_type
    sizes = [("x", layers[0]["W"].shape[2]), ("y", layers[-1]["R"].shape[2])]
    x, y = [onnx.helper.make_tensor_value_info(name, dtype, ["time", "batch", size]) for name, size in sizes]
    graph = onnx.helper.make_graph(nodes, "stacked_lstm", [x], [y])
    for location, arrays, state in zip(locations, layers, states):
        graph.initializer.extend(_tensor(onnx, arrays[key], name) for key, name in location.array_names.items())
        graph.initializer.extend(_tensor(onnx, state[key], name) for key, name in location.initial_state.items())
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return _content(Model(onnx, model, Budget(path, limits.UNLIMITED, 0))).container, locations


def _lstm_node(onnx: Any, location: Location, arrays: Weights, source: str, target: str) -> list[Any]:
    """The LSTM node of one layer, and the node that takes the axis of directions out of its output."""
    inputs = [""] * (1 + max(INPUTS.values()))
    inputs[0] = source
    for key, name in location.array_names.items():
        inputs[INPUTS[key]] = name
    for k, name in onnx_initial_states.inputs_of(location.initial_state).items():
        inputs[k] = name
    while not inputs[-1]:
        inputs.pop()
    name, output = location.name, location.name + "_Y"
    return [
        onnx.helper.make_node("LSTM", inputs, [output], name=name, hidden_size=arrays["R"].shape[2]),
        onnx.helper.make_node("Squeeze", [output, "axis"], [target]),  # [T, 1, B, H] to [T, B, H]
    ]


def save(path: str, content: Content, target: str) -> None:
    """Writes the model of the container with the arrays of the content in place of its own."""
    model, arrays = content.container.model, dict(content.arrays)
    for name, whole in content.container.wholes.items():
        arrays[name] = whole.copy()
    for name, (whole_name, index) in content.container.parts.items():
        arrays[whole_name][index] = arrays.pop(name)
    model.onnx.save(model.with_constants(arrays), path)


def _inputs(node: Any) -> dict[str, str]:
    """W, R, B, P -> name of the node's input, for those inputs that the node has."""
    return {key: node.input[k] for key, k in INPUTS.items() if k < len(node.input) and node.input[k]}


def _directions(model: Model, node: Any) -> list[str]:
    return DIRECTIONS[attributes(model.onnx, node).get("direction", "forward")]


def _locations(model: Model, item: LstmNode, network: str) -> Iterator[Location]:
    directions = _directions(model, item.node)
    unusual = [
        f"{key}={value}"
        for key, value in sorted(attributes(model.onnx, item.node).items())
        if key not in HARMLESS and value not in DEFAULTS.get(key, [])
    ]
    for k, direction in enumerate(directions):
        remarks = unusual + [item.problems] * bool(item.problems)
        remarks += [start.remark for start in item.starts[k] if start.remark]
        names, name = item.weights, item.name
        if len(directions) == 2:
            names, name = {key: f"{whole}[{k}]" for key, whole in names.items()}, f"{name}/{direction}"
        state = {start.key: _array_name(start) for start in item.starts[k] if start.key}
        status, remark = VARIANT if remarks else PLAIN, ", ".join(remarks)
        yield Location(name, network, "onnx", names, direction, status, remark, state)


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
