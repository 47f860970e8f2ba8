"""`Group`: successive layers of one width, which are one call of cuDNN."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines.cudnn.buffer import pack
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


class Group(NamedTuple):
    """Layers with the same numbers of units and outputs.

    Fields:
      layers: list of `Layer`.
      states: a pair (c [B, H], h [B, P]) per layer.
    """

    layers: Sequence[Layer]
    states: Sequence[Any]

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
