"""`InitializerTable`: which variable of a stack gets which initializer. The distributions are in `initializers.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from stacked_lstm import initializers


class InitializerTable(NamedTuple):
    """Initializers of single variables, and one for all others.

    Fields:
      by_name: dictionary from names of variables, such as "layer_1/Wf", to initializers.
      default: the initializer of the variables that `by_name` does not have.
    """

    by_name: Any
    default: Any

    @classmethod
    def from_argument(cls, argument: Any, default: Any, function: str, name: str) -> InitializerTable:
        """Makes the table from an initializer, or from a mapping from names to initializers.

        Args:
          argument: the initializer or the mapping.
          default: the initializer of the variables that a mapping does not name.
          function, name: the caller and its argument, for messages.

        Raises:
          ValueError: an initializer is unknown.
        """
        table = cls(dict(argument), default) if isinstance(argument, Mapping) else cls({}, argument)
        initializers.get(table.default, function=function, argument=name)
        for key, initializer in table.by_name.items():
            initializers.get(initializer, function=function, argument=f"{name}[{key!r}]")
        return table

    def get(self, name: str, offset: float, function: str) -> Callable:
        """Returns the initializer of a variable, a function that adds `offset`.

        Args:
          name: the variable's name in a mapping.
          offset: float.
          function: what messages begin with.
        """
        initializer = initializers.get(self.by_name.get(name, self.default), function)
        if not offset:
            return initializer
        return lambda *args, **kwargs: initializer(*args, **kwargs) + offset
