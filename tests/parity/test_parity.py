"""The comparison itself: it sees differences, tells devices and times, and says which peers are missing.

What it compares is in tests/engines/test_conformance.py.
"""

import importlib
import sys

import numpy as np
import pytest

from peers import keras
from stacked_lstm import parity
from stacked_lstm.compat import tf
from support.references.peers import compared
from support.suite.places import ANYWHERE, runs_on_gpus
from support.suite.versions import OLD


@ANYWHERE
def test_differences_are_seen(peers, session):
    """One weight off by a little, or one NaN, does not pass."""
    setup = parity.Setup([4], 3)
    comparison = compared(setup, session, peers=peers, learning_rate=None)
    batch = parity.random_batch(setup, 3, 5, seed=1)
    weight = comparison.lstm.layers[0].Wo
    session.run(tf.scatter_update(weight, [0], [[0.5, 0.0, 0.0, 0.0]]))
    for peer in peers:
        exceeded = parity.exceeded(parity.differences(comparison, session, batch, "float32"))
        assert {"outputs", "layer_1 final h", "d layer_1/Wc"} <= {d.name for d in exceeded if d.peer == peer}
    session.run(tf.scatter_update(weight, [0], [[np.nan, 0.0, 0.0, 0.0]]))
    exceeded = parity.exceeded(parity.differences(comparison, session, batch, "float32"))
    assert {d.peer for d in exceeded if d.name == "outputs"} == set(peers)


def test_devices_and_times_are_reported(peers, session):
    setup = parity.Setup([4], 3)
    comparison = compared(setup, session, peers=peers)
    batch = parity.random_batch(setup, 3, 5, seed=1)
    network = comparison.networks[parity.STACKED_LSTM]
    (device,) = parity.devices_used(session, network.outputs, network.feed(batch))
    assert device.endswith("device:CPU:0")
    times = parity.step_times(comparison, session, batch, repeats=3, training=True)
    assert list(times) == [parity.STACKED_LSTM] + list(peers)
    assert all(len(seconds) == 3 and min(seconds) > 0 for seconds in times.values())


def test_peer_missing(monkeypatch):
    def nowhere(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", nowhere)
    monkeypatch.setattr(tf.nn, "rnn_cell", object(), raising=False)
    with pytest.raises(parity.PeerMissingError, match="pip install tf-keras"):
        parity.rnn_cell()


@pytest.mark.skipif(OLD, reason="TensorFlow 1.15 has a Keras 2 of its own")
def test_keras_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(parity.PeerMissingError, match="pip install tf-keras"):
        keras.keras_2()


def test_on_a_gpu_too():
    """All of this module, except this, what is about CPUs, and peers that are missing."""
    left_out = ["test_devices_and_times_are_reported", "test_peer_missing", "test_keras_missing", "test_on_a_gpu_too"]
    tests = {name: value for name, value in globals().items() if name.startswith("test_")}
    assert [name for name, test in tests.items() if not runs_on_gpus(test)] == left_out
