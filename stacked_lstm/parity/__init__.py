"""StackedLSTM beside its peers: the same weights, the same data, every number compared.

    setup = parity.Setup(hidden_sizes=[32, 64], input_size=8)
    comparison = parity.Comparison(setup, peers=parity.PEERS)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        comparison.start(session)
        batch = parity.random_batch(setup, batch=4, time_steps=20, seed=1)
        print(parity.differences(comparison, session, batch, setup.dtype))

The peers are MultiRNNCell + dynamic_rnn of the installed TensorFlow, and `numpy_lstm`; a program may add its own (see
`of_peer`), as scripts/compare.py adds Keras. Nothing else in the package touches a peer.
"""

from stacked_lstm.parity.comparison import OURS, PEERS, Comparison
from stacked_lstm.parity.dynamic_rnn import PeerMissingError, rnn_cell
from stacked_lstm.parity.graph_network import GraphNetwork, Recurrent, of_peer
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
from stacked_lstm.parity.problem import Batch, Setup, random_batch, training_batch

__all__ = [
    "LOSS_TOLERANCES",
    "OURS",
    "PEERS",
    "TOLERANCES",
    "Batch",
    "Comparison",
    "Difference",
    "GraphNetwork",
    "PeerMissingError",
    "Recurrent",
    "Setup",
    "devices_used",
    "differences",
    "exceeded",
    "loss_differences",
    "of_peer",
    "random_batch",
    "rnn_cell",
    "step_times",
    "train",
    "training_batch",
]
