"""Argument checks of `numpy_lstm`. They return the arguments as new float64 arrays. Only NumPy is needed."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.state import LSTMState

_MATRICES, _BIASES = ("Wf", "Wi", "Wo", "Wc"), ("bf", "bi", "bo", "bc")
_PEEPHOLES, _GAINS = ("pf", "pi", "po"), ("gain_f", "gain_i", "gain_o", "gain_c", "gain_cell")
_ARRAYS = (*_MATRICES, *_BIASES, *_PEEPHOLES, *_GAINS, "shift_cell", "Wp")


def require(condition: Any, function: str, expected: str, value: Any) -> None:
    """Raises ValueError "numpy_lstm.<function>: expected ..., got ..." unless the condition holds."""
    if not condition:
        checks.fail(f"numpy_lstm.{function}", expected, value if isinstance(value, str) else checks.describe(value))


def known(table: Mapping[str, Any], name: Any, function: str, argument: str) -> None:
    """Raises ValueError unless the name is in the table."""
    checks.known(table, name, f"numpy_lstm.{function}", argument)


def shaped(value: Any, shape: tuple[int, ...], function: str, argument: str) -> np.ndarray:
    """Returns an array; raises ValueError unless it has this shape."""
    value = _real(value, function, f"`{argument}` to be an array of real numbers")
    require(value.shape == shape, function, f"`{argument}` of shape {shape}", value.shape)
    return value


def _real(value: Any, function: str, expected: str) -> np.ndarray:
    """Returns a new float64 array; raises ValueError if the value is no real number or array of them."""
    try:
        if value is not None and np.asarray(value).dtype.kind != "c":
            return np.array(value, np.float64)
    except (TypeError, ValueError):
        pass
    return checks.fail(f"numpy_lstm.{function}", expected, checks.describe(value))


def broadcastable(value: Any, shape: tuple[int, ...], function: str, argument: str) -> Any:
    """Returns a number, or an array that broadcasts to a shape [T, B, N]; raises ValueError if it does not.

    An array with three axes has T entries. One entry for all steps becomes an array with two axes.
    """
    value = _real(value, function, f"`{argument}` to be a number or an array of numbers")
    if value.ndim == 0:
        return float(value)
    fits = value.ndim <= len(shape) and all(a in (1, b) for a, b in zip(value.shape[::-1], shape[::-1]))
    require(fits, function, f"`{argument}` that broadcasts to shape {shape}", value.shape)
    return value[0] if value.ndim == len(shape) and len(value) != shape[0] else value


def sequences(x: Any, function: str) -> np.ndarray:
    """Returns the input; raises ValueError unless it has three axes."""
    x = _real(x, function, "`x` to be an array of real numbers")
    require(x.ndim == 3, function, "`x` of shape [time, batch, input]", x.shape)
    return x


def layers(values: Any, input_size: int, function: str) -> list[dict[str, np.ndarray]]:
    """Returns the layers as dictionaries of arrays, without biases that are None.

    Raises:
      ValueError: there is no layer, an array is missing, or one has another shape than the layer below asks for.
    """
    values = list(values)
    are_mappings = values and all(hasattr(layer, "keys") for layer in values)
    require(are_mappings, function, "`layers` to be a sequence of mappings, one per layer", values or "none")
    checked = []
    for k, layer in enumerate(values):
        checked.append(_layer(layer, input_size, function, f"layers[{k}]"))
        input_size = widths(checked[-1])[1]
    return checked


def widths(layer: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Returns (H, P), the widths of c and h of a checked layer."""
    hidden_size = layer["Wf"].shape[1]
    return hidden_size, layer["Wp"].shape[1] if "Wp" in layer else hidden_size


