"""Stacked LSTMs for TensorFlow-1-style graphs, from explicit gate matrices.

    StackedLSTM       layers of LSTM with variables Wf Wi Wc Wo and bf bi bc bo, and an initial state
    LSTMState         the pair (c, h) of one layer
    rnn_cell          TensorFlow 1's cells, wrappers and dynamic_rnn under their old names
    checkpoints       LSTM layers in the files of TensorFlow, Keras, PyTorch and ONNX
    layouts           how other libraries arrange one layer's weights
    initializers      what weights are drawn from
    numpy_lstm        the same network in NumPy, forward and backward
    load_native_ops   to be called before a graph with the `native` engine's ops is imported

Nothing is imported before it is used, and so `import stacked_lstm` alone does not import TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from stacked_lstm.version import __version__

if TYPE_CHECKING:
    from stacked_lstm import checkpoints, initializers, layouts, numpy_lstm, rnn_cell
    from stacked_lstm.engines.native import load_native_ops
    from stacked_lstm.stack import StackedLSTM
    from stacked_lstm.state import LSTMState

__all__ = [
    "LSTMState",
    "StackedLSTM",
    "__version__",
    "checkpoints",
    "initializers",
    "layouts",
    "load_native_ops",
    "numpy_lstm",
    "rnn_cell",
]

# Public name -> the module that has it.
_HOMES = {"LSTMState": "state", "StackedLSTM": "stack", "load_native_ops": "engines.native"}


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
