"""Argument checks of `numpy_lstm`, which return the arguments as float64 arrays of their own; NumPy only."""

import numpy as np

from stacked_lstm import checks
from stacked_lstm.state import LSTMState

_MATRICES, _BIASES = ("Wf", "Wi", "Wo", "Wc"), ("bf", "bi", "bo", "bc")


def require(condition, function, expected, given):
    if not condition:
        checks.fail("numpy_lstm." + function, expected, given)


def known(table, name, function, argument):
    checks.known(table, name, "numpy_lstm." + function, argument)


def shaped(value, shape, function, argument):
    value = np.array(value, np.float64)
    require(value.shape == shape, function, f"`{argument}` of shape {shape}", value.shape)
    return value


def sequences(x, function):
    x = np.asarray(x, np.float64)
    require(x.ndim == 3, function, "`x` of shape [time, batch, input]", x.shape)
    return x


def layers(values, input_size, function):
    """Dictionaries of arrays, without biases that are None."""
    expected = "`layers` to be a sequence of mappings, one per layer"
    values = list(values)
    require(values and all(hasattr(layer, "keys") for layer in values), function, expected, values or "none")
    checked = []
    for k, layer in enumerate(values):
        expected = f"`layers[{k}]` with "
        present = all(name in layer for name in _MATRICES)
        require(present, function, expected + ", ".join(_MATRICES), sorted(layer))
        biases = [name for name in _BIASES if layer.get(name) is not None]
        require(len(biases) in (0, len(_BIASES)), function, expected + "all four biases or none", biases)
        hidden_size = np.shape(layer["Wf"])[-1] if np.ndim(layer["Wf"]) else 0
        shapes = {name: (hidden_size + input_size, hidden_size) for name in _MATRICES}
        shapes.update((name, (hidden_size,)) for name in biases)
        checked.append({name: shaped(layer[name], shape, function, f"layers[{k}][{name!r}]")
                        for name, shape in shapes.items()})  # fmt: skip
        input_size = hidden_size
    return checked


def states(values, layers, batch, function, argument):
    """`LSTMState` per layer; zeros for None."""
    shapes = [(batch, layer["Wf"].shape[1]) for layer in layers]
    if values is None:
        return [LSTMState(np.zeros(shape), np.zeros(shape)) for shape in shapes]
    return pairs(values, shapes, function, argument)


def pairs(values, shapes, function, argument):
    """`LSTMState` per layer."""
    expected = f"`{argument}` to be a sequence of {len(shapes)} (c, h) pairs, one per layer"
    are_pairs = isinstance(values, (list, tuple)) and all(isinstance(pair, (list, tuple)) for pair in values)
    require(are_pairs and [len(pair) for pair in values] == [2] * len(shapes), function, expected, values)
    return [
        LSTMState(*[shaped(part, shape, function, f"{argument}[{k}].{f}") for f, part in zip("ch", pair)])
        for k, (pair, shape) in enumerate(zip(values, shapes))
    ]


def alive(sequence_length, steps, batch, function):
    """[T, B, 1]: which sequences have not ended at step t."""
    lengths = np.full([batch], steps) if sequence_length is None else np.asarray(sequence_length)
    lengths = lengths.astype(int) if lengths.size == 0 else lengths  # NumPy's empty list is one of floats.
    valid = lengths.shape == (batch,) and lengths.dtype.kind in "iu" and np.all((0 <= lengths) & (lengths <= steps))
    expected = f"`sequence_length` of {batch} integers from 0 to {steps}"
    require(valid, function, expected, sequence_length)
    return (np.arange(steps)[:, None] < lengths)[:, :, None]


def head(values, h_shape, function):
    expected = f"`head` with Wy [H, Y] and by [Y] for h [..., H] of shape {h_shape}"
    require(hasattr(values, "keys") and "Wy" in values and "by" in values, function, expected, values)
    checked = {name: np.array(values[name], np.float64) for name in ("Wy", "by")}
    shapes = {name: value.shape for name, value in checked.items()}
    fits = checked["by"].ndim == 1 and checked["by"].size and checked["Wy"].shape == h_shape[-1:] + checked["by"].shape
    require(fits, function, expected, shapes)
    return checked


def labels(values, counted, y_shape, function):
    """(integers, booleans), both of the shape that the predictions have."""
    values = np.asarray(values)
    counted = np.ones(y_shape[:-1], bool) if counted is None else np.asarray(counted)
    valid = values.shape == y_shape[:-1] and values.dtype.kind in "iu"
    valid = valid and np.all((0 <= values) & (values < y_shape[-1]))
    expected = f"`labels` of shape {y_shape[:-1]}, integers from 0 to {y_shape[-1] - 1}"
    require(valid, function, expected, f"{values} of shape {values.shape}")
    valid = counted.shape == y_shape[:-1] and counted.dtype == bool and np.any(counted)
    expected = f"`counted` of shape {y_shape[:-1]}, booleans, some of them true"
    require(valid, function, expected, f"{counted} of shape {counted.shape}")
    return values, counted


def projections(values, x_shape, function):
    """Dictionaries of W_c and W_h."""
    expected = "`x` of shape [batch, input]"
    require(len(x_shape) == 2, function, expected, x_shape)
    values, rows, checked = list(values), x_shape[1], []
    for k, layer in enumerate(values):
        parts = hasattr(layer, "keys") and "W_c" in layer and "W_h" in layer
        require(parts, function, f"`projections[{k}]` with W_c and W_h", layer)
        size = np.shape(layer["W_c"])[-1] if np.ndim(layer["W_c"]) else 0
        argument = "projections[%d][%%r]" % k
        checked.append({name: shaped(layer[name], (rows, size), function, argument % name) for name in ("W_c", "W_h")})
        rows = size
    require(checked, function, "at least one layer of `projections`", values)
    return checked
