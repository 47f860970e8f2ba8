"""The compiled ops of the `native` engine: what they are built from, and loading them into TensorFlow."""

from __future__ import annotations

import glob
import os

from stacked_lstm import kernels
from stacked_lstm.compilation import cache_folder
from stacked_lstm.compilation.library import Library
from stacked_lstm.engines.op_library import OpLibrary, toolchain

CACHE_VARIABLE = cache_folder.VARIABLE
LIBRARY_VARIABLE = "STACKED_LSTM_NATIVE_LIBRARY"
_FOLDER = os.path.dirname(os.path.abspath(__file__))

LIBRARY = Library(
    name="native",
    title="the native engine",
    variable=LIBRARY_VARIABLE,
    sources=kernels.sources(
        "backward/backward.cc",
        "forward/forward.cc",
        "forward/pack.cc",
        "normalized/normalized_backward.cc",
        "normalized/normalized_forward.cc",
        "random_mask.cc",
        "storage/layout.cc",
    ),
    toolchain=toolchain,
    header_folders=[kernels.FOLDER, _FOLDER],
    op_sources=sorted(glob.glob(os.path.join(glob.escape(_FOLDER), "*.cc"))),
)
OPS = OpLibrary(LIBRARY)
load, problem = OPS.load, OPS.problem
