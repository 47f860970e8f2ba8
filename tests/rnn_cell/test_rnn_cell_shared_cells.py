"""One cell object in several layers, `[cell] * n`, as in many old programs: the layers share their variables."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import random
from support.references import numeric
from support.suite.sessions import plain_session, set_variables

X = random([3, 5, 4], dtype=np.float64)


def repeated(cell, count=2):
    return lambda m: m.MultiRNNCell([cell(m)] * count)


def wrapped(m):
    """The wrapper is one object, and so is the cell in it."""
    return m.MultiRNNCell([m.ResidualWrapper(m.LSTMCell(4))] * 2)


def nested(m):
    cell = m.BasicLSTMCell(4)
    return m.MultiRNNCell([m.MultiRNNCell([cell, cell]), m.ResidualWrapper(cell)])


# name -> function from a module of cells to a cell for inputs of width 4.
CELLS = {
    "basic": repeated(lambda m: m.BasicLSTMCell(4)),
    "three": repeated(lambda m: m.LSTMCell(4), count=3),
    "peepholes": repeated(lambda m: m.LSTMCell(4, use_peepholes=True)),
    "projection": repeated(lambda m: m.LSTMCell(7, num_proj=4)),
    "one tensor": lambda m: m.MultiRNNCell([m.BasicLSTMCell(4, state_is_tuple=False)] * 2, state_is_tuple=False),
    "gru": repeated(lambda m: m.GRUCell(4)),
    "wrapped": wrapped,
    "nested": nested,
}


def results_of(cell, dynamic_rnn, **options):
    """Outputs, final states and gradients, and the variables."""
    outputs, state = dynamic_rnn(cell, tf.constant(X), sequence_length=[5, 2, 0], dtype=tf.float64, **options)
    loss = tf.reduce_sum(tf.square(outputs)) + sum(tf.reduce_sum(tf.cos(part)) for part in tf.nest.flatten(state))
    variables = tf.trainable_variables()
    return [outputs, *tf.nest.flatten(state), *tf.gradients(loss, variables)], variables


def run(cell, dynamic_rnn, **options):
    """Names of the variables, and values of `results_of` with random variables."""
    with tf.Graph().as_default(), plain_session() as session:
        results, variables = results_of(cell(), dynamic_rnn, **options)
        session.run(tf.global_variables_initializer())
        arrays = [0.5 * random(variable.shape.as_list(), k, np.float64) for k, variable in enumerate(variables)]
        set_variables(session, variables, arrays)
        return [variable.name for variable in variables], session.run(results)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_names_and_numbers_are_tensorflow_s(name):
    peer, _ = parity.rnn_cell()
    names, expected = run(lambda: CELLS[name](peer), tf.nn.dynamic_rnn)
    for engine in (None, "graph", "stepwise") if name != "gru" else (None, "stepwise"):
        actual_names, actual = run(lambda: CELLS[name](rnn_cell), rnn_cell.dynamic_rnn, engine=engine)
        assert actual_names == names
        for array, reference in zip(actual, expected):
            assert numeric.relative_difference(array, reference) < 1e-12


def test_bidirectional():
    """TensorFlow makes the variables in the scope of the first direction."""
    cell = rnn_cell.LSTMCell(3)
    outputs, _ = rnn_cell.bidirectional_dynamic_rnn(cell, cell, tf.constant(X), dtype=tf.float64)
    assert [v.op.name for v in tf.trainable_variables()] == [
        f"bidirectional_rnn/fw/lstm_cell/{name}" for name in ("kernel", "bias")
    ]
    assert rnn_cell.engine_used(outputs[0]).name != "stepwise"
