"""Copies of objects whose variables belong to a graph, by `copy` and `pickle`."""

from __future__ import annotations

import copy
from typing import Any, Iterator, TypeVar

from stacked_lstm.compat import tf

_Object = TypeVar("_Object", bound="DeepCopies")


class DeepCopies:
    """Base class of objects that `copy.deepcopy` copies before they have variables, as TensorFlow 1 copies its cells.

    The copy makes variables of its own. Tensors among the arguments of the object, such as the placeholder of a rate,
    belong to both objects.
    """

    def _has_variables(self) -> bool:
        raise NotImplementedError(f"{type(self).__name__}._has_variables")

    def __deepcopy__(self: _Object, memo: dict[int, Any]) -> _Object:
        result: Any = type(self).__new__(type(self))
        memo[id(self)] = result
        get_state = getattr(self, "__getstate__", None)  # Before Python 3.11, only classes of users have it.
        state = get_state() if get_state else vars(self)
        memo.update((id(tensor), tensor) for tensor in _tensors(state))
        try:
            state = copy.deepcopy(state, memo)
        except (TypeError, NotImplementedError) as error:  # TensorFlow copies neither graphs nor variables.
            if not self._has_variables():
                raise
            raise type(error)(
                f"copy.deepcopy: expected an object without variables, got a built {type(self).__name__}; copy it "
                "before its first call, or call it again to share its variables"
            ) from None
        if hasattr(result, "__setstate__"):
            result.__setstate__(state)
        else:
            vars(result).update(state)
        return result


class Copies(DeepCopies):
    """Base class of `StackedLSTM` and `BidirectionalLSTM`. `copy.copy` shares variables, and pickles are refused."""

    def __copy__(self: _Object) -> _Object:
        result = type(self).__new__(type(self))
        vars(result).update(vars(self))
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"pickle: expected an object without a graph, got {type(self).__name__}; pickle its arguments, and the "
            "arrays of its get_weights(session)"
        )


def _tensors(value: Any) -> Iterator[tf.Tensor]:
    """Yields the tensors in dictionaries, lists and tuples. Variables are none."""
    if isinstance(value, tf.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
