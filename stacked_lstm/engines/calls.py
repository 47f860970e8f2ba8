"""A record of the layers in a graph, for programs that build these layers again in another form."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState

_ATTRIBUTE = "_stacked_lstm_calls"  # A collection of the graph would be written into .meta files.


class Call(NamedTuple):
    """One call of an engine.

    Fields:
      engine: the name of the engine.
      layers: list of `Layer`.
      x: [T, B, I].
      states: a pair (c, h) per layer.
      lengths: int32 [B], or None.
      outputs: [T, B, P].
      finals: an `LSTMState` per layer.
      from_end: the number of layers that are a second stack, as in `both_directions`.
    """

    engine: str
    layers: Sequence[Layer]
    x: tf.Tensor
    states: Sequence[Any]
    lengths: tf.Tensor | None
    outputs: tf.Tensor
    finals: Sequence[LSTMState]
    from_end: int = 0


def record(call: Call) -> None:
    """Adds a call to the record of its graph, unless it is inside a function or a loop, which cannot be taken apart."""
    if not inside_function_or_control_flow():
        graph = call.outputs.graph
        setattr(graph, _ATTRIBUTE, in_graph(graph) + [call])


def in_graph(graph: tf.Graph) -> list[Call]:
    """Returns the calls in a graph that this process has built, in the order in which they were added."""
    return getattr(graph, _ATTRIBUTE, [])
