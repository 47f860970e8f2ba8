"""`Comparison`: builds StackedLSTM and its peers in one graph and gives them equal weights."""

from __future__ import annotations

from typing import Mapping

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity.graph_network import graph_peer, stacked_lstm_network
from stacked_lstm.parity.network import Network, PeerFactory
from stacked_lstm.parity.numpy_network import NumpyNetwork
from stacked_lstm.parity.problem import Batch, Setup
from stacked_lstm.parity.tensorflow_rnn import build_dynamic_rnn
from stacked_lstm.stack.stacked_lstm import StackedLSTM

STACKED_LSTM = "StackedLSTM"  # The name of its network among those of the peers.

# The peers that need nothing but this package and TensorFlow.
PEERS: dict[str, PeerFactory] = {"dynamic_rnn": graph_peer(build_dynamic_rnn), "numpy": NumpyNetwork}


class Comparison:
    """A StackedLSTM and its peers in the default graph, on the same weights and the same data.

    Attributes:
      lstm: the `StackedLSTM`.
      networks: name -> `Network`; the first is "StackedLSTM", the peers follow.

    Example:
      >>> from stacked_lstm import parity
      >>> setup = parity.Setup(hidden_sizes=[32, 64], input_size=8)
      >>> comparison = parity.Comparison(setup, peers=parity.PEERS)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     comparison.start(session)
      ...     batch = parity.random_batch(setup, batch=4, time_steps=20, seed=1)
      ...     measured = parity.differences(comparison, session, batch, setup.dtype)
      >>> parity.exceeded(measured)
      []
    """

    def __init__(
        self, setup: Setup, peers: Mapping[str, PeerFactory] | None = None, learning_rate: float | None = 0.05
    ) -> None:
        """Builds all networks.

        Args:
          setup: the `Setup` that all of them have.
          peers: name -> function as in `PEERS`; None (default) for dynamic_rnn only.
          learning_rate: of plain gradient descent; default 0.05. None for networks that are not trained, which saves
            half of the gradients.

        Raises:
          PeerMissingError: a peer's library is not installed.
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
        self.networks: dict[str, Network] = {
            STACKED_LSTM: stacked_lstm_network(self.lstm, setup, placeholders, learning_rate)
        }
        for name, peer in peers.items():
            self.networks[name] = peer(self.lstm, setup, placeholders, learning_rate)

    def start(self, session: tf.Session, seed: int = 0) -> None:
        """Gives all networks the weights that the StackedLSTM has in `session`, and the same random dense layer.

        Args:
          session: a session in which the variables are initialized.
          seed: seed of the dense layer; default 0.
        """
        rows, _ = self._head_shape
        head = [
            np.random.RandomState(seed).standard_normal(self._head_shape) / rows**0.5,
            np.zeros(self._head_shape[1]),
        ]
        weights = self.lstm.get_weights(session)
        for network in self.networks.values():
            network.start(session, weights, head)
