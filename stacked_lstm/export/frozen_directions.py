"""Calls that read from the start, for layers that one op computes in both directions or from the end.

New nodes reverse the inputs and the outputs of the backward direction. The export then builds only layers that read
from the start. The results of the graph stay the same.
"""

from __future__ import annotations

import itertools
from typing import Any, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.export import graph_nodes


def separate(definition: Any, calls: Sequence[Any]) -> list[Any]:
    """Returns calls that all read from the start. A call per direction replaces each call with layers from the end.

    Args:
      definition: the GraphDef, to which nodes are added.
      calls: list of `frozen_layers.FrozenCall`.
    """
    parts: list[Any] = []
    new_names: dict[str, str] = {}  # Outputs of a replaced call -> their new tensor, for upper layers.
    for call in calls:
        call = call._replace(inputs=[spec._replace(name=new_names.get(spec.name, spec.name)) for spec in call.inputs])
        if call.from_end:
            sides, new_names[call.outputs[0].name] = _separate(definition, call)
            parts += sides
        else:
            parts.append(call)
    return parts


def new_scope(definition: Any) -> str:
    """Returns the name of a scope without nodes. A graph that was exported before has nodes in the usual scope."""
    scopes = {node.name.split("/")[0] for node in definition.node}
    names = itertools.chain([graph_nodes.SCOPE], (f"{graph_nodes.SCOPE}_{k}" for k in itertools.count(1)))
    return next(name for name in names if name not in scopes)


def _separate(definition: Any, call: Any) -> tuple[list[Any], str]:
    """Returns a call for each direction, and the name of the tensor that replaces the outputs of the call."""
    count = len(call.layers)
    first = count - call.from_end
    sides = [side for side in (slice(0, first), slice(first, count)) if call.layers[side]]
    sources = [call.inputs[0], call.outputs[0], *call.inputs[1 + 2 * count :]]
    with tf.Graph().as_default() as part, tf.name_scope(new_scope(definition)):
        x, outputs, *rest = [tf.placeholder(spec.dtype, spec.shape, "input") for spec in sources]
        lengths = rest[0] if rest else None
        reversed_x = tf.identity(padding.reverse(x, lengths, time_major=True), "reversed_input")
        widths = [call.layers[side][-1].output_size for side in sides]
        *forward, backward = (tf.identity(y, "outputs") for y in tf.split(outputs, widths, axis=2))
        reversed_outputs = tf.identity(padding.reverse(backward, lengths, time_major=True), "reversed_outputs")
        joined = tf.concat([*forward, padding.reverse(reversed_outputs, lengths, time_major=True)], axis=2)
    nodes = [node for node in part.as_graph_def().node if node.op != "Placeholder"]
    graph_nodes.redirect(definition.node, {call.outputs[0].name: joined.name})
    graph_nodes.redirect(nodes, {t.name: spec.name for t, spec in zip([x, outputs, *rest], sources)})
    definition.node.extend(nodes)

    def spec(tensor: tf.Tensor) -> Any:
        return call.inputs[0]._replace(name=tensor.name, shape=tensor.shape.as_list())

    series = [*((call.inputs[0], spec(y)) for y in forward), (spec(reversed_x), spec(reversed_outputs))]
    calls = [
        call._replace(
            layers=call.layers[side],
            inputs=[source, *call.inputs[1 + 2 * side.start : 1 + 2 * side.stop], *sources[2:]],
            outputs=[result, *call.outputs[1 + 2 * side.start : 1 + 2 * side.stop]],
            from_end=0,
        )
        for side, (source, result) in zip(sides, series)
    ]
    return calls, joined.name