def _layer(layer: Mapping[str, Any], input_size: int, function: str, argument: str) -> dict[str, np.ndarray]:
    present = all(name in layer for name in _MATRICES)
    require(present, function, f"`{argument}` with {', '.join(_MATRICES)}", sorted(layer))
    unknown = sorted(map(str, set(layer) - set(_ARRAYS)))
    require(not unknown, function, f"`{argument}` with no other arrays than {', '.join(_ARRAYS)}", ", ".join(unknown))
    vectors: list[str] = []
    for names in (_BIASES, _PEEPHOLES, _GAINS):
        found = [name for name in names if layer.get(name) is not None]
        expected = f"`{argument}` with all of {', '.join(names)}, or with none of them"
        require(len(found) in (0, len(names)), function, expected, f"only {', '.join(found)}")
        vectors += found
    if "bf" in vectors and "gain_f" in vectors:
        expected = f"`{argument}` with shift_cell, because it has gains and biases"
        require(layer.get("shift_cell") is not None, function, expected, ", ".join(sorted(layer)))
        vectors.append("shift_cell")
    else:
        expected = f"`{argument}` without shift_cell, because it has no {'biases' if 'gain_f' in vectors else 'gains'}"
        require(layer.get("shift_cell") is None, function, expected, ", ".join(sorted(layer)))
    hidden_size = np.shape(layer["Wf"])[-1] if np.ndim(layer["Wf"]) else 0
    output_size = hidden_size if layer.get("Wp") is None else np.shape(layer["Wp"])[-1]
    shapes: dict[str, tuple[int, ...]] = {name: (output_size + input_size, hidden_size) for name in _MATRICES}
    shapes.update((name, (hidden_size,)) for name in vectors)
    if layer.get("Wp") is not None:
        shapes["Wp"] = (hidden_size, output_size)
    return {name: shaped(layer[name], shape, function, f"{argument}[{name!r}]") for name, shape in shapes.items()}


def states(
    values: Any, layers: Sequence[Mapping[str, np.ndarray]], batch: int, function: str, argument: str
) -> list[LSTMState]:
    """Returns one `LSTMState` per layer; None becomes zeros. Raises ValueError if the pairs do not fit the layers."""
    shapes = [LSTMState(*[(batch, width) for width in widths(layer)]) for layer in layers]
    if values is None:
        return [LSTMState(np.zeros(pair.c), np.zeros(pair.h)) for pair in shapes]
    return pairs(values, shapes, function, argument)


def pairs(values: Any, shapes: Sequence[LSTMState], function: str, argument: str) -> list[LSTMState]:
    """Returns one `LSTMState` for each `LSTMState` of shapes; raises ValueError unless the arrays have these shapes."""
    values = checks.pairs(values, len(shapes), f"numpy_lstm.{function}", argument)
    return [
        LSTMState(*[shaped(part, shape, function, f"{argument}[{k}].{f}") for f, part, shape in zip("ch", pair, two)])
        for k, (pair, two) in enumerate(zip(values, shapes))
    ]


def alive(sequence_length: Any, steps: int, batch: int, function: str) -> np.ndarray:
    """Returns booleans [T, B, 1]: whether a sequence reaches a step.

    Raises:
      ValueError: `sequence_length` is not B integers from 0 to T.
    """
    lengths = np.full([batch], steps) if sequence_length is None else np.asarray(sequence_length)
    lengths = lengths.astype(int) if lengths.size == 0 else lengths  # NumPy makes an empty list an array of floats.
    valid = lengths.shape == (batch,) and lengths.dtype.kind in "iu" and np.all((0 <= lengths) & (lengths <= steps))
    require(valid, function, f"`sequence_length` of {batch} integers from 0 to {steps}", sequence_length)
    return (np.arange(steps)[:, None] < lengths)[:, :, None]


