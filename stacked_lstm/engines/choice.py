"""The choice of the engine that runs layers."""

from __future__ import annotations

import os
from typing import NamedTuple, Sequence

from stacked_lstm import checks
from stacked_lstm.engines import cudnn, graph, native
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm.layer import Layer

# Name -> engine, in the order in which "auto" tries them.
ENGINES = {engine.name: engine for engine in (cudnn.ENGINE, native.ENGINE, graph.ENGINE)}

AUTO = "auto"
STEPWISE = "stepwise"  # TensorFlow's own loop around a cell, which `rnn_cell` has besides the engines.
ENVIRONMENT_VARIABLE = "STACKED_LSTM_ENGINE"


class EngineUsed(NamedTuple):
    """The engine that runs a stack, and why it was chosen.

    Args:
      name: str, the name of an engine. `rnn_cell.engine_used` also has "stepwise", TensorFlow's own loop.
      reason: str, a clause for people to read.

    Example:
      >>> lstm = stacked_lstm.StackedLSTM([4], engine="graph")
      >>> outputs, state = lstm(tf.zeros([2, 3, 1]))
      >>> lstm.engine_used
      EngineUsed(name='graph', reason='asked for by name')
    """

    name: str
    reason: str


class Request(NamedTuple):
    """The engine that a program asks for. `resolve` makes it.

    Args:
      name: str, "auto", the name of an engine, or "stepwise" for TensorFlow's own loop around cells.
      source: str, "name" if the program names the engine, "STACKED_LSTM_ENGINE" if the environment does or could.

    Example:
      >>> from stacked_lstm import engines
      >>> engines.resolve("graph", function="example")
      Request(name='graph', source='name')
    """

    name: str
    source: str


def resolve(name: str, function: str, stepwise: bool = False) -> Request:
    """Turns the value of an argument `engine` into a `Request`. If it is "auto", the environment decides.

    Args:
      name: str, "auto" or the name of an engine; also "stepwise", if `stepwise` is True.
      function: str, the name of the caller, for messages.
      stepwise: bool, whether the caller can run cells on TensorFlow's own loop. Default False: STACKED_LSTM_ENGINE=
        stepwise in the environment then means the engine "graph".

    Returns:
      A `Request`.

    Raises:
      ValueError: `name` or STACKED_LSTM_ENGINE has another value.

    Example:
      >>> import os
      >>> from stacked_lstm import engines
      >>> os.environ["STACKED_LSTM_ENGINE"] = "graph"
      >>> engines.resolve("auto", function="example")
      Request(name='graph', source='STACKED_LSTM_ENGINE')
      >>> del os.environ["STACKED_LSTM_ENGINE"]
    """
    names = [AUTO, *ENGINES]
    checks.one_of(names + [STEPWISE] * stepwise, name, function, "engine")
    source = "name"
    if name == AUTO:
        name, source = os.environ.get(ENVIRONMENT_VARIABLE) or AUTO, ENVIRONMENT_VARIABLE
        checks.one_of(names + [STEPWISE], name, function, ENVIRONMENT_VARIABLE)
    if name == STEPWISE and not stepwise:
        name = graph.ENGINE.name  # A stack has no cells. These are TensorFlow's own ops, too.
    return Request(name, source)


def choose(
    request: Request, layers: Sequence[Layer], function: str, has_lengths: bool = False
) -> tuple[Engine, EngineUsed]:
    """Chooses the engine that runs layers at the place where new ops go.

    Args:
      request: a `Request`, not for "stepwise".
      layers: list of `Layer`.
      function: str, the name of the caller, for messages.
      has_lengths: bool, whether the sequences have lengths. Default False.

    Returns:
      (`Engine`, `EngineUsed`). For "auto" that is the first of `ENGINES` that has no objection.

    Raises:
      ValueError: the engine that was asked for cannot run these layers. The message says why.

    Example:
      >>> from stacked_lstm import engines
      >>> lstm = stacked_lstm.StackedLSTM([4], dtype=tf.bfloat16)
      >>> lstm.build(input_size=2)
      >>> layers = [layer.layer() for layer in lstm.layers]
      >>> engine, used = engines.choose(engines.resolve("auto", "example"), layers, "example")
      >>> used.name, used.reason
      ('graph', 'not cudnn: it computes in float16 and float32 and float64, not in bfloat16; not native: ...')
    """
    place = Place(has_lengths)
    if request.name != AUTO:
        engine = ENGINES[request.name]
        problem = engine.problem(layers, place)
        if problem:
            raise ValueError(
                f"{function}: the engine {engine.name!r} (asked for by {request.source}) cannot run these layers: "
                f"{problem}"
            )
        return engine, EngineUsed(engine.name, f"asked for by {request.source}")
    reasons = []
    for engine in ENGINES.values():
        objection = engine.objection(layers, place)
        if objection is None:
            reasons.append("the first engine that supports these layers")
            return engine, EngineUsed(engine.name, "; ".join(reasons))
        reasons.append(f"not {engine.name}: {objection}")
    raise ValueError(f"{function}: no engine can run these layers: {'; '.join(reasons)}")
