"""Argument checks. Every message names the function, what was expected and what was given; no TensorFlow is needed."""

import numbers

import numpy as np


def fail(function, expected, given):
    raise ValueError(f"{function}: expected {expected}, got {given}")


def known(table, name, function, argument, alternative=None):
    """Returns `table[name]`; raises ValueError listing the known names otherwise."""
    if isinstance(name, str) and name in table:
        return table[name]
    names = ", ".join(sorted(table))
    return fail(function, f"`{argument}` to be one of {names}{' ' + alternative if alternative else ''}", repr(name))


def widths(sizes, function, argument):
    """Returns `sizes` as a list of ints; raises ValueError unless it is a non-empty sequence of positive integers."""
    expected = f"`{argument}` to be a non-empty sequence of positive integers"
    if isinstance(sizes, (str, bytes)) or not hasattr(sizes, "__iter__"):
        fail(function, expected, repr(sizes))
    sizes = list(sizes)
    whole = all(isinstance(size, numbers.Integral) and not isinstance(size, bool) and size > 0 for size in sizes)
    if not sizes or not whole:
        fail(function, expected, repr(sizes))
    return [int(size) for size in sizes]


def flag(value, function, argument):
    """Returns `value`; raises ValueError unless it is True or False."""
    return value if isinstance(value, bool) else fail(function, f"`{argument}` to be True or False", repr(value))


def number(value, function, argument):
    """Returns `value` as a float; raises ValueError unless it is a finite number."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if is_number else fail(function, f"`{argument}` to be a finite number", repr(value))


def scope(name, function):
    """Returns `name`; raises ValueError unless it is a non-empty string."""
    return name if isinstance(name, str) and name else fail(function, "`name` to be a non-empty string", repr(name))
