"""The results of a session in the structure of its fetches."""

from __future__ import annotations

import collections
import operator
from typing import Any, Callable, Iterable, Sequence

from stacked_lstm.compat import FetchHandler, tf

_HANDLES = ("GetSessionHandle", "GetSessionHandleV2")  # The results of these ops become objects.

Builder = Callable[[Sequence[Any]], Any]


def builder(fetches: Any, handler: FetchHandler, session: tf.Session) -> Builder:
    """Returns a function that does what `handler.build_results(session, results)` does, in less time.

    Args:
      fetches: what the handler was made for: lists, tuples, dictionaries and namedtuples of tensors, operations and
        their names. The handler itself builds all other structures, because a program may register functions of them.
      handler: a `FetchHandler`.
      session: the session whose results these are.
    """
    places = {tensor.name: place for place, tensor in enumerate(handler.fetches())}
    try:
        return _builder(fetches, session.graph, places)
    except _NotPlainError:
        return lambda results: handler.build_results(session, results)


class _NotPlainError(Exception):
    pass


def _builder(fetches: Any, graph: tf.Graph, places: dict[str, int]) -> Builder:
    """Returns a function that builds the structure of `fetches` from results. `places` has the place of each tensor."""
    kind = type(fetches)
    if kind in (dict, collections.OrderedDict):
        keys, values = list(fetches), _list_builder(fetches.values(), graph, places)
        return lambda results: kind(zip(keys, values(results)))
    if kind in (list, tuple) or _is_plain_namedtuple(kind):
        items = _list_builder(fetches, graph, places)
        if kind is list:
            return items
        return (lambda results: tuple(items(results))) if kind is tuple else (lambda results: kind(*items(results)))
    if not isinstance(fetches, (tf.Tensor, tf.Operation, str)):
        raise _NotPlainError
    element = graph.as_graph_element(fetches)
    if isinstance(element, tf.Operation):
        return lambda results: None
    if element.op.type in _HANDLES:
        raise _NotPlainError
    return operator.itemgetter(places[element.name])


def _list_builder(fetches: Iterable[Any], graph: tf.Graph, places: dict[str, int]) -> Callable[[Sequence[Any]], list]:
    builders = [_builder(fetch, graph, places) for fetch in fetches]
    return lambda results: [build(results) for build in builders]


def _is_plain_namedtuple(kind: type) -> bool:
    """Whether a type is a namedtuple whose constructor stores its arguments."""
    is_namedtuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return is_namedtuple and kind.__new__ is kind.__mro__[-3].__new__  # The last ones are tuple and object.
