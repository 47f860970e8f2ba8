"""Stacked LSTMs for TensorFlow-1-style graphs, with one weight matrix per gate.

    StackedLSTM       a stack of LSTM layers with the variables Wf Wi Wc Wo and bf bi bc bo, and an initial state
    BidirectionalLSTM layers that read each sequence forward and backward
    LSTMState         the pair (c, h) of one layer
    StateStore        keeps the states of a stack from run to run
    make_callable     makes a function that runs fetches of a session in less time than `session.run`
    rnn_cell          TensorFlow 1's cells, wrappers and dynamic_rnn under their old names
    checkpoints       reads and writes LSTM layers in the files of TensorFlow, Keras, PyTorch and ONNX
    layouts           converts the weights of one layer to and from the layouts of other libraries
    initializers      the named weight initializers
    numpy_lstm        the same network in NumPy: forward pass and backward pass
    runtime           inference without TensorFlow, on the kernels of the engine `native`
    export            writes networks for programs without this package: SavedModel, frozen graph, ONNX, TFLite
    contrib           the modules seq2seq, legacy_seq2seq, layers and crf of TensorFlow 1's `tf.contrib`
    engines           the implementations of the layers: `cudnn` (NVIDIA GPUs), `native` (CPUs), `graph` (all devices)
    summaries         the gates of all time steps for TensorBoard
    parity            compares StackedLSTM with other LSTM implementations
    load_native_ops   call it before you import a graph with ops of this package

Modules are imported when they are first used. `import stacked_lstm` does not import TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from stacked_lstm.version import __version__

if TYPE_CHECKING:
    from stacked_lstm import checkpoints, export, initializers, layouts, numpy_lstm, rnn_cell, runtime
    from stacked_lstm.bidirectional.bidirectional_lstm import BidirectionalLSTM
    from stacked_lstm.engines.imported_ops import load_native_ops
    from stacked_lstm.sessions.session_callable import make_callable
    from stacked_lstm.sessions.state_store import StateStore
    from stacked_lstm.stack.stacked_lstm import StackedLSTM
    from stacked_lstm.state import LSTMState

__all__ = [
    "BidirectionalLSTM",
    "LSTMState",
    "StackedLSTM",
    "StateStore",
    "__version__",
    "checkpoints",
    "export",
    "initializers",
    "layouts",
    "load_native_ops",
    "make_callable",
    "numpy_lstm",
    "rnn_cell",
    "runtime",
]

# Public name -> the module that has it.
_HOMES = {
    "BidirectionalLSTM": "bidirectional.bidirectional_lstm",
    "LSTMState": "state",
    "StackedLSTM": "stack.stacked_lstm",
    "StateStore": "sessions.state_store",
    "load_native_ops": "engines.imported_ops",
    "make_callable": "sessions.session_callable",
}


if not TYPE_CHECKING:  # A type checker would take every name for one of the package's.

    def __getattr__(name: str) -> Any:
        """Imports a public name, or a module of the package, when it is first used."""
        home = f"{__name__}.{_HOMES.get(name, name)}"
        if name.startswith("_") or importlib.util.find_spec(home) is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(home)
        value = getattr(module, name) if name in _HOMES else module
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
