"""Variables around a cell of TensorFlow 1: those of other kinds of cells, and of wrappers that change the result.

DropoutWrapper and ResidualWrapper have no variables, so a checkpoint does not tell of them.
"""

from __future__ import annotations

import re
from typing import Iterable, Mapping

from stacked_lstm import checks
from stacked_lstm.checkpoints.layers import Location

# Parts of a scope that wrappers with variables of their own make, and what HighwayWrapper puts beside its cell.
_WRAPPER = re.compile(r".*_wrapper(?:_\d+)?")
_HIGHWAY = ("carry_w", "carry_b")
# Parts of a scope that other cells make; some of their variables have the shapes of those of an LSTM cell.
_OTHER_CELL = re.compile(
    r"(?:gru|gru_block|basic_rnn|ugrnn|nas|glstm|indy_lstm|ind_rnn|intersection_rnn)_cell(?:_\d+)?"
)
_NUMBER = re.compile(r"(?:^|/)cell_(\d+)(?=/)")
_SHOWN = 3


def is_of_another_cell(scope: str) -> bool:
    """Whether a scope is inside the scope of a cell that is no LSTM."""
    return any(_OTHER_CELL.fullmatch(part) for part in scope.split("/"))


def members(scopes: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """Each scope -> names of all variables inside, at any depth.

    Args:
      scopes: the scopes.
      names: names of all variables.
    """
    inside: dict[str, list[str]] = {scope: [] for scope in scopes}
    for name in names:
        parts = name.split("/")
        for count in range(1, len(parts)):
            scope = "/".join(parts[:count])
            if scope in inside:
                inside[scope].append(name)
    return inside


def remark(location: Location, variables: Iterable[str], all_names: Mapping[str, object]) -> str:
    """How a cell differs from a plain one; empty if it does not.

    Args:
      location: the cell.
      variables: names of the variables in its scope.
      all_names: names of all variables in the checkpoint.
    """
    own = tuple(location.array_names.values())
    slots = tuple(name + "/" for name in own)  # What an optimizer keeps for a variable.
    others = sorted(name for name in variables if name not in own and not name.startswith(slots))
    outer = location.name.rpartition("/")[0]
    others += [f"{outer}/{name}".lstrip("/") for name in _HIGHWAY if f"{outer}/{name}".lstrip("/") in all_names]
    remarks = [f"inside {part}" for part in outer.split("/") if _WRAPPER.fullmatch(part)]
    if others:
        shown = others[:_SHOWN] + ["..."] * (len(others) > _SHOWN)
        remarks.append(f"with {', '.join(shown)}, which an LSTM cell does not have")
    return ", ".join(remarks)


def check_all_found(locations: Iterable[Location], names: Iterable[str], path: str, names_argument: str) -> None:
    """Raises ValueError if a MultiRNNCell of some of the layers has cells that are not among them.

    Args:
      locations: the layers.
      names: names of all variables in the checkpoint.
      path: the file.
      names_argument: name of the argument that selects layers.
    """
    cells = {location.name[: match.end()] for location in locations for match in _NUMBER.finditer(location.name)}
    networks = {cell.rpartition("_")[0] for cell in cells}
    others = {name[: match.end()]: name for name in sorted(names, reverse=True) for match in _NUMBER.finditer(name)}
    for cell, name in sorted(others.items()):
        if cell not in cells and cell.rpartition("_")[0] in networks:
            expected = f"LSTM layers in all cells of a MultiRNNCell in {path}, or `{names_argument}` to select layers"
            checks.fail("checkpoints.read", expected, f"none in {cell}, which has {name}")
