"""StackedLSTM beside its peers: the same weights, the same data, every number compared.

    setup = parity.Setup(hidden_sizes=[32, 64], input_size=8)
    comparison = parity.Comparison(setup, peers=parity.PEERS)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        comparison.start(session)
        batch = parity.random_batch(setup, batch=4, time_steps=20, seed=1)
        print(parity.differences(comparison, session, batch, setup.dtype))

`PEERS` are MultiRNNCell + dynamic_rnn of the installed TensorFlow, and `numpy_lstm`. A program adds its own as
`graph_peer(build)` or as a class that implements `Network`; scripts/peers/ adds Keras and PyTorch. Nothing else in the
package imports a peer.
"""

from __future__ import annotations

from stacked_lstm.parity.comparison import PEERS, STACKED_LSTM, Comparison
from stacked_lstm.parity.graph_network import GraphNetwork, graph_peer
from stacked_lstm.parity.measure import (
    LOSS_TOLERANCES,
    TOLERANCES,
    Difference,
    devices_used,
    differences,
    exceeded,
    loss_differences,
    step_times,
    train,
)
from stacked_lstm.parity.network import Network, PeerFactory, PeerMissingError, Recurrent, named_results
from stacked_lstm.parity.problem import Batch, Setup, mixed_loss, random_batch, training_batch
from stacked_lstm.parity.tensorflow_rnn import build_dynamic_rnn, rnn_cell

__all__ = [
    "LOSS_TOLERANCES",
    "PEERS",
    "STACKED_LSTM",
    "TOLERANCES",
    "Batch",
    "Comparison",
    "Difference",
    "GraphNetwork",
    "Network",
    "PeerFactory",
    "PeerMissingError",
    "Recurrent",
    "Setup",
    "build_dynamic_rnn",
    "devices_used",
    "differences",
    "exceeded",
    "graph_peer",
    "loss_differences",
    "mixed_loss",
    "named_results",
    "random_batch",
    "rnn_cell",
    "step_times",
    "train",
    "training_batch",
]
