"""scripts/tasks/networks.py: looking up vectors in an embedding."""

import numpy as np
import pytest

from stacked_lstm.compat import tf
from tasks import networks

TABLE = np.arange(10, dtype=np.float32).reshape(5, 2) ** 2
IDS = np.array([[3, 1, 3], [0, 0, 3]])


@pytest.mark.parametrize("parts", [1, 2])
def test_rows_are_fetched_once(session, parts):
    """Vectors by NumPy; the gradient of sum(x * dy) is sparse, with each row once."""
    partitioner = tf.fixed_size_partitioner(parts) if parts > 1 else None
    table = tf.get_variable("table", [5, 2], initializer=rows_of_table, partitioner=partitioner)
    x = networks.lookup(table, tf.constant(IDS), once=True)
    dy = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    gradients = tf.gradients(tf.reduce_sum(x * dy), list(table) if parts > 1 else [table])
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(x), TABLE[IDS])
    expected = np.zeros([5, 2])
    np.add.at(expected, IDS, dy)
    actual, first = np.zeros([5, 2]), 0
    for gradient in gradients:
        rows, values = session.run([gradient.indices, gradient.values])
        assert len(set(rows)) == len(rows)
        actual[first + rows] = values
        first += 3  # Rows of the first of two parts.
    np.testing.assert_array_equal(actual, expected)


def rows_of_table(shape, dtype=None, partition_info=None):
    """The rows of `TABLE` that a part of the variable has."""
    first = partition_info.var_offset[0] if partition_info else 0
    return tf.constant(TABLE[first : first + int(shape[0])])
