"""`Predictor`: the forward pass of a stack of LSTM layers, for arrays instead of tensors."""

from __future__ import annotations

import numbers
import os
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.kernels import ACTIVATIONS
from stacked_lstm.layer_arrays import check_initial_state
from stacked_lstm.runtime import library, weights
from stacked_lstm.state import LSTMState

_NAME = "runtime.Predictor"


class Predictor:
    """A stack of LSTM layers for inference, without TensorFlow.

    It computes what a `StackedLSTM` with the same weights computes, with the same kernels as the `native` engine. The
    options of a `StackedLSTM` that have no variables, such as `residual`, `zoneout_h` or `cell_clip`, are not here.
    Several threads may call one predictor at the same time.

    Args:
      layers: a list with one mapping per layer, from names to arrays, as `StackedLSTM.get_weights` returns it: Wf, Wi,
        Wc, Wo [H_l + I_l, H_l], and bf, bi, bc, bo [H_l] or no biases.
      initial_state: a list of the same form: c and h [H_l] of a learned initial state, W_c and W_h [I_l, H_l] of a
        projected one. [] is for zeros. Default None: zeros. None is an error if `layers` are from `get_weights` of a
        stack with a learned or projected initial state.
      activation: "tanh" (default), "sigmoid", "hard_sigmoid", "hard_sigmoid_6", "relu" or "linear".
      recurrent_activation: one of the same names. Default "sigmoid".
      dtype: "float32" (default) or "float64", in which the predictor computes.
      weights_dtype: "bfloat16" or "int8". The constructor rounds the matrices, and the predictor keeps 16 or 8 bits per
        number. "bfloat16" rounds numbers above 3.39e38 to infinity. "int8" also keeps a scale per column, which is the
        maximum of the column's absolute values / 127. Inputs, sums, biases, states and outputs stay float32. Calls with
        a small batch take less time, because most of their time is the loading of weights. Default None: the matrices
        are not rounded.
      threads: int, how many threads a call may use. Default None: the number of cores that the process may use.

    Attributes:
      input_size: int, I.
      hidden_sizes: list of ints, [H_1, ..., H_L].
      dtype: the NumPy dtype.
      weights_dtype: "bfloat16", "int8" or None.
      weights_bytes: int, the size of the matrices of all layers in bytes, without padding and the scales of "int8".
      threads: int.

    Raises:
      ValueError: an argument has a wrong value or shape.
      RuntimeError: the kernels cannot be compiled.
      MemoryError: there is not enough memory.

    Example: a stream that comes in pieces.

      >>> from stacked_lstm import runtime
      >>> layer = {name: np.full([5, 3], 0.1) for name in ("Wf", "Wi", "Wc", "Wo")}
      >>> predictor = runtime.Predictor([layer])
      >>> predictor
      Predictor([3], input_size=2, float32, zeros)
      >>> x = np.ones([1, 4, 2])
      >>> whole, _ = predictor(x)
      >>> first, state = predictor(x[:, :3])
      >>> last, state = predictor(x[:, 3:], initial_state=state)
      >>> print(np.array_equal(np.concatenate([first, last], axis=1), whole))
      True
    """

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        initial_state: Sequence[Mapping[str, Any]] | None = None,
        *,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        dtype: Any = "float32",
        weights_dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        for argument, name in (("activation", activation), ("recurrent_activation", recurrent_activation)):
            checks.one_of(ACTIVATIONS, name, _NAME, argument)
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.dtype = np.dtype(checks.known(_DTYPES, getattr(dtype, "name", dtype), _NAME, "dtype"))
        self.threads = _thread_count(threads)
        self.weights_dtype = _weights_dtype(weights_dtype, self.dtype)
        self._layers = weights.layers(layers, self.dtype, _NAME)
        if self.weights_dtype == "int8":
            weights.check_finite(self._layers, _NAME)
        size = sum(layer[name].size for layer in self._layers for name in weights.MATRICES)
        self.weights_bytes = size * _WEIGHTS_BYTES.get(self.weights_dtype or "", self.dtype.itemsize)
        self.hidden_sizes = [layer["Wf"].shape[1] for layer in self._layers]
        self._units = sum(self.hidden_sizes)
        self.input_size = self._layers[0]["Wf"].shape[0] - self.hidden_sizes[0]
        check_initial_state(layers, initial_state, _NAME)
        sizes = self.input_size, self.hidden_sizes
        self._initial_state = weights.InitialState(initial_state or [], *sizes, self.dtype, _NAME)
        self._stack = library.Stack(
            self._layers, activation, recurrent_activation, self.dtype, self.threads, self.weights_dtype
        )

    def __repr__(self) -> str:
        start = self._initial_state.kind
        dtype = self.dtype.name + (f", weights in {self.weights_dtype}" if self.weights_dtype else "")
        return f"Predictor({self.hidden_sizes}, input_size={self.input_size}, {dtype}, {start})"

    def __call__(
        self,
        inputs: Any,
        sequence_length: Any = None,
        initial_state: Sequence[tuple[Any, Any]] | None = None,
        time_major: bool = False,
    ) -> tuple[np.ndarray, tuple[LSTMState, ...]]:
        """Runs the stack on sequences.

        Args:
          inputs: array [B, T, I], or [T, B, I] if `time_major`. It is converted to the predictor's dtype.
          sequence_length: integers [B] from 0 to T. Inputs after the end of a sequence are ignored, even if they are
            NaN. Default None: all sequences have T time steps.
          initial_state: a list with a pair (c, h) per layer, [B, H_l] each, such as the `state` of the call before.
            Default None: the initial state of the model.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False.

        Returns:
          (outputs, state), as `StackedLSTM` returns them: h of the last layer, [B, T, H_L] or [T, B, H_L], zero after
          the end of each sequence; and a tuple with an `LSTMState(c, h)` per layer, [B, H_l] each, at the end of each
          sequence.

        Raises:
          ValueError: an argument has a wrong value or shape.
          MemoryError: there is not enough memory.
        """
        x = self._sequences(inputs, checks.flag(time_major, _NAME, "time_major"))
        steps, batch, _ = x.shape
        lengths = None if sequence_length is None else _lengths(sequence_length, steps, batch)
        states = self._initial_state(x, lengths) if initial_state is None else self._states(initial_state, batch)
        outputs = np.empty([steps, batch, self.hidden_sizes[-1]], self.dtype)
        finals = np.empty(2 * batch * self._units, self.dtype)
        self._stack.run(x, lengths, states, outputs, finals)
        return outputs if time_major else outputs.swapaxes(0, 1), self._by_layer(finals, batch)

    def _sequences(self, inputs: Any, time_major: bool) -> np.ndarray:
        """The inputs as a contiguous array [T, B, I] of the predictor's dtype."""
        x = np.asarray(inputs)
        axes = "[time, batch, " if time_major else "[batch, time, "
        if x.ndim != 3 or x.shape[2] != self.input_size:
            actual = f"an array of shape {list(x.shape)}" if x.ndim else checks.describe(inputs)
            checks.fail(_NAME, f"`inputs` of shape {axes}{self.input_size}]", actual)
        if x.dtype.kind not in "fiub":
            checks.fail(_NAME, "`inputs` to be real numbers", f"an array of dtype {x.dtype}")
        return np.ascontiguousarray(x if time_major else x.swapaxes(0, 1), self.dtype)

    def _states(self, states: Any, batch: int) -> np.ndarray:
        """Pairs (c, h) as one array, see `weights.join`."""
        weights.check_states(states, [(batch, size) for size in self.hidden_sizes], _NAME)
        return weights.join(states, self.dtype)

    def _by_layer(self, states: np.ndarray, batch: int) -> tuple[LSTMState, ...]:
        """The inverse of `_states`."""
        pairs, begin = [], 0
        for size in self.hidden_sizes:
            end = begin + 2 * batch * size
            pair = states[begin:end].reshape(2, batch, size)
            pairs.append(LSTMState(pair[0], pair[1]))
            begin = end
        return tuple(pairs)


