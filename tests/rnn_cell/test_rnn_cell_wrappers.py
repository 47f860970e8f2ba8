"""The drop-in's wrappers: which values dropout changes, sums, devices. test_rnn_cell_golden.py has the numbers."""

import numpy as np
import pytest

from stacked_lstm import parity, rnn_cell
from stacked_lstm.compat import tf


class Copy(rnn_cell.RNNCell):
    """Its output and both parts of its new state are its input, so they show what dropout did."""

    state_size = property(lambda self: rnn_cell.LSTMStateTuple(50, 50))
    output_size = property(lambda self: 50)

    def call(self, inputs, state):
        return inputs, rnn_cell.LSTMStateTuple(inputs, inputs)


def steps(session, wrapper, count=3, batch=4):
    """Runs ones through a cell step by step; returns outputs [count, batch, 50] and the list of new states."""
    ones = tf.ones([batch, 50])
    results = [wrapper(ones, wrapper.zero_state(batch, tf.float32)) for _ in range(count)]
    session.run(tf.global_variables_initializer())
    results = session.run(results)
    return np.stack([output for output, _ in results]), [state for _, state in results]


def assert_dropped(values, keep_prob):
    """Values are 0 or 1 / keep_prob, and both happen."""
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / keep_prob)}


def test_nothing_is_added_where_everything_is_kept():
    cell = Copy()
    x, state = tf.ones([2, 50]), cell.zero_state(2, tf.float32)
    cell(x, state)
    wrapper = rnn_cell.DropoutWrapper(cell, input_keep_prob=1, output_keep_prob=1.0, state_keep_prob=tf.constant(1.0))
    before = len(tf.get_default_graph().get_operations())
    output, new_state = wrapper(x, state)
    assert output is x and new_state == (x, x) and len(tf.get_default_graph().get_operations()) == before


@pytest.mark.parametrize("variational", [False, True])
def test_identity_at_a_tensor_of_one(variational, session):
    one = tf.placeholder_with_default(1.0, [])
    options = {"variational_recurrent": True, "input_size": 50, "dtype": tf.float32} if variational else {}
    wrapper = rnn_cell.DropoutWrapper(Copy(), one, one, one, **options)
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 50]).astype(np.float32))
    result, expected = session.run([wrapper(x, wrapper.zero_state(4, tf.float32)), x])
    for value in tf.nest.flatten(result):
        np.testing.assert_array_equal(value, expected)


def test_outputs_alone(session):
    outputs, states = steps(session, rnn_cell.DropoutWrapper(Copy(), output_keep_prob=0.5))
    assert_dropped(outputs, 0.5)
    assert all(np.all(part == 1) for state in states for part in state)
    assert np.any(outputs[0] != outputs[1]) and np.any(outputs[0, 0] != outputs[0, 1])


def test_inputs(session):
    outputs, states = steps(session, rnn_cell.DropoutWrapper(Copy(), input_keep_prob=0.5))
    assert_dropped(outputs, 0.5)
    for output, state in zip(outputs, states):
        np.testing.assert_array_equal(state.c, output)
        np.testing.assert_array_equal(state.h, output)


def test_states_except_c(session):
    stack = rnn_cell.MultiRNNCell([Copy(), Copy()])
    outputs, states = steps(session, rnn_cell.DropoutWrapper(stack, state_keep_prob=0.5))
    assert np.all(outputs == 1)
    for state in states:
        for c, h in state:
            assert np.all(c == 1)
            assert_dropped(h, 0.5)
        assert np.any(state[0].h != state[1].h)


def test_filters(session):
    def keep_h(state):
        return rnn_cell.LSTMStateTuple(c=True, h=False) if isinstance(state, tuple) else True

    wrapper = rnn_cell.DropoutWrapper(Copy(), state_keep_prob=0.5, dropout_state_filter_visitor=keep_h)
    _, states = steps(session, wrapper)
    for c, h in states:
        assert_dropped(c, 0.5)
        assert np.all(h == 1)
    nothing = rnn_cell.DropoutWrapper(Copy(), state_keep_prob=0.5, dropout_state_filter_visitor=lambda s: False)
    assert all(np.all(part == 1) for state in steps(session, nothing)[1] for part in state)
    with pytest.raises(TypeError, match="a callable `dropout_state_filter_visitor`"):
        rnn_cell.DropoutWrapper(Copy(), dropout_state_filter_visitor=True)


