"""Layers that one op computes in both directions, as two calls that read from the start.

The backward direction gets nodes that reverse its inputs, and nodes that reverse its part of the outputs. Programs that
build layers again need not know of directions then. The results of the graph stay the same.
"""

from __future__ import annotations

import itertools
from typing import Any, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.export import graph_nodes


def separate(definition: Any, calls: Sequence[Any]) -> list[Any]:
    """Returns the calls with two in the place of each that has layers of both directions.

    Args:
      definition: the GraphDef, to which nodes are added.
      calls: list of `frozen.FrozenCall`.
    """
    return [part for call in calls for part in (_separate(definition, call) if call.from_end else [call])]


def new_scope(definition: Any) -> str:
    """A scope that no node of a graph is in, such as a graph that was exported before."""
    scopes = {node.name.split("/")[0] for node in definition.node}
    names = itertools.chain([graph_nodes.SCOPE], (f"{graph_nodes.SCOPE}_{k}" for k in itertools.count(1)))
    return next(name for name in names if name not in scopes)


def _separate(definition: Any, call: Any) -> list[Any]:
    count = len(call.layers)
    first = count - call.from_end
    sources = [call.inputs[0], call.outputs[0], *call.inputs[1 + 2 * count :]]
    with tf.Graph().as_default() as part, tf.name_scope(new_scope(definition)):
        x, outputs, *rest = [tf.placeholder(spec.dtype, spec.shape, "input") for spec in sources]
        lengths = rest[0] if rest else None
        reversed_x = tf.identity(padding.reverse(x, lengths, time_major=True), "reversed_input")
        widths = [call.layers[first - 1].output_size, call.layers[-1].output_size]
        forward, backward = (tf.identity(side, "outputs") for side in tf.split(outputs, widths, axis=2))
        reversed_outputs = tf.identity(padding.reverse(backward, lengths, time_major=True), "reversed_outputs")
        joined = tf.concat([forward, padding.reverse(reversed_outputs, lengths, time_major=True)], axis=2)
    nodes = [node for node in part.as_graph_def().node if node.op != "Placeholder"]
    graph_nodes.redirect(definition.node, {call.outputs[0].name: joined.name})
    graph_nodes.redirect(nodes, {t.name: spec.name for t, spec in zip([x, outputs, *rest], sources)})
    definition.node.extend(nodes)

    def spec(tensor: tf.Tensor) -> Any:
        return call.inputs[0]._replace(name=tensor.name, shape=tensor.shape.as_list())

    sides = [
        (slice(0, first), call.inputs[0], spec(forward)),
        (slice(first, count), spec(reversed_x), spec(reversed_outputs)),
    ]
    return [
        call._replace(
            layers=call.layers[side],
            inputs=[source, *call.inputs[1 + 2 * side.start : 1 + 2 * side.stop], *sources[2:]],
            outputs=[result, *call.outputs[1 + 2 * side.start : 1 + 2 * side.stop]],
            from_end=0,
        )
        for side, source, result in sides
    ]
