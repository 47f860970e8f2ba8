"""Second derivatives for `cudnn` and `native`, whose ops have first derivatives only. The graph engine computes them.

Such an op computes J' u, where J is the Jacobian of its layers and u the incoming gradient. To differentiate that, the
layers are built once more with the `graph` engine.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import both_directions, graph, residual
from stacked_lstm.lstm.layer import Layer


def gradient(
    run: Callable, primals: Sequence[tf.Tensor], upstream: Sequence[tf.Tensor], directions: Sequence[tf.Tensor]
) -> tuple[list, list]:
    """Returns the gradient of <v, J' u>.

    Args:
      run: function from copies of `primals` to the results of the layers, a list of tensors; see `results`.
      primals: list of tensors, the inputs of the layers that have gradients.
      upstream: u, a list of tensors, one per result.
      directions: v, a list of tensors, one per primal.

    Returns:
      (list of gradients with respect to the primals; list of gradients with respect to u).
    """
    # A scope of its own, as in `recurrence`: TensorFlow tells gradients of TensorArrays apart by names.
    with tf.name_scope(None), tf.name_scope("stacked_lstm_second"):
        # Differentiating with respect to copies leaves out that primals and u may depend on each other, which is the
        # caller's business.
        copies = [tf.identity(tensor) for tensor in list(primals) + list(upstream)]
        primal_copies, u = copies[: len(primals)], copies[len(primals) :]
        gradients = tf.gradients(tf.gradients(run(*primal_copies), primal_copies, u), copies, list(directions))
    return gradients[: len(primals)], gradients[len(primals) :]


def results(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None, from_end: int = 0
) -> list[tf.Tensor]:
    """Runs layers on the `graph` engine; returns [outputs, c per layer ..., h per layer ...].

    Args:
      layers, x, states, lengths: as in `Engine.run_layers`.
      from_end: as in `both_directions.run`.
    """
    run_layers = functools.partial(residual.run, graph.run)
    outputs, finals = both_directions.run(run_layers, layers, x, states, lengths, from_end)
    return [outputs] + [final.c for final in finals] + [final.h for final in finals]
