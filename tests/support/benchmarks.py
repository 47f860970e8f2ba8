"""scripts/benchmark.py run by tests, and its contestants built for a small shape."""

import importlib.util
from unittest import mock

import numpy as np
import pytest
from absl import flags

import benchmark
import contestants
from support.native_ops import NEEDS_NATIVE

SHAPE = contestants.Shape(steps=3, batch=2, input_size=4, hidden_size=8, layers=2)
X = np.ones([3, 2, 4], np.float32)


def run_main(**given):
    values = flags.FlagValues()
    benchmark.define_flags(values)
    values.mark_as_parsed()
    for flag, value in given.items():
        setattr(values, flag, value)
    with mock.patch.object(benchmark, "FLAGS", values):
        benchmark.main(["benchmark.py"])


class Measured:
    """What is read of a `benchmark.Contestant` after its turns."""

    def __init__(self, name, milliseconds):
        self.name, self.milliseconds, self.library, self.megabytes = name, milliseconds, f"{name} 1.0", 5


def built(name, mode, monkeypatch, device="CPU", x=X):
    """Returns (the step of a contestant, the session that runs it)."""
    sessions, make = [], contestants._session
    monkeypatch.setattr(
        contestants, "_session", lambda *given, **named: sessions.append(make(*given, **named)) or sessions[-1]
    )
    return contestants.CONTESTANTS[name].build(SHAPE, x, mode, device), sessions[-1]


needs_keras = pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="no tf_keras here")
GRAPHS = [
    pytest.param("native", marks=NEEDS_NATIVE),
    "graph",
    "rnn_cell",
    "dynamic_rnn",
    pytest.param("tf_keras", marks=needs_keras),
    "block_lstm",
]
