"""Second derivatives of the engines whose first ones are an op: they are the graph engine's.

Such an op computes J' u, J the Jacobian of its layers and u the incoming gradient. Whoever differentiates that gets the
layers built once more, from TensorFlow's own ops.
"""

from stacked_lstm.compat import tf
from stacked_lstm.engines import graph


def gradient(run, primals, upstream, directions):
    """The gradient of <v, J' u>.

    Args:
      run: function from copies of `primals` to the results of the layers, a list of tensors; see `results`.
      primals: list of tensors, what the layers were given and are differentiated by.
      upstream: u, a list of tensors, one per result.
      directions: v, a list of tensors, one per primal.

    Returns:
      (list of gradients, one per primal; and another, one per result: those of u).
    """
    # A scope of its own, as in `recurrence`: TensorFlow tells gradients of TensorArrays apart by names.
    with tf.name_scope(None), tf.name_scope("stacked_lstm_second"):
        # By copies: the layers' results are functions of the primals, and what depends on them is in these gradients.
        copies = [tf.identity(tensor) for tensor in list(primals) + list(upstream)]
        at, u = copies[: len(primals)], copies[len(primals) :]
        gradients = tf.gradients(tf.gradients(run(*at), at, u), copies, list(directions))
    return gradients[: len(primals)], gradients[len(primals) :]


def results(layers, x, states, lengths):
    """[outputs, c per layer, h per layer] of the graph engine; arguments as `Engine.run_layers` has them."""
    outputs, finals = graph.run(layers, x, states, lengths)
    return [outputs] + [final.c for final in finals] + [final.h for final in finals]