def resets(
    flags: Any, values: Any, layers: Sequence[Mapping[str, np.ndarray]], alive: np.ndarray, function: str
) -> tuple[np.ndarray, list[LSTMState]]:
    """Returns (booleans [T, B, 1], true where a sequence starts again before its end; an `LSTMState` per layer).

    Raises:
      ValueError: `flags` are not T x B booleans; `values` are not a pair (c, h) per layer, with or without a time axis;
        or there are values without flags.
    """
    axes = alive.shape[:2]
    if flags is None:
        require(values is None, function, "no `reset_states` without `reset`", values)
        return np.zeros_like(alive), states(None, layers, axes[1], function, "reset_states")
    flags = np.asarray(flags)
    require(flags.shape == axes and flags.dtype == bool, function, f"`reset` of booleans, of shape {axes}", flags)
    if values is None:
        return flags[..., None] & alive, states(None, layers, axes[1], function, "reset_states")
    sizes = [LSTMState(*widths(layer)) for layer in layers]
    is_list = isinstance(values, (list, tuple)) and all(isinstance(pair, (list, tuple)) for pair in values)
    has_steps = is_list and all(np.ndim(part) == 3 for pair in values for part in pair)
    shapes = [LSTMState(*[(axes if has_steps else axes[1:]) + (size,) for size in pair]) for pair in sizes]
    return flags[..., None] & alive, pairs(values, shapes, function, "reset_states")


def head(values: Any, h_shape: tuple[int, ...], function: str) -> dict[str, np.ndarray]:
    """Returns Wy and by as a dictionary; raises ValueError unless both are there and fit h."""
    expected = f"`head` with Wy [H, Y] and by [Y] for h [..., H] of shape {h_shape}"
    require(hasattr(values, "keys") and "Wy" in values and "by" in values, function, expected, values)
    checked = {name: np.array(values[name], np.float64) for name in ("Wy", "by")}
    shapes = {name: value.shape for name, value in checked.items()}
    fits = checked["by"].ndim == 1 and checked["by"].size and shapes["Wy"] == h_shape[-1:] + shapes["by"]
    require(fits, function, expected, shapes)
    return checked


def labels(values: Any, counted: Any, y_shape: tuple[int, ...], function: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (labels, counted), integers and booleans with one entry per prediction; None counts all.

    Raises:
      ValueError: other shapes or types, a label that is not a column of the predictions, or none that counts.
    """
    values = np.asarray(values)
    counted = np.ones(y_shape[:-1], bool) if counted is None else np.asarray(counted)
    expected = f"`labels` of shape {y_shape[:-1]}, integers from 0 to {y_shape[-1] - 1}"
    require(
        values.dtype.kind in "iu", function, expected, f"the dtype {values.dtype.name} and the shape {values.shape}"
    )
    in_range = values.shape == y_shape[:-1] and np.all((0 <= values) & (values < y_shape[-1]))
    limits = f"integers from {np.min(values)} to {np.max(values)}" if values.size else "no integers"
    require(in_range, function, expected, f"{limits} and the shape {values.shape}")
    expected = f"`counted` of shape {y_shape[:-1]}, booleans, some of them true"
    are_bools = counted.shape == y_shape[:-1] and counted.dtype == bool
    require(are_bools, function, expected, f"the dtype {counted.dtype.name} and the shape {counted.shape}")
    require(np.any(counted), function, expected, f"none that is true and the shape {counted.shape}")
    return values, counted


def projections(values: Any, x_shape: tuple[int, ...], function: str) -> list[dict[str, np.ndarray]]:
    """Returns W_c and W_h of each layer; raises ValueError if one is missing or does not fit the layer below."""
    require(len(x_shape) == 2, function, "`x` of shape [batch, input]", x_shape)
    values, rows = list(values), dict.fromkeys(("W_c", "W_h"), x_shape[1])
    checked: list[dict[str, np.ndarray]] = []
    for k, layer in enumerate(values):
        argument = f"projections[{k}]"
        has_both = hasattr(layer, "keys") and "W_c" in layer and "W_h" in layer
        require(has_both, function, f"`{argument}` with W_c and W_h", layer)
        sizes = {name: np.shape(layer[name])[-1] if np.ndim(layer[name]) else 0 for name in rows}
        checked.append(
            {name: shaped(layer[name], (rows[name], sizes[name]), function, f"{argument}[{name!r}]") for name in rows}
        )
        rows = sizes
    require(checked, function, "at least one layer of `projections`", values)
    return checked
