"""TensorFlow's op CudnnRNNV3, which computes with cuDNN's standard algorithm, also with lengths.

The op failed in a test with a projection and lengths ("Failed to call DoRnnForward", cuDNN 9.19, an H100).

TensorFlow has the op's first derivatives. Second derivatives are those of the `graph` engine. The names of the
gradients contain the direction, because the ops that replace cuDNN in tests have no attributes.
"""

from __future__ import annotations

import functools
from typing import Any, Sequence

from stacked_lstm import compat
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.cudnn import derivatives
from stacked_lstm.engines.cudnn.group import BIDIRECTIONAL, UNIDIRECTIONAL, Group
from stacked_lstm.engines.cudnn.scope import SCOPE
from stacked_lstm.state import LSTMState

_ATTRIBUTES = {"rnn_mode": "lstm", "input_mode": "linear_input", "time_major": True}
_SUFFIXES = {UNIDIRECTIONAL: "", BIDIRECTIONAL: "Bidirectional"}  # The ends of the gradients' names.


def run(groups: Sequence[Group], x: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs groups one after the other; see `Engine.run_layers`.

    cuDNN takes neither empty sequences nor empty batches. This function therefore adds a step or a sequence, and
    removes the results of these. With lengths it always adds a step: TensorFlow keeps in the op whether all sequences
    of the first batch of a size have all steps, and wrongly assumes the same for other batches of that size
    (https://github.com/tensorflow/tensorflow/issues/41630).
    """
    x = padding.zero_past_end(x, lengths)
    steps, batch = tf.unstack(tf.shape(x)[:2])
    extra_steps = tf.maximum(1 - steps, 0) if lengths is None else 1
    extra_batch = tf.maximum(1 - batch, 0)
    x = _lengthen(x, [extra_steps, extra_batch, 0])
    if lengths is None:
        lengths, op_lengths, padded_lengths = tf.fill([batch], steps), tf.fill(tf.shape(x)[1:2], tf.shape(x)[0]), None
    else:
        padded_lengths = tf.pad(lengths, [[0, extra_batch]])
        op_lengths = tf.maximum(padded_lengths, 1)
    finals, states = [], [state for group in groups for state in group.states]
    for group in groups:
        group = group._replace(states=[[_lengthen(part, [extra_batch, 0]) for part in pair] for pair in group.states])
        h, c = group.stacked_states()
        outputs, h, c, _, _ = call(x, h, c, group.weights(), op_lengths, group.direction)
        outputs.set_shape(x.shape[:2].concatenate([group.output_size]))
        x = padding.zero_past_end(outputs, padded_lengths)
        finals += group.unstack(h, c)
    outputs = _shorten(x, [steps, batch, -1])
    return outputs, [_final_state(lengths, batch, *pair) for pair in zip(finals, states)]


def _final_state(lengths: tf.Tensor, batch: tf.Tensor, final: LSTMState, initial: Any) -> LSTMState:
    """Returns the `LSTMState` [B, H] at the end of each sequence: `initial` for empty sequences, else `final`.

    `final` may have one sequence more than the batch.
    """
    finals = [_shorten(part, [batch, -1]) for part in final]
    return LSTMState(*[tf.where(lengths > 0, after, before) for after, before in zip(finals, initial)])


def _gradient_of(op_type: str, name: str) -> Any:
    """A context in which new ops of a type have the gradient that is registered as `name`."""
    return tf.get_default_graph().gradient_override_map({op_type: name})


def _lengthen(x: tf.Tensor, counts: Sequence[Any]) -> tf.Tensor:
    """Returns `x` with zeros at the end of each axis, as many as `counts` says."""
    with _gradient_of("Pad", "StackedLstmLengthen"):
        return tf.pad(x, [[0, count] for count in counts])


def _shorten(x: tf.Tensor, sizes: Sequence[Any]) -> tf.Tensor:
    """Returns the first entries of `x` on each axis, as many as `sizes` says; -1 means all."""
    with _gradient_of("Slice", "StackedLstmShorten"):
        return tf.slice(x, [0] * len(sizes), sizes)


# TensorFlow's own gradients of these two ops compute sizes on the GPU, and the host waits for them.


@tf.RegisterGradient("StackedLstmLengthen")
def _lengthen_gradient(op: tf.Operation, d_result: tf.Tensor) -> list:
    x = op.inputs[0]
    return [_shorten(d_result, tf.unstack(tf.shape(x), x.shape.ndims)), None]


@tf.RegisterGradient("StackedLstmShorten")
def _shorten_gradient(op: tf.Operation, d_result: tf.Tensor) -> list:
    x = op.inputs[0]
    return [_lengthen(d_result, tf.unstack(tf.shape(x) - tf.shape(d_result), x.shape.ndims)), None, None]


def call(
    x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, weights: tf.Tensor, lengths: tf.Tensor, direction: str
) -> Sequence[tf.Tensor]:
    """Adds the op; returns outputs, final h and c, the reserve space, and what is reserved on the host.

    Args:
      x: [T, B, I]; T and B are 1 or more.
      h, c: [L, B, H].
      weights: cuDNN's buffer.
      lengths: int32 [B], numbers from 1 to T.
      direction: the direction of the `Group`.
    """
    with _gradient_of("CudnnRNNV3", "StackedLstmCudnnRNNV3" + _SUFFIXES[direction]), tf.name_scope(SCOPE):
        return tf.raw_ops.CudnnRNNV3(
            input=x,
            input_h=h,
            input_c=c,
            params=weights,
            sequence_lengths=lengths,
            is_training=True,  # When the graph is built, TensorFlow does not say whether gradients will follow.
            direction=direction,
            **_ATTRIBUTES,
        )


def _gradient(direction: str, op: tf.Operation, *d_results: tf.Tensor) -> list:
    x, h, c, weights, lengths = op.inputs
    override = _gradient_of("CudnnRNNBackpropV3", "StackedLstmCudnnRNNBackpropV3" + _SUFFIXES[direction])
    with override, derivatives.place_of(op):
        is_used = _reserve_space_is_used(op)
        results = call(x, h, c, weights, lengths, direction) if is_used else op.outputs
        gradients = tf.raw_ops.CudnnRNNBackpropV3(
            input=x,
            input_h=h,
            input_c=c,
            params=weights,
            sequence_lengths=lengths,
            output=results[0],
            output_h=results[1],
            output_c=results[2],
            output_backprop=d_results[0],
            output_h_backprop=d_results[1],
            output_c_backprop=d_results[2],
            reserve_space=results[3],
            host_reserved=results[4],
            direction=direction,
            **_ATTRIBUTES,
        )
    return list(gradients) + [None]


def _reserve_space_is_used(op: tf.Operation) -> bool:
    """Whether another gradient may use the reserve space of a forward pass, which cuDNN's backward pass overwrites.

    In a function that is always possible, because each caller of the function can ask for gradients. A loop around the
    gradient, but not around the forward pass, gives the space to each of its steps. Elsewhere the ops that read the
    space are other gradients, except those with which TensorFlow makes zeros of the space's shape.
    """
    readers = [reader for reader in op.outputs[3].consumers() if reader.type not in ("ZerosLike", "Shape")]
    return op.graph.building_function or compat.inside_another_loop(op) or bool(readers)


def _second_gradient(direction: str, op: tf.Operation, *d_results: tf.Tensor) -> list:
    primals, lengths, upstream = op.inputs[:4], op.inputs[4], op.inputs[8:11]
    d_primals, d_upstream = derivatives.second(primals, upstream, d_results, direction, lengths)
    return d_primals + [None] * 4 + d_upstream + [None, None]


for _direction, _suffix in _SUFFIXES.items():
    tf.RegisterGradient("StackedLstmCudnnRNNV3" + _suffix)(functools.partial(_gradient, _direction))
    tf.RegisterGradient("StackedLstmCudnnRNNBackpropV3" + _suffix)(functools.partial(_second_gradient, _direction))
