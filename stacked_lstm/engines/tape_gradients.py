"""Gradients of a loop for `tf.GradientTape` under control flow v1.

A tape records the gradient of each op when the op is built. It does not have the gradient of a loop under control flow
v1. It would return None for the tensors that the loop reads. `tf.gradients` returns this gradient.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import record_on_tapes, tapes_are_active, tf


def record(build: Callable[[], Any], second: Callable[..., Any]) -> Any:
    """Builds ops with a loop, and records their gradient on the active tapes.

    Args:
      build: function that adds the ops to the graph. It returns a nest of tensors.
      second: function for second derivatives. It takes the gradients of the first derivatives. It returns the gradients
        of the tensors that the ops read, then those of the gradients of the results.

    Returns:
      What `build` returns.
    """
    if tf.control_flow_v2_enabled() or not tapes_are_active():
        return build()
    graph = tf.get_default_graph()
    first_op = len(graph.get_operations())
    results = build()
    flat = tf.nest.flatten(results)
    sources = _inputs(graph.get_operations()[first_op:])

    def gradient(*d_results: tf.Tensor) -> Sequence[tf.Tensor | None]:
        # TensorFlow finds the gradients of TensorArrays by the name scope. The scope of an outer tf.gradients would
        # select the gradients of that call.
        with tf.name_scope(None), tf.name_scope("stacked_lstm_tape"):
            # A source may depend on another one. The tape itself follows these dependencies.
            gradients = tf.gradients(flat, sources, d_results, stop_gradients=sources)
            gradients = [None if d is None else tf.convert_to_tensor(d) for d in gradients]
        record_on_tapes(
            "StackedLstmLoopGradient", [d for d in gradients if d is not None], [*sources, *d_results], second
        )
        return gradients

    record_on_tapes("StackedLstmLoop", flat, sources, gradient)
    return results


def _inputs(ops: list[tf.Operation]) -> list[tf.Tensor]:
    """Returns what `ops` read from other ops and what can have gradients: floating-point tensors and variables."""
    names, sources = {op.name for op in ops}, {}
    for op in ops:
        for tensor in op.inputs:
            if tensor.op.name not in names and (tensor.dtype.is_floating or tensor.dtype == tf.resource):
                sources[tensor.name] = tensor
    return list(sources.values())
