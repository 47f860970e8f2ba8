"""The arrays that `Predictor` takes, checked and converted to its dtype: weights, and states before the first step."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.numpy_lstm.initial_state import projected_forward

Arrays = Mapping[str, np.ndarray]

MATRICES, BIASES = ("Wf", "Wi", "Wc", "Wo"), ("bf", "bi", "bc", "bo")
_NO_NUMBERS = "cSUmM"  # NumPy's kinds of dtypes that it converts to real numbers: complex numbers, texts, times.
# Kind of initial state -> names of its arrays. No arrays are zeros.
_INITIAL_STATES = {"learned": {"c", "h"}, "projected": {"W_c", "W_h"}}


def layers(values: Any, dtype: np.dtype, function: str) -> list[Arrays]:
    """Returns the weights of a stack as contiguous arrays of `dtype`.

    Args:
      values: a sequence with a mapping per layer, from names to arrays.
      dtype: a NumPy dtype.
      function: what error messages name.

    Raises:
      ValueError: arrays are missing, unknown or of wrong shapes.
    """
    layers = list(values) if hasattr(values, "__iter__") and not hasattr(values, "keys") else []
    if not layers or not all(hasattr(layer, "keys") for layer in layers):
        expected = "`layers` to be a list with one mapping per layer, from names to arrays"
        checks.fail(function, expected, checks.describe(values))
    values = layers
    with_biases = any(name in layer for layer in values for name in BIASES)
    names = MATRICES + BIASES if with_biases else MATRICES
    converted: list[Arrays] = []
    for k, layer in enumerate(values):
        _check_names(layer, names, function, f"layers[{k}]")
        arrays = {name: _numbers(layer[name], dtype, function, f"layers[{k}][{name!r}]") for name in names}
        _check_shapes(arrays, converted[-1]["Wf"].shape[1] if converted else None, function, f"layers[{k}]")
        converted.append(arrays)
    return converted


def check(values: Any, initial_state: Any, function: str) -> None:
    """Raises ValueError unless the arrays are weights and an initial state that a `Predictor` takes."""
    dtype = np.dtype(np.float64)
    checked = layers(values, dtype, function)
    rows, sizes = checked[0]["Wf"].shape[0], [layer["Wf"].shape[1] for layer in checked]
    InitialState(initial_state, rows - sizes[0], sizes, dtype, function)


def check_finite(layers: Sequence[Arrays], function: str) -> None:
    """Raises ValueError if a matrix of `layers` has a NaN or an infinity, because 8 bits cannot represent these."""
    for k, layer in enumerate(layers):
        for name in MATRICES:
            if not np.isfinite(layer[name]).all():
                expected = f"finite numbers in `layers[{k}][{name!r}]` with `weights_dtype` int8"
                checks.fail(function, expected, f"{layer[name][~np.isfinite(layer[name])][0]}")


def _numbers(array: Any, dtype: np.dtype, function: str, argument: str) -> np.ndarray:
    """A contiguous array of `dtype`; raises ValueError if an array is of texts or the like, as a file may have."""
    _check_real(array, function, argument)
    try:
        return np.ascontiguousarray(array, dtype)
    except (TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    return checks.fail(function, f"`{argument}` to be an array of real numbers", problem)


def _check_real(array: Any, function: str, argument: str) -> None:
    dtype = np.asarray(array).dtype
    if dtype.kind in _NO_NUMBERS:
        checks.fail(function, f"`{argument}` to be an array of real numbers", f"one of dtype {dtype}")


def _check_names(layer: Mapping[str, Any], names: Sequence[str], function: str, argument: str) -> None:
    present = {name for name in layer if layer[name] is not None}
    if present != set(names):
        checks.fail(function, f"`{argument}` with the arrays {', '.join(names)}", ", ".join(sorted(present)) or "none")


def _check_shapes(arrays: Arrays, input_size: int | None, function: str, argument: str) -> None:
    """Raises ValueError unless the shapes fit each other and the layer below, whose width is `input_size`."""
    rows, units = arrays["Wf"].shape if arrays["Wf"].ndim == 2 else (0, 0)
    if units == 0 or rows <= units or input_size not in (None, rows - units):
        columns = "[H + I, H]" if input_size is None else f"[H + {input_size}, H]"
        checks.fail(function, f"`{argument}['Wf']` of shape {columns}", f"shape {list(arrays['Wf'].shape)}")
    for name, array in arrays.items():
        shape = (rows, units) if name in MATRICES else (units,)
        if array.shape != shape:
            checks.fail(function, f"`{argument}[{name!r}]` of shape {list(shape)}", f"shape {list(array.shape)}")


class InitialState:
    """The state before the first step: zeros, learned or projected. The arrays decide which.

    Attributes:
      kind: "zeros", "learned" or "projected".
    """

    def __init__(
        self, values: Any, input_size: int, hidden_sizes: Sequence[int], dtype: np.dtype, function: str
    ) -> None:
        """Checks arrays.

        Args:
          values: a mapping per layer with c and h [H_l], or W_c and W_h [I_l, H_l]; an empty sequence for zeros.
          input_size, hidden_sizes: I and the H of each layer.
          dtype: the dtype of the states.
          function: what error messages name.

        Raises:
          ValueError: arrays are missing, unknown or of wrong shapes.
        """
        self._sizes, self._dtype = list(hidden_sizes), dtype
        values = list(values)
        names = set(values[0]) if values else set()
        kinds = [kind for kind, arrays in _INITIAL_STATES.items() if arrays == names]
        self.kind = kinds[0] if kinds else "zeros"
        if values and (not kinds or [set(layer) for layer in values] != [names] * len(hidden_sizes)):
            expected = f"`initial_state` to be empty, or {len(hidden_sizes)} mappings with c and h or with W_c and W_h"
            checks.fail(function, expected, [sorted(layer) for layer in values])
        rows = [input_size] + self._sizes[:-1]
        for k, layer in enumerate(values):
            shape = (self._sizes[k],) if self.kind == "learned" else (rows[k], self._sizes[k])
            for name in sorted(names):
                if np.shape(layer[name]) != shape:
                    expected = f"`initial_state[{k}][{name!r}]` of shape {list(shape)}"
                    checks.fail(function, expected, f"shape {list(np.shape(layer[name]))}")
        self.arrays = [
            {name: np.array(_numbers(layer[name], dtype, function, f"initial_state[{k}][{name!r}]")) for name in layer}
            for k, layer in enumerate(values)
        ]

    def __call__(self, x: np.ndarray, lengths: np.ndarray | None) -> np.ndarray | None:
        """Returns the states before the first step of x [T, B, I], as `join` returns them; None for zeros."""
        batch = x.shape[1]
        if self.kind == "zeros":
            return None
        if self.kind == "learned":
            return join(
                [(np.tile(layer["c"], batch), np.tile(layer["h"], batch)) for layer in self.arrays], self._dtype
            )
        first = x[0] if len(x) else np.zeros(x.shape[1:], x.dtype)
        if lengths is not None:
            first = np.where(lengths[:, None] > 0, first, 0)
        return join(projected_forward(self.arrays, first)[0], self._dtype)


def join(states: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    """Returns pairs (c, h) as one array of `dtype`: c and h of each layer, the lowest layer first."""
    arrays = [np.ravel(array) for pair in states for array in pair]
    return np.concatenate(arrays).astype(dtype, copy=False)


def check_states(states: Any, shapes: Sequence[tuple[int, int]], function: str) -> None:
    """Checks pairs (c, h).

    Args:
      states: a pair per layer.
      shapes: [B, H_l] per layer.
      function: what error messages name.

    Raises:
      ValueError: there is another number of pairs, or a shape differs.
    """
    pairs = checks.pairs(states, len(shapes), function, "initial_state")
    for k, (pair, shape) in enumerate(zip(pairs, shapes)):
        for field, array in zip("ch", pair):
            if np.shape(array) != shape:
                expected = f"`initial_state[{k}].{field}` of shape {list(shape)}"
                checks.fail(function, expected, f"shape {list(np.shape(array))}")
            _check_real(array, function, f"initial_state[{k}].{field}")
