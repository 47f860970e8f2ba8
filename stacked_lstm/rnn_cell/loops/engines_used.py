"""Which engine ran a call of a loop: the record of all calls, and `engine_used`, which reads it."""

from __future__ import annotations

import weakref
from typing import Any

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import ENGINES, STEPWISE, EngineUsed

# graph -> name of a tensor -> `EngineUsed`.
_ENGINES_USED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def record(outputs: Any, used: EngineUsed) -> None:
    """Keeps for `engine_used` which engine made the tensors of a nest."""
    for tensor in tf.nest.flatten(outputs):
        _ENGINES_USED.setdefault(tensor.graph, {})[tensor.name] = used


def engine_used(outputs: Any) -> EngineUsed:
    """Returns the engine that runs a call of a loop such as `dynamic_rnn`, and the reason.

    Args:
      outputs: the outputs that a loop of this package returned, a tensor or a list; for `bidirectional_dynamic_rnn`,
        the forward or the backward outputs.

    Returns:
      `EngineUsed(name, reason)`, two strings. The name is "cudnn", "native", "graph", or "stepwise" for TensorFlow's
      own loop. If layers run on different engines, it has all of them: "native and graph".

    Raises:
      ValueError: `outputs` are not from such a call.

    Example:
      >>> from stacked_lstm import rnn_cell
      >>> class MyCell(rnn_cell.LSTMCell):
      ...     def call(self, inputs, state):
      ...         return super().call(inputs, state)
      >>> outputs, state = rnn_cell.dynamic_rnn(MyCell(32), tf.zeros([4, 20, 8]), dtype=tf.float32)
      >>> rnn_cell.engine_used(outputs).name
      'stepwise'
      >>> rnn_cell.engine_used(outputs).reason
      "TensorFlow's own loop, because no engine runs the class MyCell"
    """
    for tensor in tf.nest.flatten(outputs)[:1]:
        if tf.is_tensor(tensor) and tensor.name in _ENGINES_USED.get(tensor.graph, {}):
            return _ENGINES_USED[tensor.graph][tensor.name]
    return checks.fail("engine_used", "outputs of this package's loops", checks.describe(outputs))


def last(*uses: EngineUsed) -> EngineUsed:
    """Returns the one that comes last in the order of `ENGINES`, with "stepwise" at the end.

    The last engine counts in a name like "native and graph".
    """
    order = [*ENGINES, STEPWISE]
    return max(uses, key=lambda used: max(map(order.index, used.name.split(" and "))))
