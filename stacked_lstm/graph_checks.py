"""Checks of the graph to which a call adds ops, and of the session that runs it."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm.checks import describe, fail
from stacked_lstm.compat import tf


def graph_mode(function: str) -> None:
    """Raises RuntimeError in eager mode, where there is no graph to add ops to."""
    if tf.executing_eagerly():
        raise RuntimeError(
            f"{function}: builds a TF1 graph and cannot run eagerly; call it inside `with tf.Graph().as_default():`, "
            "or call tf.compat.v1.disable_eager_execution() at the start of the program"
        )


def same_graph(variables: Sequence[Any], function: str, nest: Any = None, noun: str = "variables") -> None:
    """Raises ValueError if an object with variables, or with other tensors called `noun`, is called in another graph.

    The graph of the call is that of the first tensor in `nest`, or else the default graph. Functions are not checked,
    because TensorFlow hands tensors and variables over to their graphs.
    """
    graph = getattr(next(iter(tf.nest.flatten(nest)), None), "graph", tf.get_default_graph())
    homes = [getattr(variable, "graph", graph) for variable in variables[:1]]
    if any(home is not graph and not home.building_function and not graph.building_function for home in homes):
        advice = "make a new object for each graph, or enter the first one by `with graph.as_default():`"
        fail(function, f"a call in the graph of its {noun}", f"one in another graph; {advice}")


def session(value: Any, variables: Sequence[tf.Variable], function: str) -> tf.Session:
    """Returns `value`; raises ValueError unless it is a session of the variables' graph, also one of `tf.train`."""
    expected = "`session` to be a tf.Session of the graph with the variables"
    if not hasattr(value, "run") or not hasattr(value, "graph"):
        fail(function, expected, describe(value))
    if value.graph is not variables[0].graph:
        fail(function, expected, "one of another graph")
    return value
