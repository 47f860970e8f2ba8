"""StackedLSTM from outside: values, shapes, names, sharing, checkpoints, dtypes."""

import itertools

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support import numeric
from support.native_ops import NEEDS_NATIVE, auto_engine
from support.sets import some
from support.versions import NEEDS_BFLOAT16

# dtype, tolerance, engine
DTYPES = [
    (tf.float16, 2e-3, "graph"),
    pytest.param(tf.bfloat16, 2e-2, "graph", marks=NEEDS_BFLOAT16),
    (tf.float64, 1e-14, "graph"),
    pytest.param(tf.float64, 1e-14, "native", marks=NEEDS_NATIVE),
    (tf.float16, 2e-3, "cudnn"),
    (tf.float32, 1e-6, "cudnn"),
    (tf.float64, 1e-14, "cudnn"),
]


def run_numpy(layers, x, *options):
    """(outputs [B, T, H], states) of `numpy_lstm` for x [B, T, I]."""
    outputs, state, _ = numpy_lstm.forward(layers, x.transpose(1, 0, 2), *options)
    return outputs.transpose(1, 0, 2), state


ACTIVATIONS, RECURRENT = ("tanh", "relu", "linear", "sigmoid"), ("sigmoid", "hard_sigmoid", "hard_sigmoid_6", "tanh")


@pytest.mark.parametrize(
    "activation, recurrent_activation",
    some(
        list(zip(ACTIVATIONS, RECURRENT)) + list(zip(ACTIVATIONS, RECURRENT[1:] + RECURRENT[:1])),
        list(itertools.product(ACTIVATIONS, RECURRENT)),
    ),
)
def test_equations(activation, recurrent_activation, general_engine, plain_session):
    """Against NumPy, with pre-activations on both sides of every kink."""
    lstm = StackedLSTM(
        [5, 4],
        activation=activation,
        recurrent_activation=recurrent_activation,
        initial_state="projected",
        weight_initializer="xavier",
        bias_initializer="tn",
        dtype=tf.float64,
        engine=general_engine,
    )
    random = np.random.RandomState(0)
    x, lengths = random.standard_normal([4, 6, 3]), [6, 0, 1, 4]
    outputs, state = lstm(tf.constant(x), tf.constant(lengths))
    plain_session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(plain_session)
    first = x[:, 0] * (np.array(lengths) > 0)[:, None]
    starts, _ = numpy_lstm.projected_forward(weights.initial_state, first)
    expected, finals = run_numpy(weights.layers, x, starts, lengths, activation, recurrent_activation)
    got, got_state = plain_session.run([outputs, state])
    assert numeric.relative_difference(got, expected) < 1e-12
    for actual, reference in zip(got_state, finals):
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-12 * np.max(np.abs(reference)))


def test_variable_names_and_shapes():
    """Checkpoints depend on the names, which never change."""
    lstm = StackedLSTM([4, 6], initial_state="projected", name="encoder")
    lstm.build(3)
    names = {v.op.name: v.shape.as_list() for v in tf.trainable_variables()}
    expected = {}
    for layer, rows, width in ((1, 7, 4), (2, 10, 6)):
        expected.update({f"encoder/layer_{layer}/W{g}": [rows, width] for g in "fico"})
        expected.update({f"encoder/layer_{layer}/b{g}": [width] for g in "fico"})
    for layer, shape in ((1, [3, 4]), (2, [4, 6])):
        expected.update({f"encoder/initial_state/layer_{layer}/W_{f}": shape for f in "ch"})
    assert names == expected
    assert {v.op.name for v in lstm.variables} == set(expected)
    assert tf.trainable_variables() == tf.global_variables()


def test_as_a_layer_of_tensorflow_1():
    """`weights`, `trainable_variables` and `count_params` as `tf.layers` have them, and a short representation."""
    lstm = StackedLSTM([4, 6], initial_state="learned")
    assert repr(lstm) == "StackedLSTM([4, 6], not built)"
    lstm.build(3)
    assert lstm.weights == lstm.trainable_variables == lstm.variables == tf.trainable_variables()
    expected = 4 * (7 * 4 + 4) + 4 * (10 * 6 + 6) + 2 * 4 + 2 * 6
    assert lstm.count_params() == expected == 412
    assert repr(lstm) == "StackedLSTM([4, 6], input_size=3, 412 parameters)"
    other = StackedLSTM([100], use_bias=False, name="other")
    other.build(100)
    assert repr(other) == "StackedLSTM([100], input_size=100, 80,000 parameters)"


