"""scripts/benchmark.py: it measures what it says. No test depends on how fast anything is."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import benchmark
from benchmarking import kinds, timing
from benchmarking.contestants import CONTESTANTS
from benchmarking.processes import worker
from benchmarking.records import chart, record
from benchmarking.subjects.shapes import Shape, parse_shapes, random_input
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.engines.runtime import NEEDS_KERNELS
from support.suite.paths import ROOT
from support.suite.sets import ONCE
from support.training.benchmarks import GRAPHS, SHAPE, Measured, X, built, rows_of, run_main


@pytest.fixture(autouse=True)
def without_trials(monkeypatch):
    monkeypatch.setattr(timing, "TRIAL", 0)


def test_operations():
    """Two layers by hand: 2 T B 4H (I + H), then 2 T B 4H 2H; tripled for training, without dx of the first layer."""
    shape = Shape(steps=3, batch=2, input_size=5, hidden_size=7, layers=2)
    forward = 2 * 3 * 2 * 28 * 12 + 2 * 3 * 2 * 28 * 14
    assert shape.operations("inference") == shape.operations("evaluation") == forward
    assert shape.operations("training") == 3 * forward - 2 * 3 * 2 * 28 * 5


def test_shapes():
    shapes = parse_shapes("1,2,3,4,5; 10,20,30,40,50")
    assert [shape[:5] for shape in shapes] == [(1, 2, 3, 4, 5), (10, 20, 30, 40, 50)]
    assert [str(shape) for shape in parse_shapes("1,2,3,4,5; 1,2,3,4,5, float16")] == ["1,2,3,4,5", "1,2,3,4,5,float16"]
    mixed = parse_shapes("1,2,3,4,5,float32; 1,2,3,4,5", "float64")
    assert [str(shape) for shape in mixed] == ["1,2,3,4,5", "1,2,3,4,5,float64"]
    inputs = [random_input(shape) for shape in mixed]
    assert [x.dtype for x in inputs] == ["float32", "float64"]
    assert [x.ctypes.data % 64 for x in inputs] == [0, 0]
    random = np.random.RandomState(0).standard_normal(inputs[0].shape).astype(np.float32)
    np.testing.assert_array_equal(inputs[0], random)
    for text in ("1,2,3,4", "1,2,3,4,0", "1,2,3,4,x", "1,2,3,4,float16", "1,2,3,4,5,float8", ""):
        with pytest.raises(ValueError, match="expected T,B,I,H,L .*, float16, .* at the end, got"):
            parse_shapes(text)


def test_tables_and_measurements(tmp_path, monkeypatch, capsys):
    taken = {
        "inference": [Measured("native", [2.0, 1.0, 4.0]), Measured("dynamic_rnn", [8.0]), Measured("openvino", [3.0])],
        "training": [Measured("native", [4.0]), Measured("gemm", [3.0]), Measured("nothing", [0.5])],
    }
    monkeypatch.setattr(benchmark, "measure", lambda values, kind, shape, mode: taken[mode])
    path = tmp_path / "measured.json"
    run_main(shapes="3,2,4,8,2;1,1,1,1,1", json=str(path))
    printed = capsys.readouterr().out
    measured = json.loads(path.read_text())
    assert measured["machine"] in printed and len(measured["measurements"]) == 12
    native, dynamic_rnn, openvino, training, gemm, nothing = measured["measurements"][:6]
    assert (native["median_ms"], native["steps"], native["megabytes"]) == (2.0, 3, 5)
    assert native["p10_ms"] == pytest.approx(1.2)
    assert native["gflops"] == pytest.approx(SHAPE.operations("inference") / 2e6)
    assert (native["times_dynamic_rnn"], native["times_fastest_peer"], native["percent_of_gemm"]) == (4.0, 1.5, None)
    assert (dynamic_rnn["times_fastest_peer"], openvino["times_fastest_peer"]) == (3 / 8, 1.0)
    assert (training["times_dynamic_rnn"], training["times_fastest_peer"], training["percent_of_gemm"]) == (
        None,
        None,
        75,
    )
    assert (gemm["percent_of_gemm"], nothing["percent_of_gemm"], nothing["gflops"]) == (100, None, None)
    run_main(from_json=[str(path)])  # The same tables, without measuring.
    assert capsys.readouterr().out == printed
    first, second = printed.split("\nMedians in milliseconds, float32. ")
    assert re.search(
        r"^\| 3,2,4,8,2 \| inference \| native \| 2.000 \| 1.200 \| .* \|  \| 5 \| 4.00 \| 1.50 \|$", first, re.M
    )
    rows = re.findall(r"^\| (\d\S+) \| (\w+) \| (\w+) \|", first, re.M)
    assert rows == [
        (shape, mode, each.name) for shape in ("3,2,4,8,2", "1,1,1,1,1") for mode in taken for each in taken[mode]
    ]
    assert second.startswith(f"{measured['machine']}; dynamic_rnn 1.0, gemm 1.0, native 1.0, nothing 1.0, openvino")
    assert "| T,B,I,H,L | mode | native | dynamic_rnn | openvino | gemm | nothing | native: times" in second
    assert "\n| 3,2,4,8,2 | inference | 2.000 | 8.000 | 3.000 |  |  | 1.50 |  |\n" in second
    assert "\n| 3,2,4,8,2 | training | 4.000 |  |  | 3.000 | 0.500 |  | 75 |\n" in second


@ONCE
@NEEDS_KERNELS
def test_processes(tmp_path, monkeypatch, capsys):
    """A contestant whose library cannot be imported is named, and the others go on, here without TensorFlow."""
    (tmp_path / "tf_keras.py").write_text("raise ImportError('no tf_keras here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "measured.json"
    names = ["tf_keras", "predictor"]
    run_main(shapes="3,2,4,8,2", contestants=names, modes=["inference"], rounds=2, seconds=0.0, json=str(path))
    printed = capsys.readouterr()
    assert printed.err == "tf_keras is left out, because of an error: no tf_keras here\n"
    (row,) = json.loads(path.read_text())["measurements"]
    assert (row["contestant"], row["mode"]) == ("predictor", "inference")
    assert row["library"] == f"numpy {np.__version__}"
    assert row["steps"] == 2  # One for each turn, and none of the warm-up.
    assert 0 < row["p10_ms"] <= row["median_ms"] and row["megabytes"] > 0
    assert f"| 3,2,4,8,2 | inference | predictor | {row['median_ms']:.3f} |" in printed.out


def test_an_interrupt_is_for_the_command_only(monkeypatch):
    """A terminal sends it to all processes. Those of contestants printed a traceback each."""
    handlers, before = [], signal.getsignal(signal.SIGINT)
    process = multiprocessing.get_context("spawn").Process
    monkeypatch.setattr(process, "start", lambda self: handlers.append(signal.getsignal(signal.SIGINT)))
    worker.Worker("graph", None, SHAPE, "training", "CPU")
    assert handlers == [signal.SIG_IGN] and signal.getsignal(signal.SIGINT) == before


def test_process_that_dies(monkeypatch):
    monkeypatch.setattr(worker, "serve", len)  # With arguments that it does not take.
    dead = worker.Worker("graph", None, SHAPE, "training", "CPU")
    for action in (dead.wait_for_import, dead.build):
        with pytest.raises(RuntimeError, match="its process ended with status 1"):
            action()


@pytest.mark.parametrize(
    "flag, value",
    [
        ("contestants", ["nobody"]),
        ("modes", ["sleeping"]),
        ("shapes", "1"),
        ("json", "/nowhere/measured.json"),
    ],
)
def test_bad_flags(flag, value):
    with pytest.raises(ValueError, match=f"^--{flag}: expected"):
        run_main(**{flag: value})


def in_a_shell(*words):
    """(exit status, stderr's lines) of the script."""
    environment = dict(os.environ, PYTHONPATH=ROOT)
    process = subprocess.run(
        [sys.executable, benchmark.__file__] + list(words), env=environment, capture_output=True, text=True, check=False
    )
    return process.returncode, process.stderr.splitlines()


@ONCE
@NEEDS_NATIVE
def test_calls_of_sessions(monkeypatch):
    """`native` runs without the Python code of `session.run`, which `native_session_run` measures."""
    steps = {name: built(name, "inference", monkeypatch)[0] for name in ("native", "native_session_run")}
    run, calls = tf.Session.run, []
    monkeypatch.setattr(tf.Session, "run", lambda *values, **named: calls.append(1) or run(*values, **named))
    outputs = [(steps[name]().shape, len(calls)) for name in steps]
    assert outputs == [((3, 2, 8), 0), ((3, 2, 8), 1)]


@ONCE
def test_misuse_in_a_shell_is_one_line_and_status_2():
    assert in_a_shell("--modes=sleeping") == (
        2,
        [
            "benchmark.py: --modes: expected some of inference, training, evaluation; or cluster or exported "
            "without other modes, got sleeping"
        ],
    )
    for words in (["--device=TPU"], ["word"], ["--from_json=/nowhere.json"], ["--programs=nobody"]):
        status, lines = in_a_shell(*words)
        assert status == 2 and len(lines) == 1 and lines[0].startswith("benchmark.py: ")


@ONCE
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name, monkeypatch):
    """Inference has no variables, evaluation has them, and training changes every one of them."""
    for mode, variables in (("inference", False), ("evaluation", True)):
        step, session = built(name, mode, monkeypatch)
        assert step().shape == (3, 2, 8)
        assert any(op.type.startswith("Var") for op in session.graph.get_operations()) == variables
    step, session = built(name, "training", monkeypatch)
    variables = session.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
    before = session.run(variables)
    step()
    assert variables and all((old != new).any() for old, new in zip(before, session.run(variables)))


