"""The variables of StackedLSTM: names, sharing, initial values, checkpoints, reading and writing."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM
from stacked_lstm.compat import tf


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


def test_forget_bias(session):
    lstm = StackedLSTM([3], forget_bias=2.5)
    lstm.build(1)
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(lstm.layers[0].bf), [2.5] * 3)
    np.testing.assert_array_equal(session.run(lstm.layers[0].bi), [0.0] * 3)


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


@pytest.mark.parametrize("kind", [StackedLSTM, BidirectionalLSTM])
def test_sessions_of_other_graphs(kind, session):
    lstm = kind([3], name="lstm")
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(session)
    for value, problem in ((None, "None"), (3, "3"), (tf.Session(graph=tf.Graph()), "one of another graph")):
        message = rf"^lstm.{{}}: expected `session` to be a tf.Session of the graph with the variables, got {problem}$"
        with pytest.raises(ValueError, match=message.format("get_weights")):
            lstm.get_weights(value)
        with pytest.raises(ValueError, match=message.format("set_weights")):
            lstm.set_weights(value, *weights)


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
