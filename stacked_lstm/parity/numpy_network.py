"""The yardstick as a network of the comparison: `numpy_lstm`, with a dense layer and gradient descent."""

import numpy as np

from stacked_lstm import numpy_lstm
from stacked_lstm.parity.graph_network import named


class NumpyNetwork:
    """What `GraphNetwork` does, in float64 NumPy, of which it takes the names and arguments; sessions are not used.

    Attributes:
      source: what computes.
    """

    def __init__(self, lstm, setup, placeholders, learning_rate):
        del lstm, placeholders
        self.source = "stacked_lstm.numpy_lstm, float64"
        self._setup, self._learning_rate = setup, learning_rate
        self._layers, self._initial_state, self._head = [], [], []

    def start(self, session, values, head):
        del session
        copy = lambda layer: {name: np.array(value, np.float64) for name, value in layer.items()}  # noqa: E731
        self._layers, self._initial_state = ([copy(layer) for layer in layers] for layers in values)
        self._head = [np.array(part, np.float64) for part in head]

    def compute(self, session, batch):
        outputs, state, back = self._forward(batch)
        d_outputs = np.asarray(batch.mixing, np.float64)
        d_state = None
        if self._setup.use_states:
            d_state = [(np.cos(c + 0.3 * k), np.sin(h + 0.7 * k)) for k, (c, h) in enumerate(state)]
        return named(outputs, state, back(d_outputs, d_state))

    def train(self, session, batch):
        _, state, back = self._forward(batch)
        matrix, bias = self._head
        error = state[-1].h @ matrix + bias - batch.targets
        d_error = 2 * error / error.size
        d_state = [(np.zeros_like(c), np.zeros_like(h)) for c, h in state]
        d_state[-1] = (d_state[-1][0], d_error @ matrix.T)
        gradients = back(None, d_state)
        for layer, d_layer in zip(self._layers + self._initial_state, gradients["layers"] + gradients["initial_state"]):
            for name in layer:
                layer[name] -= self._learning_rate * d_layer[name]
        self._head = [matrix - self._learning_rate * state[-1].h.T @ d_error,
                      bias - self._learning_rate * np.sum(d_error, axis=0)]  # fmt: skip
        return np.mean(error**2)

    def infer(self, session, batch):
        self._forward(batch)

    def _forward(self, batch):
        """(outputs, state, function from their gradients to those of inputs, layers and initial state)."""
        x = self._turned(np.asarray(batch.inputs, np.float64))
        started = np.ones([x.shape[1], 1]) if batch.lengths is None else np.asarray(batch.lengths)[:, None] > 0
        states, start_backward = self._start(np.where(started, x[0], 0))
        outputs, state, cache = numpy_lstm.forward(self._layers, x, states, batch.lengths)

        def back(d_outputs, d_state):
            d_outputs = None if d_outputs is None else self._turned(d_outputs)
            gradients = numpy_lstm.backward(d_outputs, d_state, cache)
            d_variables, d_first = start_backward(gradients["initial_state"])
            d_x = gradients["x"]
            d_x[0] += np.where(started, d_first, 0)
            return {"inputs": self._turned(d_x), "layers": gradients["layers"], "initial_state": d_variables}

        return self._turned(outputs), state, back

    def _start(self, first):
        """(initial states or None, function from their gradients to those of the variables and of `first`)."""
        if not self._initial_state:
            return None, lambda d_states: ([], 0)
        if "W_c" in self._initial_state[0]:
            states, cache = numpy_lstm.projected_forward(self._initial_state, first)
            return states, lambda d_states: numpy_lstm.projected_backward(d_states, cache)
        states = [[np.tile(layer[f], [len(first), 1]) for f in "ch"] for layer in self._initial_state]
        return states, lambda d_states: ([{f: np.sum(getattr(d, f), axis=0) for f in "ch"} for d in d_states], 0)

    def _turned(self, array):
        """From the setup's layout to time-major, or back."""
        return array if self._setup.time_major else array.transpose(1, 0, 2)
