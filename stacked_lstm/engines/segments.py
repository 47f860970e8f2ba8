"""Segments: a tree of layers, with functions and devices around parts of it.

An engine runs successive layers in one call. Dropout, residual connections and devices cut a stack into pieces. The
tree says where: its leaves are layers, and each `Segment` is a node. `residual.py` removes the cuts of residual
connections, for engines that compute them.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Callable, Iterator, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState

# Runs successive layers: (layers, x [T, B, I], states) -> (h of the last layer [T, B, P], list of `LSTMState`).
RunLayers = Callable[[Sequence[Layer], tf.Tensor, Sequence[Any]], tuple]


class Segment(NamedTuple):
    """Layers on top of each other, and what stands around them.

    Fields:
      parts: list of `Layer` and `Segment`, from the input upwards.
      before: None, or a function (x [T, B, I]) -> x' [T, B, I'], which changes the inputs of the first part.
      after: None, or a function (x [T, B, I], h [T, B, P]) -> y [T, B, N]. x is the input of the segment, as it is
        before `before`; h is the output of its last part; y is the output of the segment. None means that y is h.
      device: None, or what `tf.device` takes: the parts run there.

    What the functions take is zero past the end of each sequence. What they return is set to zero there.
    """

    parts: Sequence[Layer | Segment]
    before: Callable[[tf.Tensor], tf.Tensor] | None = None
    after: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    device: Any = None


def layers(segment: Segment) -> list[Layer]:
    """Returns the layers of a tree, from the input upwards."""
    return [layer for part in segment.parts for layer in ([part] if isinstance(part, Layer) else layers(part))]


def bare_layers(segment: Segment) -> list[Layer] | None:
    """Returns the layers of a tree, from the input upwards; None if a function or a device is around a layer."""
    parts = list(inline([segment]))
    bare = [part for part in parts if isinstance(part, Layer)]
    return bare if len(bare) == len(parts) else None


def devices(segment: Segment) -> list[Any]:
    """Returns the devices in a tree that are not None."""
    below = [device for part in segment.parts if isinstance(part, Segment) for device in devices(part)]
    return below if segment.device is None else [segment.device, *below]


def map_layers(function: Callable[[int, Layer], Layer], segment: Segment) -> Segment:
    """Returns a tree with `function(k, layer)` in the place of layer number k, counted from the input upwards."""
    numbers = itertools.count()

    def walk(part: Layer | Segment) -> Any:
        if isinstance(part, Segment):
            return part._replace(parts=[walk(child) for child in part.parts])
        return function(next(numbers), part)

    return walk(segment)


def run(
    segment: Segment, x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None, run_layers: RunLayers
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs a tree.

    Args:
      segment: the root.
      x: [T, B, I]. It may hold anything past the end of a sequence.
      states: a pair (c, h) per layer.
      lengths: int32 [B], or None if all sequences have T steps.
      run_layers: `RunLayers`. It is called under the device of the layers.

    Returns:
      (outputs [T, B, N], zero past the end of each sequence; list of `LSTMState`, one per layer).
    """
    axes, remaining, finals = x.shape[:2], iter(states), []

    def apply(function: Callable[..., tf.Tensor], *series: tf.Tensor) -> tf.Tensor:
        y = padding.zero_past_end(function(*series), lengths)
        y.set_shape(axes.concatenate([None]))
        return y

    def walk(segment: Segment, x: tf.Tensor) -> tf.Tensor:
        y = apply(segment.before, x) if segment.before else x
        with contextlib.nullcontext() if segment.device is None else tf.device(segment.device):
            for piece in _pieces(segment.parts):
                if isinstance(piece, Segment):
                    y = walk(piece, y)
                else:
                    y, piece_finals = run_layers(piece, y, [next(remaining) for _ in piece])
                    finals.extend(piece_finals)
        return apply(segment.after, x, y) if segment.after else y

    return walk(segment, padding.zero_past_end(x, lengths) if _has_functions(segment) else x), finals


def _has_functions(segment: Segment) -> bool:
    nodes = [part for part in segment.parts if isinstance(part, Segment)]
    return bool(segment.before or segment.after) or any(map(_has_functions, nodes))


def _pieces(parts: Sequence[Layer | Segment]) -> list[list[Layer] | Segment]:
    """Returns what runs one after the other: lists of layers without anything between them, and segments."""
    pieces: list[Any] = []
    for part in inline(parts):
        piece = [part] if isinstance(part, Layer) else part
        joined = _join(pieces[-1], piece) if pieces else None
        if joined is None:
            pieces.append(piece)
        else:
            pieces[-1] = joined
    return pieces


def inline(parts: Sequence[Layer | Segment]) -> Iterator[Layer | Segment]:
    """Yields the parts. A segment with nothing around it is replaced by its parts."""
    for part in parts:
        if isinstance(part, Segment) and not (part.before or part.after or part.device is not None):
            yield from inline(part.parts)
        else:
            yield part


def _join(lower: Any, upper: Any) -> Any:
    """Returns two pieces as one, if that runs the same: layers, or segments on one device. Otherwise None."""
    if isinstance(lower, list) and isinstance(upper, list):
        return lower + upper
    if isinstance(lower, Segment) and isinstance(upper, Segment) and lower.device == upper.device is not None:
        if not (lower.before or lower.after or upper.before or upper.after):
            return lower._replace(parts=[*lower.parts, *upper.parts])
    return None
