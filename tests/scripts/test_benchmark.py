"""scripts/benchmark.py: that it measures what it says, never how fast."""

import json
import re
import time

import pytest

import benchmark
import contestants
import library_contestants
from stacked_lstm.compat import tf
from support.benchmarks import GRAPHS, SHAPE, Measured, X, built, run_main
from support.sets import ONCE


@pytest.fixture(autouse=True)
def without_trials(monkeypatch):
    monkeypatch.setattr(library_contestants, "TRIAL", 0)


def test_operations():
    """Two layers by hand: 2 T B 4H (I + H), then 2 T B 4H 2H; tripled for training, without dx of the first layer."""
    shape = contestants.Shape(steps=3, batch=2, input_size=5, hidden_size=7, layers=2)
    forward = 2 * 3 * 2 * 28 * 12 + 2 * 3 * 2 * 28 * 14
    assert shape.operations("inference") == shape.operations("evaluation") == forward
    assert shape.operations("training") == 3 * forward - 2 * 3 * 2 * 28 * 5


def test_shapes():
    assert benchmark.parse_shapes("1,2,3,4,5; 10,20,30,40,50") == [(1, 2, 3, 4, 5), (10, 20, 30, 40, 50)]
    for text in ("1,2,3,4", "1,2,3,4,0", "1,2,3,4,x", ""):
        with pytest.raises(ValueError, match="expected T,B,I,H,L"):
            benchmark.parse_shapes(text)


def test_tables_and_measurements(tmp_path, monkeypatch, capsys):
    taken = {
        "inference": [Measured("native", [2.0, 1.0, 4.0]), Measured("dynamic_rnn", [8.0]), Measured("openvino", [3.0])],
        "training": [Measured("native", [4.0]), Measured("gemm", [3.0]), Measured("nothing", [0.5])],
    }
    monkeypatch.setattr(benchmark, "measure", lambda shape, mode: taken[mode])
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
def test_processes(tmp_path, monkeypatch, capsys):
    """Whose library cannot be imported is named, and the others go on; a stand-in of that name raises."""
    (tmp_path / "tf_keras.py").write_text("raise ImportError('no tf_keras here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "measured.json"
    who = ["tf_keras", "dynamic_rnn"]
    run_main(shapes="3,2,4,8,2", contestants=who, modes=["training"], rounds=2, seconds=0.0, json=str(path))
    printed = capsys.readouterr()
    assert printed.err == "tf_keras is left out: ImportError: no tf_keras here\n"
    (row,) = json.loads(path.read_text())["measurements"]
    assert (row["contestant"], row["mode"]) == ("dynamic_rnn", "training")
    assert row["library"] == f"tensorflow {tf.__version__}"
    assert row["steps"] == 2  # One for each turn, and none of the warm-up.
    assert 0 < row["p10_ms"] <= row["median_ms"] and row["megabytes"] > 0
    assert f"| 3,2,4,8,2 | training | dynamic_rnn | {row['median_ms']:.3f} |" in printed.out


def test_process_that_dies(monkeypatch):
    monkeypatch.setattr(benchmark, "serve", len)  # With arguments that it does not take.
    # Its process has TensorFlow to import for a shape.
    contestant = benchmark.Contestant("graph", None, "training", "CPU", "float32")
    for action in (contestant.wait_for_import, contestant.build):
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
    with pytest.raises(SystemExit, match=f"^benchmark.py: --{flag}: expected"):
        run_main(**{flag: value})


@ONCE
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name, monkeypatch):
    """Inference is without variables, evaluation with; training changes every one of them."""
    for mode, variables in (("inference", False), ("evaluation", True)):
        step, session = built(name, mode, monkeypatch)
        assert step().shape == (3, 2, 8)
        assert any(op.type.startswith("Var") for op in session.graph.get_operations()) == variables
    step, session = built(name, "training", monkeypatch)
    variables = session.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
    before = session.run(variables)
    step()
    assert variables and all((old != new).any() for old, new in zip(before, session.run(variables)))


def test_nothing():
    assert contestants.CONTESTANTS["nothing"].build(SHAPE, X, "training", "CPU")() == X[0, 0, 0]


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_gemm_makes_all_products(mode, monkeypatch):
    """TensorFlow's own trace of a call has the operations of as many steps as the call is counted for."""
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
    assert operations == SHAPE.operations(mode) * contestants.CONTESTANTS["gemm"].steps_per_call(SHAPE, mode, "CPU")


@pytest.mark.parametrize("name", ["pytorch", "onnxruntime", "openvino"])
def test_libraries(name):
    pytest.importorskip(contestants.CONTESTANTS[name].library)
    for mode in contestants.CONTESTANTS[name].modes:
        contestants.CONTESTANTS[name].build(SHAPE, X, mode, "CPU")()


@pytest.mark.parametrize("faster", [None, 1])
def test_fastest_setting(faster, monkeypatch):
    @library_contestants.fastest_of(None, 1)
    def build(shape, threads):
        return lambda: time.sleep(0.001 if threads == faster else 0.02) or threads

    assert build(SHAPE)() is None
    monkeypatch.setattr(library_contestants, "TRIAL", 0.05)
    assert build(SHAPE)() == faster
