"""scripts/benchmark.py --options: what is measured, and the tables. No test depends on how fast anything is."""

import importlib.util
import os

import numpy as np
import pytest

import benchmark
from benchmarking import kinds, timing
from benchmarking.contestants import OPTION_CONTESTANTS
from benchmarking.records import chart
from benchmarking.steps import graphs
from benchmarking.subjects.options import FED_ONE, OPTIONS, OptionAt, parse
from benchmarking.subjects.shapes import Shape
from programs.names import has_contrib
from support.engines.native_ops import NEEDS_NATIVE
from support.suite.paths import SCRIPTS
from support.suite.sets import ONCE
from support.training.benchmarks import Measured, rows_of, run_main

SHAPE = Shape(steps=3, batch=2, input_size=4, hidden_size=4, layers=2)
X = np.ones([3, 2, 4], np.float32)
RANDOM = {"dropout", "recurrent_dropout", "recurrent_dropout_candidate", "zoneout", "layer_norm_dropout"}
QUICK = {"dropout", "dropout_fed_one", "layer_norm_dropout", "bidirectional", "activation"}
QUICK_INFERENCE = QUICK - {"dropout", "activation"}
ELSEWHERE = {"cudnn", "pytorch"}  # These need a GPU, or are no graphs.


@NEEDS_NATIVE
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.exhaustive) for name in OPTIONS]
)
def test_steps(name, monkeypatch):
    """Each contestant's step runs, all variables have gradients, and random outputs differ from run to run."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    option, seen, make = OptionAt(name, SHAPE), [], graphs._gradients

    def gradients(outputs):
        seen.append((outputs, make(outputs)))
        return seen[-1][1]

    sessions, new_session = [], graphs.new_session
    monkeypatch.setattr(graphs, "_gradients", gradients)
    monkeypatch.setattr(graphs, "new_session", lambda *a, **k: sessions.append(new_session(*a, **k)) or sessions[-1])
    for contestant, entry in OPTION_CONTESTANTS.items():
        if contestant in ELSEWHERE or not entry.exists() or importlib.util.find_spec(entry.library) is None:
            continue
        if option.has(contestant):
            step = OPTION_CONTESTANTS[contestant].make_step()(option, X, "training", "CPU")
            outputs, found = seen[-1]
            assert found and all(gradient is not None for gradient in found), contestant
            feed = dict(outputs.graph.get_collection(graphs.FEEDS))
            feed[next(op for op in outputs.graph.get_operations() if op.type == "Placeholder").outputs[0]] = X
            runs = [sessions[-1].run(outputs, feed) for _ in range(8)]
            is_random = any((run != runs[0]).any() for run in runs)
            assert is_random == (name in RANDOM and contestant != "plain"), contestant
            step()  # Last: a norm of dropped units, all zeros, has gradients that can make the outputs constant.


@pytest.mark.skipif(not has_contrib(), reason="this TensorFlow has no tf.contrib")
@pytest.mark.parametrize("name, has_norm", [("layer_norm", True), ("recurrent_dropout_candidate", False)])
def test_tensorflow_runs_its_own_cell(name, has_norm, monkeypatch):
    """LayerNormBasicLSTMCell of tf.contrib in TensorFlow's dynamic_rnn, with and without its normalization."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    contrib = importlib.import_module("tensorflow").contrib.rnn
    calls, call = [], contrib.LayerNormBasicLSTMCell.call
    monkeypatch.setattr(contrib.LayerNormBasicLSTMCell, "call", lambda *a: calls.append(a[0]) or call(*a))
    graphs_made, gradients = [], graphs._gradients
    monkeypatch.setattr(graphs, "_gradients", lambda y: graphs_made.append(y.graph) or gradients(y))
    OPTION_CONTESTANTS["tensorflow"].make_step()(OptionAt(name, SHAPE), X, "training", "CPU")()
    (graph,) = graphs_made
    assert len(calls) == SHAPE.layers and any(op.type == "Exit" for op in graph.get_operations())
    names = [variable.op.name for variable in graph.get_collection("trainable_variables")]
    assert any("layer_norm_basic_lstm_cell/state/gamma" in name for name in names) == has_norm


