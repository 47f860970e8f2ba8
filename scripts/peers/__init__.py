"""Other LSTMs, beside which StackedLSTM is compared, trained and measured. A new peer is a file and a line in `PEERS`.

A peer says for each script that it takes part in which function does the work:

  network: loads the library and returns what `parity.Comparison` takes, a `parity.PeerFactory`. It raises
    `parity.PeerMissingError` if the library is missing, or cannot be used where new ops are placed. For compare.py.
  build: adds a stack of layers to the graph; the arguments and the result are those that `parity.graph_peer` describes.
    For train.py, and for benchmark.py if there is no `step`.
  step: makes a benchmark's step, see `benchmarking.contestants`. For benchmark.py.

The functions are named as "module:function", and a module is imported when its peer is used. So `--help` answers at
once, and no library comes into a process that does not use it.
"""

from __future__ import annotations

import importlib
from typing import Any, Callable, NamedTuple

from shared import layer_options


class Peer(NamedTuple):
    """How the scripts use a peer.

    Fields:
      library: the package that it needs; benchmark.py leaves the peer out if it is not installed.
      network, build, step: "module:function" of the contract; None if the peer does not take part.
      column: the peer's name in the benchmark; None for its name in `PEERS`.
      modes: what the benchmark can measure; empty for all.
      devices: where; empty for all.
    """

    library: str
    network: str | None = None
    build: str | None = None
    step: str | None = None
    column: str | None = None
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


PEERS = {
    "dynamic_rnn": Peer(
        "tensorflow", "stacked_lstm.commands.compare:load_dynamic_rnn", "stacked_lstm.parity:build_dynamic_rnn"
    ),
    "keras": Peer("tf_keras", "peers.keras:network", "peers.keras:build", column="tf_keras"),
    "numpy": Peer("numpy", "stacked_lstm.commands.compare:load_numpy"),
    "block_lstm": Peer("tensorflow", step="peers.block_lstm:step"),
    "pytorch": Peer("torch", "peers.pytorch_network:network", step="peers.pytorch:step"),
    "onnxruntime": Peer("onnxruntime", step="peers.onnxruntime:step", modes=("inference",), devices=("CPU",)),
    "openvino": Peer("openvino", step="peers.openvino:step", modes=("inference",), devices=("CPU",)),
}

# What StackedLSTM's flags are for a peer, which has no other initial states, engines, initializers or options.
SETTINGS = {
    "initial_state": "zeros",
    "engine": "auto",
    "weight_initializer": None,
    **dict.fromkeys(layer_options.TABLE),
}


def load(name: str) -> Callable[..., Any]:
    """Imports a function that is named as "module:function"."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def names(use: str) -> list[str]:
    """The names of the peers that have a function for `use`, a field of `Peer`."""
    return [name for name, peer in PEERS.items() if getattr(peer, use)]


def loaders() -> dict[str, Callable[[], Any]]:
    """Name -> function that returns a peer's network, for `stacked_lstm.commands.compare`."""
    return {name: lambda peer=PEERS[name]: load(peer.network)() for name in names("network")}
