"""The compiled functions of `predictor.cc`: what they are built from, and calls of them through ctypes."""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import kernels
from stacked_lstm.compilation import compiler
from stacked_lstm.compilation.compiler import BuildError
from stacked_lstm.compilation.library import Library

_KERNELS = "forward/forward.cc", "forward/low_precision.cc", "forward/pack.cc", "storage/layout.cc"
_PREDICTOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "predictor.cc")
# (dtype, weights_dtype) -> the number of both in predictor.cc.
TYPES = {("float32", None): 0, ("float64", None): 1, ("float32", "bfloat16"): 2, ("float32", "int8"): 3}

_int, _int64, _pointer, _byte = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_char
_SIGNATURES = {
    "make": (_pointer, [_int, _int, _pointer, _int, _int, _pointer, _pointer, _int]),
    "run": (_int, [_pointer, _int64, _int64] + [_pointer] * 5),
    "delete": (None, [_pointer]),
}


def toolchain() -> compiler.Toolchain:
    """Returns the `Toolchain` of this machine; raises BuildError if there is no compiler."""
    return compiler.toolchain(link_flags=["-pthread"])


LIBRARY = Library(
    name="predictor",
    title="the predictor of stacked_lstm.runtime",
    variable="STACKED_LSTM_RUNTIME_LIBRARY",
    sources=[*kernels.sources(*_KERNELS), _PREDICTOR],
    toolchain=toolchain,
    header_folders=[kernels.FOLDER],
)


@functools.lru_cache(maxsize=None)
def functions() -> dict[str, Any]:
    """Returns the functions in `_SIGNATURES`, and builds them first if necessary.

    Raises:
      BuildError: they cannot be built or loaded. It is a RuntimeError.
    """
    path, _ = LIBRARY.find_or_build()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise BuildError(f"{LIBRARY.title} cannot be loaded: {error}") from error
    table = {}
    for name, (result, arguments) in _SIGNATURES.items():
        table[name] = getattr(library, f"stacked_lstm_predictor_{name}")
        table[name].restype, table[name].argtypes = result, arguments
    return table


def problem() -> str | None:
    """Returns why the kernels cannot be built or loaded; None if they can. This builds and loads them."""
    try:
        functions()
    except BuildError as error:
        return str(error)
    return None


class Stack:
    """Packed weights of a stack of layers, and threads."""

    def __init__(
        self,
        layers: Sequence[Mapping[str, np.ndarray]],
        activation: str,
        recurrent_activation: str,
        dtype: np.dtype,
        threads: int,
        weights_dtype: str | None = None,
    ) -> None:
        """Packs weights.

        Args:
          layers: a mapping per layer with the arrays Wi, Wc, Wf, Wo [H + I, H], and bi, bc, bf, bo [H] unless no layer
            has biases.
          activation, recurrent_activation: names in `kernels.ACTIVATIONS`.
          dtype: float32 or float64.
          threads: the number of threads, including that of the caller.
          weights_dtype: "bfloat16" or "int8", the type to which float32 weights are rounded, or None. For "int8", the
            weights must be finite.

        Raises:
          MemoryError: there is not enough memory, or a thread cannot be started.
        """
        hidden_sizes = [layer["Wi"].shape[1] for layer in layers]
        widths = [layers[0]["Wi"].shape[0] - hidden_sizes[0]] + hidden_sizes
        table = functions()
        self._handle = table["make"](
            TYPES[dtype.name, weights_dtype],
            len(layers),
            (_int64 * len(widths))(*widths),
            kernels.ACTIVATIONS.index(activation),
            kernels.ACTIVATIONS.index(recurrent_activation),
            _pointers([layer["W" + gate] for layer in layers for gate in kernels.GATES]),
            _pointers([layer["b" + gate] for layer in layers for gate in kernels.GATES]) if "bi" in layers[0] else None,
            threads,
        )
        if not self._handle:
            raise MemoryError("runtime.Predictor: there is not enough memory for the weights and the threads")
        self._run = table["run"]
        # Not at the end of the process, when another thread may be in a call.
        weakref.finalize(self, table["delete"], self._handle).atexit = False

    def run(
        self,
        x: np.ndarray,
        lengths: np.ndarray | None,
        states: np.ndarray | None,
        outputs: np.ndarray,
        finals: np.ndarray,
    ) -> None:
        """Runs the forward pass. Several threads may call it at once.

        Args:
          x: [T, B, I]. All arrays are contiguous.
          lengths: int32 [B], from 0 to T, or None.
          states: before the first step: c [B, H] and h [B, H] of each layer, the lowest layer first. None for zeros.
          outputs: the result, [T, B, H].
          finals: the result, in the form of `states`, at the end of each sequence.

        Raises:
          MemoryError: there is not enough memory.
        """
        steps, batch, _ = x.shape
        pointers = [None if array is None else _address(array) for array in (lengths, x, states, outputs, finals)]
        if self._run(self._handle, steps, batch, *pointers):
            raise MemoryError("runtime.Predictor: there is not enough memory for these sequences")


def _pointers(arrays: Sequence[np.ndarray]) -> Any:
    return (_pointer * len(arrays))(*map(_address, arrays))


def _address(array: np.ndarray) -> int:
    """The address of a contiguous array. A buffer tells it in a third of the time of `array.ctypes.data`."""
    try:
        return ctypes.addressof(_byte.from_buffer(array))  # type: ignore[arg-type]  # An array is a buffer.
    except (TypeError, ValueError):  # The array is read-only, or empty.
        return int(array.ctypes.data)
