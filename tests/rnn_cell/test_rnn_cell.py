"""The cells of the drop-in: states, variables, members of cells that inherit from them."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.native_ops import auto_engine
from support.some_cells import LSTMS, OldCell, UserCell, random, values

# States.


@pytest.mark.parametrize("state_is_tuple", [True, False])
def test_state_sizes_and_zero_states(state_is_tuple, session):
    cell = rnn_cell.LSTMCell(4, num_proj=3, state_is_tuple=state_is_tuple)
    assert cell.output_size == 3 and cell.state_size == (rnn_cell.LSTMStateTuple(4, 3) if state_is_tuple else 7)
    for batch, static in ((2, 2), (tf.constant(2), 2), (tf.placeholder_with_default(2, []), None), (np.int64(2), 2)):
        state = cell.zero_state(batch, tf.float64)
        for tensor, width in zip(tf.nest.flatten(state), tf.nest.flatten(cell.state_size)):
            assert tensor.dtype == tf.float64 and tensor.shape.as_list() == [static, width]
            np.testing.assert_array_equal(session.run(tensor), np.zeros([2, width]))
        assert isinstance(state, rnn_cell.LSTMStateTuple) == state_is_tuple


def test_state_sizes_that_are_shapes(session):
    class Shaped(rnn_cell.RNNCell):
        state_size = property(lambda self: [tf.TensorShape([2, 5]), 3])

    state = Shaped().zero_state(tf.placeholder_with_default(4, []), tf.float32)
    assert [s.shape.as_list() for s in state] == [[None, 2, 5], [None, 3]]
    assert [s.shape for s in session.run(state)] == [(4, 2, 5), (4, 3)]


def test_get_initial_state():
    cell = rnn_cell.BasicLSTMCell(4)
    known, unknown = tf.zeros([2, 3], tf.float16), tf.placeholder(tf.float64, [None, 3])
    assert cell.get_initial_state(known).c.shape.as_list() == [2, 4]
    assert cell.get_initial_state(known, batch_size=tf.constant(2), dtype=tf.float16).dtype == tf.float16
    state = cell.get_initial_state(unknown, batch_size=5)
    assert state.dtype == tf.float64 and state.h.shape.as_list() == [None, 4]
    assert cell.get_initial_state(batch_size=2, dtype=tf.float32).h.shape.as_list() == [2, 4]
    for arguments, message in (
        ({"inputs": known, "batch_size": 3}, "`batch_size` as `inputs` has it, 2, got 3"),
        ({"inputs": known, "batch_size": tf.constant(3)}, "`batch_size` as `inputs` has it, 2, got 3"),
        ({"inputs": known, "dtype": tf.float32}, "`dtype` as `inputs` has it, float16, got float32"),
        ({"batch_size": 3}, "`inputs`, or both `batch_size` and `dtype`, got 3 and None"),
        ({"dtype": tf.float32}, "`inputs`, or both"),
    ):
        with pytest.raises(ValueError, match="BasicLSTMCell.get_initial_state: expected .*" + message):
            cell.get_initial_state(**arguments)


def test_state_tuple():
    state = rnn_cell.LSTMStateTuple(tf.zeros([1]), h=tf.ones([1]))
    assert state._fields == ("c", "h") and state.dtype == tf.float32 and tuple(state) == (state.c, state.h)
    with pytest.raises(TypeError, match="c is float32, h is float64"):
        rnn_cell.LSTMStateTuple(tf.zeros([1]), tf.zeros([1], tf.float64)).dtype  # noqa: B018


def test_kinds_of_states_are_kept():
    x = tf.zeros([2, 5, 3])
    for cell, kind in ((rnn_cell.LSTMCell(4), rnn_cell.LSTMStateTuple), (UserCell(), tf.Tensor)):
        stack = rnn_cell.MultiRNNCell([cell])
        zero = stack.zero_state(2, tf.float32)
        plain = tuple(tuple(s) if isinstance(s, tuple) else s for s in zero)  # Plain tuples are taken, too.
        for state in (
            stack(x[:, 0], zero)[1],
            stack(inputs=x[:, 0], state=plain)[1],
            tf.nn.static_rnn(stack, tf.unstack(x, axis=1), initial_state=zero)[1],
            tf.nn.dynamic_rnn(stack, x, initial_state=zero, scope="loop", dtype=tf.float32)[1],
            rnn_cell.dynamic_rnn(stack, x, initial_state=plain)[1],
            rnn_cell.dynamic_rnn(stack, x, [3, 4], initial_state=zero, engine="stepwise")[1],
        ):
            assert type(state) is tuple and isinstance(state[0], kind)


# Variables.


@pytest.mark.parametrize("make", LSTMS)
def test_build_before_any_call(make):
    cell = make(dtype=tf.float64)
    assert cell.weights == [] and not cell.built and cell.dtype == tf.float64
    cell.build([None, 5])
    made = tf.trainable_variables()
    assert cell.built and cell.variables == cell.trainable_variables == cell.weights == made
    assert cell.non_trainable_variables == [] and made[0].dtype.base_dtype == tf.float64
    cell(tf.zeros([2, 5], tf.float64), cell.zero_state(2, tf.float64))
    assert tf.global_variables() == made


def test_dtype_is_that_of_the_first_input():
    for make in LSTMS:
        cell = make()
        assert cell.dtype is None
        cell(tf.zeros([2, 5], tf.float16), cell.zero_state(2, tf.float16))
        assert cell.dtype == "float16" and {v.dtype.base_dtype for v in cell.weights} == {tf.float16}


def test_stacks_gather_the_variables_of_all_their_cells():
    cells = [OldCell(), rnn_cell.DropoutWrapper(UserCell(), 0.5), rnn_cell.LSTMCell(3, trainable=False), UserCell()]
    stack = rnn_cell.MultiRNNCell(cells)
    stack(tf.zeros([2, 5]), stack.zero_state(2, tf.float32))
    stack(tf.zeros([2, 5]), stack.zero_state(2, tf.float32))
    names = [v.op.name[len("multi_rnn_cell/") :] for v in stack.trainable_variables]
    assert names == ["cell_0/old/w", "cell_1/user_cell/w", "cell_3/user_cell/w"]
    others = [v.op.name[len("multi_rnn_cell/") :] for v in stack.non_trainable_variables]
    lstm = ["cell_2/lstm_cell/kernel", "cell_2/lstm_cell/bias"]
    assert others == ["cell_1/user_cell/bound"] + lstm + ["cell_3/user_cell/bound"]
    assert stack.weights == stack.variables == stack.trainable_weights + stack.non_trainable_weights
    assert set(stack.weights) == set(tf.global_variables()) and cells[0].calls == 2


def test_stack_built_before_any_call():
    stack = rnn_cell.MultiRNNCell([rnn_cell.LSTMCell(4, num_proj=2), UserCell(), rnn_cell.BasicLSTMCell(5)])
    stack.build(tf.TensorShape([None, 7]))
    names = [v.op.name[len("multi_rnn_cell/cell_") :] for v in stack.weights]
    assert names[0::4] == ["0/lstm_cell/kernel", "2/basic_lstm_cell/bias"] and len(names) == 5
    assert stack.weights[3].shape.as_list() == [3 + 5, 20]
    stack(tf.zeros([2, 7]), stack.zero_state(2, tf.float32))
    stack.build(tf.TensorShape([None, 7]))
    stack(tf.zeros([2, 7]), stack.zero_state(2, tf.float32))
    assert [v.op.name for v in stack.weights[3:5]] == ["multi_rnn_cell/cell_1/user_cell/" + n for n in ("w",)] + [
        "multi_rnn_cell/cell_2/basic_lstm_cell/kernel"
    ]


def test_partitioned_variables_are_listed_part_by_part():
    cell = rnn_cell.LSTMCell(4, num_unit_shards=2)
    cell.build([None, 2])
    assert [v.op.name for v in cell.weights] == ["lstm_cell/kernel/part_0", "lstm_cell/kernel/part_1", "lstm_cell/bias"]


def test_variables_of_all_kinds_are_listed(control_flow):
    """Whatever they are where TensorFlow's loop makes them, and resource variables."""
    for resource in (False, True):
        with tf.variable_scope(f"resource_{resource}", use_resource=resource) as scope:
            cell = rnn_cell.MultiRNNCell([UserCell(), rnn_cell.LSTMCell(4)])
            tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 3]), dtype=tf.float32)
            assert cell.trainable_weights == tf.trainable_variables(scope.name) and len(cell.weights) == 4


