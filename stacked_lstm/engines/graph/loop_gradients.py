"""Derivatives of a loop that TensorFlow differentiates, under control flow v1.

Under control flow v1, `tf.gradients` differentiates a loop, but not the result of that. A `tf.GradientTape` returns
None for the tensors that the loop reads. In this module, the ops with the loop are a function with a gradient of its
own. Its first derivatives are those of `tf.gradients`. For its second derivatives, the ops are built again with control
flow v2, whose loops TensorFlow differentiates twice.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import control_flow_v2, tf
from stacked_lstm.custom_gradient import available_after, custom_gradient


def differentiable(build: Callable[[], Any], optional: Sequence[tf.Tensor]) -> Any:
    """Builds ops with a loop, and returns their results, which have first and second derivatives.

    Args:
      build: function that adds the ops to the graph, and returns a nest of tensors. Second derivatives call it again.
        It is not called inside functions and control flow.
      optional: tensors that `build` reads. Most programs do not need their gradients, so no other gradient waits for
        them.
    """
    if tf.control_flow_v2_enabled():
        return build()
    graph = tf.get_default_graph()
    first_op = len(graph.get_operations())
    results = build()
    flat, ops = tf.nest.flatten(results), graph.get_operations()[first_op:]
    sources = _sources(ops)

    def build_again() -> list[tf.Tensor]:
        if any("Random" in op.type and not op.type.startswith("Stateless") for op in ops):
            raise ValueError(
                "StackedLSTM: second derivatives of an activation with random numbers need control flow v2; call "
                "tf.compat.v1.enable_control_flow_v2() before the graph is built"
            )
        return tf.nest.flatten(build())

    @custom_gradient
    def loop(*_: tf.Tensor) -> Any:
        return flat, lambda *upstream: _first_derivatives(flat, sources, upstream, optional, build_again)

    return tf.nest.pack_sequence_as(results, loop(*_values(sources)))


def _first_derivatives(
    results: Sequence[tf.Tensor],
    sources: Sequence[tf.Tensor],
    upstream: Sequence[tf.Tensor],
    optional: Sequence[tf.Tensor],
    build_again: Callable,
) -> list[tf.Tensor | None]:
    """Returns the gradient of <upstream, results> with respect to each source, None if there is none."""
    # TensorFlow finds the gradients of TensorArrays by the name scope. The scope of an outer tf.gradients would select
    # the gradients of that call.
    with tf.name_scope(None), tf.name_scope("stacked_lstm_first"):
        gradients = _gradients(results, sources, upstream, sources)
    places = [k for k, gradient in enumerate(gradients) if gradient is not None]
    optional_names = {tensor.name for tensor in optional}
    needed = [gradients[k] for k in places if sources[k].name not in optional_names]

    def second(*directions: tf.Tensor) -> list[tf.Tensor | None]:
        tensors = [*sources, *upstream]
        with tf.name_scope(None), tf.name_scope("stacked_lstm_second"), control_flow_v2():
            again = _gradients(build_again(), sources, upstream, sources)
            seconds = _gradients([again[k] for k in places], tensors, directions, tensors)
            return available_after(seconds, seconds)

    @custom_gradient
    def first(*_: tf.Tensor) -> Any:
        return available_after(needed, [tf.convert_to_tensor(gradients[k]) for k in places]), second

    with_second = dict(zip(places, first(*_values(sources), *upstream)))
    return [with_second.get(k) for k in range(len(sources))]


def _gradients(
    results: Sequence[tf.Tensor], sources: Sequence[tf.Tensor], upstream: Sequence[tf.Tensor], constants: Any
) -> list[tf.Tensor | None]:
    """Returns `tf.gradients`. A source may depend on another one: what follows from that is the caller's business."""
    gradients: list = tf.gradients(results, sources, list(upstream), stop_gradients=constants)
    return gradients


def _sources(ops: Sequence[tf.Operation]) -> list[tf.Tensor]:
    """Returns what `ops` read from other ops and what can have gradients: tensors, and handles of variables."""
    names, sources = {op.name for op in ops}, {}
    for op in ops:
        for tensor in op.inputs:
            if tensor.op.name not in names and (tensor.dtype.is_floating or tensor.op.type == "VarHandleOp"):
                sources[tensor.name] = tensor
    return list(sources.values())


def _values(sources: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the tensors, and the values of the variables. The gradient of a value is that of its variable."""
    return [
        tf.raw_ops.ReadVariableOp(resource=source, dtype=source.op.get_attr("dtype"))
        if source.dtype == tf.resource
        else source
        for source in sources
    ]