def test_nests(session):
    """Dictionaries and tuples of inputs, states and outputs."""

    class Nested(rnn_cell.RNNCell):
        state_size = property(lambda self: {"a": 50, "b": (50, 50)})
        output_size = property(lambda self: {"a": 50, "b": 50})

        def call(self, inputs, state):
            return inputs, {"a": inputs["a"], "b": (inputs["b"], tf.ones_like(inputs["b"]))}

    for options in ({}, {"variational_recurrent": True, "dtype": tf.float32, "input_size": {"a": 50, "b": 50}}):
        cell = rnn_cell.DropoutWrapper(Nested(), 0.5, state_keep_prob=0.25, seed=1, **options)
        ones = {"a": tf.ones([4, 50]), "b": tf.ones([4, 50])}
        output, state = session.run(cell(ones, cell.zero_state(4, tf.float32)))
        assert_dropped(output["a"], 0.5)
        assert_dropped(output["b"], 0.5)
        assert np.any(output["a"] != output["b"])
        assert set(np.unique(state["a"])) == set(np.unique(state["b"][0])) == {0, 8}
        assert_dropped(state["b"][1], 0.25)


def test_one_mask_for_all_steps(session):
    """All steps and sequences share a mask; the next run draws a new one."""
    wrapper = rnn_cell.DropoutWrapper(
        Copy(), output_keep_prob=0.5, state_keep_prob=0.5, variational_recurrent=True, dtype=tf.float32
    )
    outputs, states = steps(session, wrapper)
    assert_dropped(outputs, 0.5)
    assert np.all(outputs == outputs[0, 0])
    hs = np.stack([state.h for state in states])
    assert_dropped(hs, 0.5)
    assert np.all(hs == hs[0, 0]) and np.any(hs[0, 0] != outputs[0, 0]) and all(np.all(s.c == 1) for s in states)
    assert np.any(steps(session, wrapper)[0] != outputs)


def test_seeds():
    """Masks are equal in every session, and differ between seeds and between places."""

    def masks(seed):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            wrapper = rnn_cell.DropoutWrapper(Copy(), output_keep_prob=0.5, state_keep_prob=0.5, seed=seed)
            outputs, (state,) = steps(session, wrapper, count=1)
            return outputs[0], state.h

    masks_3, masks_4 = masks(3), masks(4)
    np.testing.assert_array_equal(masks_3, masks(3))
    assert np.any(masks_3[0] != masks_4[0]) and np.any(masks_3[0] != masks_3[1])


def test_attributes_that_subclasses_read(session):
    """TensorFlow's wrapper has the same noise under the same names, and the same filter."""

    def by_default(m):
        return m.DropoutWrapper(m.LSTMCell(4), 0.5, 0.5, 0.5, seed=3)

    def variational(m):
        sizes = {"input_size": tf.TensorShape([3]), "dtype": tf.float32}
        cell = m.MultiRNNCell([m.LSTMCell(4, num_proj=2), m.BasicLSTMCell(5)])
        return m.DropoutWrapper(cell, 0.5, 0.5, 0.5, True, seed=3, **sizes)

    def filtered(m):
        return m.DropoutWrapper(m.LSTMCell(4), state_keep_prob=0.5, dropout_state_filter_visitor=len)

    def without_input_noise(m):
        return m.DropoutWrapper(m.LSTMCell(4), variational_recurrent=True, dtype=tf.float32, seed=3)

    reference = parity.rnn_cell()[0]
    cases = {by_default: [0, 0, 0], variational: [1, 4, 1], filtered: [0, 0, 0], without_input_noise: [0, 2, 1]}
    for make, counts in cases.items():
        noises = []
        for m in (rnn_cell, reference):
            wrapper = make(m)
            noise = [wrapper._recurrent_input_noise, wrapper._recurrent_state_noise, wrapper._recurrent_output_noise]
            noises.append([[] if nest is None else session.run(tf.nest.flatten(nest)) for nest in noise])
            state = m.LSTMStateTuple(tf.zeros([2, 4]), tf.zeros([2, 4]))
            assert wrapper._dropout_state_filter(state) == (2 if make is filtered else (False, True))
        assert [[len(leaves) for leaves in noise] for noise in noises] == [counts] * 2
        for a, b in zip(*map(tf.nest.flatten, noises)):
            np.testing.assert_array_equal(a, b)


def test_subclasses_that_call_the_cell_themselves(session):
    """`_call_wrapped_cell` is where TensorFlow's wrappers call the cell inside."""

    def twice(m):
        class Twice(m.ResidualWrapper):
            def _call_wrapped_cell(self, inputs, state, cell_call_fn, **kwargs):
                output, state = super()._call_wrapped_cell(inputs, state, cell_call_fn, **kwargs)
                return cell_call_fn(output, state, **kwargs)

        return Twice(m.LSTMCell(3))

    results = []
    for m in (rnn_cell, parity.rnn_cell()[0]):
        with tf.variable_scope("share", reuse=tf.AUTO_REUSE):
            results.append(tf.nn.static_rnn(twice(m), [tf.ones([2, 3])] * 2, dtype=tf.float32))
    session.run(tf.global_variables_initializer())
    for a, b in zip(*[tf.nest.flatten(result) for result in session.run(results)]):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_probabilities_that_are_variables(dtype, session):
    keep_prob = tf.get_variable("keep_prob", initializer=0.25, trainable=False)
    wrapper = rnn_cell.DropoutWrapper(Copy(), output_keep_prob=keep_prob)
    output, _ = wrapper(tf.ones([4, 50], dtype), wrapper.zero_state(4, dtype))
    session.run(tf.global_variables_initializer())
    assert_dropped(session.run(output), 0.25)
    keep_prob.load(0.5, session)
    assert_dropped(session.run(output), 0.5)


