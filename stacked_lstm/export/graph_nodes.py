"""Nodes of a GraphDef: new ones, and changes of others."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Sequence

from stacked_lstm.compat import tf

SCOPE = "exported_lstm"  # Of the nodes that the export adds.


def redirect(nodes: Iterable[Any], names: Mapping[str, str]) -> None:
    """Replaces inputs of nodes.

    Args:
      nodes: NodeDefs, which change.
      names: dictionary from names of tensors, such as "a:0", to those in their places. Who waits for the op of a:0
        then waits for the op in its place.
    """
    for node in nodes:
        for k, name in enumerate(node.input):
            mark = "^" if name.startswith("^") else ""
            tensor = name[len(mark) :] if ":" in name else name[len(mark) :] + ":0"
            if tensor in names:
                node.input[k] = "^" + names[tensor].split(":")[0] if mark else names[tensor]


def ancestors(tensors: Sequence[Any], stops: Sequence[str] = ()) -> dict[str, tf.Operation]:
    """Returns the ops that decide tensors or variables, by their names.

    Args:
      tensors: list of tensors or variables.
      stops: types of ops that do not count.
    """
    ops = [(tensor if hasattr(tensor, "op") else tf.convert_to_tensor(tensor)).op for tensor in tensors]
    return _walk(ops, lambda op: [tensor.op for tensor in op.inputs], lambda op: op.type in stops)


def awaited(ops: Mapping[str, tf.Operation]) -> dict[str, tf.Operation]:
    """Returns further ops that run before these ops can, but decide no result of theirs, by their names.

    Args:
      ops: what `ancestors` returns.
    """
    others = [other for op in ops.values() for other in op.control_inputs]
    return _walk(
        others, lambda op: [*(tensor.op for tensor in op.inputs), *op.control_inputs], lambda op: op.name in ops
    )


def _walk(
    ops: Sequence[tf.Operation],
    sources: Callable[[tf.Operation], list[tf.Operation]],
    is_stop: Callable[[tf.Operation], bool],
) -> dict[str, tf.Operation]:
    """Returns ops and all ops before them, by their names.

    Args:
      ops: where the walk begins.
      sources: function from an op to the ops before it.
      is_stop: function from an op to whether the walk leaves it out, with the ops before it.
    """
    walked: dict[str, tf.Operation] = {}
    waiting = [*ops]
    while waiting:
        op = waiting.pop()
        if op.name not in walked and not is_stop(op):
            walked[op.name] = op
            waiting.extend(sources(op))
    return walked


def op(kind: str, name: str, inputs: Sequence[str], dtype: tf.DType) -> Any:
    """A node for an op whose only attribute is its dtype."""
    node = tf.NodeDef(name=name, op=kind, input=inputs)
    node.attr["T"].type = dtype.as_datatype_enum
    return node


def identity(name: str, source: str, dtype: tf.DType) -> Any:
    """A node that returns the tensor `source`."""
    return op("Identity", name, [source], dtype)


def placeholder(name: str, dtype: tf.DType, shape: Sequence[int | None] | None) -> Any:
    """A node for a tensor that is fed."""
    node = tf.NodeDef(name=name, op="Placeholder")
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return node


def needed(definition: Any, names: Sequence[str]) -> Any:
    """The GraphDef with only the nodes that some nodes need, and all functions."""
    part = tf.graph_util.extract_sub_graph(definition, list(names))
    part.library.CopyFrom(definition.library)
    return part


def without_places(definition: Any) -> None:
    """Removes the devices of nodes, and what places a node beside another one, from a GraphDef, which changes."""
    functions = [node for function in definition.library.function for node in function.node_def]
    for node in [*definition.node, *functions]:
        node.device = ""
        node.attr.pop("_class", None)


def without_defaults(definition: Any) -> Any:
    """A GraphDef without attributes that have their default values. Older versions may not know these attributes."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        return tf.train.export_meta_graph(graph=graph, strip_default_attrs=True).graph_def