def test_variables_that_a_getter_replaces(session):
    """A custom getter may hand out tensors made of variables, for example averages."""
    with tf.variable_scope("halved", custom_getter=lambda get, *a, **k: 0.5 * get(*a, **k)):
        cell = rnn_cell.LSTMCell(4)
        outputs, _ = rnn_cell.dynamic_rnn(cell, tf.constant(random([2, 5, 3])), dtype=tf.float32)
    assert rnn_cell.engine_used(outputs).name == auto_engine()
    plain = rnn_cell.LSTMCell(4)
    expected, _ = rnn_cell.dynamic_rnn(plain, tf.constant(random([2, 5, 3])), dtype=tf.float32)
    session.run(tf.global_variables_initializer())
    for half, whole in zip(tf.global_variables()[2:], tf.global_variables()[:2]):
        half.load(0.5 * session.run(whole), session)
    np.testing.assert_allclose(*session.run([outputs, expected]), rtol=1e-5)


def test_scope_names():
    cell = rnn_cell.LSTMCell(4, name="mine")
    with pytest.raises(ValueError, match="mine.scope_name: the first call of the cell decides it"):
        cell.scope_name  # noqa: B018
    with tf.variable_scope("outer"):
        cell.build([None, 3])
    assert cell.scope_name == "outer/mine" and rnn_cell.BasicLSTMCell(4).name == "basic_lstm_cell"


