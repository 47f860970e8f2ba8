"""Checks of arguments that are not tensors. This module needs no TensorFlow.

Every message names the function, what it expected and what it got.
"""

from __future__ import annotations

import numbers
from typing import Any, Collection, Mapping, NoReturn, Sequence, TypeVar

import numpy as np

BOOLS = (bool, np.bool_)  # The types of True and False.
_Value = TypeVar("_Value")


def fail(function: str, expected: str, actual: Any) -> NoReturn:
    """Raises ValueError with the message `function: expected ..., got ...`."""
    raise ValueError(f"{function}: expected {expected}, got {actual}")


def describe(value: Any) -> str:
    """A value in one short line for a message: its repr, or its kind and size where that is long."""
    text, kind = repr(value), type(value).__name__
    is_array = isinstance(value, (np.ndarray, np.generic))
    is_tensor = hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)
    if is_tensor and not (is_array and _is_short(text)):
        return f"{'an array' if is_array else 'a tensor'} of dtype {value.dtype.name} and shape {value.shape}"
    if _is_short(text):
        return text
    if isinstance(value, tuple) and len(value) <= 3:
        return f"({', '.join(map(describe, value))})"
    if isinstance(value, (list, tuple)):
        return f"a {kind} of length {len(value)}"
    if isinstance(value, Mapping):
        return f"a mapping with the keys {', '.join(map(str, list(value)[:8]))}"
    return f"an object of the class {kind}"


def _is_short(text: str) -> bool:
    return len(text) <= 80 and "\n" not in text


def known(
    table: Mapping[str, _Value], name: Any, function: str, argument: str, alternative: str | None = None
) -> _Value:
    """Returns `table[name]`.

    Args:
      table: mapping from names to values.
      name: the value of the argument.
      function, argument: names for the message.
      alternative: what else the argument may be, for the message, such as "or a callable".

    Raises:
      ValueError: `name` is not in the table. The message lists the names in the table.
    """
    return table[one_of(table, name, function, argument, alternative)]


def one_of(names: Collection[str], name: Any, function: str, argument: str, alternative: str | None = None) -> str:
    """Returns the name; raises ValueError unless it is one of `names`, as `known` does."""
    if isinstance(name, str) and name in names:
        return name
    expected = f"`{argument}` to be one of {', '.join(sorted(names))}"
    fail(function, f"{expected} {alternative}" if alternative else expected, describe(name))


def widths(sizes: Any, function: str, argument: str) -> list[int]:
    """Returns `sizes` as a list of ints; raises ValueError unless it is a non-empty sequence of positive integers."""
    expected = f"`{argument}` to be a non-empty sequence of positive integers"
    if isinstance(sizes, (str, bytes)) or not hasattr(sizes, "__iter__"):
        fail(function, expected, describe(sizes))
    sizes = list(sizes)
    valid = all(isinstance(size, numbers.Integral) and not isinstance(size, bool) and int(size) > 0 for size in sizes)
    if not sizes or not valid:
        fail(function, expected, describe(sizes))
    return [int(size) for size in sizes]


def size(value: Any, function: str, argument: str, alternative: str = "") -> int:
    """Returns `value` as an int; raises ValueError unless it is a positive integer.

    Args:
      value: the value of the argument.
      function, argument: names for the message.
      alternative: what else the argument may be, for the message, such as "None or ".
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) > 0:
        return int(value)
    fail(function, f"`{argument}` to be {alternative}a positive integer", describe(value))


def pairs(value: Any, count: int, function: str, argument: str) -> Sequence[Any]:
    """Returns `value`; raises ValueError unless it is a list or tuple of `count` pairs (c, h)."""
    is_list = isinstance(value, (list, tuple)) and len(value) == count
    if is_list and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
        return value
    entries = f"{count} pairs (c, h), one per layer" if count > 1 else "one pair, [(c, h)]"
    fail(function, f"`{argument}` to be a list of {entries}", describe(value))


def flag(value: Any, function: str, argument: str) -> bool:
    """Returns `value` as a bool; raises ValueError unless it is True or False, of Python or NumPy."""
    if isinstance(value, BOOLS):
        return bool(value)
    fail(function, f"`{argument}` to be True or False", describe(value))


def number(value: Any, function: str, argument: str) -> float:
    """Returns `value` as a float; raises ValueError unless it is a finite number."""
    is_finite = is_number(value) and np.isfinite(float(value))
    return float(value) if is_finite else fail(function, f"`{argument}` to be a finite number", describe(value))


def is_number(value: Any) -> bool:
    """Whether a value is a real number, of Python or NumPy; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def bound(value: Any, function: str, argument: str) -> float | None:
    """Returns the bound of a clip as a float, or None; raises ValueError if it is anything else."""
    if value is None:
        return None
    is_bound = is_number(value) and 0 < float(value) < float("inf")
    expected = f"`{argument}` to be None or a positive, finite number"
    return float(value) if is_bound else fail(function, expected, describe(value))


def scope(name: Any, function: str) -> str:
    """Returns `name`; raises ValueError unless it can be the name of a scope."""
    if isinstance(name, str) and name and all(c.isalnum() or c in "_.-/" for c in name) and name.isascii():
        return name
    fail(function, "`name` to be a non-empty string of letters, digits, _, ., - and /", describe(name))
