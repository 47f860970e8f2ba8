"""Names of cells and layers. Without the argument `name`, it is the class in snake case and a number in the graph."""

from __future__ import annotations

import collections
import re
import weakref
from typing import Any

from stacked_lstm.compat import tf

# Graph -> the number of names that each class got in it.
_COUNTS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def snake_case(name: str) -> str:
    """Returns the name of a class as TensorFlow names its scope.

    BasicLSTMCell becomes basic_lstm_cell. A leading underscore becomes "private_", because a scope cannot begin with
    an underscore.
    """
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name


def decide(name: Any, default: str) -> tuple[str, str]:
    """Returns the name of the variables' scope, and the name of the cell or layer.

    Args:
      name: the argument `name`: a str, or None. As in TensorFlow 1.15, a `tf.VariableScope` only names the scope.
      default: str, the name of the class in snake case.
    """
    if isinstance(name, tf.VariableScope):
        return name.name, unique(default)
    return name or default, name or unique(default)


def unique(name: str) -> str:
    """Returns a name with its number in the default graph, as TensorFlow counts: lstm_cell_1, lstm_cell_2."""
    counts = _COUNTS.setdefault(tf.get_default_graph(), collections.Counter())
    counts[name] += 1
    return f"{name}_{counts[name]}"
