"""The LSTM nodes of an ONNX model, and how each gets its input from the one before."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from stacked_lstm.checkpoints.onnx.onnx_graphs import DOMAINS, MOVES, Model, Scope, describe

_HARMLESS = MOVES + ("Dropout",)  # Ops between two layers that leave them a stack, except for the next.


def _reverses(model: Model, scope: Scope, node: Any) -> bool:
    """Whether a node is a Slice that reads backward, or may do so."""
    if node.op_type != "Slice" or len(node.input) < 5 or not node.input[4]:
        return False
    steps = model.constant(scope, node.input[4])
    return isinstance(steps, str) or bool((steps < 0).any())


class Link(NamedTuple):
    """An LSTM node and the one before it.

    Fields:
      scope: the graph of the node.
      node: the NodeProto.
      feeds: whether the node computes from the LSTM node before it.
      between: what the node's input comes from, if `feeds` and that is not the outputs of the LSTM node before it, e.g.
        "Relu (node 'activation')"; else empty.
    """

    scope: Scope
    node: Any
    feeds: bool
    between: str


def links(model: Model) -> Iterator[Link]:
    """The LSTM nodes of a model, in order."""
    last: dict[tuple[str, str], int] = {}  # Tensor -> number of the last LSTM node that it is computed from.
    sources: dict[tuple[str, str], str] = {}  # Tensor -> what its numbers come from, by ops that only move them.
    count = 0
    for scope, node in model.nodes:
        inputs = [_key(model, scope, name) for name in node.input if name]
        results = [
            _key(model, body, value.name) for body in model.bodies.get(id(node), []) for value in body.graph.output
        ]
        number = max([last.get(key, 0) for key in inputs + results] + [0])
        moved = {
            sources.get(key, f"the input {key[1]}") for key in (inputs if node.op_type == "Concat" else inputs[:1])
        }
        is_harmless = node.op_type in _HARMLESS and not _reverses(model, scope, node)
        source = moved.pop() if is_harmless and len(moved) == 1 else describe(node)
        outputs = dict.fromkeys([name for name in node.output if name], source)
        if node.op_type == "LSTM" and node.domain in DOMAINS:
            x = inputs[0]
            feeds = count > 0 and last.get(x, 0) == count
            origin = sources.get(x, f"the input {x[1]}")
            yield Link(scope, node, feeds, origin if feeds and origin != _outputs(count) else "")
            count += 1
            number = count
            outputs = {name: f"the final state of {source}" for name in outputs}
            outputs[node.output[0]] = _outputs(count)
        last.update(((scope.path, name), number) for name in outputs)
        sources.update(((scope.path, name), text) for name, text in outputs.items())


def _key(model: Model, scope: Scope, name: str) -> tuple[str, str]:
    return model.owner(scope, name).path, name


def _outputs(number: int) -> str:
    return f"the outputs of LSTM node {number}"
