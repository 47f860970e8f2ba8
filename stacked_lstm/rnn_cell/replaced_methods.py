"""What a program has replaced of a cell of this package: in a subclass, on a class, or on an object.

Engines do not call the methods of a cell. They compute what the package's own methods compute.
"""

from __future__ import annotations

from typing import Any

# What a program may replace although the cell keeps its step. Names that the package's class does not have change no
# step, either.
_NOT_IN_THE_STEP = {
    *("__init__", "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__repr__"),
    *("__firstlineno__", "__static_attributes__", "zero_state", "get_initial_state", "get_config", "from_config"),
}
_STATES = ("zero_state", "get_initial_state")

# Class of this package that engines run -> its attributes, its own and inherited ones, as this package defines them.
_ATTRIBUTES: dict[type, dict[str, Any]] = {}


def register(cls: type) -> None:
    """Remembers the attributes of a class that engines run."""
    _ATTRIBUTES[cls] = {name: _find(cls, name) for name in dir(cls)}


def replaced_in_class(cell: Any) -> list[str]:
    """Returns the names of a step that the class of a cell has from elsewhere than the package; sorted.

    A cell that is not of a registered class has all of them from elsewhere.
    """
    cls = type(cell)
    base = next((parent for parent in cls.__mro__ if parent in _ATTRIBUTES), None)
    if base is None:
        return ["call"]
    step = _ATTRIBUTES[base].items()
    return sorted(name for name, value in step if name not in _NOT_IN_THE_STEP and _find(cls, name) is not value)


def replaced_in_object(cell: Any) -> list[str]:
    """Returns the methods of a cell's class in whose place the object has attributes; sorted."""
    return sorted(name for name in vars(cell) if callable(getattr(type(cell), name, None)))


def starts_from_zeros(cell: Any) -> bool:
    """Whether the cell makes its first state by methods of this package, which return zeros."""
    modules = [next(parent for parent in type(cell).__mro__ if name in vars(parent)).__module__ for name in _STATES]
    return all(module.startswith("stacked_lstm.") for module in modules)


def _find(cls: type, name: str) -> Any:
    """Returns an attribute of a class as it is in the first class that has it, without binding."""
    return next((vars(parent)[name] for parent in cls.__mro__ if name in vars(parent)), None)
