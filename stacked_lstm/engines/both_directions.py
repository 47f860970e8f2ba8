"""Two stacks that read the same inputs, the second one from the end of each sequence to its start.

Their layers are in one list. The last `from_end` of them are the second stack. Step t of the results belongs to step t
of the inputs, and the outputs of both stacks are side by side. If all layers read from the end, or none, there is only
one stack.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    run_layers: Callable,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    from_end: int,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs both stacks on an engine that only reads from the start: it reverses the inputs and results of the second.

    Args:
      run_layers, layers, x, states, lengths: `Engine.run_layers` and its arguments.
      from_end: int, the number of layers in the second stack.

    Returns:
      (outputs [T, B, P], or [T, B, P_1 + P_2] of two stacks; list of final states, one per layer).
    """
    first = len(layers) - from_end
    outputs, finals = [], []
    if first:
        y, stack_finals = run_layers(layers[:first], x, states[:first], lengths)
        outputs.append(y)
        finals += stack_finals
    if from_end:
        reversed_x = padding.reverse(x, lengths, time_major=True)
        y, stack_finals = run_layers(layers[first:], reversed_x, states[first:], lengths)
        outputs.append(padding.reverse(y, lengths, time_major=True))
        finals += stack_finals
    return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=2), finals