@ONCE
def test_xla_compiles_all_products(monkeypatch):
    """The matrix products of the forward pass, and in training also those of the backward pass."""
    counts = {}
    for mode in ("inference", "training"):
        _, session = built("graph_xla", mode, monkeypatch)
        products = [op for op in session.graph.get_operations() if op.type == "MatMul"]
        assert all(op.get_attr("_xla_compile_id") for op in products)
        counts[mode] = len(products)
    assert counts["training"] == 3 * counts["inference"] > 0


def test_nothing():
    assert CONTESTANTS["nothing"].make_step()(SHAPE, X, "training", "CPU")() == X[0, 0, 0]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_gemm_makes_all_products(mode, monkeypatch):
    """TensorFlow's own trace of a call has the operations of all the steps for which the call counts."""
    step, session = built("gemm", mode, monkeypatch)
    step()
    last = [op for op in session.graph.get_operations() if op.type == "MatMul"][-1]
    metadata, options = tf.RunMetadata(), tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    session.run(last, options=options, run_metadata=metadata)
    ran = {node.node_name for device in metadata.step_stats.dev_stats for node in device.node_stats}
    sizes = [
        [tensor.shape.as_list() for tensor in op.inputs]
        for op in session.graph.get_operations()
        if op.type == "MatMul" and op.name in ran
    ]
    operations = sum(2 * left[0] * left[1] * right[1] for left, right in sizes)
    assert operations == SHAPE.operations(mode) * CONTESTANTS["gemm"].steps_per_call(SHAPE, mode, "CPU")


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime", "openvino"])
def test_libraries(name):
    pytest.importorskip(CONTESTANTS[name].library)
    for mode in CONTESTANTS[name].modes:
        CONTESTANTS[name].make_step()(SHAPE, X, mode, "CPU")()


