"""`StackCall`: a call of a stack that is ready for an engine. `run_both`: two calls that an engine runs at once."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm import engines
from stacked_lstm.compat import tf
from stacked_lstm.engines import EngineUsed
from stacked_lstm.engines.segments import Segment
from stacked_lstm.separate_ops import separate
from stacked_lstm.stack.steps import Record, replay
from stacked_lstm.state import LSTMState


class StackCall(NamedTuple):
    """A call of a stack, ready for an engine. The tensors are in the stack's `compute_dtype`.

    Fields:
      name: the name of the stack, for messages.
      dtype: the `tf.DType` of the results.
      request: the `engines.Request`.
      scope: the name scope of the call's ops.
      segment: the `Segment` with all layers.
      x: [B, T, I], or [T, B, I] if `time_major`.
      states: a pair (c, h) per layer.
      lengths: int32 [B], or None if all sequences have T steps.
      time_major: bool, whether time is the first axis.
      records: the list to which each layer adds a `Record` when it runs, or None.
      from_end: bool, whether each sequence is read from its end. Step t of the results belongs to step t of x.
    """

    name: str
    dtype: tf.DType
    request: engines.Request
    scope: str
    segment: Segment
    x: tf.Tensor
    states: Sequence[Any]
    lengths: tf.Tensor | None
    time_major: bool
    records: list[Record] | None
    from_end: bool = False

    def run(self) -> tuple[tuple[Any, ...], EngineUsed]:
        """Runs the layers.

        Returns:
          (results, `EngineUsed`). The results are those of `StackedLSTM.__call__`.

        Raises:
          ValueError: as in `engines.choose`.
        """
        with tf.name_scope(self.scope):
            arguments = self.segment, self.x, self.states, self.lengths, self.time_major, self.name
            outputs, finals, used = engines.run(self.request, *arguments, from_end=self.from_end)
        return self.finish(outputs, finals), used

    def finish(self, outputs: tf.Tensor, finals: Sequence[LSTMState]) -> tuple[Any, ...]:
        """Returns the results of the call, from the outputs of the layers and their final states."""
        results: tuple[Any, ...] = (outputs, tuple(finals))
        with tf.name_scope(self.scope):
            if self.records is not None:
                results += (replay(self.records, self.states, self.lengths, self.time_major, self.from_end),)
            return separate(cast(results, self.dtype))


def run_both(forward: StackCall, backward: StackCall) -> tuple[tf.Tensor, Sequence[Any], EngineUsed] | None:
    """Runs two calls at once on the inputs of the first one. The second one reads each sequence from its end.

    Args:
      forward, backward: the calls, with time as the first axis and the same lengths.

    Returns:
      (outputs [T, B, P_1 + P_2], a pair of final states, `EngineUsed`). None if the engine cannot run both at
      once, or if a call has `records`; see `engines.run_both`.

    Raises:
      ValueError: as in `engines.choose`.
    """
    calls = forward, backward
    stacks, states = zip(*[(call.segment, call.states) for call in calls])
    both = engines.run_both(forward.request, stacks, forward.x, states, forward.lengths, forward.name)
    if both is None:
        return None
    joined, all_finals, used = both
    with tf.name_scope(forward.scope):
        joined = separate(joined)  # Once; otherwise each call would add an op.
    results = [call.finish(joined, finals) for call, finals in zip(calls, all_finals)]
    return results[0][0], [finals for _, finals in results], used


def cast(tensors: Any, dtype: tf.DType) -> Any:
    """Returns a nest of tensors, cast to a dtype. Tensors of this dtype stay the same objects."""
    return tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), tensors)
