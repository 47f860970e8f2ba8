"""The inputs of a call of a stack, and the configured initial states."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Sequence

from stacked_lstm import checks, graph_checks, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.stack.initial_state import InitialState, restarts, zero_states
from stacked_lstm.state import LSTMState
from stacked_lstm.tensor_checks import Size


class StackInputs(NamedTuple):
    """The inputs of one call.

    Fields:
      x: tensor [B, T, I], or [T, B, I] if `time_major`.
      lengths: int32 [B], or None if all sequences have T steps.
      steps, batch: the `Size`s T and B.
      time_major: bool.
      from_end: bool, whether each sequence is read from its end; `time_major` is then true.
    """

    x: tf.Tensor
    lengths: tf.Tensor | None
    steps: Size
    batch: Size
    time_major: bool
    from_end: bool = False

    def start(self, kind: InitialState, variables: list, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        """Returns the state before the first step, an `LSTMState` per layer.

        Args:
          kind: the configured initial state.
          variables: its variables, a dictionary per layer.
          sizes: the widths of c and h of each layer.
        """
        if self.from_end:
            first_step = functools.partial(padding.last_step, self.x, self.lengths)
        else:
            first_step = functools.partial(padding.first_step, self.x, self.lengths, self.time_major)
        return kind.start(variables, self._zeros(sizes), first_step)

    def restarts(self, kind: InitialState, variables: list, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        """Returns the states from which sequences start again; the arguments are those of `start`."""
        series = self.x if self.time_major else tf.transpose(self.x, [1, 0, 2])
        return restarts(kind, variables, self._zeros(sizes), padding.zero_past_end(series, self.lengths))

    def _zeros(self, sizes: Sequence[LSTMState]) -> list[LSTMState]:
        return zero_states(self.batch.value, sizes, self.x.dtype)


def check_inputs(
    name: str, dtype: tf.DType, inputs: Any, time_major: bool, training: Any, return_steps: bool
) -> tuple[tf.Tensor, Any]:
    """Checks arguments of a call of a `StackedLSTM` or a `BidirectionalLSTM`; returns (inputs, training).

    The inputs are a tensor of `dtype`. `training` is as `tensor_checks.training` returns it.

    Raises:
      ValueError: an argument has the wrong shape, dtype or kind. The message begins with `name`.
      RuntimeError: eager mode is on.
    """
    graph_checks.graph_mode(name)
    checks.flag(time_major, name, "time_major")
    training = tensor_checks.training(training, name)
    checks.flag(return_steps, name, "return_steps")
    return tensor_checks.inputs(inputs, dtype, time_major, name), training
