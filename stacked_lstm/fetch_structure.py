"""The results of a session in the structure of its fetches."""

from __future__ import annotations

import collections
import operator
from typing import Any, Callable, Iterable, Sequence

from stacked_lstm.compat import FetchHandler, tf


def builder(handler: FetchHandler, session: tf.Session) -> Callable[[Sequence[Any]], Any]:
    """Returns a function that does what `handler.build_results(session, results)` does, in less time.

    The handler builds the structure once, with a `_Place` for each result. It builds it in each call if the structure
    also has other parts, such as what a function of `register_session_run_conversion_functions` computes.
    """
    places = [_Place(index) for index in range(len(handler.fetches()))]
    try:
        return _builder(handler.build_results(session, places))
    except Exception:  # Such a function may raise anything if it computes with a `_Place`.
        return lambda results: handler.build_results(session, results)


class _Place:
    """Stands for the result with this index. No function can decide anything by it."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __bool__(self) -> bool:
        raise TypeError("a place has no value")

    def __eq__(self, other: object) -> bool:
        raise TypeError("a place has no value")


def _builder(structure: Any) -> Callable[[Sequence[Any]], Any]:
    """Returns a function that builds the structure of results; raises TypeError if it has unknown parts."""
    kind = type(structure)
    if kind is _Place:
        return operator.itemgetter(structure.index)
    if structure is None:  # For an operation.
        return lambda results: None
    if kind in (dict, collections.OrderedDict):
        keys, values = list(structure), _list_builder(structure.values())
        return lambda results: kind(zip(keys, values(results)))
    if kind is list:
        return _list_builder(structure)
    if isinstance(structure, tuple) and not getattr(structure, "__dict__", None):
        items = _list_builder(structure)
        return lambda results: tuple.__new__(kind, items(results))  # The constructor may have changed its arguments.
    raise TypeError(f"{kind.__name__} is no kind of structure")


def _list_builder(structures: Iterable[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    builders = [_builder(structure) for structure in structures]
    return lambda results: [build(results) for build in builders]