def test_learned_names_and_start(session):
    lstm = StackedLSTM([4], initial_state="learned")
    outputs, _ = lstm(tf.zeros([2, 1, 3]))
    assert [v.op.name for v in lstm.variables[-2:]] == [
        "stacked_lstm/initial_state/layer_1/c",
        "stacked_lstm/initial_state/layer_1/h",
    ]
    session.run(tf.global_variables_initializer())
    assert not np.any(session.run(lstm.variables[-2:]))
    before = session.run(outputs)
    session.run(lstm.variables[-2].assign([1.0, -1.0, 2.0, 0.0]))
    assert np.any(session.run(outputs) != before)


def test_scope_around_the_stack():
    with tf.variable_scope("model"):
        StackedLSTM([2], use_bias=False).build(1)
    assert [v.op.name for v in tf.global_variables()] == ["model/stacked_lstm/layer_1/W" + g for g in "fioc"]


def test_no_bias(engine, session):
    lstm = StackedLSTM([3], use_bias=False, dtype=tf.float64, engine=engine)
    x = np.random.RandomState(0).standard_normal([2, 4, 2])
    outputs, _ = lstm(tf.constant(x))
    session.run(tf.global_variables_initializer())
    assert lstm.layers[0].bf is None
    expected, _ = run_numpy(lstm.get_weights(session).layers, x)
    assert numeric.relative_difference(session.run(outputs), expected) < 1e-13


def test_forget_bias(session):
    lstm = StackedLSTM([3], forget_bias=2.5)
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(lstm.layers[0].bf), [2.5] * 3)
    np.testing.assert_array_equal(session.run(lstm.layers[0].bi), [0.0] * 3)


def test_static_shapes(engine):
    lstm = StackedLSTM([4, 6], engine=engine)
    outputs, state = lstm(tf.placeholder(tf.float32, [5, None, 3]))
    assert outputs.shape.as_list() == [5, None, 6]
    assert [s.c.shape.as_list() for s in state] == [[5, 4], [5, 6]]
    outputs, state = lstm(tf.placeholder(tf.float32, [7, None, 3]), time_major=True, sequence_length=[1, 2])
    assert outputs.shape.as_list()[::2] == [7, 6]
    assert all(isinstance(s, LSTMState) for s in state) and isinstance(state, tuple)


def test_unknown_sizes(engine, session):
    x = tf.placeholder(tf.float32, [None, None, 3])
    outputs, state = StackedLSTM([4, 2], initial_state="learned", engine=engine)(x)
    session.run(tf.global_variables_initializer())
    for batch, steps in ((1, 1), (3, 5), (0, 2), (2, 0)):
        got, final = session.run([outputs, state], {x: np.ones([batch, steps, 3])})
        assert got.shape == (batch, steps, 2) and final[0].h.shape == (batch, 4)


def test_time_major_is_the_same(engine, plain_session):
    x = np.random.RandomState(0).standard_normal([3, 5, 2])
    lstm = StackedLSTM([4], dtype=tf.float64, engine=engine)
    batch_major, _ = lstm(tf.constant(x), [5, 2, 0])
    time_major, _ = lstm(tf.constant(x.transpose(1, 0, 2)), [5, 2, 0], time_major=True)
    plain_session.run(tf.global_variables_initializer())
    a, b = plain_session.run([batch_major, time_major])
    np.testing.assert_array_equal(a, b.transpose(1, 0, 2))


def test_called_again_shares_variables(session):
    lstm = StackedLSTM([4])
    first, _ = lstm(tf.ones([2, 3, 2]))
    count = len(tf.global_variables())
    second, _ = lstm(tf.ones([2, 3, 2]))
    assert len(tf.global_variables()) == count
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*session.run([first, second]))


def network(name=None):
    lstm = StackedLSTM([4]) if name is None else StackedLSTM([4], name=name)
    lstm.build(3)
    return lstm.variables


def test_stacks_share_variables_on_purpose():
    """By one name that the program gives, by reuse=True, and by a function that builds a network twice."""
    with tf.variable_scope("named", reuse=tf.AUTO_REUSE):
        assert network("encoder") == network("encoder")
    built = []
    for reuse in (False, True, True):
        with tf.variable_scope("explicit", reuse=reuse):
            built.append(network())
    for _ in range(2):
        with tf.variable_scope("function", reuse=tf.AUTO_REUSE):
            built.append(network())
    for _ in range(2):
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            built.append(network())
    template = tf.make_template("template", network)
    built += [template(), template()]
    assert built[0] == built[1] == built[2] and built[3] == built[4] and built[5] == built[6] and built[7] == built[8]
    assert len(tf.trainable_variables()) == 5 * 8


