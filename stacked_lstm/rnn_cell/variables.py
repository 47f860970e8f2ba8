"""Records the variables that a cell makes, and turns class names into names of scopes."""

from __future__ import annotations

import re
from typing import Any, Callable

from stacked_lstm.compat import tf


def recording_getter(variables: list[tf.Variable]) -> Callable[..., Any]:
    """Returns a custom getter for `tf.variable_scope` that appends each variable to the list."""

    def get(getter: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        variable = getter(*args, **kwargs)
        record(variable, variables)
        return variable

    return get


def record(variable: Any, variables: list[tf.Variable]) -> None:
    """Appends a variable, or the parts of a partitioned one, to the list, unless the list has it."""
    if hasattr(variable, "trainable"):  # TensorFlow's kinds of variables have no class of their own in common.
        parts = [variable]
    else:  # A user's getter may return a tensor that it computed from a variable. That is no variable.
        parts = [] if tf.is_tensor(variable) else list(variable)
    variables += [part for part in parts if all(part is not recorded for recorded in variables)]


def snake_case(name: str) -> str:
    """Returns the name of a class as TensorFlow names its scope.

    BasicLSTMCell becomes basic_lstm_cell. A leading underscore becomes "private_", because a scope cannot begin with
    an underscore.
    """
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name
