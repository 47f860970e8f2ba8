"""The input of training: a `tf.data` pipeline in the graph, which can start at any step."""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple

import numpy as np

from stacked_lstm.compat import tf
from tasks.examples import Examples, epoch_batches

PREFETCHED = 2  # The number of steps whose examples are ready in advance.


class Split(NamedTuple):
    """What one process takes of the batches. Each batch is cut into parts, one for each network that trains on it.

    Fields:
      count: number of parts of a batch.
      first: the first part of this process.
      size: number of parts of this process.
      stride: the process takes every `stride`-th batch.
    """

    count: int = 1
    first: int = 0
    size: int = 1
    stride: int = 1

    @classmethod
    def process(cls, index: int, processes: int, devices: int, is_shared: bool = True) -> Split:
        """Makes the split of a process.

        Args:
          index: the number of the process, from 0.
          processes: number of processes that train.
          devices: number of devices of each process. They share what the process takes.
          is_shared: whether the processes share each batch. Otherwise each takes batches of its own.
        """
        if is_shared:
            return cls(processes * devices, index * devices, devices)
        return cls(devices, 0, devices, processes)


WHOLE = Split()


class Part(NamedTuple):
    """A part of a batch.

    Fields:
      batch: name -> tensor, the examples. There is at least one.
      weight: float32 []. The mean of the batch is the mean over all parts of weight * mean of the part. If the batch
        has fewer examples than parts, the weight of some parts is 0.
    """

    batch: Mapping[str, tf.Tensor]
    weight: tf.Tensor


class Pipeline:
    """The batches of all epochs, by their numbers from 0. The order depends only on the seed.

    NumPy draws the order of the examples of an epoch. A `tf.data.Dataset` gathers the examples of each batch, cuts the
    batch into parts, pads it, and prefetches. At the start of each epoch, the order and the arrays are fed to it.

    Attributes:
      steps_per_epoch: int.
      parts: a `Part` for each network of this process, from the batch of the next step.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int, split: Split = WHOLE) -> None:
        """Adds the pipeline to the default graph.

        Args:
          examples: the examples.
          batch_size: number of examples in a batch; the last batch of an epoch may be smaller.
          seed: decides the order of the examples; 0 to 2**32 - 1.
          split: what this process takes of the batches.
        """
        self._examples, self._batch_size, self._seed, self._split = examples, batch_size, seed, split
        self.steps_per_epoch = -(-len(examples) // batch_size)
        self._next: int | None = None  # Number of the batch that the iterator returns next.
        arrays = examples.arrays()
        with tf.name_scope("input"), tf.device("/cpu:0"):
            tensors = {name: tf.placeholder(array.dtype, (None, *array.shape[1:])) for name, array in arrays.items()}
            self._order, self._bounds = tf.placeholder(tf.int64, [None]), tf.placeholder(tf.int64, [None, 2])

            def cut(bounds: tf.Tensor) -> tuple[Part, ...]:
                rows = self._order[bounds[0] : bounds[1]]
                return tuple(self._part(tensors, rows, split.first + k) for k in range(split.size))

            dataset = tf.data.Dataset.from_tensor_slices(self._bounds).map(cut).prefetch(PREFETCHED)
            options = tf.data.Options()  # The default rewrites cost more processor time than they save here.
            options.experimental_optimization.apply_default_optimizations = False
            iterator = tf.data.make_initializable_iterator(dataset.with_options(options))
            self._initializer = iterator.initializer
            self.parts: tuple[Part, ...] = iterator.get_next()
        self._arrays = {tensors[name]: array for name, array in arrays.items()}

    def _part(self, tensors: Mapping[str, tf.Tensor], rows: tf.Tensor, index: int) -> Part:
        """Returns part `index` of a batch; `rows` are the numbers of the examples in the batch."""
        size, count = tf.size(rows), self._split.count
        part = rows[tf.minimum(index, size - 1) :: count]  # A part without examples reads the last one.
        weight = tf.cast(index < size, tf.float32) * tf.cast(tf.size(part) * count, tf.float32)
        return Part(self._examples.gather(tensors, part), weight / tf.cast(size, tf.float32))

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns name -> array of the examples of a batch, in all parts."""
        return self._examples.feed(self._epoch(number // self.steps_per_epoch)[number % self.steps_per_epoch])

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        return epoch_batches(self._examples, self._batch_size, self._seed, epoch)

    def forget(self) -> None:
        """Tells the pipeline that the session is new: the next `go_to` starts the iterator."""
        self._next = None

    def go_to(self, run: Callable, number: int) -> None:
        """Selects the batch of the next step. This takes no time if the batch follows the last one.

        Args:
          run: as `tf.Session.run`.
          number: the number of the batch.
        """
        epoch, place = divmod(number, self.steps_per_epoch)
        if number != self._next:
            batches = self._epoch(epoch)[place :: self._split.stride]
            ends = np.cumsum([len(batch) for batch in batches])
            bounds = np.stack([np.append(0, ends[:-1]), ends], axis=1)
            order = {self._order: np.concatenate(batches), self._bounds: bounds}
            run(self._initializer, {**self._arrays, **order})
        self._next = number + self._split.stride
        if place + self._split.stride >= self.steps_per_epoch:
            self._next = None
