"""StateStore: pieces of sequences have the results of whole sequences; resets; what optimizers and Savers see."""

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, StateStore
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE

PARTS = dict(peepholes=True, cell_clip=0.5, zoneout_c=0.3, zoneout_h=0.2)


@pytest.mark.parametrize(
    "engine_name, options",
    [
        ("graph", dict(projection_size=[2, None])),
        pytest.param("native", {}, marks=NEEDS_NATIVE),
        pytest.param("native", dict(PARTS, layer_norm=True, projection_size=[2, None]), marks=NEEDS_NATIVE),
        pytest.param("native", dict(PARTS, layer_norm=[False, "tensorflow"]), marks=NEEDS_NATIVE),
    ],
)
def test_pieces_are_the_whole(engine_name, options, session):
    """Outputs and final states, with a projection; a run that reads and updates the state reads the old one.

    `native` gives the same bits. On `graph`, the bits of TensorFlow's products depend on the number of rows with AVX2.
    """
    tolerance = {"graph": 1e-7, "native": 0}[engine_name]
    lstm = StackedLSTM([4, 3], engine=engine_name, **options)
    x = tf.placeholder(tf.float32, [2, None, 3])
    store = StateStore(lstm, 2)
    before = store.state
    outputs, state = lstm(x, initial_state=before)
    update = store.update(state)
    whole, whole_state = lstm(x)
    session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    values = np.random.RandomState(0).standard_normal([2, 12, 3]).astype(np.float32)
    expected, expected_state = session.run([whole, whole_state], {x: values})
    pieces, states = [], [[np.zeros(v.shape.as_list()) for v in store.variables]]
    for start, end in ((0, 5), (5, 6), (6, 12)):
        piece, read, new, _ = session.run([outputs, before, state, update], {x: values[:, start:end]})
        pieces.append(piece)
        np.testing.assert_equal([part for pair in read for part in pair], states[-1])
        states.append([part for pair in new for part in pair])
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, rtol=0, atol=tolerance)
    for last, part in zip(session.run(store.variables), [part for pair in expected_state for part in pair]):
        np.testing.assert_allclose(last, part, rtol=0, atol=tolerance)


def test_reset_of_rows(session):
    """Rows that are reset start from the learned vectors; the others keep their state."""
    lstm = StackedLSTM([3], initial_state="learned", bias_initializer={"initial_state/layer_1/h": "tn"})
    lstm.build(2)
    store = StateStore(lstm, 3)
    rows = tf.placeholder(tf.bool, [None])
    some, every = store.reset(rows), store.reset()
    ones = store.update([LSTMState(tf.ones([3, 3]), tf.ones([3, 3]))])
    session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    learned = session.run(lstm.variables_by_layer.initial_state[0]["h"])
    assert np.any(learned) and not np.any(session.run(store.variables))
    session.run(ones)
    session.run(some, {rows: [True, False, True]})
    c, h = session.run(store.state[0])
    np.testing.assert_array_equal(c, [[0] * 3, [1] * 3, [0] * 3])
    np.testing.assert_array_equal(h, [learned, [1] * 3, learned])
    session.run(every)
    np.testing.assert_array_equal(session.run(store.state[0].h), [learned] * 3)


@pytest.mark.parametrize("shape", [None, [None]])
def test_reset_of_rows_of_unknown_shape(shape, session):
    store = StateStore(StackedLSTM([3]), 2)
    rows = tf.placeholder(tf.bool, shape)
    fill = tf.group(*[variable.assign(tf.ones_like(variable)) for variable in store.variables])
    reset = store.reset(rows)
    session.run(fill)
    session.run(reset, {rows: [False, True]})
    assert session.run(store.state[0].h).tolist() == [[1, 1, 1], [0, 0, 0]]
    for wrong in ([True] * 3, [[True]] * 2, True)[: 3 if shape is None else 1]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="StateStore.reset: expected `rows` of shape"):
            session.run(reset, {rows: wrong})


def test_optimizers_and_savers_do_not_see_the_state():
    lstm = StackedLSTM([3, 2], name="encoder", dtype=tf.float64)
    lstm.build(2)
    store = StateStore(lstm, 5)
    assert tf.local_variables() == store.variables
    assert not set(store.variables) & set(tf.global_variables() + tf.trainable_variables())
    names = {v.op.name: (v.shape.as_list(), v.dtype.base_dtype) for v in store.variables}
    assert names == {
        f"encoder/state_store/layer_{k}/{f}": ([5, size], tf.float64) for k, size in ((1, 3), (2, 2)) for f in "ch"
    }


def test_gradients_stop_at_the_start_of_a_piece():
    lstm = StackedLSTM([2])
    outputs, _ = lstm(tf.ones([1, 3, 1]), initial_state=StateStore(lstm, 1).state)
    assert all(gradient is not None for gradient in tf.gradients(outputs, lstm.variables))


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: StateStore("lstm", 2), "StateStore: expected `lstm` to be a StackedLSTM, got 'lstm'"),
        (lambda: StateStore(StackedLSTM([2]), 0), "StateStore: expected `batch_size` to be a positive integer, got 0"),
        (lambda: StateStore(StackedLSTM([2]), 2, name=""), "`name` to be a non-empty string"),
        (
            lambda: [StateStore(StackedLSTM([2]), 2) for _ in range(2)],
            "StateStore: expected a `name` that no other store of this stack has, got 'state_store'",
        ),
        (lambda: StateStore(StackedLSTM([2]), 2).update([]), "StateStore.update: expected `state` to be"),
        (
            lambda: StateStore(StackedLSTM([2]), 2).update([(tf.zeros([2, 3]), tf.zeros([2, 2]))]),
            "`state[0].c` of shape [2, 2], got shape (2, 3)",
        ),
        (
            lambda: StateStore(StackedLSTM([2], initial_state="projected"), 2).reset(),
            "stacked_lstm.initial_states:",
        ),
        (lambda: StateStore(StackedLSTM([2], initial_state="learned"), 2).reset(), "stacked_lstm.initial_states: "),
        (lambda: StateStore(StackedLSTM([2]), 2).reset([True]), "`rows` to be a vector with one bool per sequence (2)"),
        (lambda: StateStore(StackedLSTM([2]), 2).reset([1, 0]), "`rows`"),
    ],
)
def test_bad_input(make, expected):
    with pytest.raises(ValueError) as error:
        make()
    assert expected in str(error.value)


def test_a_projected_initial_state_needs_inputs():
    lstm = StackedLSTM([2], initial_state="projected")
    lstm.build(1)
    with pytest.raises(
        ValueError, match="expected an initial state that needs no inputs, 'zeros' or 'learned', got 'proj"
    ):
        lstm.initial_states(2)


def test_settings_of_the_scope_around_it():
    """A state is no weight: it is neither regularized nor partitioned."""
    lstm = StackedLSTM([2])
    lstm.build(3)
    partitioner = tf.fixed_size_partitioner(2)
    with tf.variable_scope("around", regularizer=tf.reduce_sum, partitioner=partitioner):
        store = StateStore(lstm, 4)
    assert tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES) == []
    assert [variable.shape.as_list() for variable in store.variables] == [[4, 2], [4, 2]]
