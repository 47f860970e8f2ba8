"""ONNX models: the initializers W, R, B and P of LSTM nodes.

An initializer of both directions is two arrays here, of one direction each, called <name>[0] and <name>[1].
"""

import collections

import numpy as np

from stacked_lstm.checkpoints import files
from stacked_lstm.checkpoints.layers import OTHER, PLAIN, Location

INPUTS = collections.OrderedDict([("W", 1), ("R", 2), ("B", 3), ("P", 7)])  # Which inputs of the node.
DIRECTIONS = {"forward": ["forward"], "reverse": ["backward"], "bidirectional": ["forward", "backward"]}
# Attributes of a plain LSTM that may be written down; all others change what is computed.
USUAL = {"input_forget": [0], "activations": [["Sigmoid", "Tanh", "Tanh"], ["Sigmoid", "Tanh", "Tanh"] * 2]}
HARMLESS = ("direction", "hidden_size", "layout")
OPSET, IR_VERSION = 14, 7


def load(path):
    """`files.Content`; its rest is the model."""
    onnx = _onnx(path)
    with files.reading(path, "an ONNX model"):
        model = onnx.load(path)
        onnx.checker.check_model(model)
        arrays = collections.OrderedDict((t.name, onnx.numpy_helper.to_array(t)) for t in model.graph.initializer)
        for name in _two_directions(model):
            halves = np.split(arrays.pop(name), 2) if name in arrays and arrays[name].shape[:1] == (2,) else []
            arrays.update((f"{name}[{k}]", half) for k, half in enumerate(halves))
    return files.Content(arrays, model)


def find(content, path):
    """Nodes that are fed by the one before are one network; where that ends, another begins, called by its first."""
    locations, network, before = [], None, None
    for k, node in enumerate(_nodes(content.rest)):
        name = node.name or f"lstm_{k}"
        if before is None or not _feeds(content.rest, before, node):
            network = name
        locations += _locations(node, name, network)
        before = node
    return locations


def new(packed, layout, scope, path):
    """A model of x [T, B, I], LSTM nodes one above the other, and y [T, B, H]; and where its weights are."""
    onnx = _onnx(path)
    axis = onnx.helper.make_node("Constant", [], ["axis"], value=_tensor(onnx, np.array([1], np.int64), "axis"))
    prefix, nodes, locations, below = scope or "", [axis], [], "x"
    for k, arrays in enumerate(packed):
        name = f"{prefix}lstm_{k}"
        names = collections.OrderedDict((key, f"{name}_{key}") for key in arrays)
        inputs = [""] * (1 + max(INPUTS[key] for key in arrays))
        inputs[0] = below
        for key in arrays:
            inputs[INPUTS[key]] = names[key]
        above = "y" if k + 1 == len(packed) else name + "_y"
        hidden_size = arrays["R"].shape[2]
        nodes += [
            onnx.helper.make_node("LSTM", inputs, [name + "_Y"], name=name, hidden_size=hidden_size),
            onnx.helper.make_node("Squeeze", [name + "_Y", "axis"], [above]),  # [T, 1, B, H] to [T, B, H]
        ]
        locations.append(Location(name, "", layout, names))
        below = above
    dtype = _tensor(onnx, packed[0]["W"], "W").data_type
    ends = [("x", packed[0]["W"].shape[2]), ("y", packed[-1]["R"].shape[2])]
    x, y = [onnx.helper.make_tensor_value_info(name, dtype, ["time", "batch", size]) for name, size in ends]
    graph = onnx.helper.make_graph(nodes, "stacked_lstm", [x], [y])
    for location, arrays in zip(locations, packed):
        graph.initializer.extend(_tensor(onnx, arrays[key], name) for key, name in location.names.items())
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION), locations


def save(path, content):
    onnx, model = _onnx(path), content.rest
    arrays = dict(content.arrays)
    for name in _two_directions(model):
        arrays[name] = np.concatenate([arrays[f"{name}[0]"], arrays[f"{name}[1]"]])
    for tensor in model.graph.initializer:
        if not files.same(onnx.numpy_helper.to_array(tensor), arrays[tensor.name]):
            tensor.CopyFrom(_tensor(onnx, arrays[tensor.name], tensor.name))
    onnx.save(model, path)


def _nodes(model):
    return [node for node in model.graph.node if node.op_type == "LSTM" and node.domain in ("", "ai.onnx")]


def _feeds(model, below, above):
    """Whether what a node has for its X is computed from what another one puts out."""
    makers = {name: node for node in model.graph.node for name in node.output}
    names, seen = [above.input[0]], set()
    while names:
        name = names.pop()
        if name in makers and name not in seen:
            names += makers[name].input
        seen.add(name)
    return not seen.isdisjoint(name for name in below.output if name)


def _attributes(node):
    """Name -> value of a node's attributes, with texts as str."""
    import onnx

    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: _text(value) for name, value in values.items()}


def _text(value):
    if isinstance(value, bytes):
        return value.decode()
    return [_text(item) for item in value] if isinstance(value, (list, tuple)) else value


def _inputs(node):
    """W, R, B, P -> name of the node's input; without those that it has not."""
    given = [(key, node.input[k]) for key, k in INPUTS.items() if k < len(node.input) and node.input[k]]
    return collections.OrderedDict(given)


def _directions(node):
    return DIRECTIONS[_attributes(node).get("direction", "forward")]


def _two_directions(model):
    """Names of the initializers that hold two directions' arrays."""
    return sorted({name for node in _nodes(model) if len(_directions(node)) == 2 for name in _inputs(node).values()})


def _locations(node, name, network):
    attributes, inputs, directions = _attributes(node), _inputs(node), _directions(node)
    unusual = {
        key: value
        for key, value in sorted(attributes.items())
        if key not in HARMLESS and not (key in USUAL and value in USUAL[key])
    }
    remark = ", ".join("%s=%s" % item for item in unusual.items())
    for k, direction in enumerate(directions):
        two = len(directions) == 2
        names = collections.OrderedDict((key, n + f"[{k}]" * two) for key, n in inputs.items())
        own_name = f"{name}/{direction}" if two else name
        yield Location(own_name, network, "onnx", names, direction, OTHER if unusual else PLAIN, remark)


def _tensor(onnx, array, name):
    return onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)


def _onnx(path):
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        files.needed("onnx", path)
    return onnx