def test_initial_state_argument_continues_a_sequence(engine, plain_session):
    """Two pieces, with the state passed on, are the whole sequence, as in truncated backpropagation."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 8, 2]))
    lstm = StackedLSTM([4, 5], initial_state="projected", dtype=tf.float64, engine=engine)
    whole, last = lstm(x)
    first, state = lstm(x[:, :3])
    second, resumed = lstm(x[:, 3:], initial_state=state)
    plain_session.run(tf.global_variables_initializer())
    whole, last, first, second, resumed = plain_session.run([whole, last, first, second, resumed])
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=0, atol=1e-15)
    np.testing.assert_allclose(resumed[1].c, last[1].c, rtol=0, atol=1e-15)


@pytest.mark.parametrize("initial_state", ["zeros", "learned", "projected"])
def test_saved_and_restored_bit_for_bit(initial_state, session, tmp_path):
    x = np.random.RandomState(0).standard_normal([3, 5, 2])
    outputs, _ = StackedLSTM([4, 3], initial_state=initial_state)(tf.constant(x, tf.float32))
    session.run(tf.global_variables_initializer())
    expected = session.run(outputs)
    path = tf.train.Saver().save(session, str(tmp_path / "model"))
    with tf.Graph().as_default(), tf.Session() as other:
        outputs, _ = StackedLSTM([4, 3], initial_state=initial_state)(tf.constant(x, tf.float32))
        tf.train.Saver().restore(other, path)
        np.testing.assert_array_equal(other.run(outputs), expected)


@pytest.mark.parametrize("dtype, tolerance, engine", DTYPES, indirect=["engine"])
def test_dtypes(dtype, tolerance, engine, plain_session):
    """Forward and backward in every float dtype, against NumPy on the same rounded weights."""
    options = {"initial_state": "learned", "weight_initializer": "orthogonal", "dtype": dtype, "engine": engine}
    lstm = StackedLSTM([4, 3], **options)
    x = tf.cast(np.random.RandomState(0).standard_normal([3, 5, 2]), dtype)
    outputs, _ = lstm(x, [5, 0, 3])
    gradients = tf.gradients(outputs, lstm.variables)
    assert outputs.dtype == dtype and all(g.dtype == dtype for g in gradients)
    plain_session.run(tf.global_variables_initializer())
    expected, _ = run_numpy(lstm.get_weights(plain_session).layers, plain_session.run(x), None, [5, 0, 3])
    assert numeric.relative_difference(plain_session.run(outputs).astype(np.float64), expected) < tolerance
    assert all(np.all(np.isfinite(g.astype(np.float64))) for g in plain_session.run(gradients))


def test_engine_used():
    lstm = StackedLSTM([2])
    assert lstm.engine_used is None
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == auto_engine() and "first engine" in lstm.engine_used.reason
    lstm = StackedLSTM([2], engine="graph", name="other")
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used == ("graph", "asked for by name")


def test_initializers_by_variable(session, tmp_path):
    matrix = np.arange(6.0).reshape(3, 2)
    np.savetxt(str(tmp_path / "wf.csv"), matrix, delimiter=",")
    np.savetxt(str(tmp_path / "bi.csv"), [[7.0, 8.0]], delimiter=",")
    lstm = StackedLSTM(
        [2],
        weight_initializer={"layer_1/Wf": str(tmp_path / "wf.csv"), "layer_1/Wi": "zeros"},
        bias_initializer={"layer_1/bi": str(tmp_path / "bi.csv")},
    )
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    layer = lstm.layers[0]
    np.testing.assert_array_equal(session.run(layer.Wf), matrix)
    np.testing.assert_array_equal(session.run(layer.bi), [7, 8])
    assert not np.any(session.run(layer.Wi)) and np.all(session.run(layer.Wo))


def test_partitioner_around_the_stack(session):
    """Variables are not partitioned, because the range of an initializer depends on the number of rows."""
    with tf.variable_scope("model", partitioner=tf.fixed_size_partitioner(4)):
        lstm = StackedLSTM([200], initial_state="learned")
        lstm(tf.zeros([1, 1, 200]))
    session.run(tf.global_variables_initializer())
    largest = np.max(np.abs(session.run(lstm.layers[0].Wf)))
    assert 0.97 / 20 < largest <= 1 / 20


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("initial_state", ["zeros", "learned", "projected"])
def test_weights_are_read_and_written(initial_state, resource, session):
    """`get_weights` and `set_weights` work in a finalized graph."""
    with tf.variable_scope("", use_resource=resource):
        one, other = (StackedLSTM([4, 3], initial_state=initial_state, name=name) for name in ("one", "other"))
        one.build(2), other.build(2)
    initialize = tf.global_variables_initializer()
    session.graph.finalize()
    session.run(initialize)
    weights = one.get_weights(session)
    assert [sorted(layer) for layer in weights.layers] == [["Wc", "Wf", "Wi", "Wo", "bc", "bf", "bi", "bo"]] * 2
    names = {"zeros": [], "learned": [["c", "h"]] * 2, "projected": [["W_c", "W_h"]] * 2}[initial_state]
    assert [sorted(layer) for layer in weights.initial_state] == names
    np.testing.assert_array_equal(weights.layers[1]["Wo"], session.run(one.layers[1].Wo))
    for layer in weights.initial_state:
        layer[sorted(layer)[0]] += 1.0
    before = session.run(other.variables)
    other.set_weights(session, weights.layers)
    unchanged = session.run(other.variables)[16:]
    assert len(unchanged) == 2 * len(names) and all(np.array_equal(*pair) for pair in zip(unchanged, before[16:]))
    other.set_weights(session, *weights)
    for layer, copy in zip(sum(weights, []), sum(other.get_weights(session), [])):
        assert sorted(layer) == sorted(copy) and all(np.array_equal(layer[name], copy[name]) for name in layer)


@pytest.mark.parametrize("resource", [False, True])
def test_variables_that_start_from_one_tensor_are_written_apart(resource, session):
    shared = tf.ones([5, 3])
    with tf.variable_scope("", use_resource=resource):
        lstm = StackedLSTM([3], weight_initializer=lambda shape, dtype=None, partition_info=None: shared)
        lstm.build(2)
    session.run(tf.global_variables_initializer())
    (layer,) = lstm.get_weights(session).layers
    layer.update({name: np.full_like(value, n) for n, (name, value) in enumerate(sorted(layer.items()))})
    lstm.set_weights(session, [layer])
    for name, value in lstm.get_weights(session).layers[0].items():
        np.testing.assert_array_equal(value, layer[name])


def test_weights_that_do_not_fit_write_nothing(session):
    lstm = StackedLSTM([3], initial_state="learned", name="encoder")
    with pytest.raises(ValueError, match="encoder.set_weights: the variables are made at the first call"):
        lstm.set_weights(session, [])
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    before = session.run(lstm.variables)
    layers = [{name: value + 1 for name, value in layer.items()} for layer in lstm.get_weights(session).layers]
    for bad, message in [
        ((layers * 2,), "`layers` to be a list of 1 mapping from names to arrays, one per layer, got one of length 2"),
        ((tuple(lstm.get_weights(session)),), "`layers` to be a list of 1 mapping .* got one of length 2"),
        (
            (lstm.get_weights(session),),
            "`layers` to be a list of 1 .* got the result of get_weights; put a star before it",
        ),
        (
            ([list(layers[0].values())],),
            "`layers` to be a list of 1 mapping .*, got an object of the class list for layer 1",
        ),
        (([dict(layers[0], bo=np.ones([3], complex))],), r"`layers\[0\]\['bo'\]` to be an array of real numbers, got "),
        ((7,), "`layers` to be a list of 1 mapping .*, got 7"),
        (
            ([dict(layers[0], Wf=np.zeros([2, 3]))],),
            r"`layers\[0\]` with Wf \(5, 3\), got Wf \(2, 3\)",
        ),
        (([dict(layers[0], bo=None)],), r"`layers\[0\]` with bo \(3,\), got bo missing"),
        (([dict(layers[0], wf=np.zeros([5, 3]))],), r"`layers\[0\]` with the variables Wf, .* only, got wf"),
        (
            (layers, [{"c": np.zeros([3])}]),
            r"`initial_state\[0\]` with h \(3,\), got h missing",
        ),
    ]:
        with pytest.raises(ValueError, match="encoder.set_weights: expected " + message):
            lstm.set_weights(session, *bad)
    assert all(np.array_equal(*pair) for pair in zip(session.run(lstm.variables), before))


def halve(getter, name, *args, **kwargs):
    variable = getter(name, *args, **kwargs)
    return variable / 2 if name.endswith(("Wf", "W_h")) else variable


def test_variables_behind_a_custom_getter(session):
    """`get_weights` uses the requested names. A tensor that a getter makes of a variable can be read, but not set."""
    with tf.variable_scope("halves", custom_getter=halve):
        lstm = StackedLSTM([3, 3], initial_state="projected")
        lstm.build(2)
    session.run(tf.global_variables_initializer())
    found = lstm.get_weights(session)
    assert [sorted(layer) for layer in found.layers] == [["Wc", "Wf", "Wi", "Wo", "bc", "bf", "bi", "bo"]] * 2
    assert [sorted(layer) for layer in found.initial_state] == [["W_c", "W_h"]] * 2
    (variable,) = [v for v in tf.global_variables() if v.op.name == "halves/stacked_lstm/layer_2/Wf"]
    np.testing.assert_array_equal(found.layers[1]["Wf"], session.run(variable) / 2)
    message = r"set_weights: expected a variable for `layers\[0\]\['Wf'\]`, .* got the tensor .*custom getter"
    with pytest.raises(ValueError, match=message):
        lstm.set_weights(session, found.layers)
