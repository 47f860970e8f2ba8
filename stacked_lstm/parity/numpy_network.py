"""The yardstick as a network of the comparison: `numpy_lstm`, with a dense layer and gradient descent."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.parity.network import Network, named_results
from stacked_lstm.parity.problem import Batch, Setup, mixed_loss_gradients
from stacked_lstm.stack.stacked_lstm import StackedLSTM
from stacked_lstm.state import LSTMState


class NumpyNetwork(Network):
    """The network in float64 NumPy; it uses no session."""

    def __init__(self, lstm: StackedLSTM, setup: Setup, placeholders: Batch, learning_rate: float | None) -> None:
        del lstm, placeholders
        self.source = "stacked_lstm.numpy_lstm, float64"
        self._setup, self._learning_rate = setup, learning_rate or 0.0
        self._layers: list[dict[str, np.ndarray]] = []
        self._initial_state: list[dict[str, np.ndarray]] = []
        self._head: list[np.ndarray] = []

    def start(self, session: tf.Session, weights: Any, head: Sequence[np.ndarray]) -> None:
        del session
        copy = lambda layer: {name: np.array(value, np.float64) for name, value in layer.items()}  # noqa: E731
        self._layers, self._initial_state = ([copy(layer) for layer in layers] for layers in weights)
        self._head = [np.array(part, np.float64) for part in head]

    def compute(self, session: tf.Session, batch: Batch) -> dict[str, np.ndarray]:
        outputs, state, backward = self._forward(batch)
        d_outputs = np.asarray(batch.mixing, np.float64)
        return named_results(outputs, state, backward(d_outputs, mixed_loss_gradients(self._setup, state)))

    def train(self, session: tf.Session, batch: Batch) -> float:
        _, state, backward = self._forward(batch)
        matrix, bias = self._head
        error = state[-1].h @ matrix + bias - batch.targets
        d_error = 2 * error / error.size
        d_state = [(np.zeros_like(c), np.zeros_like(h)) for c, h in state]
        d_state[-1] = (d_state[-1][0], d_error @ matrix.T)
        gradients = backward(None, d_state)
        for layer, d_layer in zip(self._layers + self._initial_state, gradients["layers"] + gradients["initial_state"]):
            for name in layer:
                layer[name] -= self._learning_rate * d_layer[name]
        self._head = [
            matrix - self._learning_rate * state[-1].h.T @ d_error,
            bias - self._learning_rate * np.sum(d_error, axis=0),
        ]
        return np.mean(error**2)

    def infer(self, session: tf.Session, batch: Batch) -> None:
        self._forward(batch)

    def _forward(self, batch: Batch) -> tuple[np.ndarray, Any, Callable[[Any, Any], dict[str, Any]]]:
        """(outputs, state, function from their gradients to those of inputs, layers and initial state)."""
        x = self._switched(np.asarray(batch.inputs, np.float64))
        nonempty = np.ones([x.shape[1], 1]) if batch.lengths is None else np.asarray(batch.lengths)[:, None] > 0
        states, start_backward = self._start_states(np.where(nonempty, x[0], 0))
        outputs, state, cache = numpy_lstm.forward(self._layers, x, states, batch.lengths)

        def backward(d_outputs: Any, d_state: Any) -> dict[str, Any]:
            d_outputs = None if d_outputs is None else self._switched(d_outputs)
            gradients = numpy_lstm.backward(d_outputs, d_state, cache)
            d_variables, d_first = start_backward(gradients["initial_state"])
            d_x = gradients["x"]
            d_x[0] += np.where(nonempty, d_first, 0)
            return {"inputs": self._switched(d_x), "layers": gradients["layers"], "initial_state": d_variables}

        return self._switched(outputs), state, backward

    def _start_states(self, first: np.ndarray) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
        """(initial states or None, function from their gradients to those of the variables and of `first`)."""
        if not self._initial_state:
            return None, lambda d_states: ([], 0)
        if "W_c" in self._initial_state[0]:
            states, cache = numpy_lstm.projected_forward(self._initial_state, first)
            return states, lambda d_states: numpy_lstm.projected_backward(d_states, cache)
        states = [LSTMState(*[np.tile(layer[f], [len(first), 1]) for f in "ch"]) for layer in self._initial_state]
        return states, lambda d_states: ([{f: np.sum(getattr(d, f), axis=0) for f in "ch"} for d in d_states], 0)

    def _switched(self, array: np.ndarray) -> np.ndarray:
        """Switches between the setup's layout and time-major."""
        return array if self._setup.time_major else array.transpose(1, 0, 2)
