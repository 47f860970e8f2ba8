"""scripts/benchmark.py --options: what is measured, and the tables. No test depends on how fast anything is."""

import importlib.util
import os

import numpy as np
import pytest

import benchmark
from benchmarking import graphs, timing
from benchmarking.contestants import OPTION_CONTESTANTS
from benchmarking.options import OPTIONS, OptionAt, parse
from benchmarking.shapes import Shape
from programs.names import has_contrib
from support.benchmarks import Measured, run_main
from support.native_ops import NEEDS_NATIVE
from support.paths import SCRIPTS

SHAPE = Shape(steps=3, batch=2, input_size=4, hidden_size=4, layers=2)
X = np.ones([3, 2, 4], np.float32)
RANDOM = {"dropout", "recurrent_dropout", "recurrent_dropout_candidate", "zoneout", "layer_norm_dropout"}
QUICK = {"dropout", "layer_norm_dropout", "bidirectional"}


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
    for contestant in ("plain", "native", "graph", "tf_keras", "stepwise", "tensorflow"):
        library = OPTION_CONTESTANTS[contestant].library
        if contestant == "tensorflow" and not has_contrib() or importlib.util.find_spec(library) is None:
            continue
        if option.has(contestant):
            OPTION_CONTESTANTS[contestant].make_step()(option, X, "training", "CPU")()
            outputs, found = seen[-1]
            assert found and all(gradient is not None for gradient in found), contestant
            feed = {next(op for op in outputs.graph.get_operations() if op.type == "Placeholder").outputs[0]: X}
            runs = [sessions[-1].run(outputs, feed) for _ in range(8)]
            is_random = any((run != runs[0]).any() for run in runs)
            assert is_random == (name in RANDOM and contestant != "plain"), contestant


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


def test_rows(capsys):
    names = [row.name for row in parse(["all"], "28,128,28,256,1")]
    assert names == [name for name in OPTIONS if name != "residual"]
    assert capsys.readouterr().err == "residual is left out at 28,128,28,256,1, because the widths differ\n"


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"options": ["nothing"]}, "options: expected all or some of dropout, .*, got nothing"),
        ({"chart": "x.png"}, "chart: expected none with --options, got x.png"),
        ({"programs": ["elmo"]}, "programs: expected none with --options, got .*"),
        ({"modes": ["inference"]}, "modes: expected some of training .with --options., got inference"),
        ({"device": "GPU"}, "device: expected CPU with --options, got GPU"),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**{"options": ["zoneout"], **flags})