@pytest.mark.parametrize("faster", [None, 1])
def test_fastest_setting(faster, monkeypatch):
    @timing.fastest_setting(None, 1)
    def build(shape, threads):
        return lambda: time.sleep(0.001 if threads == faster else 0.02) or threads

    assert build(SHAPE)() is None
    monkeypatch.setattr(timing, "TRIAL", 0.05)
    assert build(SHAPE)() == faster


def test_fastest_setting_that_other_load_delays(monkeypatch):
    """The step of setting 1 is slow in its first trial only."""
    delays = iter([0.02, 0.001, 0.001])

    @timing.fastest_setting(None, 1)
    def build(shape, threads):
        delay = next(delays) if threads else 0.005
        return lambda: time.sleep(delay) or threads

    monkeypatch.setattr(timing, "TRIAL", 0.05)
    assert build(SHAPE)() == 1


# The chart


MEASURED = [
    Measured("native", [2.0]),
    Measured("dynamic_rnn", [8.0]),
    Measured("openvino", [1.0]),
    Measured("gemm", [1.5]),
]


@ONCE
def test_chart_has_a_bar_per_shape_mode_and_peer():
    """Its end is the peer's median divided by the engine's; read back from matplotlib's objects."""
    rows = rows_of("shape", SHAPE, "inference", MEASURED) + rows_of("shape", SHAPE, "training", MEASURED[:2])
    upper, lower = chart.draw_ratios(rows, kinds.KINDS["shape"].comparison).axes
    assert [axes.get_title(loc="left") for axes in (upper, lower)] == ["inference", "training"]
    for axes, expected in ((upper, {"dynamic_rnn": 4.0, "openvino": 0.5}), (lower, {"dynamic_rnn": 4.0})):
        bars = {c.get_label(): c.patches for c in axes.containers}
        assert {name: bar.get_y() + bar.get_height() for name, (bar,) in bars.items()} == expected
        assert [text.get_text() for text in axes.texts] == [
            f"{e:.1f}" if e > 1 else f"{e:.2f}" for e in expected.values()
        ]
        assert axes.get_yscale() == "log"
    assert [t.get_text() for t in upper.get_xticklabels()] == ["T 3  B 2\nI 4  H 8  L 2"]


