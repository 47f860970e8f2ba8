"""`InitializerTable`: which variable of a stack gets which initializer. The distributions are in `initializers.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from stacked_lstm import initializers
from stacked_lstm.stack.weights import VariableSpec


class InitializerTable(NamedTuple):
    """Initializers of single variables, and one for all others.

    Fields:
      by_path: dictionary from paths within the stack, such as "layer_1/Wf", to initializers.
      default: the initializer of the variables that `by_path` does not have.
    """

    by_path: Any
    default: Any

    @classmethod
    def from_argument(cls, argument: Any, default: Any, function: str, name: str) -> InitializerTable:
        """Makes the table from an initializer, or from a mapping from paths to initializers.

        Args:
          argument: the initializer or the mapping.
          default: the initializer of the variables that a mapping does not name.
          function, name: the caller and its argument, for messages.

        Raises:
          ValueError: an initializer is unknown.
        """
        table = cls(dict(argument), default) if isinstance(argument, Mapping) else cls({}, argument)
        initializers.get(table.default, function=function, argument=name)
        for path, initializer in table.by_path.items():
            initializers.get(initializer, function=function, argument=f"{name}[{path!r}]")
        return table

    def get(self, spec: VariableSpec, stack: str) -> Callable:
        """Returns the initializer of a variable, a function that adds the `offset` of its spec.

        Args:
          spec: the variable's `VariableSpec`.
          stack: the stack's name, for messages.
        """
        initializer = initializers.get(self.by_path.get(spec.path, self.default), f"{stack}/{spec.path}")
        if not spec.offset:
            return initializer
        return lambda *args, **kwargs: initializer(*args, **kwargs) + spec.offset
