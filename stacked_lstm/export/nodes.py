"""Changes of the nodes of a GraphDef."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from stacked_lstm.compat import tf


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


def identity(name: str, source: str, dtype: tf.DType) -> Any:
    """A node that returns the tensor `source`."""
    node = tf.NodeDef(name=name, op="Identity", input=[source])
    node.attr["T"].type = dtype.as_datatype_enum
    return node


def placeholder(name: str, dtype: tf.DType, shape: Sequence[int | None]) -> Any:
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