_MOST_THREADS = 1024
_DTYPES = {"float32": np.float32, "float64": np.float64}
_WEIGHTS_BYTES = {"bfloat16": 2, "int8": 1}


def _weights_dtype(weights_dtype: str | None, dtype: np.dtype) -> str | None:
    if weights_dtype is None:
        return None
    checks.one_of(_WEIGHTS_BYTES, weights_dtype, _NAME, "weights_dtype", "or None")
    if dtype != np.float32:
        checks.fail(_NAME, f"`dtype` float32 with `weights_dtype` {weights_dtype}", dtype.name)
    return weights_dtype


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, numbers.Integral) or isinstance(threads, bool) or not 1 <= threads <= _MOST_THREADS:
        checks.fail(_NAME, f"`threads` to be an integer from 1 to {_MOST_THREADS}", repr(threads))
    return int(threads)


def _lengths(sequence_length: Any, steps: int, batch: int) -> np.ndarray:
    lengths = np.asarray(sequence_length)
    expected = f"`sequence_length` with {batch} integers from 0 to {steps}, one per sequence"
    is_empty = lengths.size == 0  # The dtype of an empty list is float64.
    if lengths.shape != (batch,) or not (is_empty or lengths.dtype.kind in "iu"):
        checks.fail(_NAME, expected, f"an array of shape {list(lengths.shape)} and dtype {lengths.dtype}")
    outside = lengths[(lengths < 0) | (lengths > steps)]
    if outside.size:
        checks.fail(_NAME, expected, f"{outside[0]}")
    return np.ascontiguousarray(lengths, np.int32)
