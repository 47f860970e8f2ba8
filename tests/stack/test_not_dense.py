"""Ragged and sparse tensors: where they are refused, and where TensorFlow's loops take them."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf

SEQUENCE = np.zeros([2, 5, 3], np.float32)


def ragged(*shape):
    return tf.RaggedTensor.from_row_lengths(tf.zeros([5, *shape[2:]]), [2, 3])


def sparse(*shape):
    return tf.SparseTensor(tf.zeros([1, len(shape)], tf.int64), tf.zeros([1]), shape)


def slices(*shape):
    return tf.IndexedSlices(tf.zeros(shape), tf.range(shape[0]))


RAGGED, SPARSE = "a tf.RaggedTensor", "a tf.SparseTensor; pass tf.sparse.to_dense"
SLICES = "a tf.IndexedSlices without a dense_shape"
# function -> a call with (inputs, sequence_length, a part of the initial state).
TAKES_DENSE_TENSORS = {
    "stacked_lstm": lambda x, n, s: StackedLSTM([4])(x, n, [(s, np.zeros([2, 4], np.float32))]),
    "bidirectional_lstm": lambda x, n, s: BidirectionalLSTM([4])(x, n, [[(s, s)], None]),
    "dynamic_rnn": lambda x, n, s: rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(4), x, n, (s, s)),
    "CudnnLSTM": lambda x, n, s: rnn_cell.CudnnLSTM(1, 4)(x, (s, s), n, time_major=False),
    "LSTMBlockFusedCell": lambda x, n, s: rnn_cell.LSTMBlockFusedCell(4)(x, (s, s), sequence_length=n),
    "TimeReversedFusedRNN": lambda x, n, s: rnn_cell.TimeReversedFusedRNN(
        rnn_cell.FusedRNNCellAdaptor(rnn_cell.GRUCell(4), use_dynamic_rnn=True)
    )(x, s, None, n),
}


@pytest.mark.parametrize("make, actual", [(ragged, RAGGED), (sparse, SPARSE), (slices, SLICES)])
@pytest.mark.parametrize("name", sorted(TAKES_DENSE_TENSORS))
def test_tensors_that_are_not_dense(name, make, actual):
    call, state = TAKES_DENSE_TENSORS[name], np.zeros([1, 2, 4] if name == "CudnnLSTM" else [2, 4], np.float32)
    arguments = [
        ("inputs", (make(2, 3, 3), None, state)),
        ("sequence_length", (SEQUENCE, make(2), state)),
        ("initial_state|state", (SEQUENCE[:, :2], None, make(2, 4))),
    ]
    for argument, values in arguments:
        with pytest.raises(ValueError, match=f"expected `({argument}).*` to be dense, got {actual}") as error:
            with tf.variable_scope(argument[:5]):
                call(*values)
        lengths = "sequence_lengths" if name == "CudnnLSTM" else "sequence_length"
        advice = f"; pass inputs.to_tensor() and {lengths}=inputs.row_lengths()"
        assert (advice in str(error.value)) == (make is ragged and argument == "inputs")


@pytest.mark.parametrize("cell", [rnn_cell.LSTMCell(4), rnn_cell.GRUCell(4), rnn_cell.NASCell(4)], ids=repr)
def test_steps_that_are_not_dense(cell):
    zeros = cell.zero_state(2, tf.float32)
    for values, argument in [((sparse(2, 3), zeros), "inputs"), ((SEQUENCE[:, 0], make_sparse(zeros)), "state")]:
        with pytest.raises(ValueError, match=f"{cell.name}: expected `{argument}` to be dense, got {SPARSE}"):
            cell(*values)


def make_sparse(zeros):
    return tf.nest.map_structure(lambda part: sparse(*part.shape.as_list()), zeros)


def test_sparse_state_of_a_cell_of_the_user(session):
    """TensorFlow's loop runs it."""

    class Cell(rnn_cell.RNNCell):
        state_size = output_size = 3

        def call(self, inputs, state):
            return inputs, state

    outputs, state = rnn_cell.dynamic_rnn(Cell(), SEQUENCE, initial_state=sparse(2, 3))
    assert isinstance(state, tf.SparseTensor) and session.run(outputs).shape == (2, 5, 3)


class Words:
    """A cell whose inputs are sparse."""

    state_size = output_size = 3

    def zero_state(self, batch_size, dtype):
        return tf.zeros([batch_size, 3], dtype)

    def __call__(self, inputs, state, scope=None):
        return tf.sparse.matmul(inputs, tf.ones([4, 3])) + state, state + 1


class WordsCell(rnn_cell.RNNCell):
    state_size = output_size = 3

    def build(self, inputs_shape):
        self.width = inputs_shape.as_list()[1]

    def call(self, inputs, state):
        return tf.sparse.matmul(inputs, tf.ones([self.width, 3])) + state, state + 1


@pytest.mark.parametrize("make", [Words, WordsCell])
def test_sparse_steps_of_a_cell_of_the_user(make, session):
    """TensorFlow's unrolled loops run it."""
    steps = [tf.SparseTensor([[0, 1]], [value], [2, 4]) for value in (2.0, 3.0)]
    outputs, _ = rnn_cell.static_rnn(make(), steps, dtype=tf.float32)
    both, _, _ = rnn_cell.static_bidirectional_rnn(make(), make(), steps, dtype=tf.float32)
    np.testing.assert_array_equal(session.run(outputs)[1], [[4, 4, 4], [1, 1, 1]])
    assert both[0].shape.as_list() == [2, 6]


@pytest.mark.parametrize("make", [ragged, sparse])
def test_steps_of_cells_of_the_package(make):
    """Wrappers do not check their inputs, so the loop does."""
    cell, steps = rnn_cell.DropoutWrapper(rnn_cell.GRUCell(4), 0.5), [make(2, 3)] * 2
    for call in (
        lambda: rnn_cell.static_rnn(cell, steps, dtype=tf.float32),
        lambda: rnn_cell.static_bidirectional_rnn(Words(), cell, steps, dtype=tf.float32),
    ):
        with pytest.raises(ValueError, match="^static_.*rnn: expected `inputs` to be dense, got a tf"):
            call()
