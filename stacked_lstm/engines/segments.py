"""What stands between layers: a stack runs in segments."""

from typing import Any, Callable, NamedTuple, Optional, Sequence


class Segment(NamedTuple):
    """Layers that run on an engine together, and what becomes of their outputs.

    Fields:
      layers: list of `Layer`.
      after: function (x [T, B, I], h [T, B, P]) -> what the layers above take, or the stack's outputs, [T, B, N]: from
        what these layers took and what they made, a residual sum for one. Both are zero past each sequence's end, and
        so is made what it returns. None where it is h itself.
    """

    layers: Sequence[Any]
    after: Optional[Callable] = None
