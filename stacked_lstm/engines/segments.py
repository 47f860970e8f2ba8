"""What stands between layers: a stack runs in segments."""

from typing import Any, Callable, NamedTuple, Optional, Sequence

from stacked_lstm.layer import Layer


class Segment(NamedTuple):
    """Layers that run on an engine together, and what becomes of their outputs.

    Fields:
      layers: list of `Layer`.
      after: (x [T, B, I], h [T, B, P]) -> y [T, B, N], or None where y is h. x is what the layers took, h what they
        made. y is what the next segment takes, or the outputs of the stack. x and h are zero past each sequence's end;
        y is set to zero there.
    """

    layers: Sequence[Layer]
    after: Optional[Callable[[Any, Any], Any]] = None
