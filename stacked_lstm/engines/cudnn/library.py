"""The compiled op of the `cudnn` engine: what it is built from, and whether this process can use it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
from typing import Any

from stacked_lstm.compat import tf
from stacked_lstm.compilation.library import Library
from stacked_lstm.engines.op_library import OpLibrary, toolchain

_FOLDER = os.path.dirname(os.path.abspath(__file__))

LIBRARY = Library(
    name="cudnn",
    title="the op for cuDNN",
    variable="STACKED_LSTM_CUDNN_OP_LIBRARY",
    sources=[os.path.join(_FOLDER, name) for name in ("choice.cc", "cudnn_api.cc", "network.cc")],
    toolchain=toolchain,
    header_folders=[_FOLDER],
    op_sources=[os.path.join(_FOLDER, name) for name in ("op_cudnn.cc", "op_definitions.cc")],
)
OPS = OpLibrary(LIBRARY)
_OLDEST_TENSORFLOW = (2, 17)  # Earlier headers have other functions of streams.

_CUDNN = ("libcudnn.so.9", "libcudnn.so.8")


def load() -> Any:
    """Returns the module of the op, and builds it first if necessary; raises BuildError."""
    return OPS.load()


def problem() -> str | None:
    """Returns why this process cannot run the op on a GPU; None if it can. This builds and loads the op."""
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow is built without CUDA"
    if tuple(int(part) for part in tf.__version__.split(".")[:2]) < _OLDEST_TENSORFLOW:
        return f"TensorFlow {tf.__version__} is older than 2.17"
    problem = OPS.problem()
    if problem:
        return problem
    _open_cudnn()
    return _text("StackedLstmCudnnProblem")


def _open_cudnn() -> None:
    """Opens NVIDIA's library, unless TensorFlow has done so. It may be in NVIDIA's Python package."""
    if any(_opens(name, os.RTLD_NOLOAD) for name in _CUDNN) or any(_opens(name) for name in _CUDNN):
        return
    with contextlib.suppress(ImportError):
        spec = importlib.util.find_spec("nvidia.cudnn")
        for folder in (spec.submodule_search_locations if spec else None) or []:
            any(_opens(os.path.join(folder, "lib", name)) for name in _CUDNN)


def _opens(name: str, mode: int = 0) -> bool:
    try:
        ctypes.CDLL(name, mode=ctypes.DEFAULT_MODE | mode)
    except OSError:
        return False
    return True


def choices() -> str:
    """Returns a line per size that this process has run: its sizes, and the time of each algorithm, fastest first."""
    OPS.load()
    return _text("StackedLstmCudnnChoices") or ""


def _text(name: str) -> str | None:
    """The result of a function of the library that returns a text or a null pointer."""
    function = getattr(ctypes.CDLL(OPS.path), name)
    function.restype = ctypes.c_char_p
    words: bytes | None = function()
    return None if words is None else words.decode()
