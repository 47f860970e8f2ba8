"""The cells of the drop-in: states, variables, and the attributes that subclasses read."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import auto_engine
from support.networks.some_cells import LSTMS, OldCell, UserCell, random, values

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
    state = cell.get_initial_state(unknown)
    assert state.dtype == tf.float64 and state.h.shape.as_list() == [None, 4]
    assert cell.get_initial_state(batch_size=2, dtype=tf.float32).h.shape.as_list() == [2, 4]


def batch_of_unknown_size():
    return tf.placeholder(tf.float64, [None, 3])


@pytest.mark.parametrize(
    "make_arguments, agrees",
    [
        (lambda: {"inputs": tf.zeros([2, 3]), "batch_size": 3}, False),
        (lambda: {"inputs": tf.zeros([2, 3]), "batch_size": tf.constant(3)}, False),
        (lambda: {"inputs": tf.zeros([2, 3]), "batch_size": tf.placeholder(tf.int32, [])}, False),
        (lambda: {"inputs": batch_of_unknown_size(), "batch_size": 50}, False),
        (lambda: {"inputs": batch_of_unknown_size(), "batch_size": tf.constant(50)}, False),
        (lambda: {"inputs": batch_of_unknown_size(), "batch_size": tf.placeholder(tf.int32, [])}, True),
        (lambda: {"inputs": tf.zeros([2, 3], tf.float16), "dtype": tf.float32}, False),
        (lambda: {"inputs": tf.zeros([2, 3], tf.float16), "dtype": tf.float16}, True),
        (lambda: {"batch_size": 3}, False),
        (lambda: {"dtype": tf.float32}, False),
    ],
)
def test_get_initial_state_agrees_with_tensorflow(make_arguments, agrees):
    """TensorFlow's own cell returns the same shapes or raises the same message."""
    outcomes = []
    for module in (rnn_cell, parity.rnn_cell()[0]):
        with tf.Graph().as_default():
            try:
                state = module.LSTMCell(4).get_initial_state(**make_arguments())
                outcomes.append([(part.dtype, part.shape.as_list()) for part in state])
            except ValueError as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1] and isinstance(outcomes[0], list) == agrees


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
        plain = tuple(tuple(s) if isinstance(s, tuple) else s for s in zero)  # Plain tuples are states, too.
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
    variables = tf.trainable_variables()
    assert cell.built and cell.variables == cell.trainable_variables == cell.weights == variables
    assert cell.non_trainable_variables == [] and variables[0].dtype.base_dtype == tf.float64
    cell(tf.zeros([2, 5], tf.float64), cell.zero_state(2, tf.float64))
    assert tf.global_variables() == variables


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
    non_trainable = [v.op.name[len("multi_rnn_cell/") :] for v in stack.non_trainable_variables]
    lstm = ["cell_2/lstm_cell/kernel", "cell_2/lstm_cell/bias"]
    assert non_trainable == ["cell_1/user_cell/bound"] + lstm + ["cell_3/user_cell/bound"]
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
    """Variables of both kinds, resource variables or not, that TensorFlow's loop makes."""
    for resource in (False, True):
        with tf.variable_scope(f"resource_{resource}", use_resource=resource) as scope:
            cell = rnn_cell.MultiRNNCell([UserCell(), rnn_cell.LSTMCell(4)])
            tf.nn.dynamic_rnn(cell, tf.zeros([2, 5, 3]), dtype=tf.float32)
            assert cell.trainable_weights == tf.trainable_variables(scope.name) and len(cell.weights) == 4


def test_variables_that_a_getter_replaces(session):
    """A custom getter may return tensors that it computes from variables, for example averages."""
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
    assert cell.scope_name == "outer/mine" and rnn_cell.BasicLSTMCell(4)._base_name == "basic_lstm_cell"


def test_attributes_of_tensorflows_cells():
    """Subclasses read them. TensorFlow's class has them beyond its RNNCell; `_self_...` is its own checkpointing."""

    def cells(m):
        lstm = m.LSTMCell(4, use_peepholes=True, num_proj=3)
        yield m.BasicLSTMCell(4)
        yield lstm
        yield m.MultiRNNCell([m.BasicLSTMCell(4)])
        yield m.DropoutWrapper(lstm, 0.5, 0.5, 0.5, True, 3, tf.float32)
        yield m.ResidualWrapper(m.BasicLSTMCell(3))
        yield m.DeviceWrapper(lstm, "/cpu:0")

    reference = parity.rnn_cell()[0]
    common = set(vars(reference.RNNCell())) | {"rnncell_scope"}
    for cell, expected in zip(cells(rnn_cell), cells(reference)):
        for k, network in enumerate((cell, expected)):
            with tf.variable_scope(f"{k}_{type(cell).__name__}"):
                network(tf.zeros([2, 3]), network.zero_state(2, tf.float32))
        names = {name for name in vars(expected) if not name.startswith("_self_")} - common
        assert names and [name for name in sorted(names) if not hasattr(cell, name)] == []


def test_subclasses_that_compute_with_attributes(session):
    """Variants as people wrote them in 2017, with the attributes of TensorFlow's cells."""

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
                diagonal = self._w_f_diag + self._w_i_diag - self._w_o_diag
                return tf.matmul(tf.tanh(state.c * diagonal), self._proj_kernel) + h, state

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


def test_subclasses_that_change_sizes(session):
    """`_state_size` and `_output_size` of LSTMCell decide; another output size leaves the kernel as it was."""

    def variant(m):
        class Doubled(m.LSTMCell):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                assert (self._state_size, self._output_size) == ((4, 3), 3)
                self._output_size *= 2

            def call(self, inputs, state):
                h, state = super().call(inputs, state)
                return tf.concat([h, h], axis=1), state

        class Wide(m.BasicLSTMCell):
            output_size = property(lambda self: 2 * self._num_units)

            def call(self, inputs, state):
                h, state = super().call(inputs, state)
                return tf.concat([h, h], axis=1), state

        return m.MultiRNNCell([Doubled(4, num_proj=3), Wide(5)])

    results = []
    for m in (rnn_cell, parity.rnn_cell()[0]):
        with tf.variable_scope("share", reuse=tf.AUTO_REUSE):
            cell = variant(m)
            results.append(tf.nn.static_rnn(cell, [tf.constant(random([2, 3]))] * 3, dtype=tf.float32))
            assert cell.output_size == 10
    session.run(tf.global_variables_initializer())
    for a, b in zip(*[tf.nest.flatten(result) for result in session.run(results)]):
        np.testing.assert_array_equal(a, b)


def test_integer_cells_of_users(session):
    """A user's cell may have an integer dtype; add_variable has TensorFlow's order of arguments."""

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
