"""The contract of a network in a comparison."""

from __future__ import annotations

import abc
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity.problem import Batch, Setup
from stacked_lstm.stack.stacked_lstm import StackedLSTM


class PeerMissingError(ImportError):
    """A peer's library is not installed, or not in a version that can be compared here."""


class Network(abc.ABC):
    """One network of a `Comparison`: a stack of LSTM layers and a dense layer on its last output.

    A peer that is no graph implements these four methods. A peer that is a graph is a function that builds the layers;
    `graph_peer` makes the network of it.

    Attributes:
      source: what computes and where it comes from, for people.

    Example:
      >>> from stacked_lstm import parity
      >>> class Constant(parity.Network):
      ...     source = "nothing but zeros"
      ...     def start(self, session, weights, head): pass
      ...     def compute(self, session, batch): return {"outputs": np.zeros([1])}
      ...     def train(self, session, batch): return 0.0
      ...     def infer(self, session, batch): pass
      >>> Constant().train(None, None)
      0.0
    """

    source: str

    @abc.abstractmethod
    def start(self, session: tf.Session, weights: Any, head: Sequence[np.ndarray]) -> None:
        """Gives the network its weights.

        Args:
          session: the session of the comparison; networks outside of the graph do not use it.
          weights: `(layers, initial_state)` as `StackedLSTM.get_weights` returns them.
          head: the dense layer's matrix [H_L, horizon] and bias [horizon].
        """

    @abc.abstractmethod
    def compute(self, session: tf.Session, batch: Batch) -> dict[str, np.ndarray]:
        """Computes everything that is compared.

        Args:
          session: as in `start`.
          batch: a `Batch` of arrays.

        Returns:
          Name -> array, as `named_results` makes it: outputs, final states, and the gradients of `mixed_loss` with
          respect to the input and every weight.
        """

    @abc.abstractmethod
    def train(self, session: tf.Session, batch: Batch) -> float:
        """Makes one step of plain gradient descent on the mean square error; returns the loss before it."""

    @abc.abstractmethod
    def infer(self, session: tf.Session, batch: Batch) -> None:
        """Computes the outputs, waits until they are there, and leaves them where they are."""


# Makes a peer's network beside a StackedLSTM: (lstm, setup, placeholders, learning rate or None) -> Network.
PeerFactory = Callable[[StackedLSTM, Setup, Batch, Optional[float]], Network]


class Recurrent(NamedTuple):
    """A stack of LSTM layers in the graph, as a peer's function returns it, see `graph_peer`.

    Fields:
      outputs: the last layer's outputs, [B, T, H_L] or [T, B, H_L], zero past the end of each sequence.
      state: the final (c, h) of each layer, [B, H_l] each, with these field names.
      layers: for each layer a mapping from the names in `layouts.LAYOUTS[layout]` to its variables.
      layout: a name of `layouts.LAYOUTS`.
      source: where the layers come from, for people.

    Example:
      >>> from stacked_lstm import parity
      >>> recurrent = parity.build_dynamic_rnn([32], tf.zeros([4, 20, 8]))
      >>> recurrent.layout, recurrent.outputs.shape.as_list(), sorted(recurrent.layers[0])
      ('rnn_cell', [4, 20, 32], ['bias', 'kernel'])
    """

    outputs: tf.Tensor
    state: Sequence[Any]
    layers: Sequence[Mapping[str, tf.Variable]]
    layout: str
    source: str


def named_results(outputs: Any, state: Sequence[Any], gradients: Mapping[str, Any]) -> dict[str, Any]:
    """Gives everything that is compared its name.

    Args:
      outputs: the outputs.
      state: the final (c, h) of each layer.
      gradients: "inputs": the gradient of the input; "layers" and "initial_state": a mapping per layer from a
        variable's name to its gradient.

    Returns:
      Name -> array: "outputs", "layer_1 final c", ..., "d inputs", "d layer_1/Wf", ..., "d initial_state/layer_1/c".

    Example:
      >>> from stacked_lstm import parity
      >>> zero = np.zeros([1])
      >>> gradients = {"inputs": zero, "layers": [{"Wf": zero}], "initial_state": []}
      >>> list(parity.named_results(zero, [(zero, zero)], gradients))
      ['outputs', 'layer_1 final c', 'layer_1 final h', 'd inputs', 'd layer_1/Wf']
    """
    results = {"outputs": outputs}
    for k, pair in enumerate(state):
        results.update((f"layer_{k + 1} final {field}", part) for field, part in zip("ch", pair))
    results["d inputs"] = gradients["inputs"]
    for scope, key in (("", "layers"), ("initial_state/", "initial_state")):
        for k, layer in enumerate(gradients[key]):
            results.update((f"d {scope}layer_{k + 1}/{name}", gradient) for name, gradient in layer.items())
    return results
