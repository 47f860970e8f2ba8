"""Examples to train on and to predict for, and the batches of an epoch."""

import copy

import numpy as np

BUCKET_STEPS = 4  # Sequences are sorted by length in buckets of so many steps; the order within a bucket is random.


class Examples:
    """Named arrays whose first axes are the examples. Arrays of Python objects are for people and are never fed."""

    def __init__(self, **arrays):
        self._arrays = arrays

    def __len__(self):
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, name):
        return self._arrays[name]

    def __contains__(self, name):
        return name in self._arrays

    def first(self, count):
        """Returns the first `count` examples; all for None. Raises ValueError if there are fewer."""
        check_count(count, len(self))
        part = copy.copy(self)
        part._arrays = {name: array[:count] for name, array in self._arrays.items()}
        return part

    def feed(self, rows):
        """Returns name -> array of the examples with the numbers `rows`, an int array."""
        return {name: array[rows] for name, array in self._arrays.items() if array.dtype != object}

    def arrays(self):
        """Returns name -> array of all examples, the arrays that `gather` needs."""
        return {name: array for name, array in self._arrays.items() if array.dtype != object}

    def gather(self, tensors, rows):
        """Adds ops that compute what `feed` returns.

        Args:
          tensors: name -> tensor, the arrays of `arrays`.
          rows: int64 [B], the numbers of the examples.

        Returns:
          name -> tensor.
        """
        from stacked_lstm.compat import tf

        return {name: tf.gather(tensor, rows) for name, tensor in tensors.items()}

    def batches(self, batch_size, random=None):
        """Returns ceil(N / batch_size) int arrays that together hold every example's number once.

        Args:
          batch_size: number of examples in a batch; the last batch may be smaller.
          random: `np.random.RandomState` that the order is drawn from; None for the order of the arrays.
        """
        return _cut(np.arange(len(self)) if random is None else random.permutation(len(self)), batch_size)


class Sequences(Examples):
    """Sequences of integers, or of vectors of integers, of different lengths; and named arrays.

    A batch is as wide as its longest sequence and is padded with 0. It holds sequences of similar lengths, so that
    there is little padding. Besides the arrays it has `sequences` int32 [B, T >= 1] or [B, T >= 1, N], and `lengths`
    int32 [B].
    """

    def __init__(self, sequences, size=None, **arrays):
        """Takes a list of lists of int, or of arrays [T, size]; and arrays whose first axes are as long as it."""
        arrays["lengths"] = np.array([len(sequence) for sequence in sequences], np.int32)
        super().__init__(sequences=_objects(sequences), **arrays)
        self._step_shape = [] if size is None else [size]

    def feed(self, rows):
        batch = super().feed(rows)
        shape = [len(rows), max(batch["lengths"], default=1) or 1] + self._step_shape
        batch["sequences"] = np.zeros(shape, np.int32)
        for padded, sequence in zip(batch["sequences"], self["sequences"][rows]):
            padded[: len(sequence)] = sequence
        return batch

    def arrays(self):
        """Returns the steps of all sequences as one array, the bounds of the sequences, and the other arrays."""
        ends = np.cumsum(self["lengths"], dtype=np.int64)
        steps = [np.reshape(sequence, [-1] + self._step_shape) for sequence in self["sequences"]]
        return dict(super().arrays(), steps=np.concatenate(steps).astype(np.int32), splits=np.append(0, ends))

    def gather(self, tensors, rows):
        from stacked_lstm.compat import tf

        others = {name: tensor for name, tensor in tensors.items() if name not in ("steps", "splits")}
        sequences = tf.RaggedTensor.from_row_splits(tensors["steps"], tensors["splits"], validate=False)
        padded = tf.gather(sequences, rows).to_tensor()
        missing = tf.maximum(0, 1 - tf.shape(padded)[1])  # TensorFlow's ops need at least one step.
        padded = tf.pad(padded, [[0, 0], [0, missing]] + [[0, 0]] * len(self._step_shape))
        return dict(super().gather(others, rows), sequences=padded)

    def batches(self, batch_size, random=None):
        """As `Examples.batches`, by length; `random` draws the order within a bucket, and the order of the batches."""
        order = np.arange(len(self)) if random is None else random.permutation(len(self))
        batches = _cut(order[np.argsort(self["lengths"][order] // BUCKET_STEPS, kind="stable")], batch_size)
        return batches if random is None else [batches[k] for k in random.permutation(len(batches))]


def _objects(values):
    """A list as an array [N] of objects, even if these are lists."""
    array = np.empty([len(values)], object)
    for k, value in enumerate(values):
        array[k] = value
    return array


def _cut(rows, batch_size):
    return [rows[k : k + batch_size] for k in range(0, len(rows), batch_size)]


def check_count(count, available):
    """Raises ValueError if --train_examples, `count` or None, is more than the `available` number of examples."""
    if count is not None and count > available:
        raise ValueError(f"--train_examples: expected at most the {available} there are, got {count}")


def epoch_batches(examples, batch_size, seed, epoch):
    """Returns the batches of an epoch, counted from 0; they depend only on the arguments, so a resumed run has them."""
    return examples.batches(batch_size, np.random.RandomState([seed, epoch]))


def describe_row(row):
    """Returns a row of `csv.DictReader` for a message, such as "title=a, label=b"; at most 80 characters."""
    text = ", ".join(f"{name or 'more'}={value}" for name, value in row.items() if value is not None)
    return " ".join(text[:80].split())  # A field may have several lines.
