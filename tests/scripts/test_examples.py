"""scripts/tasks/examples.py: batches, and sequences of different lengths."""

import numpy as np
import pytest

from stacked_lstm.compat import tf
from tasks.examples import BUCKET_STEPS, Examples, Sequences, epoch_batches


def some_sequences(count=103):
    """Lengths 0 to 40, short ones more often; the numbers of sequence k are k + 1."""
    lengths = (40 * np.random.RandomState(0).rand(count) ** 2).astype(int)
    return Sequences([[k + 1] * length for k, length in enumerate(lengths)], labels=np.arange(count)), lengths


@pytest.mark.parametrize("examples", [Examples(x=np.arange(10) * 2), some_sequences(10)[0]])
def test_batches_of_an_epoch_depend_on_seed_and_epoch_only(examples):
    batches = [np.concatenate(epoch_batches(examples, 4, *key)) for key in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert batches[0].tolist() == batches[1].tolist()
    assert len({tuple(batch) for batch in batches}) == 3
    for batch in batches:
        assert sorted(batch) == list(range(10))
    assert sorted(len(batch) for batch in epoch_batches(examples, 4, 0, 0)) == [2, 4, 4]


def test_examples_are_fed_by_number():
    assert Examples(x=np.arange(10) * 2).feed(np.array([3, 1]))["x"].tolist() == [6, 2]


def test_sequences_are_padded_to_the_longest_of_the_batch():
    examples = Sequences([[5, 6, 7], [], [8], [9, 9, 9, 9]], labels=np.array([0, 1, 2, 1]))
    batch = examples.feed(np.array([2, 0, 1]))
    assert sorted(batch) == ["labels", "lengths", "sequences"]
    assert batch["sequences"].tolist() == [[8, 0, 0], [5, 6, 7], [0, 0, 0]]
    assert batch["lengths"].tolist() == [1, 3, 0] and batch["labels"].tolist() == [2, 0, 1]
    assert examples.feed(np.array([1]))["sequences"].tolist() == [[0]]  # One step, as TensorFlow's ops want it.
    assert examples.feed(np.arange(0))["sequences"].shape == (0, 1)


@pytest.mark.parametrize(
    "examples",
    [
        Examples(x=np.arange(10) * 2.5, names=np.array(list("abcdefghij"), object)),
        some_sequences(10)[0],
        Sequences([np.full([k, 3], k, np.int32) for k in range(10)], 3, labels=np.arange(10)),
    ],
)
def test_the_graph_gathers_what_is_fed(examples, plain_session):
    """Also where the sequences of the batch have no steps."""
    rows, tensors = tf.placeholder(tf.int64, [None]), examples.arrays()
    placeholders = {name: tf.placeholder(array.dtype, (None, *array.shape[1:])) for name, array in tensors.items()}
    batch = examples.gather(placeholders, rows)
    arrays = {placeholders[name]: array for name, array in tensors.items()}
    for numbers in ([3, 1, 9], [0], [5, 5], range(10)):
        actual = plain_session.run(batch, {**arrays, rows: np.array(numbers)})
        expected = examples.feed(np.array(numbers))
        assert sorted(actual) == sorted(expected)
        for name in expected:
            np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
            assert actual[name].dtype == expected[name].dtype


def test_batches_hold_sequences_of_similar_lengths():
    examples, lengths = some_sequences()
    buckets = len(np.unique(lengths // BUCKET_STEPS))
    for batches in (epoch_batches(examples, 8, seed=3, epoch=1), examples.batches(8)):
        assert sorted(np.concatenate(batches)) == list(range(103)) and len(batches) == 13
        # Only where a bucket ends within a batch does the batch hold two.
        assert sum(len(np.unique(lengths[rows] // BUCKET_STEPS)) - 1 for rows in batches) <= buckets - 1
        steps = sum(lengths[rows].max() * len(rows) for rows in batches)
        unsorted = sum(lengths[k : k + 8].max() * len(lengths[k : k + 8]) for k in range(0, 103, 8))
        assert steps < 0.7 * unsorted


def test_training_meets_lengths_in_any_order():
    """Batches from short to long, in every epoch, would teach the long ones last."""
    examples, lengths = some_sequences()
    means = [[lengths[rows].mean() for rows in epoch_batches(examples, 8, seed=3, epoch=k)] for k in range(2)]
    for each in means:
        assert np.any(np.diff(each) < 0) and np.any(np.diff(each) > 0)
    firsts = [set(epoch_batches(examples, 8, seed=3, epoch=k)[0]) for k in range(2)]
    assert firsts[0] != firsts[1]


def test_first_examples():
    assert Examples(x=np.arange(5)).first(2)["x"].tolist() == [0, 1]
    assert len(Examples(x=np.arange(5)).first(None)) == 5
    two = Sequences([[5, 6], [7], [8]], titles=np.array(["a", "b", "c"], object)).first(2)
    assert len(two) == 2 and two["titles"].tolist() == ["a", "b"]
    assert sorted(two.feed(np.arange(2))) == ["lengths", "sequences"]
    with pytest.raises(ValueError, match="--train_examples: expected at most the 5 there are, got 6"):
        Examples(x=np.arange(5)).first(6)
