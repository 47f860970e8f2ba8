"""What the LSTM nodes of an ONNX model start from: nodes that compute it, and what nodes of other models compute.

A learned vector [H] is expanded to the size of the batch:          initial_h = Expand(h, [1, B, 1])
A projected state is computed from the state of the layer below:    initial_h = Unsqueeze(Tanh(MatMul(below, W_h)))
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm.checkpoints.onnx.onnx_graphs import MOVES, Model, Scope, attributes, describe

INPUTS = {"h": 5, "c": 6}  # Part of the state -> index among the inputs of a node.
_SHAPE = "initial_state/shape"  # [1, B, 1]
_FILLS = ("ConstantOfShape", "ConstantFill")  # The second is an experimental op of old exporters.
_LOOPS = ("Loop", "Scan")
_REPEATS = ("Expand", "Tile", "Gather")  # They also only move numbers, but may make more of them than they get.


def make_nodes(onnx: Any, state_names: Sequence[Mapping[str, str]]) -> list[Any]:
    """The nodes that compute the initial states from the input x [T, B, I].

    Args:
      onnx: the package.
      state_names: for each layer a mapping from c and h, or W_c and W_h, to names of initializers, or an empty one.

    Returns:
      The nodes; they make the tensors that `inputs_of` names.
    """
    if any(names.keys() & INPUTS.keys() for names in state_names):
        return _shape_nodes(onnx) + [
            onnx.helper.make_node("Expand", [name, _SHAPE], [_output(name)])
            for names in state_names
            for name in names.values()
        ]
    if not any(state_names):
        return []
    zero, axes = _constant(onnx, "initial_state/zero", 0), _constant(onnx, "initial_state/axes", [0])
    nodes = [zero, axes, onnx.helper.make_node("Gather", ["x", "initial_state/zero"], ["initial_state/x"], axis=0)]
    below = dict.fromkeys(["W_c", "W_h"], "initial_state/x")
    for names in state_names:
        for key, name in names.items():
            nodes += [
                onnx.helper.make_node("MatMul", [below[key], name], [name + "_product"]),
                onnx.helper.make_node("Tanh", [name + "_product"], [name + "_tanh"]),
                onnx.helper.make_node("Unsqueeze", [name + "_tanh", "initial_state/axes"], [_output(name)]),
            ]
            below[key] = name + "_tanh"
    return nodes


def inputs_of(names: Mapping[str, str]) -> dict[int, str]:
    """Index among the inputs of a layer's LSTM node -> name of the tensor there.

    Args:
      names: the layer's entry in `state_names` of `make_nodes`.
    """
    return {INPUTS[key[-1]]: _output(name) for key, name in names.items()}


def _output(name: str) -> str:
    return name + "_start"


def _shape_nodes(onnx: Any) -> list[Any]:
    names = [f"initial_state/{name}" for name in ("x_shape", "one", "batch")]
    return [
        _constant(onnx, names[1], [1]),
        onnx.helper.make_node("Shape", ["x"], [names[0]]),
        onnx.helper.make_node("Gather", [names[0], names[1]], [names[2]]),
        onnx.helper.make_node("Concat", [names[1], names[2], names[1]], [_SHAPE], axis=0),
    ]


def _constant(onnx: Any, name: str, value: Any) -> Any:
    tensor = onnx.numpy_helper.from_array(np.array(value, np.int64), name)
    return onnx.helper.make_node("Constant", [], [name], value=tensor)


class Start(NamedTuple):
    """What one input, initial_h or initial_c, holds for one direction of a node.

    Fields:
      key: name of the part of the initial state: h, c, W_h or W_c; empty if the state is zero or comes from outside.
      whole: name of the constant that holds the numbers.
      place: their index in it; empty if they are all of it.
      remark: why it is none of these, e.g. "initial_h comes from Add (node 'sum')"; else empty.
    """

    key: str = ""
    whole: str = ""
    place: tuple[int, ...] = ()
    remark: str = ""


def read(model: Model, scope: Scope, node: Any, direction: int, below: Mapping[str, str]) -> list[Start]:
    """What a node starts from.

    Args:
      model: the model.
      scope: the graph of the node.
      node: an LSTM node.
      direction: 0, or 1 for the second direction of a bidirectional node.
      below: key -> name of the state that the layer below is projected to; see `projected_states`.

    Returns:
      A `Start` for each of initial_h and initial_c.
    """
    names = {part: node.input[k] if k < len(node.input) else "" for part, k in INPUTS.items()}
    axis = attributes(model.onnx, node).get("layout", 0)
    return [
        _projection(model, scope, name, "W_" + part, node.input[0], below)
        or _vector(model, scope, name, part, direction, axis)
        for part, name in names.items()
        if name
    ]


def projected_states(model: Model, scope: Scope, node: Any) -> dict[str, str]:
    """Key of a projection -> name of the state [B, H] that it makes, for the layer above; empty for other states."""
    states = {}
    for part, k in INPUTS.items():
        name = node.input[k] if k < len(node.input) else ""
        nodes = _chain(model, scope, name, ["Unsqueeze", "Tanh", "MatMul"]) if name else []
        if nodes:
            states["W_" + part] = nodes[1].output[0]
    return states


def _chain(model: Model, scope: Scope, name: str, ops: Sequence[str]) -> list[Any]:
    """The nodes with these ops that make a tensor one after the other, the last first; empty if they do not."""
    nodes: list[Any] = []
    for op in ops:
        _, node = model.producer(scope, name)
        if node is None or node.op_type != op:
            return []
        nodes.append(node)
        name = node.input[0]
    return nodes


def _projection(model: Model, scope: Scope, name: str, key: str, x: str, below: Mapping[str, str]) -> Start | None:
    """The `Start` of a state that is made as `make_nodes` makes it; None if it is not."""
    nodes = _chain(model, scope, name, ["Unsqueeze", "Tanh", "MatMul"])
    if not nodes:
        return None
    source, matrix = nodes[-1].input
    array, owner = model.constant(scope, matrix), model.owner(scope, matrix)
    if isinstance(array, str):
        return None
    if source != below.get(key):
        first = _chain(model, scope, source, ["Gather"])
        index = model.constant(scope, first[0].input[1]) if first else ""
        is_first_step = first and first[0].input[0] == x and attributes(model.onnx, first[0]).get("axis", 0) == 0
        if below or not is_first_step or isinstance(index, str) or np.any(index) or index.shape:
            return None
    return Start(key, owner.path + matrix)


def _vector(model: Model, scope: Scope, name: str, part: str, direction: int, axis: int) -> Start:
    """The `Start` of a constant, of zeros, of a state from outside, or of one that is computed."""
    reasons = sorted(set(_reasons(model, scope, name)) - {""})
    if not reasons:
        return Start()
    owner, node = model.producer(scope, name)
    while node is not None and node.op_type in ("Expand", "Identity"):  # Expand repeats it for each sequence.
        name = node.input[0]
        owner, node = model.producer(owner, name)
    array = model.constant(owner, name)
    if isinstance(array, str):
        return Start(remark=f"initial_{part} comes from {reasons[0]}")
    index = [0] * (array.ndim - 1)
    if array.ndim == 3:
        index[axis] = min(direction, array.shape[axis] - 1)
    if array[tuple(index)].size * array.shape[axis if array.ndim == 3 else -1] < array.size:
        return Start(remark=f"initial_{part} is a constant of shape {array.shape}")
    return Start(part, owner.path + name, tuple(index))


def _reasons(model: Model, scope: Scope, name: str) -> Iterator[str]:
    """What the numbers of a tensor come from: "" for zeros and for inputs of the model, else a text."""
    stack: list[tuple[Scope, str]] = [(scope, name)]
    seen: set[tuple[str, str]] = set()
    while stack:
        place, tensor = stack.pop()
        value = model.constant(place, tensor)
        owner, node = model.producer(place, tensor)
        if (owner.path, tensor) in seen:
            continue
        seen.add((owner.path, tensor))
        if not isinstance(value, str):
            yield "a constant" if np.any(value) else ""
        elif node is None:
            yield ""
            if tensor in owner.inputs and owner.node is not None and owner.node.op_type in _LOOPS:
                stack += [(owner.outer, name) for name in owner.node.input[owner.inputs[tensor] :][:1]]
        elif node.op_type in _REPEATS:
            stack.append((owner, node.input[0]))
        elif node.op_type in MOVES:
            stack += [(owner, source) for source in (node.input if node.op_type == "Concat" else node.input[:1])]
        elif node.op_type == "If":
            k = list(node.output).index(tensor)
            stack += [(body, body.graph.output[k].name) for body in model.bodies[id(node)]]
        elif node.op_type in _FILLS:
            fill = [value for name, value in attributes(model.onnx, node).items() if name == "value"]
            yield describe(node) if any(np.any(_array(model, number)) for number in fill) else ""
        else:
            yield describe(node)


def _array(model: Model, value: Any) -> np.ndarray:
    return np.asarray(value if isinstance(value, float) else model.onnx.numpy_helper.to_array(value))
