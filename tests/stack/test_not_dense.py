"""Ragged and sparse tensors: where they are refused, and where TensorFlow's loops take them."""

import functools

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf

SEQUENCE = np.zeros([2, 5, 3], np.float32)


def steps():
    return tf.unstack(tf.constant(SEQUENCE), axis=1)


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
    "time_major": lambda x, n, s: StackedLSTM([4])(x, n, [(s, s)], time_major=True),
    "CudnnLSTM": lambda x, n, s: rnn_cell.CudnnLSTM(1, 4)(x, (s, s), n, time_major=False),
    "LSTMBlockFusedCell": lambda x, n, s: rnn_cell.LSTMBlockFusedCell(4)(x, (s, s), sequence_length=n),
    "TimeReversedFusedRNN": lambda x, n, s: rnn_cell.TimeReversedFusedRNN(
        rnn_cell.FusedRNNCellAdaptor(rnn_cell.GRUCell(4), use_dynamic_rnn=True)
    )(x, s, None, n),
}


BATCH_MAJOR = "; pass inputs.to_tensor() and sequence_length=inputs.row_lengths()"
TIME_MAJOR = "; pass tf.transpose(inputs.to_tensor(), [1, 0, 2]) and sequence_length=inputs.row_lengths()"
ADVICE = {
    "CudnnLSTM": "; pass inputs.to_tensor() and sequence_lengths=inputs.row_lengths()",
    **dict.fromkeys(("LSTMBlockFusedCell", "TimeReversedFusedRNN", "time_major"), TIME_MAJOR),
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
        with pytest.raises(ValueError, match=f"expected `({argument})[^`]*` to be dense, got {actual}") as error:
            with tf.variable_scope(argument[:5]):
                call(*values)
        assert (ADVICE.get(name, BATCH_MAJOR) in str(error.value)) == (make is ragged and argument == "inputs")


class SameStep(rnn_cell.LSTMCell):
    """A cell of the user with the step of the package, which engines run."""


# (function, a call with (class of cells, initial state)).
LOOPS = [
    ("dynamic_rnn", lambda cell, s: rnn_cell.dynamic_rnn(cell(4), SEQUENCE, initial_state=s)),
    ("static_rnn", lambda cell, s: rnn_cell.static_rnn(cell(4), steps(), s)),
    ("rnn_decoder", lambda cell, s: rnn_cell.rnn_decoder(steps(), s, cell(4))),
    ("rnn_decoder", lambda cell, s: rnn_cell.rnn_decoder(steps(), s, cell(4), lambda output, t: steps()[t])),
    ("FusedRNNCellAdaptor", lambda cell, s: rnn_cell.FusedRNNCellAdaptor(cell(4))(steps(), s)),
    ("FusedRNNCellAdaptor", lambda cell, s: rnn_cell.FusedRNNCellAdaptor(cell(4), True)(SEQUENCE, s)),
    (
        "TimeReversedFusedRNN",
        lambda cell, s: rnn_cell.TimeReversedFusedRNN(rnn_cell.FusedRNNCellAdaptor(cell(4)))(steps(), s),
    ),
]
LOOPS_OF_BOTH = [("bidirectional_dynamic_rnn", lambda: SEQUENCE), ("static_bidirectional_rnn", steps)]
STACKS = [("stack_bidirectional_dynamic_rnn", lambda: SEQUENCE), ("stack_bidirectional_rnn", steps)]


def calls_with_states():
    """(function, name of a state, call with (class of cells, this state)) for each state of each loop."""
    calls = [(function, "initial_state", call) for function, call in LOOPS]
    for side in ("fw", "bw"):
        for function, inputs in LOOPS_OF_BOTH:
            calls.append((function, f"initial_state_{side}", functools.partial(call_both, function, inputs, side)))
        for function, inputs in STACKS:
            calls.append((function, f"initial_states_{side}[1]", functools.partial(call_stack, function, inputs, side)))
    return calls


def call_both(function, inputs, side, cell, state):
    getattr(rnn_cell, function)(cell(4), cell(4), inputs(), dtype=tf.float32, **{f"initial_state_{side}": state})


def call_stack(function, inputs, side, cell, state):
    cells = [[cell(4), cell(4)] for _ in range(2)]
    states = {f"initial_states_{side}": [cell(4).zero_state(2, tf.float32), state]}
    getattr(rnn_cell, function)(*cells, inputs(), dtype=tf.float32, **states)


@pytest.mark.parametrize("make, actual", [(ragged, RAGGED), (sparse, SPARSE)])
@pytest.mark.parametrize("cell", [rnn_cell.LSTMCell, SameStep, rnn_cell.GRUCell])
@pytest.mark.parametrize("function, name, call", calls_with_states())
def test_each_loop_names_itself_and_its_state(function, name, call, cell, make, actual):
    """Whether an engine or TensorFlow's loop would run the cell."""
    state = make(2, 4)
    if cell is not rnn_cell.GRUCell:
        state, name = rnn_cell.LSTMStateTuple(tf.zeros([2, 4]), state), name + ".h"
    with pytest.raises(ValueError) as error:
        call(cell, state)
    assert str(error.value).startswith(f"{function}: expected `{name}` to be dense, got {actual}")


@pytest.mark.parametrize("cell", [rnn_cell.LSTMCell(4), rnn_cell.GRUCell(4), rnn_cell.NASCell(4)], ids=repr)
def test_steps_that_are_not_dense(cell):
    zeros = cell.zero_state(2, tf.float32)
    for values, argument in [((sparse(2, 3), zeros), "inputs"), ((SEQUENCE[:, 0], make_sparse(zeros)), "state")]:
        with pytest.raises(ValueError, match=f"{cell.name}: expected `{argument}[^`]*` to be dense, got {SPARSE}"):
            cell(*values)


def ragged_message(call):
    with pytest.raises(ValueError, match="RaggedTensor") as error:
        call()
    return str(error.value)


def test_advice_follows_the_inputs(session):
    """A program that does what the message says runs."""
    series = tf.RaggedTensor.from_row_lengths(tf.constant(np.random.RandomState(0).rand(5, 3), tf.float32), [2, 3])
    lstm = StackedLSTM([4], engine="graph")
    message = ragged_message(lambda: lstm(series, time_major=True))
    inputs, lengths = message.partition("; pass ")[2].split(" and ")
    names = {"tf": tf, "inputs": series}
    outputs, _ = lstm(eval(inputs, names), eval(lengths.partition("=")[2], names), time_major=True)
    expected, _ = lstm(series.to_tensor(), series.row_lengths())
    session.run(tf.global_variables_initializer())
    outputs, expected = session.run([outputs, expected])
    np.testing.assert_allclose(outputs.transpose(1, 0, 2), expected, rtol=1e-6, atol=1e-7)


def test_advice_for_steps():
    """Each message names what the program has written."""
    cell, steps = rnn_cell.GRUCell(4), [tf.zeros([2, 3]), ragged(2, 3)]
    zeros = cell.zero_state(2, tf.float32)
    step = "inputs[1]` to be dense, got a tf.RaggedTensor; pass inputs[1].to_tensor()"
    for function, call in {
        "static_rnn": lambda: rnn_cell.static_rnn(cell, steps, dtype=tf.float32),
        "LSTMBlockFusedCell": lambda: rnn_cell.LSTMBlockFusedCell(4)(steps, dtype=tf.float32),
        "FusedRNNCellAdaptor": lambda: rnn_cell.FusedRNNCellAdaptor(Words(), True)(steps, dtype=tf.float32),
        "TimeReversedFusedRNN": lambda: rnn_cell.TimeReversedFusedRNN(rnn_cell.FusedRNNCellAdaptor(cell))(steps, zeros),
    }.items():
        assert ragged_message(call) == f"{function}: expected `{step}"
    step = step.replace("inputs", "decoder_inputs")
    assert ragged_message(lambda: rnn_cell.rnn_decoder(steps, zeros, cell)) == f"rnn_decoder: expected `{step}"
    step = "inputs` to be dense, got a tf.RaggedTensor; pass inputs.to_tensor()"
    assert ragged_message(lambda: cell(steps[1], zeros)) == f"{cell.name}: expected `{step}"
    state = rnn_cell.LSTMStateTuple(zeros, sparse(2, 4))
    with pytest.raises(
        ValueError, match=r"`initial_state\.h` to be dense, .* tf\.sparse\.to_dense\(initial_state\.h\)$"
    ):
        rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(4), SEQUENCE, initial_state=state)
    with pytest.raises(TypeError, match="inputs must be a sequence"):  # TensorFlow's message.
        rnn_cell.static_rnn(cell, ragged(2, 3, 3), dtype=tf.float32)


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
    forward = rnn_cell.FusedRNNCellAdaptor(make())
    outputs, _ = forward(steps, dtype=tf.float32)
    reversed_outputs, _ = rnn_cell.TimeReversedFusedRNN(forward)(steps, dtype=tf.float32)
    np.testing.assert_array_equal(session.run(outputs)[1], [[4, 4, 4], [1, 1, 1]])
    np.testing.assert_array_equal(session.run(reversed_outputs)[0], [[3, 3, 3], [1, 1, 1]])


@pytest.mark.parametrize("make", [ragged, sparse])
def test_steps_of_cells_of_the_package(make):
    """Wrappers do not check their inputs, so the loop does."""
    cell, steps = rnn_cell.DropoutWrapper(rnn_cell.GRUCell(4), 0.5), [make(2, 3)] * 2
    for call in (
        lambda: rnn_cell.static_rnn(cell, steps, dtype=tf.float32),
        lambda: rnn_cell.static_bidirectional_rnn(Words(), cell, steps, dtype=tf.float32),
    ):
        with pytest.raises(ValueError, match=r"^static_.*rnn: expected `inputs\[0\]` to be dense, got a tf"):
            call()
