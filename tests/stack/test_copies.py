"""copy.copy, copy.deepcopy and pickle of stacks. tests/rnn_cell/test_rnn_cell_keras.py copies cells."""

import copy
import pickle
import threading

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, rnn_cell
from stacked_lstm.compat import tf

CLASSES = [StackedLSTM, BidirectionalLSTM]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("make", CLASSES)
def test_before_the_first_call(make, copied, session):
    """The copy has the same arguments, tensors too, and variables of its own."""
    rate = tf.placeholder_with_default(0.5, [])
    first = make([4, 3], dropout=rate, seed=tf.constant(5), weight_initializer="he", peepholes=True, name="one")
    second = copied(first)
    assert second._options[1].dropout is rate and repr(second) == repr(first)
    results = []
    for k, lstm in enumerate([second, first]):
        with tf.variable_scope(f"scope_{k}"):
            results.append(lstm(tf.ones([2, 3, 4]), training=True)[0])
    assert not {variable.name for variable in first.variables} & {variable.name for variable in second.variables}
    assert second.engine_used == first.engine_used
    session.run(tf.global_variables_initializer())
    weights = second.get_weights(session)
    first.set_weights(session, *weights)
    np.testing.assert_array_equal(*session.run(results))
    np.testing.assert_array_equal(*session.run(results, {rate: 0.1}))


@pytest.mark.parametrize("make", CLASSES)
def test_copy_shares_variables(make, session):
    first = make([4, 3])
    outputs, _ = first(tf.ones([2, 3, 4]))
    second = copy.copy(first)
    other_outputs, _ = second(tf.ones([2, 3, 4]))
    assert second.variables == first.variables and len(tf.trainable_variables()) == len(first.variables)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([outputs, other_outputs]))


@pytest.mark.parametrize("make", [*CLASSES, lambda sizes: rnn_cell.CudnnLSTM(2, *sizes)])
@pytest.mark.parametrize("resource", [False, True])
def test_deepcopy_of_variables(make, resource):
    """The class of the error is that of TensorFlow's cells."""
    lstm = make([4])
    with tf.variable_scope("scope", use_resource=resource):
        lstm(tf.ones([2, 3, 4]))
    message = f"^copy.deepcopy: expected an object without variables, got a built {type(lstm).__name__}; copy it before"
    with pytest.raises(NotImplementedError if resource else TypeError, match=message):
        copy.deepcopy(lstm)


@pytest.mark.parametrize("is_built", [False, True])
@pytest.mark.parametrize("make", CLASSES)
def test_pickle(make, is_built, session):
    lstm = make([4])
    if is_built:
        lstm.build(3)
    message = f"^pickle: expected an object without a graph, got {make.__name__}; pickle its arguments, and the arrays"
    with pytest.raises(TypeError, match=message):
        pickle.dumps(lstm)
    if is_built:
        session.run(tf.global_variables_initializer())
        arrays = pickle.loads(pickle.dumps(lstm.get_weights(session)))
        lstm.set_weights(session, *arrays)


def test_copied_cell_runs_on_the_same_engine():
    cell = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4), rnn_cell.BasicLSTMCell(3, activation=tf.nn.relu)])
    outputs, _ = rnn_cell.dynamic_rnn(copy.deepcopy(cell), tf.ones([2, 3, 4]), dtype=tf.float32, engine="graph")
    assert rnn_cell.engine_used(outputs).name == "graph"


def test_states_of_a_subclass():
    """Python's methods __getstate__ and __setstate__ act as for other objects."""

    class Cell(rnn_cell.LSTMCell):
        def __init__(self, size):
            super().__init__(size)
            self.lock = threading.Lock()

        def __getstate__(self):
            return {key: value for key, value in vars(self).items() if key != "lock"}

        def __setstate__(self, state):
            vars(self).update(state, lock="new")

    copied = copy.deepcopy(Cell(4))
    assert (copied.output_size, copied.lock) == (4, "new")


def test_own_errors_of_a_part():
    class Lock:
        def __deepcopy__(self, memo):
            raise TypeError("a lock")

    cell = rnn_cell.LSTMCell(4)
    cell.lock = Lock()
    with pytest.raises(TypeError, match="^a lock$"):
        copy.deepcopy(cell)
