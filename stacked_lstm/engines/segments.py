"""Segments: what stands between the layers of a stack. A segment is some layers and a function after them.

`StackedLSTM._segments` makes the segments of a stack. A residual sum (a layer's input plus its output) is such a
function.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer


class Segment(NamedTuple):
    """Layers that an engine runs together, and a function that follows them.

    Fields:
      layers: list of `Layer`, from the input upwards.
      after: None, or a function (x [T, B, I], h [T, B, P]) -> y [T, B, N]. x is the input of the segment's first layer,
        h the output of its last layer. y is the input of the next segment, or the output of the stack. x and h are zero
        past the end of each sequence, and y is set to zero there. None means that y is h.
    """

    layers: Sequence[Layer]
    after: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
