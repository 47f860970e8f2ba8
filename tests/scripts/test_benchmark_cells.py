"""scripts/benchmark.py --cells: what is measured, and the tables. No test depends on how fast anything is."""

import inspect
import json
import re

import numpy as np
import pytest

import benchmark
from benchmarking import kinds, timing
from benchmarking.contestants import CELL_CONTESTANTS
from benchmarking.records import chart
from benchmarking.steps import graphs
from benchmarking.subjects.cells import CELLS, CellAt, parse
from benchmarking.subjects.shapes import Shape
from programs.names import has_contrib
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.suite.sets import ONCE
from support.training.benchmarks import Measured, rows_of, run_main, run_main_in_threads

SHAPE = Shape(steps=8, batch=2, input_size=3, hidden_size=3, layers=1)
X = np.random.RandomState(1).standard_normal([8, 2, 3]).astype(np.float32)
QUICK = {"BasicLSTMCell", "LSTMCell_projection", "AttentionCellWrapper"}
BASES = {"RNNCell", "LayerRNNCell", "_LayerRNNCell", "_RNNCell"}
# A stack is --shapes with layers, and the inputs of an EmbeddingWrapper are integers.
WITHOUT_ROWS = {"MultiRNNCell", "EmbeddingWrapper"}


def test_each_cell_has_a_row():
    public = {name: getattr(rnn_cell, name) for name in rnn_cell.__all__}
    cells = {name for name, value in public.items() if inspect.isclass(value) and issubclass(value, rnn_cell.RNNCell)}
    assert {name.split("_")[0] for name in CELLS} == cells - BASES - WITHOUT_ROWS


def run_dynamic_rnn(cell_at, weights):
    """The outputs of TensorFlow's loop with weights in the order in which the cell makes its variables."""
    with tf.Graph().as_default(), tf.Session() as session:
        outputs, _ = tf.nn.dynamic_rnn(cell_at.make(rnn_cell), tf.constant(X), dtype=tf.float32, time_major=True)
        variables = tf.trainable_variables()
        assert len(variables) == len(weights)
        for variable, value in zip(variables, weights):
            variable.load(value, session)
        return session.run(outputs)


@pytest.mark.parametrize(
    "name, layers",
    [("GRUCell", 2)]
    + [pytest.param(name, 1, marks=[] if name in QUICK else [pytest.mark.exhaustive]) for name in CELLS],
)
def test_steps(name, layers, monkeypatch):
    """The calls compute what TensorFlow's dynamic_rnn computes with the cell; training changes every variable."""
    monkeypatch.setattr(timing, "TRIAL", 0)
    sessions, new_session = [], graphs.new_session
    monkeypatch.setattr(graphs, "new_session", lambda *a, **k: sessions.append(new_session(*a, **k)) or sessions[-1])
    cell_at = CellAt(name, SHAPE._replace(layers=layers))
    for contestant, entry in CELL_CONTESTANTS.items():
        if not cell_at.has(contestant):
            continue
        assert entry.make_step()(cell_at, X, "inference", "CPU")().shape[:2] == (8, 2)
        outputs = entry.make_step()(cell_at, X, "evaluation", "CPU")()
        with sessions[-1].graph.as_default():
            weights = sessions[-1].run(tf.trainable_variables())
        if name != "DropoutWrapper":  # Its masks are random.
            np.testing.assert_allclose(outputs, run_dynamic_rnn(cell_at, weights), rtol=1e-5, atol=1e-6)
        step = entry.make_step()(cell_at, X, "training", "CPU")
        with sessions[-1].graph.as_default():
            variables = tf.trainable_variables()
        before, _, after = sessions[-1].run(variables), step(), sessions[-1].run(variables)
        same = [v.op.name for v, old, new in zip(variables, before, after) if (old == new).all()]
        assert before and not same, contestant


def test_who_takes_part():
    """TensorFlow without `tf.contrib` has the cells of `tf.nn.rnn_cell`."""
    cell = kinds.KINDS["cell"]
    assert cell.default_names("CPU") == ["auto", "tensorflow"]
    left_out = [name for name in CELLS if not cell.has(CellAt(name, SHAPE), "tensorflow")]
    assert bool(left_out) != has_contrib() and not {"LSTMCell_projection", "GRUCell", "ResidualWrapper"} & set(left_out)
    assert all(cell.has(CellAt(name, SHAPE), "auto") for name in CELLS)


