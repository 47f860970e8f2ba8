"""StackedLSTM and its peers beside each other, on the same weights and the same data."""

import collections
import functools

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity import dynamic_rnn, graph_network
from stacked_lstm.parity.numpy_network import NumpyNetwork
from stacked_lstm.parity.problem import Batch
from stacked_lstm.stack import StackedLSTM

OURS = "StackedLSTM"

# Functions of (StackedLSTM, Setup, Batch of placeholders, learning rate) that return a network.
PEERS = {
    "dynamic_rnn": functools.partial(graph_network.of_peer, dynamic_rnn.build),
    "numpy": NumpyNetwork,
}


class Comparison:
    """All networks in the default graph.

    Attributes:
      lstm: the `StackedLSTM`.
      networks: name -> `GraphNetwork` or `NumpyNetwork`, the StackedLSTM's first.
    """

    def __init__(self, setup, peers=None, learning_rate=0.05):
        """Builds them.

        Args:
          setup: `Setup`.
          peers: name -> function as in `PEERS`; None for dynamic_rnn only.
          learning_rate: of plain gradient descent; None for networks that are not trained, half as many gradients.

        Raises:
          PeerMissingError: a peer cannot be had in this environment.
        """
        dtype = tf.as_dtype(setup.dtype)
        placeholders = Batch(
            inputs=tf.placeholder(dtype, [None, None, setup.input_size], "inputs"),
            lengths=tf.placeholder(tf.int32, [None], "lengths") if setup.lengths else None,
            mixing=tf.placeholder(dtype, [None, None, setup.hidden_sizes[-1]], "mixing"),
            targets=tf.placeholder(dtype, [None, setup.horizon], "targets"),
        )
        peers = {"dynamic_rnn": PEERS["dynamic_rnn"]} if peers is None else peers
        self._head_shape = (setup.hidden_sizes[-1], setup.horizon)
        self.lstm = StackedLSTM(setup.hidden_sizes, initial_state=setup.initial_state, dtype=dtype, engine=setup.engine)
        ours = graph_network.of_stacked_lstm(self.lstm, setup, placeholders, learning_rate)
        self.networks = collections.OrderedDict([(OURS, ours)])
        for name, peer in peers.items():
            self.networks[name] = peer(self.lstm, setup, placeholders, learning_rate)

    def start(self, session, seed=0):
        """Gives all networks the weights that the StackedLSTM has, and the same random dense layer."""
        rows, _ = self._head_shape
        head = [
            np.random.RandomState(seed).standard_normal(self._head_shape) / rows**0.5,
            np.zeros(self._head_shape[1]),
        ]
        values = self.lstm.get_weights(session)
        for network in self.networks.values():
            network.start(session, values, head)
