"""What a program has replaced of a cell of this package: in a subclass, on a class, or on an object.

Engines do not call the methods of a cell. They compute what the package's own methods compute.
"""

from __future__ import annotations

from typing import Any

_STATES = ("zero_state", "get_initial_state")
# What a program may replace although the cell keeps its step. Names that the package's class does not have change no
# step, either.
_NOT_IN_THE_STEP = {
    *_STATES,
    *("__init__", "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__init_subclass__", "__repr__", "__str__", "__eq__", "__hash__"),
    *(
        "__getstate__",
        "__deepcopy__",
        "_base_name",
        "get_config",
        "from_config",
        "get_weights",
        "set_weights",
        "count_params",
    ),
}

# Class of this package that engines run -> its attributes, its own and inherited ones, as this package defines them.
_ATTRIBUTES: dict[type, dict[str, Any]] = {}


def register(cls: type) -> None:
    """Remembers the attributes of a class that engines run."""
    _ATTRIBUTES[cls] = {name: _find(cls, name) for name in dir(cls)}


def refuse(cls: type, *names: str) -> None:
    """Raises TypeError if a class has methods that TensorFlow's class calls, and that of this package does not."""
    for name in names:
        if hasattr(cls, name):
            raise TypeError(f"{cls.__name__}: expected a class without `{name}`, which nothing calls; use `__call__`")


def replaced_in_class(cell: Any) -> list[str]:
    """Returns the names of a step that the class of a cell has from elsewhere than the package; sorted.

    A cell that is not of a registered class has `call` from elsewhere.
    """
    step = _of_package(cell)
    if step is None:
        return ["call"]
    cls = type(cell)
    return sorted(name for name in set(step) - _NOT_IN_THE_STEP if _find(cls, name) is not step[name])


def replaced_in_object(cell: Any) -> list[str]:
    """Returns the methods of a registered class in whose place a cell has attributes; sorted."""
    step = _of_package(cell) or {}
    return sorted(name for name in vars(cell) if callable(step.get(name)))


def starts_from_zeros(cell: Any) -> bool:
    """Whether a cell makes its first state by methods of this package, which return zeros."""
    step, cls = _of_package(cell) or {}, type(cell)
    return all(_find(cls, name) is step.get(name) for name in _STATES)


def _of_package(cell: Any) -> dict[str, Any] | None:
    """Returns the attributes of the nearest registered class of a cell; None if there is none."""
    return next((_ATTRIBUTES[parent] for parent in type(cell).__mro__ if parent in _ATTRIBUTES), None)


def _find(cls: type, name: str) -> Any:
    """Returns an attribute of a class as it is in the first class that has it, without binding."""
    return next((vars(parent)[name] for parent in cls.__mro__ if name in vars(parent)), None)
