"""Results that each have an op of their own. The stop_gradients of tf.gradients stop whole ops, not single tensors."""

from __future__ import annotations

from typing import Any

from stacked_lstm.compat import tf


def separate(tensors: Any) -> Any:
    """Returns a nest of tensors, each the only result of its op.

    Without it, `tf.gradients(loss, variables, stop_gradients=[state])` would also stop the gradients of the outputs,
    if one op computes the outputs and the state. Tensors that are alone in their ops stay the same objects.

    Args:
      tensors: nest of tensors.
    """
    return tf.nest.map_structure(lambda t: t if len(t.op.outputs) == 1 else tf.identity(t), tensors)
