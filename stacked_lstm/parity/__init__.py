"""StackedLSTM and MultiRNNCell + dynamic_rnn side by side: one graph, the same weights, the same data.

    pair = parity.Pair(parity.Setup(hidden_sizes=[32, 64], input_size=8))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(pair.start)
        print(parity.differences(pair, session, pair.feed(batch=4, time_steps=20, seed=1), "float32"))

The only part of the package that touches a peer.
"""

from stacked_lstm.parity.measure import (
    LOSS_TOLERANCES,
    TOLERANCES,
    Difference,
    StepTimes,
    devices_used,
    differences,
    exceeded,
    loss_difference,
    step_times,
    train,
)
from stacked_lstm.parity.pair import Pair, Setup
from stacked_lstm.parity.peer import PeerMissingError, rnn_cell

__all__ = [
    "LOSS_TOLERANCES",
    "TOLERANCES",
    "Difference",
    "Pair",
    "PeerMissingError",
    "Setup",
    "StepTimes",
    "devices_used",
    "differences",
    "exceeded",
    "loss_difference",
    "rnn_cell",
    "step_times",
    "train",
]
