"""The variables of BidirectionalLSTM: names, shapes, initializers, sharing, and checkpoints."""

import os

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, checkpoints
from stacked_lstm.compat import tf
from support.references import numeric
from support.suite.paths import GOLDEN


@pytest.mark.parametrize("merge, times", [("concat", 2), (None, 2), ("sum", 1)])
def test_names_and_shapes_of_variables(merge, times):
    """Checkpoints depend on them, so they never change."""
    expected = {}
    for side in ("forward", "backward"):
        for k, rows, width, below in ((1, 7, 4, 3), (2, 6 + 4 * times, 6, 4 * times)):
            expected.update({f"two/{side}/layer_{k}/W{g}": [rows, width] for g in "fico"})
            expected.update({f"two/{side}/layer_{k}/b{g}": [width] for g in "fico"})
            expected.update({f"two/{side}/initial_state/layer_{k}/W_{f}": [below, width] for f in "ch"})
    lstm = BidirectionalLSTM([4, 6], merge=merge, initial_state="projected", name="two")
    lstm.build(3)
    assert {v.op.name: v.shape.as_list() for v in tf.trainable_variables()} == expected
    assert {v.op.name for v in lstm.variables} == set(expected) and len(lstm.variables) == len(expected)
    assert lstm.weights == lstm.trainable_variables == lstm.variables
    assert lstm.layers.backward[1].Wf.op.name == "two/backward/layer_2/Wf"
    assert lstm.variables_by_layer.forward.initial_state[1]["W_c"].op.name == "two/forward/initial_state/layer_2/W_c"
    assert lstm.count_params() == sum(int(np.prod(shape)) for shape in expected.values())


def test_names_of_two_stacks():
    BidirectionalLSTM([4, 6], stacking="stacks", initial_state="learned").build(3)
    names = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert len(names) == 2 * (16 + 4)
    assert names["bidirectional_lstm/forward/layer_2/Wf"] == [10, 6]
    assert names["bidirectional_lstm/backward/initial_state/layer_2/h"] == [6]


def test_repr_and_engine(session):
    lstm = BidirectionalLSTM([4, 6], merge=None, engine="graph")
    assert repr(lstm) == "BidirectionalLSTM([4, 6], merge=None, stacking='layers', not built)"
    assert lstm.engine_used is None
    lstm(tf.zeros([2, 5, 3]))
    expected = 2 * (4 * (7 * 4 + 4) + 4 * (14 * 6 + 6))
    assert (
        repr(lstm) == f"BidirectionalLSTM([4, 6], merge=None, stacking='layers', input_size=3, {expected} parameters)"
    )
    assert lstm.engine_used.name == "graph"


def test_a_second_call_shares_variables(session):
    lstm = BidirectionalLSTM([4, 3])
    x = tf.placeholder(tf.float32, [None, None, 2])
    first, second = lstm(x)[0], lstm(x)[0]
    assert len(tf.global_variables()) == 32 and first.shape.as_list() == [None, None, 6]
    session.run(tf.global_variables_initializer())
    for batch, steps in ((2, 3), (0, 2), (2, 0)):
        a, b = session.run([first, second], {x: np.ones([batch, steps, 2])})
        assert a.shape == (batch, steps, 6) and np.array_equal(a, b)


def test_initializers_of_single_variables(session):
    lstm = BidirectionalLSTM(
        [2, 2],
        weight_initializer={"backward/layer_2/Wi": "zeros"},
        bias_initializer={"forward/initial_state/layer_2/h": tf.ones_initializer()},
        initial_state="learned",
    )
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    values = {v.op.name: session.run(v) for v in lstm.variables}
    zeros = [name for name, value in values.items() if "/W" in name and not np.any(value)]
    ones = [name for name, value in values.items() if "/initial_state/" in name and np.all(value == 1)]
    assert zeros == ["bidirectional_lstm/backward/layer_2/Wi"]
    assert ones == ["bidirectional_lstm/forward/initial_state/layer_2/h"]


def test_set_weights_changes_nothing_after_an_error(session):
    lstm = BidirectionalLSTM([2])
    lstm.build(2)
    session.run(tf.global_variables_initializer())
    before = lstm.get_weights(session)
    wrong = before.backward._replace(layers=[{"Wf": np.zeros([4, 2])}])
    with pytest.raises(ValueError, match=r"set_weights: expected `backward.layers\[0\]` with "):
        lstm.set_weights(session, before.forward._replace(layers=[dict(before[0].layers[0], bf=[9, 9])]), wrong)
    after = lstm.get_weights(session)
    assert all(np.array_equal(a, b) for a, b in zip(tf.nest.flatten(before), tf.nest.flatten(after)))


def test_shares_variables_with_stacks_of_its_names(plain_session):
    """A forward stack of another program restores and shares the variables by their names."""
    x = tf.constant(np.random.RandomState(0).standard_normal([2, 5, 3]))
    with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
        pair_of_outputs, _ = BidirectionalLSTM([4, 3], stacking="stacks", merge=None, dtype=tf.float64, name="two")(x)
        forward, _ = StackedLSTM([4, 3], dtype=tf.float64, name="two/forward")(x)
    plain_session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(*plain_session.run([pair_of_outputs.forward, forward]))


def test_checkpoints_have_directions(plain_session, tmp_path):
    """The layers of a checkpoint are not one stack. They fill a bidirectional layer of another library."""
    template = os.path.join(GOLDEN, "pytorch", "bidirectional.npz")
    peer = checkpoints.read(template).layers
    assert [layer.direction for layer in peer] == ["forward", "backward"]
    input_size, hidden_size, _ = peer[0].sizes
    lstm = BidirectionalLSTM([hidden_size], name="encoder", bias_initializer="tn")
    lstm.build(input_size)
    plain_session.run(tf.global_variables_initializer())
    layers = checkpoints.read(tf.train.Saver().save(plain_session, str(tmp_path / "model"))).layers
    assert [(layer.network, layer.direction) for layer in layers] == [
        ("encoder/forward", "forward"),
        ("encoder/backward", "backward"),
    ]
    for target, refused in {"new.npz": layers, "backward.h5": layers[1:]}.items():
        with pytest.raises(ValueError, match="expected `layers` to be one stack, all forward, got .*backward"):
            checkpoints.write(str(tmp_path / target), refused)
    target = str(tmp_path / "copy.npz")
    checkpoints.write(target, layers, template=template)
    for layer, side in zip(checkpoints.read(target).layers, lstm.get_weights(plain_session)):
        numeric.check_same(layer.weights, side.layers[0], 0)
