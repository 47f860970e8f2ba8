"""StackedLSTM against MultiRNNCell + dynamic_rnn: outputs, final states, every gradient, training."""

import importlib

import numpy as np
import pytest

from stacked_lstm import parity
from stacked_lstm.compat import tf

# One layer narrow and wide, inputs narrow and wide, layers that share a loop and layers that have their own.
STACKS = {
    "one layer": ([5], 3),
    "narrow input": ([16], 1),
    "three layers of a loop": ([4, 7, 3], 5),
    "wide input": ([3, 6], 40),
    "own loops": ([260, 5, 270], 4),
}


def largest(setup, session, batch=5, time_steps=7):
    pair = parity.Pair(setup)
    session.run(tf.global_variables_initializer())
    session.run(pair.start)
    found = parity.differences(pair, session, pair.feed(batch, time_steps, seed=3), setup.dtype)
    expected = {"outputs", "d inputs"}
    for k in range(len(setup.hidden_sizes)):
        expected |= {"layer_%d final %s" % (k + 1, field) for field in "ch"}
        expected |= {"d layer_%d/%s%s" % (k + 1, kind, gate) for kind in "Wb" for gate in "fico"}
    assert expected <= {d.name for d in found}
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", sorted(STACKS))
def test_stacks(stack, dtype, session):
    hidden_sizes, input_size = STACKS[stack]
    setup = parity.Setup(hidden_sizes, input_size, lengths=True, dtype=dtype)
    assert parity.exceeded(largest(setup, session)) == []


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_layouts_and_initial_states(initial_state, lengths, time_major, session):
    setup = parity.Setup([4, 6], 3, initial_state=initial_state, lengths=lengths, time_major=time_major)
    assert parity.exceeded(largest(setup, session)) == []


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_projected_initial_state(time_major, lengths, session):
    setup = parity.Setup([4, 6], 3, initial_state="projected", lengths=lengths, time_major=time_major, dtype="float64")
    found = largest(setup, session)
    assert {"d initial_state/layer_%d/W_%s" % (k, f) for k in (1, 2) for f in "ch"} <= {d.name for d in found}
    assert parity.exceeded(found) == []


@pytest.mark.parametrize("batch, time_steps", [(1, 1), (1, 9), (4, 1), (3, 100)])
def test_sizes(batch, time_steps, session):
    assert parity.exceeded(largest(parity.Setup([8, 5], 4, lengths=True), session, batch, time_steps)) == []


def test_control_flows(control_flow, session):
    assert parity.exceeded(largest(parity.Setup([4, 6], 3, lengths=True, dtype="float64"), session)) == []


def test_half_precision(session):
    assert parity.exceeded(largest(parity.Setup([4, 6], 3, dtype="float16"), session)) == []


def test_training_side_by_side(session):
    pair = parity.Pair(parity.Setup([8, 8], 2, horizon=3), learning_rate=0.1)
    session.run(tf.global_variables_initializer())
    session.run(pair.start)
    random = np.random.RandomState(0)
    inputs = random.standard_normal([100, 16, 12, 2])
    losses = parity.train(pair, session, [(x, 1 + 0.5 * x[:, -3:, 0]) for x in inputs])
    assert losses[-1, 0] < 0.5 * losses[0, 0]
    assert parity.loss_difference(losses) < parity.LOSS_TOLERANCES["float32"]


def test_differences_are_seen(session):
    """One weight off by a little, or one NaN, does not pass."""
    pair = parity.Pair(parity.Setup([4], 3))
    session.run(tf.global_variables_initializer())
    session.run(pair.start)
    feed = pair.feed(3, 5, seed=1)
    weight = pair.lstm.layers[0].Wo
    session.run(tf.scatter_update(weight, [0], [[0.5, 0.0, 0.0, 0.0]]))
    names = {d.name for d in parity.exceeded(parity.differences(pair, session, feed, "float32"))}
    assert {"outputs", "layer_1 final h", "d layer_1/Wc"} <= names
    session.run(tf.scatter_update(weight, [0], [[np.nan, 0.0, 0.0, 0.0]]))
    assert "outputs" in {d.name for d in parity.exceeded(parity.differences(pair, session, feed, "float32"))}


def test_devices_and_times_are_reported(session):
    pair = parity.Pair(parity.Setup([4], 3))
    session.run(tf.global_variables_initializer())
    feed = pair.feed(3, 5, seed=1)
    (device,) = parity.devices_used(session, pair.outputs, feed)
    assert device.endswith("device:CPU:0")
    times = parity.step_times(pair, session, feed, repeats=3, training=True)
    assert len(times.ours) == len(times.peer) == 3 and min(times.ours + times.peer) > 0


def test_peer_missing(monkeypatch):
    def nowhere(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", nowhere)
    monkeypatch.setattr(tf.nn, "rnn_cell", object(), raising=False)
    with pytest.raises(parity.PeerMissingError, match="pip install tf-keras"):
        parity.rnn_cell()