def test_cells_that_inherit_from_ours(session):
    """As people wrote variants in 2017: with the attributes of TensorFlow's cells."""

    def variant(m):
        class Variant(m.BasicLSTMCell):
            def call(self, inputs, state):
                c, h = state if self._state_is_tuple else tf.split(state, 2, axis=1)
                z = tf.nn.bias_add(tf.matmul(tf.concat([inputs, h], 1), self._kernel), self._bias)
                i, j, f, o = tf.split(z, 4, axis=1)
                c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * self._activation(j) / self._num_units
                h = self._activation(c) * tf.sigmoid(o) + 1
                return h, m.LSTMStateTuple(c, h)

        class Projected(m.LSTMCell):
            def call(self, inputs, state):
                h, state = super().call(inputs, state)
                of = self._w_f_diag + self._w_i_diag - self._w_o_diag
                return tf.matmul(tf.tanh(state.c * of), self._proj_kernel) + h, state

        return m.MultiRNNCell([Variant(4, activation=tf.nn.relu), Projected(3, use_peepholes=True, num_proj=2)])

    results = []
    for m in (rnn_cell, parity.rnn_cell()[0]):
        with tf.variable_scope("share", reuse=tf.AUTO_REUSE):
            results.append(tf.nn.static_rnn(variant(m), [tf.constant(random([2, 3]))] * 3, dtype=tf.float32))
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables():
        variable.load(random(variable.shape.as_list()), session)
    for a, b in zip(*[tf.nest.flatten(result) for result in session.run(results)]):
        np.testing.assert_array_equal(a, b)


def test_members_of_users_cells(session):
    """An integer dtype is a user's own business, and add_variable has TensorFlow's order of arguments."""

    class Counter(rnn_cell.RNNCell):
        state_size = output_size = property(lambda self: 2)

        def build(self, shape):
            arguments = ("scale", [2], tf.float32, tf.ones_initializer(), tf.nn.l2_loss, False)
            self.scale = self.add_weight(*arguments)
            self.built = True

        def call(self, inputs, state):
            return inputs, state + tf.cast(self.scale, tf.int32)

    cell = Counter(dtype=tf.int32)
    _, state = cell(tf.zeros([1, 2], tf.int32), cell.zero_state(1, tf.int32))
    assert cell.dtype == "int32" and cell.trainable_weights == [] and len(cell.weights) == 1
    assert len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)) == 1
    np.testing.assert_array_equal(values(session, state), [[1, 1]])


def test_cells_frozen_after_the_call():
    cells = [rnn_cell.LSTMCell(3), rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(4), 0.5), OldCell()]
    stack = rnn_cell.MultiRNNCell(cells)
    stack(tf.zeros([2, 5]), stack.zero_state(2, tf.float32))
    kernel, bias, w = cells[0].weights + stack.weights[-1:]
    assert len(stack.trainable_weights) == 5
    cells[1].wrapped_cell.trainable = False
    assert stack.trainable_weights == [kernel, bias, w] and len(stack.non_trainable_weights) == 2
    stack.trainable = False
    assert stack.trainable_weights == [] and len(stack.non_trainable_weights) == 5
