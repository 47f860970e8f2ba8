"""What each layer of a stack has besides the plain equations, and the checks of the arguments that say so.

An argument is a value for all layers, or a list with a value per layer. A new option is a field of `LayerOptions` and a
line in `CHECKS`.
"""

from __future__ import annotations

import numbers
import re
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.lstm.dropout_masks import Seed, TensorSeed
from stacked_lstm.state import LSTMState

VARIATIONAL, CANDIDATE = KINDS = ("variational", "candidate")
BELOW_ONE, UP_TO_ONE = "from 0 to below 1", "from 0 to 1"  # Ranges of rates.
OUTPUT, CARRIED = True, "tensorflow"  # Where `layer_norm` normalizes the cell state.


class LayerOptions(NamedTuple):
    """The options of one layer. The docstring of `StackedLSTM` explains them.

    `dropout` is that on the input of the layer: `input_dropout` of the stack for the first layer.
    """

    dropout: Any = 0.0
    recurrent_dropout: Any = 0.0
    recurrent_dropout_kind: str = VARIATIONAL
    zoneout_c: Any = 0.0
    zoneout_h: Any = 0.0
    layer_norm: bool | str = False
    residual: bool = False
    projection_size: int | None = None
    peepholes: bool = False
    cell_clip: float | None = None
    projection_clip: float | None = None


PLAIN = LayerOptions()


def rate(value: Any, function: str, argument: str, interval: str = BELOW_ONE) -> Any:
    """Returns a rate as a float, or as a scalar tensor, whose value is checked when the graph runs.

    Args:
      value: a number, or a scalar tensor or variable of floats.
      function, argument: names for the message.
      interval: `BELOW_ONE` or `UP_TO_ONE`.

    Raises:
      ValueError: a number that is out of range, or anything else.
    """
    expected = f"`{argument}` to be a rate {interval}"
    if isinstance(value, tf.Variable) or tf.is_tensor(value):
        if not value.dtype.is_floating or not value.shape.is_compatible_with([]):
            checks.fail(function, f"{expected}, a number or a scalar tensor of floats", checks.describe(value))
        return tf.convert_to_tensor(value)
    if not checks.is_number(value):
        checks.fail(function, f"{expected}, a number or a scalar tensor of floats", checks.describe(value))
    number = float(value)
    is_inside = 0 <= number < 1 if interval == BELOW_ONE else 0 <= number <= 1
    return number if is_inside else checks.fail(function, expected, value)


def _share(value: Any, function: str, argument: str) -> Any:
    return rate(value, function, argument, UP_TO_ONE)


def _kind(value: Any, function: str, argument: str) -> str:
    return checks.one_of(KINDS, value, function, argument)


def _layer_norm(value: Any, function: str, argument: str) -> bool | str:
    if isinstance(value, checks.BOOLS):
        return bool(value)
    if isinstance(value, str) and value == CARRIED:
        return value
    checks.fail(function, f"`{argument}` to be True, False or {CARRIED!r}", checks.describe(value))


def _size(value: Any, function: str, argument: str) -> int | None:
    if value is None:
        return None
    return checks.size(value, function, argument, "None or ")


# Field of `LayerOptions` -> function (value, function, argument) that returns the value or raises ValueError.
CHECKS: dict[str, Callable[[Any, str, str], Any]] = {
    "dropout": rate,
    "recurrent_dropout": rate,
    "recurrent_dropout_kind": _kind,
    "zoneout_c": _share,
    "zoneout_h": _share,
    "layer_norm": _layer_norm,
    "residual": checks.flag,
    "projection_size": _size,
    "peepholes": checks.flag,
    "cell_clip": checks.bound,
    "projection_clip": checks.bound,
}


def seed(value: Any, function: str) -> Seed:
    """Returns the argument `seed`; raises ValueError unless it is None, an integer, or a scalar tensor of integers."""
    if isinstance(value, tf.Variable) or tf.is_tensor(value):
        if value.dtype.is_integer and value.shape.is_compatible_with([]):
            return TensorSeed(value)
    elif value is None or isinstance(value, TensorSeed):
        return value
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    checks.fail(function, "`seed` to be None, an integer, or a scalar tensor of integers", checks.describe(value))


def per_layer(count: int, function: str, arguments: Mapping[str, Any]) -> list[LayerOptions]:
    """Returns a `LayerOptions` per layer.

    Args:
      count: the number of layers.
      function: the caller, for messages.
      arguments: the arguments of `StackedLSTM` by their names: all fields of `LayerOptions`, and `input_dropout`.

    Raises:
      ValueError: a value is out of its range, a list has another length, or options contradict each other.
    """
    values = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
    first = rate(values.pop("input_dropout"), function, "input_dropout")
    values["residual"] = _residual(values["residual"], count, function)
    # Dropout between layers has a place less than there are layers.
    columns = {}
    for name, check in CHECKS.items():
        if not isinstance(values[name], (list, tuple)):
            check(values[name], function, name)  # Also the rate between layers of a stack that has only one.
        column = _spread(values[name], count - (name == "dropout"), function, name)
        columns[name] = [check(value, function, name) for value in column]
    columns["dropout"].insert(0, first)
    layers = [LayerOptions(**dict(zip(columns, row))) for row in zip(*columns.values())]
    for k, layer in enumerate(layers):
        if layer.projection_clip is not None and layer.projection_size is None:
            expected = f"a `projection_size` for layer {k + 1}, because it has a `projection_clip`"
            checks.fail(function, expected, None)
    return layers


def _spread(value: Any, count: int, function: str, argument: str) -> list[Any]:
    """Returns a list of `count` values from one value, or from a list of values."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        each = "one for each place between two layers" if argument == "dropout" else "one per layer"
        values = f"{count} value{'s' * (count != 1)}"
        checks.fail(function, f"`{argument}` to be one value, or a list of {values}, {each}", checks.describe(value))
    return list(value)


def _residual(value: Any, count: int, function: str) -> Any:
    """Returns a bool, or a list of bools, for True, False, a list of them, or "after layer k"."""
    if isinstance(value, (list, tuple) + checks.BOOLS):
        return value
    match = re.fullmatch("after layer ([0-9]+)", value) if isinstance(value, str) else None
    if not match or not 1 <= int(match.group(1)) < count:
        expected = "`residual` to be True, False, a list of them, or 'after layer k' with a layer k that has one above"
        checks.fail(function, expected, checks.describe(value))
    return [k >= int(match.group(1)) for k in range(count)]


def sizes(hidden_sizes: Sequence[int], options: Sequence[LayerOptions]) -> list[LSTMState]:
    """Returns the widths of c and h of each layer, as `LSTMState`s of ints."""
    return [LSTMState(size, layer.projection_size or size) for size, layer in zip(hidden_sizes, options)]


def check_residuals(
    input_size: int, state_sizes: Sequence[LSTMState], options: Sequence[LayerOptions], function: str
) -> None:
    """Raises ValueError if a residual connection would add an input to an output of another width."""
    for k, (layer, size) in enumerate(zip(options, state_sizes)):
        if layer.residual and input_size != size.h:
            expected = f"layer {k + 1}, which has a `residual` connection, to be as wide as its input, {input_size}"
            checks.fail(function, expected, f"a width of {size.h}")
        input_size = size.h
