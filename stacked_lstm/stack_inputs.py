"""The inputs of one call of a stack, the initial states that are configured, not passed, and what an engine runs."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.segments import Segment
from stacked_lstm.initial_state import InitialState, restarts, zero_states
from stacked_lstm.state import LSTMState
from stacked_lstm.steps import Record
from stacked_lstm.tensor_checks import Size


class StackInputs(NamedTuple):
    """The inputs of one call.

    Fields:
      x: tensor [B, T, I], or [T, B, I] if `time_major`.
      lengths: int32 [B], or None if all sequences have T steps.
      steps, batch: the `Size`s T and B.
      time_major: bool.
    """

    x: tf.Tensor
    lengths: tf.Tensor | None
    steps: Size
    batch: Size
    time_major: bool

    def start(self, kind: InitialState, variables: list, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        """Returns the state before the first step, an `LSTMState` per layer.

        Args:
          kind: the configured initial state.
          variables: its variables, a dictionary per layer.
          sizes: the widths of c and h of each layer.
        """
        first_step = functools.partial(padding.first_step, self.x, self.lengths, self.time_major)
        return kind.start(variables, self._zeros(sizes), first_step)

    def restarts(self, kind: InitialState, variables: list, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        """Returns the states from which sequences start again; the arguments are those of `start`."""
        series = self.x if self.time_major else tf.transpose(self.x, [1, 0, 2])
        return restarts(kind, variables, self._zeros(sizes), padding.zero_past_end(series, self.lengths))

    def _zeros(self, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        return zero_states(self.batch.value, sizes, self.x.dtype)


class StackCall(NamedTuple):
    """A call of a stack, ready for an engine. The tensors are in the stack's `compute_dtype`.

    Fields:
      scope: the name scope of the call's ops.
      segment: the `Segment` with all layers.
      x: [B, T, I], or [T, B, I] if `time_major`.
      states: a pair (c, h) per layer.
      lengths: int32 [B], or None if all sequences have T steps.
      time_major: bool, whether time is the first axis.
      records: the list to which each layer adds a `Record` when it runs, or None.
    """

    scope: str
    segment: Segment
    x: tf.Tensor
    states: Sequence[Any]
    lengths: tf.Tensor | None
    time_major: bool
    records: list[Record] | None
