"""Adam, with decoupled weight decay, and with sparse gradients of several workers."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.compat import tf


class Adam(tf.train.AdamOptimizer):
    """Adam. After each step, every trainable matrix is multiplied by `1 - learning_rate * weight_decay`.

    Source: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101.
    """

    def __init__(self, learning_rate: float, weight_decay: float = 0.0) -> None:
        """Takes Adam's learning rate, and the weight decay. The decay of a step is their product."""
        super().__init__(learning_rate)
        self._kept_share = 1 - learning_rate * weight_decay if weight_decay else None

    def apply_gradients(
        self, grads_and_vars: Sequence[tuple[Any, Any]], global_step: Any = None, name: str | None = None
    ) -> tf.Operation:
        """Adds a training step, as `tf.train.Optimizer.apply_gradients`; the decay is at its end."""
        step = super().apply_gradients(grads_and_vars, global_step, name)
        if self._kept_share is None:
            return step
        with tf.control_dependencies([step]):
            return tf.group(*[self._decay(v) for v in tf.trainable_variables() if v.shape.ndims == 2])

    def _decay(self, variable: Any) -> tf.Tensor:
        with tf.colocate_with(variable):  # Otherwise a parameter server would send the matrix to a worker and back.
            return tf.assign(variable, variable * self._kept_share)


class SynchronousAdam(Adam):
    """Adam for `tf.train.SyncReplicasOptimizer`, which takes wrong means of sparse gradients.

    It divides the sum of a row by the number of workers whose gradients have the row, not by the number of all workers.
    So each worker sends its own numbers of the rows, `row * workers + task_index`, and this class computes the mean.
    """

    def __init__(self, learning_rate: float, weight_decay: float, task_index: int, workers: int) -> None:
        """Takes the arguments of `Adam`, the number of this worker from 0, and the number of workers."""
        super().__init__(learning_rate, weight_decay)
        self._task_index, self._workers = task_index, workers

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """Returns (gradient, variable) pairs; the rows of sparse gradients have this worker's numbers."""
        pairs = super().compute_gradients(*args, **kwargs)
        return [(_rows(gradient, self._number), variable) for gradient, variable in pairs]

    def _number(self, values: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return values, rows * self._workers + self._task_index

    def apply_gradients(
        self, grads_and_vars: Sequence[tuple[Any, Any]], global_step: Any = None, name: str | None = None
    ) -> tf.Operation:
        """Adds a training step with the gradients of all workers, where the variables are."""
        pairs = []
        for gradient, variable in grads_and_vars:
            with tf.device(variable.device):
                pairs.append((_rows(gradient, self._mean), variable))
        # Without this, the moments of an embedding decay before the gradients are there; a checkpoint would have that.
        with tf.control_dependencies([tensor for gradient, _ in pairs for tensor in _tensors(gradient)]):
            return super().apply_gradients(pairs, global_step, name)

    def _mean(self, values: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return values / self._workers, tf.floordiv(rows, self._workers)


def _tensors(gradient: Any) -> list[tf.Tensor]:
    return [gradient.values, gradient.indices] if isinstance(gradient, tf.IndexedSlices) else [gradient]


def _rows(gradient: Any, change: Any) -> Any:
    """A gradient whose values and row numbers are changed if it is sparse."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.IndexedSlices(*change(gradient.values, gradient.indices))
