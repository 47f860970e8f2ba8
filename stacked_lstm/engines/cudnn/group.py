"""`Group`: layers of one width that are one call of cuDNN, in one or both directions."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines.cudnn.buffer import pack
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState

UNIDIRECTIONAL, BIDIRECTIONAL = "unidirectional", "bidirectional"  # The attribute `direction` of both ops.


class Group(NamedTuple):
    """Layers with the same numbers of units and outputs.

    Fields:
      layers: list of `Layer`. Each one reads the outputs of the layer before it. If the direction is BIDIRECTIONAL,
        there are two layers with the same inputs: the first one reads from the start, the second one from the end.
      states: a pair (c [B, H], h [B, P]) per layer.
      direction: UNIDIRECTIONAL or BIDIRECTIONAL.
    """

    layers: Sequence[Layer]
    states: Sequence[Any]
    direction: str = UNIDIRECTIONAL

    @property
    def output_size(self) -> int:
        """The width of the outputs. The outputs of both directions are side by side."""
        outputs = self.layers if self.direction == BIDIRECTIONAL else self.layers[-1:]
        return sum(layer.output_size for layer in outputs)

    def weights(self) -> tf.Tensor:
        """Returns cuDNN's buffer of all weights, a vector."""
        return pack(self.layers)

    def stacked_states(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns h [L, B, P] and c [L, B, H]."""
        c, h = (tf.stack(parts) for parts in zip(*self.states))
        return h, c

    def unstack(self, h: tf.Tensor, c: tf.Tensor) -> list[LSTMState]:
        """Returns the `LSTMState` of each layer, from h [L, B, P] and c [L, B, H]."""
        parts = (tf.unstack(state, len(self.layers)) for state in (c, h))
        return [LSTMState(*state) for state in zip(*parts)]
