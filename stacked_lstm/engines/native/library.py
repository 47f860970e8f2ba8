"""The compiled ops of the `native` engine: what they are built from, and loading them into TensorFlow."""

from __future__ import annotations

import os

from stacked_lstm.compilation import cache_folder
from stacked_lstm.compilation.library import Library
from stacked_lstm.engines.op_library import OpLibrary, toolchain

CACHE_VARIABLE = cache_folder.VARIABLE
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"
SOURCE_DIRECTORY = os.path.dirname(os.path.abspath(__file__))
_NO_OPS = {"predictor.cc", "low_precision.cc"}  # For programs without TensorFlow.

LIBRARY = Library(
    name="native",
    title="the native engine",
    variable=LIBRARY_VARIABLE,
    directory=SOURCE_DIRECTORY,
    sources=sorted(name for name in os.listdir(SOURCE_DIRECTORY) if name.endswith(".cc") and name not in _NO_OPS),
    toolchain=toolchain,
)
OPS = OpLibrary(LIBRARY)
load, problem = OPS.load, OPS.problem
