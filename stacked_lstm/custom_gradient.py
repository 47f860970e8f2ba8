"""A `tf.custom_gradient` that does not keep graphs in memory, and the order in which gradients become available.

For each call in a graph, `tf.custom_gradient` registers a gradient that TensorFlow keeps until the process ends. This
gradient keeps its tensors, and the tensors keep their graph, so the memory of a program grows with each graph that it
builds. This module registers one gradient for all calls. Each op keeps its own gradient function. Python frees the
function together with the graph.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import record_on_tapes, tf

_GRADIENT = "StackedLstmCustomGradient"
_ATTRIBUTE = "_stacked_lstm_gradient"  # The attribute of an op that keeps the function of its gradients.


def custom_gradient(function: Callable) -> Callable:
    """Decorates a function whose gradient is written by hand.

    A call adds the same op to the graph as with `tf.custom_gradient`. The function must not read variables, and it
    works in graph mode only.

    Args:
      function: function of tensors. It returns a pair: its results, which are a tensor or a nest of tensors, and a
        function from the gradients of the results to the gradients of the arguments.

    Returns:
      A function from the same tensors to the results.

    Example:
      >>> from stacked_lstm.custom_gradient import custom_gradient
      >>> @custom_gradient
      ... def clipped_gradient(x):
      ...     return tf.identity(x), lambda d: tf.clip_by_value(d, -1.0, 1.0)
      >>> x = tf.constant(2.0)
      >>> with tf.Session() as session:
      ...     print(session.run(tf.gradients(clipped_gradient(x) ** 2, x)[0]))
      1.0
    """

    def differentiable(*arguments: Any) -> Any:
        inputs = [tf.convert_to_tensor(argument) for argument in arguments]
        results, gradient = function(*inputs)
        flat = tf.nest.flatten(results)

        def input_gradients(*d_outputs: Any) -> list:
            return [None] * len(flat) + tf.nest.flatten(gradient(*d_outputs[: len(flat)]))

        # The arguments pass through the op, too, because an op has gradients with respect to its inputs only.
        tensors = flat + inputs
        with tf.get_default_graph().gradient_override_map({"IdentityN": _GRADIENT}):
            outputs = tf.identity_n(tensors)
        setattr(outputs[0].op, _ATTRIBUTE, input_gradients)
        record_on_tapes("StackedLstm", outputs, tensors, input_gradients)
        return tf.nest.pack_sequence_as(results, outputs[: len(flat)])

    return differentiable


def available_after(
    needed: Sequence[tf.Tensor | None], gradients: Sequence[tf.Tensor | None]
) -> list[tf.Tensor | None]:
    """Returns gradients that become available after all tensors of `needed` are computed.

    An optimizer applies a gradient as soon as it is available, and the variables of TensorFlow 1 change in place. Ops
    that read the old value must run before. TensorFlow's optimizers therefore wait for all gradients of an op
    (`GATE_OP`). For a custom gradient this wait has no effect, because TensorFlow's optimizer of graphs removes its op.

    Args:
      needed: tensors that are computed from the old values of variables, or None where there is no tensor.
      gradients: tensors, or None where there is no gradient.

    Returns:
      The same list, with an identity of each tensor, which copies nothing.

    Example:
      >>> from stacked_lstm.custom_gradient import available_after
      >>> x = tf.constant(2.0)
      >>> gradient, _ = available_after([x**3], [3 * x**2, None])
      >>> with tf.Session() as session:
      ...     print(session.run(gradient))
      12.0
    """
    with tf.control_dependencies([tensor.op for tensor in needed if tensor is not None]):
        return [None if gradient is None else tf.identity(gradient) for gradient in gradients]


@tf.RegisterGradient(_GRADIENT)
def _gradient(op: tf.Operation, *d_outputs: tf.Tensor) -> list:
    input_gradients = getattr(op, _ATTRIBUTE, None)
    if input_gradients is None:
        raise LookupError(
            f"custom_gradient: expected an op that this program has built, got '{op.name}' from an imported graph; "
            "compute the gradients before you export the graph"
        )
    gradients: list = input_gradients(*d_outputs)
    return gradients
