"""scripts/training/pipeline.py: it gives the batches that NumPy cuts, from any step on, and each in its parts."""

import numpy as np
import pytest

from stacked_lstm.compat import tf
from tasks.examples import Examples, Sequences, epoch_batches
from training.pipeline import Pipeline, Split

SIZE, BATCH, SEED = 9, 4, 3  # Two batches of 4 and one of 1 per epoch.
EXAMPLES = Sequences([[k + 1] * (k % 4) for k in range(SIZE)], labels=np.arange(SIZE))


def expected_batch(number):
    return EXAMPLES.feed(epoch_batches(EXAMPLES, BATCH, SEED, number // 3)[number % 3])


def assert_equal(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def test_batches_from_any_step(plain_session):
    """In order, the session starts the pipeline once per epoch; otherwise, at each jump and in each new session."""
    pipeline, starts = Pipeline(EXAMPLES, BATCH, SEED), []

    def run(op, feed):
        starts.append(number)
        return plain_session.run(op, feed)

    assert pipeline.steps_per_epoch == 3
    for number in (1, 2, 3, 4, 5, 6, 1, 2, 8, 30, 31):
        pipeline.go_to(run, number)
        assert_equal(plain_session.run(pipeline.parts[0].batch), expected_batch(number))
        assert_equal(pipeline.arrays(number), expected_batch(number))
    assert starts == [1, 3, 6, 1, 8, 30]
    pipeline.forget()
    with tf.Session() as other:
        pipeline.go_to(other.run, 32)
        part = other.run(pipeline.parts[0])
    assert_equal(part.batch, expected_batch(32))
    assert part.weight == 1


@pytest.mark.parametrize("count", [2, 3])
def test_parts_of_a_batch(plain_session, count):
    """The weighted mean of the parts is the mean of the batch. A part without examples gets one, with weight 0."""
    x = np.random.RandomState(0).standard_normal(SIZE).astype(np.float32)
    examples = Examples(x=x)
    pipeline, sizes = Pipeline(examples, BATCH, SEED, Split(count, 0, count)), []
    for number in range(3):
        pipeline.go_to(plain_session.run, number)
        parts = plain_session.run(pipeline.parts)
        rows = epoch_batches(examples, BATCH, SEED, 0)[number]
        mean = np.mean([np.mean(part.batch["x"]) * part.weight for part in parts])
        assert mean == pytest.approx(np.mean(x[rows]), rel=1e-6)
        assert sorted(value for part in parts if part.weight for value in part.batch["x"]) == sorted(x[rows])
        assert all(len(part.batch["x"]) for part in parts)
        sizes.append(len(rows))
    assert sorted(sizes) == [1, 4, 4]


@pytest.mark.parametrize("is_shared", [True, False])
def test_processes_together_take_every_batch(plain_session, is_shared):
    """Three processes with two devices each: they share each batch, or they take the batches by turns."""
    splits = [Split.process(index, 3, 2, is_shared) for index in range(3)]
    pipelines = [Pipeline(EXAMPLES, BATCH, SEED, split) for split in splits]
    for number in range(4, 10, 1 if is_shared else 3):
        labels = []
        for index, pipeline in enumerate(pipelines):
            pipeline.go_to(plain_session.run, number if is_shared else number + index)
            parts = plain_session.run(pipeline.parts)
            assert len(parts) == 2
            labels += [label for part in parts if part.weight for label in part.batch["labels"]]
        numbers = [number] if is_shared else range(number, number + 3)
        expected = np.concatenate([expected_batch(k)["labels"] for k in numbers])
        assert sorted(labels) == sorted(expected)