def test_tables(tmp_path, monkeypatch, capsys):
    measured = [Measured("auto", [0.02]), Measured("tensorflow", [0.03])]
    monkeypatch.setattr(benchmark, "measure", lambda values, kind, *_: measured[: 1 if "NAS" in _[0].name else 2])
    path = str(tmp_path / "measured.json")
    run_main(cells=["GRUCell", "NASCell"], shapes="4,2,3,3,1", json=path)
    printed = capsys.readouterr().out
    assert "\n| GRUCell | 4,2,3,3,1 | training | auto | 0.0200 | 0.0200 | 5 | 1.50 |\n" in printed
    second = printed.split("\nMedians in milliseconds, float32. ")[1]
    assert "| auto | tensorflow | auto: times as fast as tensorflow |\n" in second
    assert "\n| GRUCell | 4,2,3,3,1 | evaluation | 0.0200 | 0.0300 | 1.50 |\n" in second
    assert "\n| NASCell | 4,2,3,3,1 | evaluation | 0.0200 |  |  |\n" in second
    run_main(from_json=[path])
    assert capsys.readouterr().out == printed


@ONCE
def test_both_contestants(tmp_path, monkeypatch, capsys):
    """A time is that of one call."""
    path = tmp_path / "measured.json"
    flags = {"cells": ["GRUCell"], "shapes": "1000,1,2,2,1", "modes": ["evaluation"], "rounds": 1, "seconds": 0.0}
    run_main_in_threads(monkeypatch, json=str(path), **flags)
    printed = capsys.readouterr()
    assert printed.err == ""
    rows = json.loads(path.read_text())["measurements"]
    assert [(row["contestant"], row["steps"]) for row in rows] == [("auto", 1), ("tensorflow", 1)]
    assert len(re.findall(r"^\| GRUCell \| 1000,1,2,2,1 \| evaluation \| ", printed.out, re.M)) == 3
    assert all(0 < row["median_ms"] < 10 for row in rows)  # A call takes microseconds, and the loop milliseconds.


@ONCE
def test_chart_has_a_panel_per_shape_and_mode():
    measured = [Measured("auto", [2.0]), Measured("tensorflow", [3.0])]
    rows = [
        row for mode in ("training", "evaluation") for row in rows_of("cell", CellAt("GRUCell", SHAPE), mode, measured)
    ]
    panels = chart.draw_ratios(rows, kinds.KINDS["cell"].comparison).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["8,2,3,3,1, training", "8,2,3,3,1, evaluation"]


def test_rows():
    rows = parse(["all"], "1,2,3,4,1;2,2,3,4,1")
    assert [row.name for row in rows] == [*CELLS, *CELLS] and rows[0].shape.steps < rows[-1].shape.steps
    assert [row.name for row in parse(["NASCell", "GRUCell", "NASCell"], "1,2,3,4,1")] == ["NASCell", "GRUCell"]


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"cells": ["LSTM", "GRUCell"]}, "cells: expected all or some of BasicRNNCell, .*, got LSTM"),
        ({"cells": []}, "cells: expected all or some of BasicRNNCell, .*, got none"),
        ({"contestants": ["native"]}, "contestants: expected some of auto, tensorflow .*, got native"),
        (
            {"chart": "x.png", "contestants": ["auto"]},
            "chart: expected --contestants with auto and one of .*, got auto",
        ),
        (
            {"modes": ["sleeping"]},
            "modes: expected some of inference, training, evaluation .with --cells., got sleeping",
        ),
        ({"options": ["clips"]}, "options: expected none with --cells, got clips"),
        ({"threads": ["2"]}, "cells: expected none with --threads, got GRUCell"),
        ({"device": "GPU"}, "device: expected CPU with --cells, got GPU"),
        ({"dtype": "float64"}, "dtype: expected float32 with --cells, got float64"),
        ({"modes": ["cluster"]}, "cells: expected none with --modes=cluster, got GRUCell"),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**{"cells": ["GRUCell"], **flags})
