"""`FirstBuild`: what `StackedLSTM` and `BidirectionalLSTM` share, as objects whose first call makes their variables."""

from __future__ import annotations

from typing import Any

from stacked_lstm import checks, graph_checks
from stacked_lstm.copies import Copies


class FirstBuild(Copies):
    """Base class of objects that make their variables once, for one width of inputs and in one graph."""

    name: str
    variables: Any
    _noun = "object"  # What messages call it.
    _input_size: int | None = None  # None before the first build.

    def _has_variables(self) -> bool:
        return self._input_size is not None

    def _is_built_for(self, input_size: Any) -> bool:
        """Whether the variables exist. Raises ValueError if they are for another width, or in another graph."""
        if self._input_size is None:
            return False
        if input_size != self._input_size:
            expected = f"inputs of width {self._input_size}, as in the first call"
            checks.fail(self.name, expected, f"width {input_size}")
        graph_checks.same_graph(self.variables, self.name)
        return True

    def _require_built(self, attribute: str) -> None:
        if self._input_size is None:
            raise ValueError(
                f"{self.name}.{attribute}: the variables are made at the first call; "
                f"call the {self._noun} or `build(input_size)` first"
            )
