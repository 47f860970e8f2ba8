"""Records the variables that a cell makes."""

from __future__ import annotations

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
