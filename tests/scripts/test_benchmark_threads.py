"""scripts/benchmark.py --threads: what is measured, and the tables. No test depends on how fast anything is."""

import importlib.util
import json
import re

import pytest

import benchmark
from benchmarking import kinds, timing
from benchmarking.contestants import THREAD_CONTESTANTS
from benchmarking.records import chart
from benchmarking.subjects.threads import ShapeOnThreads
from support.engines.runtime import NEEDS_KERNELS
from support.suite.sets import ONCE
from support.training.benchmarks import SHAPE, Measured, X, built, rows_of, run_main


@pytest.fixture(autouse=True)
def without_trials(monkeypatch):
    monkeypatch.setattr(timing, "TRIAL", 0)
    monkeypatch.setattr(timing, "THREADS", None)


@ONCE
@NEEDS_KERNELS
def test_processes(tmp_path):
    """One process per contestant and number of threads. These do not import TensorFlow, which takes long."""
    path = tmp_path / "measured.json"
    names = ["predictor"] + ["onnxruntime"] * (importlib.util.find_spec("onnxruntime") is not None)
    flags = {"threads": ["2", "1"], "shapes": "3,2,4,8,2", "modes": ["inference"], "contestants": names}
    run_main(**flags, rounds=1, seconds=0.0, json=str(path))
    rows = json.loads(path.read_text())["measurements"]
    assert [(row["threads"], row["contestant"]) for row in rows] == [
        (count, name) for count in (1, 2) for name in names
    ]
    assert all(row["median_ms"] > 0 for row in rows)


def test_default_contestants():
    assert kinds.KINDS["threads"].default_names("CPU") == ["native", "pytorch", "onnxruntime"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_session_has_the_threads(count, monkeypatch):
    """The session of a step limits the threads within an op; without --threads TensorFlow chooses."""
    sessions = []
    for threads in (None, count):
        monkeypatch.setattr(timing, "THREADS", threads)
        sessions.append(built("graph", "training", monkeypatch)[1])
    assert [session._config.intra_op_parallelism_threads for session in sessions] == [0, count]


@pytest.mark.parametrize("name", ["native", "predictor", "pytorch", "onnxruntime", "openvino"])
def test_a_step_sets_the_threads_of_its_process(name):
    pytest.importorskip(THREAD_CONTESTANTS[name].library)
    subject = ShapeOnThreads(SHAPE, 3)
    THREAD_CONTESTANTS[name].make_step()(subject, X, "inference", "CPU")()
    assert timing.THREADS == 3
    if name == "pytorch":
        assert importlib.import_module("torch").get_num_threads() == 3


def test_libraries_are_asked_for_the_threads():
    counts = []
    build = timing.fastest_threads(lambda shape, threads: lambda: counts.append(threads))
    build(SHAPE)()
    timing.THREADS = 5
    build(SHAPE)()
    assert counts == [None, 5]


TIMES = {1: [("native", 8.0), ("pytorch", 12.0)], 2: [("native", 5.0), ("pytorch", 6.0)], 4: [("native", 2.0)]}


def measured_on(subject):
    return [Measured(name, [time]) for name, time in TIMES[subject.threads]]


def test_tables(tmp_path, monkeypatch, capsys):
    """Speed-up and efficiency by hand: 8 / 5 on two threads is 80%, 8 / 2 on four is 100%."""
    monkeypatch.setattr(benchmark, "measure", lambda values, kind, subject, mode: measured_on(subject))
    path = str(tmp_path / "measured.json")
    run_main(threads=["1", "2", "4"], shapes="3,2,4,8,2", modes=["training"], json=path)
    printed = capsys.readouterr().out
    first, second = printed.split("\nMedians in milliseconds, float32. ")
    assert re.search(r"^\| 3,2,4,8,2 \| 2 \| training \| native \| 5.000 \| 5.000 \| \S+ \| 1.20 \|$", first, re.M)
    assert (
        "| T,B,I,H,L | mode | contestant | threads: 1 | threads: 2 | threads: 4 | 2: times as fast as 1 | "
        "4: times as fast as 1 |\n"
    ) in second
    row = "\n| 3,2,4,8,2 | training | native | 8.000 | 5.000 | 2.000 | 1.60 (80%) | 4.00 (100%) |\n"
    assert row + "| 3,2,4,8,2 | training | pytorch | 12.000 | 6.000 |  | 2.00 (100%) |  |\n" in second
    run_main(from_json=[path])
    assert capsys.readouterr().out == printed


@ONCE
def test_chart_has_a_place_per_number_of_threads():
    rows = []
    for count in (1, 2):
        subject = ShapeOnThreads(SHAPE, count)
        rows += rows_of("threads", subject, "training", measured_on(subject))
    (axes,) = chart.draw_ratios(rows, kinds.KINDS["threads"].comparison).axes
    (bars,) = axes.containers
    assert [bar.get_y() + bar.get_height() for bar in bars.patches] == [1.5, 1.2]
    assert axes.get_title(loc="left") == "3,2,4,8,2, training" and axes.get_xlabel() == "threads"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2"]


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"threads": ["0"]}, "threads: expected positive integers such as 1,2,4, got 0"),
        ({"threads": []}, "threads: expected positive integers such as 1,2,4, got none"),
        ({"device": "GPU"}, "device: expected CPU with --threads, got GPU"),
        (
            {"contestants": ["gemm"]},
            "contestants: expected some of native, .* .with --threads and --device=CPU., got gemm",
        ),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**{"threads": ["1", "2"], **flags})
