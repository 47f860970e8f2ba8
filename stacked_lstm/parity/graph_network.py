"""Networks in the graph: StackedLSTM, and peers with copies of its variables."""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from stacked_lstm import layouts
from stacked_lstm.compat import tf
from stacked_lstm.parity.network import Network, PeerFactory, Recurrent, named_results
from stacked_lstm.parity.problem import Batch, Setup, mixed_loss
from stacked_lstm.stack.stacked_lstm import StackedLSTM
from stacked_lstm.stack.weights import load
from stacked_lstm.state import LSTMState


class GraphNetwork(Network):
    """A network in the default graph: recurrent layers, a dense layer on the last output, gradients and training.

    Attributes:
      source: where the layers come from, for people.
      outputs: the outputs of the recurrent layers.
      train_step: the op that makes a step of plain gradient descent; None if there is no learning rate.

    Example:
      >>> from stacked_lstm import parity
      >>> comparison = parity.Comparison(parity.Setup([32, 64], input_size=8))
      >>> network = comparison.networks["dynamic_rnn"]
      >>> isinstance(network, parity.GraphNetwork), network.outputs.shape.as_list()
      (True, [None, None, 64])
    """

    def __init__(
        self,
        recurrent: Recurrent,
        initial_state: Sequence[Mapping[str, tf.Variable]],
        setup: Setup,
        placeholders: Batch,
        learning_rate: float | None,
    ) -> None:
        """Adds the dense layer, the gradients and a training step to the graph.

        Args:
          recurrent: the recurrent layers.
          initial_state: for each layer a mapping from names to the variables of its initial state; empty for zeros.
          setup: `Setup`.
          placeholders: the `Batch` of placeholders that the recurrent layers read.
          learning_rate: of plain gradient descent; None for no training step.
        """
        self.source, self.outputs = recurrent.source, recurrent.outputs
        self._recurrent, self._initial_state, self._placeholders = recurrent, initial_state, placeholders
        self._head = [
            tf.Variable(tf.zeros(shape, recurrent.outputs.dtype))
            for shape in ([setup.hidden_sizes[-1], setup.horizon], [setup.horizon])
        ]
        variables = {
            "inputs": placeholders.inputs,
            "layers": [dict(layer) for layer in recurrent.layers],
            "initial_state": [dict(layer) for layer in initial_state],
        }
        loss = mixed_loss(setup, self.outputs, recurrent.state, placeholders.mixing, tf.sin, tf.cos, tf.reduce_sum)
        gradients = tf.gradients(loss, tf.nest.flatten(variables))
        self._gradients = tf.nest.pack_sequence_as(variables, gradients)
        predicted = tf.matmul(recurrent.state[-1].h, self._head[0]) + self._head[1]
        self._loss = tf.reduce_mean(tf.square(predicted - placeholders.targets))
        trained = tf.nest.flatten([variables["layers"], variables["initial_state"], self._head])
        self.train_step = None if learning_rate is None else self._descent(learning_rate, trained)

    def _descent(self, learning_rate: float, variables: Sequence[tf.Variable]) -> tf.Operation:
        rate = tf.constant(learning_rate, self._loss.dtype)  # A Python float would be rounded to float32.
        return tf.train.GradientDescentOptimizer(rate).minimize(self._loss, var_list=variables)

    def start(self, session: tf.Session, weights: Any, head: Sequence[np.ndarray]) -> None:
        pairs = list(zip(self._head, head))
        for layer, explicit in zip(self._recurrent.layers, weights.layers):
            packed = layouts.pack(explicit, self._recurrent.layout)
            pairs += [(variable, packed[name]) for name, variable in layer.items()]
        for layer, explicit in zip(self._initial_state, weights.initial_state):
            pairs += [(variable, explicit[name]) for name, variable in layer.items()]
        load(pairs, session)

    def compute(self, session: tf.Session, batch: Batch) -> dict[str, np.ndarray]:
        results = (self.outputs, self._recurrent.state, self._gradients)
        outputs, state, gradients = session.run(results, self.feed(batch))
        layout = self._recurrent.layout
        gradients["layers"] = [layouts.unpack(layer, layout, forget_bias=0.0) for layer in gradients["layers"]]
        return named_results(outputs, state, gradients)

    def train(self, session: tf.Session, batch: Batch) -> float:
        return session.run([self._loss, self.train_step], self.feed(batch))[0]

    def infer(self, session: tf.Session, batch: Batch) -> None:
        session.run(self.outputs.op, self.feed(batch))

    def feed(self, batch: Batch) -> dict[tf.Tensor, Any]:
        """Returns the feed dictionary for a `Batch` of arrays."""
        return {p: value for p, value in zip(self._placeholders, batch) if p is not None and value is not None}