@NEEDS_NATIVE
def test_places_on_a_gpu(monkeypatch):
    """Steps for a GPU, here on the CPU: `graph` and cells are placed on the GPU, and `native_on_cpu` on the CPU."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    outputs, make = [], graphs._gradients
    monkeypatch.setattr(graphs, "_gradients", lambda y: outputs.append(y) or make(y))
    for name in ("native_on_cpu", "graph", "stepwise"):
        contestant = OPTION_CONTESTANTS[name]
        contestant.make_step()(OptionAt("peepholes", SHAPE), X, "training", contestant.places["GPU"])()
        types = {"native_on_cpu": "StackedLstm"}.get(name, "MatMul")
        graph = outputs.pop().graph
        devices = {op.device for op in graph.get_operations() if op.type.startswith(types)}
        assert devices == {"/device:CPU:0" if name == "native_on_cpu" else "/device:GPU:0"}


@NEEDS_NATIVE
def test_keep_probability_that_is_fed(monkeypatch):
    """With a wrapper and without one, ops of the native engine run the loop, and compute the same numbers."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    sessions, new_session, weights, outputs = [], graphs.new_session, None, []
    monkeypatch.setattr(graphs, "new_session", lambda *a, **k: sessions.append(new_session(*a, **k)) or sessions[-1])
    for name in ("plain", "native"):
        step = OPTION_CONTESTANTS[name].make_step()(OptionAt(FED_ONE, SHAPE), X, "evaluation", "CPU")
        graph = sessions[-1].graph
        assert any(op.type.startswith("StackedLstm") for op in graph.get_operations())
        assert [value for _, value in graph.get_collection(graphs.FEEDS)] == [1.0] * (name == "native")
        variables = graph.get_collection("trainable_variables")
        weights = weights or sessions[-1].run(variables)
        for variable, value in zip(variables, weights):
            variable.load(value, sessions[-1])
        outputs.append(step())
    np.testing.assert_array_equal(*outputs)


def test_who_takes_part():
    """Peers take part where they have the option; a GPU's measurement has both engines that "auto" may choose."""
    option = kinds.KINDS["option"]
    assert option.default_names("CPU")[:2] == ["plain", "native"] and "graph" not in option.default_names("CPU")
    assert option.default_names("GPU")[:4] == ["plain", "native_on_cpu", "cudnn", "graph"]
    takes_part = [name for name in option.contestants if option.has(OptionAt("activation", SHAPE), name)]
    assert set(option.contestants) - set(takes_part) == {"pytorch"}
    assert not option.has(OptionAt("dropout", SHAPE._replace(layers=1)), "pytorch")