@ONCE
def test_chart_from_a_file(tmp_path, real_pictures, capsys):
    path, picture = str(tmp_path / "measured.json"), tmp_path / "speed.png"
    for k, dtype in enumerate(["float32", "float32", "float16"]):
        rows = rows_of("shape", SHAPE._replace(batch=k + 1, dtype=dtype), "inference", MEASURED)
        for row in rows:  # As files of earlier versions are.
            del row["device"]
            row["shape"] = f"3,{k + 1},4,8,2"
        record.write(f"{path}{k}", "a machine", rows)
    run_main(from_json=[path + "0", path + "1"], chart=str(picture))
    assert picture.read_bytes()[:4] == b"\x89PNG"
    second = capsys.readouterr().out.split("Medians in milliseconds, float32. a machine; ")[1]
    assert re.findall(r"^\| (\d\S+) \| inference", second, re.M) == ["3,1,4,8,2", "3,2,4,8,2"]
    run_main(from_json=[path + "0", path + "2"])
    second = capsys.readouterr().out.split("Medians in milliseconds, float16, float32. a machine; ")[1]
    assert re.findall(r"^\| (\d\S+) \| inference", second, re.M) == ["3,1,4,8,2", "3,3,4,8,2,float16"]
    with open(path + "1") as file:
        other = file.read().replace('"mode"', '"device": "GPU", "mode"')
    (tmp_path / "gpu.json").write_text(other)
    with pytest.raises(ValueError, match="^--from_json: expected measurements of one device, got CPU and GPU$"):
        run_main(from_json=[path + "0", str(tmp_path / "gpu.json")])


def test_what_no_chart_can_be_drawn_of(tmp_path, monkeypatch):
    path = tmp_path / "measured.json"
    for content in ("{", "[]", '{"machine": "m", "measurements": []}', '{"machine": "m", "measurements": [{}]}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="^--from_json: expected a file that --json wrote, got"):
            run_main(from_json=[str(path)])
    with pytest.raises(
        ValueError, match="^--chart: expected --contestants with native and one of .*dynamic_rnn.*, got native$"
    ):
        run_main(contestants=["native"], chart=str(tmp_path / "x.png"))
    with pytest.raises(ValueError, match="^--json: expected none with --from_json"):
        run_main(from_json=[str(path)], json=str(path))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"^--chart needs the package matplotlib \(.*\): pip install matplotlib$"):
        run_main(chart=str(tmp_path / "x.png"))


@ONCE
def test_processes_import_only_what_they_need():
    """PyTorch's process must not have TensorFlow, and the table of contestants imports neither of them."""
    program = """
import sys
from benchmarking.contestants import CONTESTANTS
assert "numpy" not in sys.modules or not {"tensorflow", "torch"} & set(sys.modules)
import torch
CONTESTANTS["pytorch"].make_step()
assert "tensorflow" not in sys.modules
"""
    pytest.importorskip("torch")
    path = os.pathsep.join([os.path.dirname(benchmark.__file__), ROOT])
    process = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ, PYTHONPATH=path), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_a_system_without_proc(monkeypatch):
    """The processor has another name there, and the memory is not known."""
    monkeypatch.setattr("builtins.open", lambda path, *mode: (_ for _ in ()).throw(FileNotFoundError(path)))
    assert record.describe_machine("CPU").endswith(f"cores, Python {sys.version.split()[0]}")
    assert worker._peak_megabytes() is None
    worker._forget_peak()
