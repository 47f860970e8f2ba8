"""The compiled ops of the `native` engine: what they are built from, and loading them into TensorFlow."""

from __future__ import annotations

import os
import threading
from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.compilation import cache_folder, compiler
from stacked_lstm.compilation.compiler import BuildError, Toolchain
from stacked_lstm.compilation.library import Library

CACHE_VARIABLE = cache_folder.VARIABLE
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"
SOURCE_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
_NO_OPS = {"predictor.cc"}  # For programs without TensorFlow.


def toolchain() -> Toolchain:
    """Returns the `Toolchain` of this machine, with TensorFlow's flags; raises BuildError if there is no compiler."""
    return compiler.toolchain(
        tf.sysconfig.get_compile_flags(),
        tf.sysconfig.get_link_flags(),
        f"TensorFlow {tf.__version__} {tf.version.GIT_VERSION}",
    )


LIBRARY = Library(
    name="native",
    title="the native engine",
    variable=LIBRARY_VARIABLE,
    directory=SOURCE_DIRECTORY,
    sources=sorted(name for name in os.listdir(SOURCE_DIRECTORY) if name.endswith(".cc") and name not in _NO_OPS),
    toolchain=toolchain,
)
_loading = threading.Lock()
_loaded: dict[str, Any] = {}  # After the first attempt: "ops" or "problem".


def load() -> Any:
    """Returns the module of ops, and builds it first if necessary. Later calls repeat the outcome, even a failure.

    Raises:
      BuildError: the library cannot be built or loaded.
    """
    with _loading:
        if not ("ops" in _loaded or "problem" in _loaded):
            try:
                _loaded["ops"] = tf.load_op_library(LIBRARY.find_or_build()[0])
            except BuildError as error:
                _loaded["problem"] = str(error)
            except Exception as error:  # TensorFlow raises errors of many types.
                _loaded["problem"] = f"TensorFlow does not load the library: {error}"
    if "problem" in _loaded:
        raise BuildError(_loaded["problem"])  # A new one each time, because a traceback keeps its frames alive.
    return _loaded["ops"]


def problem() -> str | None:
    """Returns why the ops cannot be built or loaded; None if they can. This builds and loads them."""
    try:
        load()
    except BuildError as error:
        return str(error)
    return None