def test_bad_dropout():
    for arguments, message in (
        ({"input_keep_prob": 1.5}, "`input_keep_prob` between 0 and 1, got 1.5"),
        (
            {"output_keep_prob": tf.placeholder(tf.float32, [3])},
            "`output_keep_prob` to be a .* scalar tensor, got a tensor",
        ),
        ({"output_keep_prob": tf.constant(-0.5)}, "`output_keep_prob` between 0 and 1, got -0.5"),
        ({"variational_recurrent": True}, "a `dtype` with variational_recurrent=True, got None"),
        (
            {"variational_recurrent": True, "dtype": tf.float32, "input_keep_prob": 0.5},
            "an `input_size` with variational_recurrent=True and input dropout, got None",
        ),
    ):
        with pytest.raises(ValueError, match="DropoutWrapper: expected " + message):
            rnn_cell.DropoutWrapper(Copy(), **arguments)


def test_wrapped_cell():
    cell = Copy()
    wrapper = rnn_cell.ResidualWrapper(rnn_cell.DropoutWrapper(cell))
    assert wrapper.wrapped_cell.wrapped_cell is cell
    assert wrapper.state_size == cell.state_size and wrapper.output_size == 50


def test_residuals(session):
    outputs, states = steps(session, rnn_cell.ResidualWrapper(Copy()))
    assert np.all(outputs == 2) and all(np.all(part == 1) for state in states for part in state)
    outputs, _ = steps(session, rnn_cell.ResidualWrapper(Copy(), residual_fn=lambda x, y: x - 3 * y))
    assert np.all(outputs == -2)
    cell = rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(4))
    with pytest.raises(ValueError, match="[Ss]hape"):  # [2, 1] and [2, 4] would broadcast.
        cell(tf.zeros([2, 1]), cell.zero_state(2, tf.float32))


def test_devices():
    graph = tf.get_default_graph()
    cell = rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(4), "/device:CPU:1")
    state = cell.zero_state(2, tf.float32)
    x = tf.zeros([2, 3])
    before = {op.name for op in graph.get_operations()} - {s.op.name for s in state}
    output, _ = cell(x, state)
    made = [op for op in graph.get_operations() if op.name not in before and "/Initializer/" not in op.name]
    assert output.device == "/device:CPU:1" and len(made) > 20
    assert {op.device for op in made} == {"/device:CPU:1"} and {v.device for v in cell.weights} == {"/device:CPU:1"}
    built = rnn_cell.DeviceWrapper(rnn_cell.LSTMCell(4, name="built"), "/device:CPU:2")
    built.build([None, 3])
    assert {v.device for v in built.weights} == {"/device:CPU:2"} and len(built.weights) == 2


def test_old_subclasses_read_the_cell_inside(session):
    """Wrappers of TensorFlow 1.0 to 1.14 had it as `_cell`. Subclasses that switch dropout on and off call both."""

    class Switchable(rnn_cell.DropoutWrapper):
        def __init__(self, cell, is_training, **options):
            super().__init__(cell, **options)
            self.is_training = is_training

        def __call__(self, inputs, state, scope=None):
            noisy, _ = super().__call__(inputs, state, scope=scope)
            tf.get_variable_scope().reuse_variables()
            output, state = self._cell(inputs, state, scope)
            return tf.cond(self.is_training, lambda: noisy, lambda: output), state

    cell, is_training = rnn_cell.LSTMCell(3), tf.placeholder(tf.bool, [])
    for make in (rnn_cell.ResidualWrapper, rnn_cell.HighwayWrapper, rnn_cell.InputProjectionWrapper):
        assert make(cell, *([3] if make is rnn_cell.InputProjectionWrapper else []))._cell is cell
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 4, 3]).astype(np.float32))
    switchable = Switchable(cell, is_training, output_keep_prob=1e-6)
    outputs, _ = rnn_cell.dynamic_rnn(switchable, x, dtype=tf.float32)
    plain, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32)
    session.run(tf.global_variables_initializer())
    assert not session.run(outputs, {is_training: True}).any()
    np.testing.assert_allclose(*session.run([outputs, plain], {is_training: False}), rtol=1e-5)