def stacked_lstm_network(
    lstm: StackedLSTM, setup: Setup, placeholders: Batch, learning_rate: float | None
) -> GraphNetwork:
    """Calls a `StackedLSTM` and returns its network."""
    outputs, state = lstm(placeholders.inputs, placeholders.lengths, time_major=setup.time_major)
    layers, initial_state = lstm.variables_by_layer
    assert lstm.engine_used is not None, "it is known once the stack has been called"
    source = f"engine {lstm.engine_used.name} ({lstm.engine_used.reason})"
    recurrent = Recurrent(outputs, state, layers, layouts.OWN, source)
    return GraphNetwork(recurrent, initial_state, setup, placeholders, learning_rate)


def graph_peer(build: Callable[..., Recurrent]) -> PeerFactory:
    """Makes a peer for `Comparison` of a function that adds LSTM layers to the graph.

    Args:
      build: the function, with the arguments `hidden_sizes`; `inputs`, [B, T, I], or [T, B, I] if `time_major`;
        `lengths`, int32 [B] or None; `initial_state`, an `LSTMState` per layer or None for zeros; and `time_major`.
        All except the first two have defaults: None, None, False. It returns a `Recurrent`.

    Returns:
      A function of (StackedLSTM, Setup, Batch of placeholders, learning rate) that returns a `GraphNetwork`.

    Example:
      >>> from stacked_lstm import parity
      >>> peers = {"cells": parity.graph_peer(parity.build_dynamic_rnn)}
      >>> list(parity.Comparison(parity.Setup([32], input_size=8), peers).networks)
      ['StackedLSTM', 'cells']
    """
    return functools.partial(_peer_network, build)


def _peer_network(
    build: Callable[..., Recurrent],
    lstm: StackedLSTM,
    setup: Setup,
    placeholders: Batch,
    learning_rate: float | None,
) -> GraphNetwork:
    copies = [
        {name: tf.Variable(tf.zeros(v.shape, v.dtype.base_dtype)) for name, v in layer.items()}
        for layer in lstm.variables_by_layer.initial_state
    ]
    x, lengths = placeholders.inputs, placeholders.lengths
    first = x[0] if setup.time_major else x[:, 0]
    if lengths is not None:  # An empty sequence has no first input; what is in its place must not count.
        first = tf.where(lengths > 0, first, tf.zeros_like(first))
    states = _initial_states(copies, first) or None
    recurrent = build(setup.hidden_sizes, x, lengths, states, setup.time_major)
    return GraphNetwork(recurrent, copies, setup, placeholders, learning_rate)


def _initial_states(layers: Sequence[Mapping[str, tf.Variable]], x: tf.Tensor) -> list[LSTMState]:
    """`LSTMState` per layer, from variables called W_c and W_h or c and h, and the first input [B, I]."""
    states, c, h = [], x, x
    for layer in layers:
        if "W_c" in layer:
            c, h = tf.tanh(tf.matmul(c, layer["W_c"])), tf.tanh(tf.matmul(h, layer["W_h"]))
        else:
            c, h = (tf.zeros([tf.shape(x)[0], 1], x.dtype) + layer[field] for field in "ch")
        states.append(LSTMState(c, h))
    return states
