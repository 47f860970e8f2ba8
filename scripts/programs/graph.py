"""What a program adds to the graph."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from stacked_lstm.compat import tf


class ProgramGraph(NamedTuple):
    """A program in a graph.

    Fields:
      fetches: what one step of the program fetches, a nest of tensors and ops; in training, with the training op.
      feeds: placeholder, or another tensor that is fed -> its value.
      loss: the loss, a tensor of one number.
      loops: the outputs of each call of a loop: a tensor, a list with a tensor per time step, or a pair of these for
        both directions.
    """

    fetches: Any
    feeds: dict[Any, Any]
    loss: tf.Tensor
    loops: list[Any]


def recurrent_part(program: ProgramGraph, training: bool) -> dict[str, Any]:
    """Returns fetches of a program without its head: the loss is the mean square of 1 minus the outputs of its loops.

    Training clips the gradients of the variables below the loops' outputs, and subtracts them.
    """
    outputs = [tf.concat(tf.nest.flatten(loop), axis=-1) for loop in program.loops]
    loss = tf.add_n([tf.reduce_mean(tf.square(1 - output)) for output in outputs])
    if not training:
        return {"loss": loss}
    variables = tf.trainable_variables()
    is_below = [gradient is not None for gradient in tf.gradients(loss, variables)]
    variables = [variable for variable, below in zip(variables, is_below) if below]
    return {"loss": loss, "train_op": clipped(loss, tf.train.GradientDescentOptimizer(0.1), 5.0, variables)}


def random_ids(count: int, shape: list[int], seed: int = 0) -> np.ndarray:
    """Random int32 numbers of words, characters or tags below `count`."""
    return np.random.RandomState(seed).randint(0, count, shape).astype(np.int32)


def zeros(state: Any) -> dict[tf.Tensor, np.ndarray]:
    """Zeros for the tensors of an initial state, which programs feed."""
    return {tensor: np.zeros(tensor.shape.as_list(), tensor.dtype.as_numpy_dtype) for tensor in tf.nest.flatten(state)}


def clipped(
    loss: tf.Tensor, optimizer: tf.train.Optimizer, max_norm: float, variables: Sequence[tf.Variable] | None = None
) -> tf.Operation:
    """Returns a training op: gradients clipped by their global norm, and the optimizer.

    `variables` are the variables to train, by default all trainable ones.
    """
    variables = tf.trainable_variables() if variables is None else variables
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), max_norm)
    return optimizer.apply_gradients(zip(gradients, variables))
