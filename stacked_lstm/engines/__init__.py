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
    """Which engine runs a stack, and why: two strings."""

    name: str
    reason: str


class Request(NamedTuple):
    """What a program asks for: "auto", "stepwise" or an engine's name, and by what: "name" or the environment."""

    name: str
    source: str


def check(name, function):
    """Raises ValueError unless `name` is "auto" or an engine's."""
    checks.known(dict(ENGINES, auto=None), name, function, "engine")


def request(name, function, stepwise=False):
    """Returns the `Request` of `engine=name`, or where that is "auto" of the environment.

    Args:
      name: "auto", an engine's name, or "stepwise" where `stepwise` says so.
      function: who asks, for the message.

    Raises:
      ValueError: `name`, or what the environment has, is something else.
    """
    known = dict(ENGINES, auto=None)
    every = dict(known, stepwise=None)
    checks.known(every if stepwise else known, name, function, "engine")
    source = "name"
    if name == AUTO:
        name, source = os.environ.get(ENVIRONMENT_VARIABLE) or AUTO, ENVIRONMENT_VARIABLE
        checks.known(every, name, function, ENVIRONMENT_VARIABLE)
    if name == STEPWISE and not stepwise:
        name = graph.ENGINE.name  # A stack has no cells; these are TensorFlow's own ops, too.
    return Request(name, source)


def choose(wanted, layers, function):
    """Returns (`Engine`, `EngineUsed`) for a `Request` and a list of `Layer`.

    Raises:
      ValueError: the engine asked for cannot run these layers; the message says why.
    """
    place = Place()
    if wanted.name != AUTO:
        engine = ENGINES[wanted.name]
        problem = engine.problem(layers, place)
        if problem:
            got = "%s (asked for by %s)" % (problem, wanted.source)
            checks.fail(function, "layers that engine %r supports" % engine.name, got)
        return engine, EngineUsed(engine.name, "asked for by %s" % wanted.source)
    reasons = []
    for engine in ENGINES.values():
        objection = engine.objection(layers, place)
        if objection is None:
            reasons.append("the first engine that supports these layers")
            return engine, EngineUsed(engine.name, "; ".join(reasons))
        reasons.append("not %s: %s" % (engine.name, objection))
    return checks.fail(function, "layers that some engine supports", "; ".join(reasons))


def run(wanted, segments, inputs, states, lengths, time_major, function):
    """Runs a stack.

    Args:
      wanted: a `Request`; not "stepwise".
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
    engine, used = choose(wanted, [layer for segment in segments for layer in segment.layers], function)
    x = inputs if time_major else tf.transpose(inputs, [1, 0, 2])
    series, finals = x.shape[:2], []
    for segment in segments:
        if segment.after:
            x = padding.zero_past_end(x, lengths)
        segment_states = states[len(finals) : len(finals) + len(segment.layers)]
        h, segment_finals = engine.run(segment.layers, x, segment_states, lengths)
        h.set_shape(series.concatenate([segment.layers[-1].output_size]))
        finals += segment_finals
        x = padding.zero_past_end(segment.after(x, h), lengths) if segment.after else h
    for final, (c, h) in zip(finals, states):
        final.c.set_shape([series[1], c.shape[1]])
        final.h.set_shape([series[1], h.shape[1]])
    return x if time_major else tf.transpose(x, [1, 0, 2]), finals, used
