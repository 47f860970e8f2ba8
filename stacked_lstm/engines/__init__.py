"""The engines, and which of them runs a stack.

A new engine is a file with an `Engine` and a line in `ENGINES`. The environment variable STACKED_LSTM_ENGINE says what
"auto" means, for programs that cannot be changed.
"""

import os
from typing import NamedTuple

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import cudnn, graph, native, padding
from stacked_lstm.engines.place import Place

# In the order in which "auto" asks them.
ENGINES = {engine.name: engine for engine in (cudnn.ENGINE, native.ENGINE, graph.ENGINE)}

AUTO = "auto"
STEPWISE = "stepwise"  # TensorFlow's own loop around a cell, which `rnn_cell` has besides the engines.
ENVIRONMENT_VARIABLE = "STACKED_LSTM_ENGINE"


class EngineUsed(NamedTuple):
    """Which engine runs a stack, or "stepwise", and why: two strings."""

    name: str
    reason: str


class Request(NamedTuple):
    """What a program asks for.

    Fields:
      name: "auto", an engine's name, or "stepwise".
      source: "name", or STACKED_LSTM_ENGINE where the environment says it.
    """

    name: str
    source: str


def resolve(name, function, stepwise=False):
    """Returns the `Request` that `engine=name` makes; where `name` is "auto", the environment decides.

    Args:
      name: "auto" or an engine's name; or "stepwise", if the argument `stepwise` is True.
      function: who asks, for the message.

    Raises:
      ValueError: `name`, or what the environment has, is something else.
    """
    names = [AUTO, *ENGINES]
    checks.known(dict.fromkeys(names + [STEPWISE] * stepwise), name, function, "engine")
    source = "name"
    if name == AUTO:
        name, source = os.environ.get(ENVIRONMENT_VARIABLE) or AUTO, ENVIRONMENT_VARIABLE
        checks.known(dict.fromkeys(names + [STEPWISE]), name, function, ENVIRONMENT_VARIABLE)
    if name == STEPWISE and not stepwise:
        name = graph.ENGINE.name  # A stack has no cells; these are TensorFlow's own ops, too.
    return Request(name, source)


def choose(request, layers, function):
    """Returns (`Engine`, `EngineUsed`) for a `Request` and a list of `Layer`.

    Raises:
      ValueError: the engine asked for cannot run these layers; the message says why.
    """
    place = Place()
    if request.name != AUTO:
        engine = ENGINES[request.name]
        problem = engine.problem(layers, place)
        if problem:
            got = f"{problem} (asked for by {request.source})"
            checks.fail(function, f"layers that engine {engine.name!r} supports", got)
        return engine, EngineUsed(engine.name, f"asked for by {request.source}")
    reasons = []
    for engine in ENGINES.values():
        objection = engine.objection(layers, place)
        if objection is None:
            reasons.append("the first engine that supports these layers")
            return engine, EngineUsed(engine.name, "; ".join(reasons))
        reasons.append(f"not {engine.name}: {objection}")
    return checks.fail(function, "layers that some engine supports", "; ".join(reasons))


def run(request, segments, inputs, states, lengths, time_major, function):
    """Runs a stack.

    Args:
      request: a `Request`; not "stepwise".
      segments: list of `Segment`, from the inputs upwards; all run on one engine.
      inputs: [B, T, I], or [T, B, I] if `time_major`; past a sequence's end there may be anything.
      states: (c [B, H_l], h [B, P_l]) per layer.
      lengths: int32 [B], each from 0 to T; None where all sequences have T steps.
      time_major: the layout of inputs and outputs.
      function: who asks, for messages.

    Returns:
      (outputs in the layout of the inputs, zero past each end; list of `LSTMState` at each end; `EngineUsed`).

    Raises:
      ValueError: as `choose`.
    """
    engine, used = choose(request, [layer for segment in segments for layer in segment.layers], function)
    x = inputs if time_major else tf.transpose(inputs, [1, 0, 2])
    axes, finals = x.shape[:2], []
    if any(segment.after for segment in segments):
        x = padding.zero_past_end(x, lengths)
    for segment in segments:
        segment_states = states[len(finals) : len(finals) + len(segment.layers)]
        h, segment_finals = engine.run_layers(segment.layers, x, segment_states, lengths)
        h.set_shape(axes.concatenate([segment.layers[-1].output_size]))
        finals += segment_finals
        x = padding.zero_past_end(segment.after(x, h), lengths) if segment.after else h
        x.set_shape(axes.concatenate([None]))
    for final, (c, h) in zip(finals, states):
        final.c.set_shape([axes[1], c.shape[1]])
        final.h.set_shape([axes[1], h.shape[1]])
    return x if time_major else tf.transpose(x, [1, 0, 2]), finals, used
