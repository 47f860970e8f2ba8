"""scripts/benchmark.py --one_process: contestants take turns in one process."""

import json
import os
import threading
import time
from types import SimpleNamespace

import numpy as np

from benchmarking.contestant import Contestant
from benchmarking.processes import one_process
from support.engines.runtime import NEEDS_KERNELS
from support.suite.sets import ONCE
from support.training.benchmarks import run_main

calls = []


def make(name, *arguments):
    return lambda: calls.append((name, *arguments))


def entrants(**arguments):
    step = f"{__name__}:make"
    return {name: Contestant("json", step, (name,), **arguments) for name in ("a", "b")}


def test_turns():
    """The first round and the first call of each turn do not count."""
    contestants = entrants(make_input=lambda subject: subject.steps, steps_per_call=lambda *_: 2)
    subject = SimpleNamespace(steps=4)
    a, b = one_process.take_turns(contestants, subject, "training", "CPU", 0.0, rounds=2)
    assert [name for name, *_ in calls] == ["a", "a", "b", "b"] * 3
    assert calls[0] == ("a", subject, 4, "training", "CPU")
    assert (a.name, len(a.milliseconds), b.name, len(b.milliseconds)) == ("a", 2, "b", 2)
    assert a.library == f"json {json.__version__}"


def test_threads_of_the_previous_contestant_are_idle():
    """A turn waits for threads that still compute, as those of ONNX Runtime do for some time after a call."""
    spinners, alive = [], []

    def spin():
        end = time.perf_counter() + 0.15
        while time.perf_counter() < end:
            pass

    def start_spinner(*_):
        spinners.append(threading.Thread(target=spin))
        spinners[-1].start()

    contestants = {
        "spinner": SimpleNamespace(make_step=lambda: lambda *_: start_spinner),
        "next": SimpleNamespace(make_step=lambda: lambda *_: lambda: alive.append(any(s.is_alive() for s in spinners))),
    }
    for contestant in contestants.values():
        contestant.__dict__.update(
            library="json", make_input=lambda subject: None, steps_per_call=lambda *_: 1, places={"CPU": "CPU"}
        )
    one_process.take_turns(contestants, None, "training", "CPU", 0.0, rounds=1)
    assert len(spinners) == 4 and alive == [False] * 4


@ONCE
@NEEDS_KERNELS
def test_measurement(tmp_path, monkeypatch, capfd):
    """A contestant whose library cannot be imported is named, and the others go on, here without TensorFlow."""
    (tmp_path / "tf_keras.py").write_text("raise ImportError('no tf_keras here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "measured.json"
    names = ["tf_keras", "predictor", "predictor_int8"]
    flags = {"contestants": names, "modes": ["inference"], "rounds": 2, "seconds": 0.0}
    run_main(shapes="3,2,4,8,2", json=str(path), one_process=True, **flags)
    assert "tf_keras is left out, because of an error: no tf_keras here\n" in capfd.readouterr().err
    rows = json.loads(path.read_text())["measurements"]
    assert [row["contestant"] for row in rows] == ["predictor", "predictor_int8"]
    for row in rows:
        assert (row["steps"], row["megabytes"], row["library"]) == (2, None, f"numpy {np.__version__}")
        assert 0 < row["p10_ms"] <= row["median_ms"]


def test_process_that_dies(capfd):
    contestants = {name: Contestant("json", "json:dumps", make_input=os._exit) for name in ("a", "b")}
    assert one_process.measure(contestants, 1, "training", "CPU", 0.0, 1) == []
    assert "a and b are left out, because their process ended\n" in capfd.readouterr().err
