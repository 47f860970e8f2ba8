"""Examples to train on and to predict for, and the batches of an epoch."""

import numpy as np

BUCKET_STEPS = 4  # Sequences are sorted by length to so many steps; within these, and of the batches, chance decides.


class Examples:
    """Arrays by name, whose first axes are the examples. Those of Python objects are for people, and never fed."""

    def __init__(self, **arrays):
        self._arrays = arrays

    def __len__(self):
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, name):
        return self._arrays[name]

    def __contains__(self, name):
        return name in self._arrays

    def first(self, count):
        """The first `count` examples; all if that is None. Raises ValueError if there are fewer."""
        check_count(count, len(self))
        return self if count is None else type(self)(**{name: array[:count] for name, array in self._arrays.items()})

    def feed(self, rows):
        """name -> array of the examples with the numbers `rows`, an int array."""
        return {name: array[rows] for name, array in self._arrays.items() if array.dtype != object}

    def batches(self, batch_size, random=None):
        """ceil(N / batch_size) int arrays that together hold every example's number once.

        Args:
          random: `np.random.RandomState` that the order is drawn from; None for the order of the arrays.
        """
        return _cut(np.arange(len(self)) if random is None else random.permutation(len(self)), batch_size)


class Sequences(Examples):
    """Sequences of integers of different lengths, and arrays by name.

    A batch is as wide as the longest of its sequences, padded with 0, and holds sequences of similar lengths, so that
    there is little padding. Its fields, beside the arrays': `sequences` int32 [B, T >= 1] and `lengths` int32 [B].
    """

    def __init__(self, sequences, **arrays):
        """Takes a list of lists of int, and arrays whose first axes are as long as it."""
        arrays["lengths"] = np.array([len(sequence) for sequence in sequences], np.int32)
        super().__init__(sequences=_objects(sequences), **arrays)

    def feed(self, rows):
        batch = super().feed(rows)
        batch["sequences"] = np.zeros([len(rows), max(batch["lengths"], default=1) or 1], np.int32)
        for padded, sequence in zip(batch["sequences"], self["sequences"][rows]):
            padded[: len(sequence)] = sequence
        return batch

    def batches(self, batch_size, random=None):
        """As `Examples.batches`, by length; with `random` in an order drawn within a length, and of the batches."""
        order = np.arange(len(self)) if random is None else random.permutation(len(self))
        batches = _cut(order[np.argsort(self["lengths"][order] // BUCKET_STEPS, kind="stable")], batch_size)
        return batches if random is None else [batches[k] for k in random.permutation(len(batches))]


def _objects(values):
    """A list as an array [N] of objects, of lists as well."""
    array = np.empty([len(values)], object)
    for k, value in enumerate(values):
        array[k] = value
    return array


def _cut(rows, batch_size):
    return [rows[k : k + batch_size] for k in range(0, len(rows), batch_size)]


def check_count(count, there):
    """Raises ValueError if `count`, which --train_examples asked for, is more than `there` are; None is no count."""
    if count is not None and count > there:
        raise ValueError(f"--train_examples: expected at most the {there} there are, got {count}")


def epoch_batches(examples, batch_size, seed, epoch):
    """The batches of an epoch, counted from 0. They depend on the arguments only: a resumed run has the same."""
    return examples.batches(batch_size, np.random.RandomState([seed, epoch]))
