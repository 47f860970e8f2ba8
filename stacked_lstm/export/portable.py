"""LSTM layers and random masks of a frozen graph, built again with TensorFlow's own ops.

The layers are built with the `graph` engine in a graph of their own, the part. Then the nodes of both graphs are
joined: the part reads the tensors that the layers read, and what read the layers' results reads those of the part.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import graph, residual
from stacked_lstm.export import frozen_directions, graph_nodes, inference_loop, portable_masks
from stacked_lstm.export.frozen import Frozen, check_portable
from stacked_lstm.export.frozen_layers import FrozenCall, check_weights
from stacked_lstm.lstm import layer_features

# What the layers that are built again do not have.
_NOT_PORTABLE = layer_features.all_except(
    *layer_features.EXTRAS,
    layer_features.NORM,
    layer_features.ZONEOUT_C,
    layer_features.ZONEOUT_H,
    layer_features.RESIDUAL,
)


def portable_definition(frozen: Frozen) -> Any:
    """Returns a GraphDef with the same results that every program with TensorFlow can run.

    Args:
      frozen: the graph.

    Raises:
      ValueError: layers cannot be built again, or the graph has other ops that are not portable.
    """
    calls = [call for call in frozen.calls if call.engine != graph.ENGINE.name]
    joined, _ = _join(frozen, calls, [graph.run] * len(calls))
    return _portable(frozen, joined)


def inference_definition(frozen: Frozen) -> Any:
    """Returns what `portable_definition` returns, with all layers as loops that keep only what the graph reads.

    Args:
      frozen: the graph.

    Raises:
      ValueError: as `portable_definition`.
    """
    joined, results = _join(frozen, frozen.calls, [inference_loop.run] * len(frozen.calls))
    nodes = {node.name for node in _portable(frozen, joined).node}
    are_read = [_has_sums(call) or results[call.outputs[0].name].split(":")[0] in nodes for call in frozen.calls]
    runs = [functools.partial(inference_loop.run, has_outputs=is_read) for is_read in are_read]
    joined, _ = _join(frozen, frozen.calls, runs)
    return _portable(frozen, joined)


def with_tensorflow_masks(frozen: Frozen) -> Frozen:
    """Returns the graph with TensorFlow's ops in the places of the native ops that draw random masks.

    All other nodes stay, because the layers may read nodes that the outputs do not need.
    """
    return frozen._replace(definition=_join(frozen, [], [])[0])


def _join(frozen: Frozen, calls: Sequence[FrozenCall], runs: Sequence[Callable]) -> tuple[Any, dict[str, str]]:
    """Builds layers again, each call with its function like `Engine.run_layers`.

    Returns:
      (GraphDef with all nodes, old and new, the graph's own if there is nothing to build; dictionary from names of the
      layers' results to the new ones).
    """
    masks = portable_masks.nodes(frozen.definition)
    if not calls and not masks:
        return frozen.definition, {}
    part, sources, results = _part(calls, masks, frozen_directions.new_scope(frozen.definition), runs)
    joined = tf.GraphDef()
    joined.CopyFrom(frozen.definition)
    joined.node.extend(node for node in part.node if node.op != "Placeholder")
    joined.library.function.extend(part.library.function)
    graph_nodes.redirect(joined.node, sources)
    graph_nodes.redirect(joined.node, results)  # Layers may read the results of other layers.
    return joined, results


def _portable(frozen: Frozen, definition: Any) -> Any:
    """The nodes that the outputs need. Raises ValueError if one of them is not portable."""
    part = graph_nodes.needed(definition, [spec.name for spec in frozen.outputs])
    check_portable(part)
    return part


def _part(
    layers: Sequence[FrozenCall], masks: Sequence[Any], scope: str, runs: Sequence[Callable]
) -> tuple[Any, dict[str, str], dict[str, str]]:
    """Builds layers, and the masks of nodes.

    Returns:
      (GraphDef; dictionary from the names of its placeholders to the names of the tensors that they replace; dictionary
      from the old names of the layers' results and of the masks to their new names).
    """
    sources: dict[str, str] = {}
    results: dict[str, str] = {}
    with tf.Graph().as_default() as part, tf.name_scope(scope):
        for call, run in zip(layers, runs):
            check_weights(call)
            present = layer_features.present(call.layers, _NOT_PORTABLE)
            if present:
                where = f"layers with {' and '.join(present)}, which compute {call.outputs[0].name}"
                advice = 'for a SavedModel or a frozen graph, build the layers with engine="graph"'
                checks.fail("export.write", "layers that can be built for other programs", f"{where}; {advice}")
            inputs = [tf.placeholder(spec.dtype, spec.shape, "input") for spec in call.inputs]
            sources.update((tensor.name, spec.name) for tensor, spec in zip(inputs, call.inputs))
            end = 1 + 2 * len(call.layers)
            states = list(zip(inputs[1:end:2], inputs[2:end:2]))
            lengths = inputs[end] if len(inputs) > end else None
            built = [layer.map_weights(tf.constant) for layer in call.layers]
            outputs, finals = residual.run(run, built, inputs[0], states, lengths)
            tensors = [outputs] + [tensor for final in finals for tensor in final]
            pairs = [(spec, tensor) for spec, tensor in zip(call.outputs, tensors) if tensor is not None]
            results.update((spec.name, tf.identity(tensor, "result").name) for spec, tensor in pairs)
        for node in masks:
            inputs, mask = portable_masks.build(node)
            sources.update((tensor.name, name) for tensor, name in zip(inputs, node.input))
            results[f"{node.name}:0"] = tf.identity(mask, "mask").name
    definition = part.as_graph_def()
    graph_nodes.without_places(definition)
    return definition, sources, results


def _has_sums(call: FrozenCall) -> bool:
    """Whether sums outside of the loops, for residual connections, read outputs of layers."""
    return any(layer.residual for layer in call.layers)
