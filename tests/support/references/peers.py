"""Networks of all peers beside StackedLSTM's, and their differences: what tests of parity share."""

from peers import keras
from stacked_lstm import parity
from stacked_lstm.compat import tf

PEERS = dict(parity.PEERS, keras=parity.graph_peer(keras.build))


def compared(setup, session, **options):
    """A `Comparison` ready to run."""
    comparison = parity.Comparison(setup, **options)
    session.run(tf.global_variables_initializer())
    comparison.start(session)
    return comparison


def differences(setup, session, batch=5, time_steps=7, peers=parity.PEERS):
    """The differences from all peers; each has computed everything."""
    comparison = compared(setup, session, peers=peers, learning_rate=None)
    return differences_of(comparison, setup, session, batch, time_steps)


def differences_of(comparison, setup, session, batch, time_steps):
    """The same of a comparison that exists already."""
    measured = parity.differences(
        comparison, session, parity.random_batch(setup, batch, time_steps, seed=3), setup.dtype
    )
    expected = {"outputs", "d inputs"}
    for k in range(len(setup.hidden_sizes)):
        expected |= {f"layer_{k + 1} final {field}" for field in "ch"}
        expected |= {f"d layer_{k + 1}/{kind}{gate}" for kind in "Wb" for gate in "fico"}
        names = {"zeros": [], "learned": ["c", "h"], "projected": ["W_c", "W_h"]}[setup.initial_state]
        expected |= {f"d initial_state/layer_{k + 1}/{name}" for name in names}
    for peer in list(comparison.networks)[1:]:
        assert {d.name for d in measured if d.peer == peer} == expected
    return measured
