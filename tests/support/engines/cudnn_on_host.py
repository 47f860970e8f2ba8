"""The compiled op of the `cudnn` engine on the CPU, with cudnn_on_host.cc in the place of NVIDIA's library.

The library writes a log of its calls, and each of its algorithms can be made slow or refuse to run.
"""

import ctypes
import os

import pytest

from stacked_lstm.compilation import compiler
from stacked_lstm.compilation.library import Library
from stacked_lstm.engines import op_library
from stacked_lstm.engines.cudnn import library
from stacked_lstm.engines.place import Place
from support.suite.versions import OLD

NEEDS_COMPILED_OP = pytest.mark.skipif(OLD, reason="the op for cuDNN needs TensorFlow 2.17")

_problem = library.problem  # Tests replace it.
STANDARD, STATIC, DYNAMIC, FEW_UNITS = range(4)  # The numbers of the algorithms.
REFUSE = -1

_CUDNN = Library(
    name="cudnn_on_host",
    title="cuDNN for tests",
    variable="STACKED_LSTM_CUDNN_LIBRARY",
    sources=[os.path.join(os.path.dirname(os.path.abspath(__file__)), "cudnn_on_host.cc")],
    toolchain=compiler.toolchain,
)


def _toolchain():
    tools = op_library.toolchain()
    return tools._replace(compile_flags=tools.compile_flags + ["-DSTACKED_LSTM_CUDNN_DEVICE=DEVICE_CPU"])


_OPS = op_library.OpLibrary(library.LIBRARY._replace(name="cudnn_op_on_host", toolchain=_toolchain))


def install(monkeypatch):
    """Makes the engine run the op, on the CPU; returns the library."""
    path = _CUDNN.find_or_build()[0]
    monkeypatch.setenv(_CUDNN.variable, path)
    monkeypatch.setattr(library, "OPS", _OPS)
    monkeypatch.setattr(library, "problem", _problem)
    monkeypatch.setattr(Place, "has_gpu", True)
    assert library.problem() is None
    return HostCudnn(path)


class HostCudnn:
    """The library's functions for tests."""

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        self._library.fake_cudnn_log.restype = ctypes.c_char_p
        for algorithm in range(4):
            self.delay(algorithm, 0)
        self.calls()

    def calls(self):
        """A line per computing call since the last question, as a list of (name, fact -> int)."""
        lines = self._library.fake_cudnn_log().decode().splitlines()
        self._library.fake_cudnn_clear_log()
        words = [line.split() for line in lines]
        return [(name, {k: int(v) for k, v in (fact.split("=") for fact in facts)}) for name, *facts in words]

    def delay(self, algorithm, milliseconds):
        """Makes an algorithm take longer, or refuse to run."""
        self._library.fake_cudnn_set_delay_ms(algorithm, milliseconds)

    @property
    def open_objects(self):
        """The number of handles and descriptors that exist."""
        return self._library.fake_cudnn_open_objects()
