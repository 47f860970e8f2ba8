"""What the gradients of both ops share: their place, and second derivatives."""

from __future__ import annotations

import contextlib
from typing import Iterator, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import second_derivatives
from stacked_lstm.engines.cudnn.buffer import unpack
from stacked_lstm.engines.cudnn.group import BIDIRECTIONAL


@contextlib.contextmanager
def place_of(op: tf.Operation) -> Iterator[None]:
    """A context that places new ops on the device of `op`. The device at the call of tf.gradients has no effect."""
    with op.graph.colocate_with(None, ignore_existing=True), tf.device(None), tf.device(op.device):
        yield


def second(
    primals: Sequence[tf.Tensor],
    upstream: Sequence[tf.Tensor],
    d_results: Sequence[tf.Tensor],
    direction: str,
    lengths: tf.Tensor | None = None,
) -> tuple[list, list]:
    """Returns the gradients of a gradient op with respect to primals and upstream; see `second_derivatives`.

    Args:
      primals: x [T, B, I], h [L, B, P], c [L, B, H], and cuDNN's buffer of weights.
      upstream: the gradients of outputs, final h and final c.
      d_results: the gradients of the op's results.
      direction: the direction of the `Group`.
      lengths: int32 [B], or None if all sequences have T steps.

    Raises:
      ValueError: TensorFlow has lost the widths of inputs or states.
    """
    x, h, c, _ = primals
    input_size = x.shape.with_rank(3).as_list()[2]
    layer_count, _, hidden_size = c.shape.with_rank(3).as_list()
    output_size = h.shape.with_rank(3).as_list()[2]
    projection_size = 0 if output_size == hidden_size else output_size
    from_end = int(direction == BIDIRECTIONAL)
    if None in (input_size, layer_count, hidden_size):  # TensorFlow 1.15 loses them in loops of control flow v2.
        raise ValueError(
            "StackedLSTM: second derivatives of the engine 'cudnn' need inputs and states of known widths, which this "
            "version of TensorFlow loses in loops; use the engine 'graph'"
        )

    def run(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor, weights: tf.Tensor) -> list[tf.Tensor]:
        layers = unpack(weights, input_size, hidden_size, layer_count, projection_size, 1 + from_end)
        states = list(zip(tf.unstack(c), tf.unstack(h)))
        outputs, *finals = second_derivatives.results(layers, x, states, lengths, from_end)
        return [outputs, tf.stack(finals[layer_count:]), tf.stack(finals[:layer_count])]

    return second_derivatives.gradient(run, primals, upstream, d_results)
