"""Residual connections: within the layers for engines that compute them there, and as sums for the others.

In a tree of `Segment`s, a residual connection is a segment whose `after` is `add_input`. If there is one layer within,
and nothing else, the segment is the same as this layer with `residual`. An engine that takes such layers runs them in
one call with the layers around them.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import segments
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def add_input(x: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
    """The `after` of a `Segment` with a residual connection."""
    return x + h


def within_layers(segment: Segment, takes: Callable[[Sequence[Layer]], bool]) -> Segment:
    """Returns a tree in which layers are `residual` where an engine computes that.

    Args:
      segment: the root.
      takes: function from successive layers to whether an engine can run them. At least one layer is `residual`. The
        function is called under the device of the layers.
    """
    parts: list[Any] = []
    with contextlib.nullcontext() if segment.device is None else tf.device(segment.device):
        pairs = [(part, _as_layer(part)) for part in segments.inline(segment.parts)]
        for is_layer, group in itertools.groupby(pairs, lambda pair: pair[1] is not None):
            group_parts, layers = map(list, zip(*group))
            if not is_layer:
                parts += [within_layers(part, takes) for part in group_parts]
            else:
                is_taken = any(layer.residual for layer in layers) and takes(layers)
                parts += layers if is_taken else group_parts
    return segment._replace(parts=parts)


def run(
    run_layers: Callable, layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None = None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers that may be `residual` on an engine that has no such layers.

    Args:
      run_layers, layers, x, states, lengths: `Engine.run_layers` and its arguments.

    Returns:
      What `Engine.run_layers` returns.
    """
    if not any(layer.residual for layer in layers):
        outputs, finals = run_layers(layers, x, states, lengths)
        return outputs, finals
    parts = [_around(layer) if layer.residual else layer for layer in layers]
    return segments.run(Segment(parts), x, states, lengths, lambda *piece: run_layers(*piece, lengths))


def _around(layer: Layer) -> Segment:
    return Segment([layer._replace(residual=False)], after=add_input)


def _as_layer(part: Layer | Segment) -> Layer | None:
    """Returns what runs the same as a part, if that is a layer."""
    if isinstance(part, Layer):
        return part
    parts = list(segments.inline(part.parts))
    if part.after is not add_input or part.before or part.device is not None or len(parts) != 1:
        return None
    return parts[0]._replace(residual=True) if isinstance(parts[0], Layer) and not parts[0].residual else None
