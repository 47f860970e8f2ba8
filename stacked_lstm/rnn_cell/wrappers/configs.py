"""Turns a wrapped cell into a dictionary and back, for the `get_config` of wrappers."""

from __future__ import annotations

from typing import Any

from stacked_lstm import checks
from stacked_lstm.rnn_cell.base.cell import RNNCell


def config_of(cell: Any) -> dict[str, Any]:
    """Returns {"class_name": ..., "config": ...} of a cell."""
    return {"class_name": type(cell).__name__, "config": cell.get_config()}


def cell_of(config: Any) -> Any:
    """Returns the cell that `config_of` describes. A cell is returned as it is.

    Raises:
      ValueError: no subclass of RNNCell has this name.
    """
    if not isinstance(config, dict):
        return config
    queue: list[type[RNNCell]] = [RNNCell]
    classes: dict[str, type[RNNCell]] = {}
    while queue:
        kind = queue.pop()
        classes.setdefault(kind.__name__, kind)
        queue += kind.__subclasses__()
    kind = checks.known(classes, config["class_name"], "from_config", "class_name")
    return kind.from_config(config["config"])
