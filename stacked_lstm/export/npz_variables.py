"""The values of variables that `npz` stores: those of the initial state, and those that belong to no LSTM layer."""

from __future__ import annotations

import re
from typing import Any, Collection, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines.calls import Call
from stacked_lstm.export import graph_nodes

_FUNCTION = "export.npz"
_VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
_START = re.compile(r"(?P<stack>.*)initial_state/layer_(?P<number>\d+)/(?P<array>W_c|W_h|c|h)")


class InitialState(NamedTuple):
    """The state before the first step.

    Fields:
      arrays: as `runtime.save` takes them; empty for zeros, and for states that the program passes.
      is_passed: whether the program passes the states.
      variables: the names of the variables with the arrays.
    """

    arrays: Sequence[Mapping[str, np.ndarray]]
    is_passed: bool
    variables: set[str]


def initial_state(session: tf.Session, calls: Sequence[Call], states: Sequence[Sequence[np.ndarray]]) -> InitialState:
    """Finds out what the state before the first step is.

    Args:
      session: an open session with initialized variables.
      calls: the layers.
      states: the arrays (c, h) of each layer for the example.

    Raises:
      ValueError: the runtime has no such initial state.
    """
    tensors = [tensor for call in calls for state in call.states for tensor in state]
    ops = _ancestors(tensors)
    if all(_strip(tensor).op.type.startswith("Placeholder") for tensor in tensors):
        return InitialState((), True, set())
    matches = {name: _START.fullmatch(name) for name, op in ops.items() if op.type in _VARIABLES}
    own = {name: match for name, match in matches.items() if match}
    if own:
        groups: dict[int, dict[str, np.ndarray]] = {}
        values = _values(session, own)
        for name, match in own.items():
            groups.setdefault(int(match.group("number")), {})[match.group("array")] = values[name]
        is_one_stack = len({match.group("stack") for match in own.values()}) == 1
        if is_one_stack and sorted(groups) == list(range(1, len(states) + 1)):
            return InitialState([groups[number] for number in sorted(groups)], False, set(own))
    elif not any(op.type.startswith(("Placeholder", *_VARIABLES)) for op in ops.values()):
        if not any(np.any(array) for state in states for array in state):
            return InitialState((), False, set())
    expected = 'an initial state that is zero, "learned" or "projected" in one StackedLSTM, or placeholders'
    return checks.fail(_FUNCTION, expected, tensors[0].name)


def other_arrays(
    session: tf.Session, calls: Sequence[Call], nodes: set[str], initial: InitialState
) -> dict[str, np.ndarray]:
    """Returns the values of the variables among `nodes` that are neither weights nor in the initial state."""
    weights = [t for call in calls for layer in call.layers for t in layer.weights]
    own = {name for name, op in _ancestors(weights).items() if op.type in _VARIABLES} | initial.variables
    return _values(session, nodes - own)


def _ancestors(tensors: Sequence[Any]) -> dict[str, tf.Operation]:
    """The ops whose values decide those of tensors. Shapes do not count."""
    return graph_nodes.ancestors(tensors, stops=["Shape"])


def _strip(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _values(session: tf.Session, names: Collection[str]) -> dict[str, np.ndarray]:
    """The values of variables, by the names of their ops."""
    with session.graph.as_default():
        variables = {v.op.name: v for v in tf.global_variables() + tf.local_variables() if v.op.name in names}
    values: dict[str, np.ndarray] = session.run(variables) if variables else {}
    return values