@NEEDS_NATIVE
@pytest.mark.parametrize(
    "name", [name if name in QUICK_INFERENCE else pytest.param(name, marks=pytest.mark.exhaustive) for name in OPTIONS]
)
def test_inference(name, monkeypatch):
    """Each contestant's frozen graph computes the same outputs in each run, and PyTorch, too."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    for contestant, entry in OPTION_CONTESTANTS.items():
        is_installed = entry.exists() and importlib.util.find_spec(entry.library) is not None
        if contestant != "cudnn" and is_installed and OptionAt(name, SHAPE).has(contestant):
            step = entry.make_step()(OptionAt(name, SHAPE), X, "inference", "CPU")
            outputs = [np.asarray(step()) for _ in range(3)]
            assert (outputs[0] == outputs[1]).all() and (outputs[0] == outputs[2]).all(), contestant


def test_pytorch_steps(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(timing, "TRIAL", 0)
    for name in OPTIONS:
        if OptionAt(name, SHAPE).has("pytorch"):
            OPTION_CONTESTANTS["pytorch"].make_step()(OptionAt(name, SHAPE), X, "training", "CPU")()


def test_tables(tmp_path, monkeypatch, capsys):
    measured = [Measured("plain", [2.0]), Measured("native", [3.0]), Measured("pytorch", [6.0])]
    monkeypatch.setattr(benchmark, "measure", lambda *_: measured)
    path = str(tmp_path / "measured.json")
    run_main(options=["projection"], shapes="3,2,4,4,2", json=path)
    printed = capsys.readouterr().out
    assert "\n| projection | 3,2,4,4,2 | training | native | 3.000 | 3.000 | 5 | 1.50 |\n" in printed
    assert "\n| projection | 3,2,4,4,2 | training | 2.000 | 3.000 | 6.000 | 1.50 | 2.00 |\n" in printed
    run_main(from_json=[path])
    assert capsys.readouterr().out == printed
    with pytest.raises(ValueError, match="^--from_json: expected measurements of shapes or of options, got both$"):
        run_main(from_json=[path, os.path.join(SCRIPTS, "images", "speed.json")])


def test_table_of_a_gpu(capsys):
    """The engine that "auto" takes there, beside the native engine on the CPU."""
    measured = [Measured("plain", [2.0]), Measured("native_on_cpu", [3.0]), Measured("graph", [6.0])]
    rows = rows_of("option", OptionAt("peepholes", SHAPE), "training", measured, "GPU")
    kinds.of_rows(rows).tables.print_record(rows, "a machine")
    printed = capsys.readouterr().out
    assert "| graph: times plain | graph: times as fast as native_on_cpu |\n" in printed
    assert "\n| peepholes | 3,2,4,4,2 | training | 2.000 | 3.000 | 6.000 | 3.00 | 0.50 |\n" in printed


@ONCE
def test_chart_has_a_panel_per_shape():
    measured = [Measured("plain", [2.0]), Measured("native", [4.0]), Measured("tf_keras", [6.0])]
    rows = rows_of("option", OptionAt("zoneout", SHAPE), "training", measured[:2])
    rows += rows_of("option", OptionAt("recurrent_dropout", SHAPE), "training", measured)
    rows += rows_of("option", OptionAt("zoneout", SHAPE._replace(batch=5)), "training", measured[:2])
    upper, lower = chart.draw_ratios(rows, kinds.KINDS["option"].comparison).axes
    assert [axes.get_title(loc="left") for axes in (upper, lower)] == ["3,2,4,4,2, training", "3,5,4,4,2, training"]
    for axes, expected in ((upper, {"plain": [0.5, 0.5], "tf_keras": [1.5]}), (lower, {"plain": [0.5]})):
        bars = {c.get_label(): [bar.get_y() + bar.get_height() for bar in c.patches] for c in axes.containers}
        assert bars == expected
    assert [t.get_text() for t in upper.get_xticklabels()] == ["zoneout", "recurrent\ndropout"]


def test_rows(capsys):
    names = [row.name for row in parse(["all"], "28,128,28,256,1")]
    assert names == [name for name in OPTIONS if name != "residual"]
    assert capsys.readouterr().err == "residual is left out at 28,128,28,256,1, because the widths differ\n"


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"options": ["nothing"]}, "options: expected all or some of dropout, .*, got nothing"),
        (
            {"chart": "x.png", "contestants": ["native"]},
            "chart: expected --contestants with native and one of plain, .*, got native",
        ),
        ({"programs": ["elmo"]}, "programs: expected none with --options, got .*"),
        ({"modes": ["sleeping"]}, "modes: expected some of inference, .* .with --options., got sleeping"),
        ({"dtype": "float16"}, "dtype: expected float32 with --options, got float16"),
        ({"shapes": "3,2,4,4,2,float64"}, "shapes: expected float32 with --options, got float64"),
        ({"threads": ["2"]}, "options: expected none with --threads, got zoneout"),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**{"options": ["zoneout"], **flags})
