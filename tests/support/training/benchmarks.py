"""scripts/benchmark.py run by tests, and its contestants built for a small shape."""

import importlib.util
import multiprocessing
import os
import pickle
import threading
from multiprocessing import connection

import numpy as np
import pytest
from absl import flags

import benchmark
from benchmarking import kinds, timing
from benchmarking.contestants import CONTESTANTS
from benchmarking.records import record
from benchmarking.steps import graphs
from benchmarking.subjects.shapes import Shape
from support.engines.native_ops import NEEDS_NATIVE

SHAPE = Shape(steps=3, batch=2, input_size=4, hidden_size=8, layers=2)
X = np.ones([3, 2, 4], np.float32)


def run_main(**changes):
    values = flags.FlagValues()
    benchmark.define_flags(values)
    values.mark_as_parsed()
    for flag, value in changes.items():
        setattr(values, flag, value)
    benchmark.main(values)


def rows_of(kind, subject, mode, workers, device="CPU"):
    """The rows of measurements."""
    return record.summarize(kinds.KINDS[kind].tables, subject, mode, device, workers)


class ThreadForProcess(threading.Thread):
    """Starts like a process of contestants, and receives its arguments as one would, without importing TensorFlow."""

    def __init__(self, target, args, daemon):
        remote, *others = args
        own_end = connection.Connection(os.dup(remote.fileno()))  # The command closes the other one.
        super().__init__(target=target, args=(own_end, *pickle.loads(pickle.dumps(others))), daemon=daemon)


def run_main_in_threads(monkeypatch, **changes):
    """`run_main` with a thread for each contestant's process. test_benchmark.py has processes."""
    with monkeypatch.context() as changed:
        changed.setattr(type(multiprocessing.get_context("spawn")), "Process", ThreadForProcess)
        changed.setattr(timing, "TRIAL", 0)
        run_main(**changes)


class Measured:
    """What is read of a `worker.Worker` after its turns."""

    def __init__(self, name, milliseconds):
        self.name, self.milliseconds, self.library, self.megabytes = name, milliseconds, f"{name} 1.0", 5


def built(name, mode, monkeypatch, device="CPU", x=X):
    """Returns (the step of a contestant, the session that runs it)."""
    sessions, make = [], graphs.new_session
    monkeypatch.setattr(
        graphs, "new_session", lambda *values, **named: sessions.append(make(*values, **named)) or sessions[-1]
    )
    return CONTESTANTS[name].make_step()(SHAPE, x, mode, device), sessions[-1]


needs_keras = pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="no tf_keras here")
GRAPHS = [
    pytest.param("native", marks=NEEDS_NATIVE),
    pytest.param("native_session_threads", marks=NEEDS_NATIVE),
    pytest.param("native_session_run", marks=NEEDS_NATIVE),
    "graph",
    "graph_xla",
    "rnn_cell",
    "dynamic_rnn",
    pytest.param("tf_keras", marks=needs_keras),
    "block_lstm",
]
