"""scripts/benchmark.py --programs: what is measured, and the tables. No test depends on how fast anything is."""

import json
import os
import re

import pytest

import benchmark
import programs
from benchmarking import kinds
from benchmarking.contestants import PROGRAM_CONTESTANTS
from benchmarking.records import chart, record
from programs.names import has_contrib
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE, auto_engine
from support.suite.sets import ONCE
from support.training.benchmarks import SHAPE, Measured, rows_of, run_main, run_main_in_threads

TINY = programs.PROGRAMS["ptb_small"]._replace(
    sizes={"batch_size": 2, "num_steps": 5, "hidden_size": 3, "vocab_size": 7, "keep_prob": 0.5}, part="whole"
)
TENSORFLOW = ["tensorflow"] * has_contrib()


class MeasuredProgram(Measured):
    """What is read of a `worker.Worker` of a program after its turns."""

    def __init__(self, name, milliseconds, engines):
        super().__init__(name, milliseconds)
        self.facts = {"engines": engines, "build_seconds": 0.25, "ops": 100}


MEASURED = [
    MeasuredProgram("auto", [2.0, 1.0, 4.0], ["native", "graph"]),
    MeasuredProgram("stepwise", [5.0], ["stepwise"] * 2),
    MeasuredProgram("tensorflow", [6.0], []),
]


@NEEDS_NATIVE
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_steps(mode, monkeypatch):
    """A step says its engine and its number of ops. Evaluation changes no variable, and the environment stays."""
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "cudnn")
    ops = {}
    for name in ["auto", "graph", "stepwise", *TENSORFLOW]:
        step = PROGRAM_CONTESTANTS[name].make_step()(TINY, None, mode, "CPU")
        costs = [step()["cost"] for _ in range(20)]
        assert (max(costs) == min(costs)) == (mode == "evaluation"), name
        engine = {"auto": [auto_engine()], "tensorflow": []}.get(name, [name])
        assert step.facts["engines"] == engine and step.facts["build_seconds"] > 0
        ops[name] = step.facts["ops"]
    assert ops["auto"] < ops["stepwise"]
    assert os.environ["STACKED_LSTM_ENGINE"] == "cudnn"


@NEEDS_NATIVE
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_recurrent_part(mode):
    """Its loss is that of the outputs alone, which training makes smaller and the head does not see."""
    step = PROGRAM_CONTESTANTS["auto"].make_step()(TINY._replace(part="recurrent"), None, mode, "CPU")
    losses = [step()["loss"] for _ in range(40)]
    assert (losses[-1] < 0.9 * losses[0]) == (mode == "training") and abs(losses[0] - 1) < 0.1
    assert step.facts["engines"] == [auto_engine()]


def test_tables_and_measurements(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark, "measure", lambda values, kind, program, mode: MEASURED[: 3 if mode == "training" else 2]
    )
    path = tmp_path / "measured.json"
    run_main(programs=["elmo", "tagger"], json=str(path))
    printed = capsys.readouterr().out
    measured = json.loads(path.read_text())["measurements"]
    assert [(row["program"], row["mode"], row["contestant"]) for row in measured[:5]] == [
        *[("elmo", "training", name) for name in ("auto", "stepwise", "tensorflow")],
        *[("elmo", "evaluation", name) for name in ("auto", "stepwise")],
    ]
    auto, stepwise, tensorflow, evaluation = measured[:4]
    assert (auto["median_ms"], auto["steps"], auto["megabytes"], auto["dtype"]) == (2.0, 3, 5, "float32")
    assert (auto["engines"], auto["build_seconds"], auto["ops"]) == ("native, graph", 0.25, 100)
    assert (auto["times_stepwise"], auto["times_tensorflow"]) == (2.5, 3.0)
    assert (stepwise["times_stepwise"], stepwise["times_tensorflow"]) == (1.0, 1.2)
    assert (evaluation["times_stepwise"], evaluation["times_tensorflow"]) == (2.5, None)
    run_main(from_json=[str(path)])  # The same tables, without measuring.
    assert capsys.readouterr().out == printed
    first, second = printed.split("\nMedians in milliseconds, float32. ")
    assert (
        "\n| elmo | recurrent | training | auto | native, graph | 0.25 | 100 | 2.000 | 1.200 | 5 | 2.50 | 3.00 |\n"
        in first
    )
    heading = "| auto: times as fast as stepwise | auto: times as fast as tensorflow | engines of auto |"
    assert f"\n| program | part | mode | auto | stepwise | tensorflow {heading}\n" in second
    assert "\n| tagger | recurrent | evaluation | 2.000 | 5.000 |  | 2.50 |  | native, graph |\n" in second


@ONCE
def test_contestants(monkeypatch, capsys):
    """`graph` takes part only if it is named."""
    monkeypatch.setitem(programs.PROGRAMS, "ptb_small", TINY)
    run_main_in_threads(monkeypatch, programs=["ptb_small"], modes=["training"], rounds=1, seconds=0.0)
    printed = capsys.readouterr()
    assert printed.err == ""
    rows = re.findall(r"^\| ptb_small \| recurrent \| training \| (\w+) \| (\w*) \| \S+ \| (\d+) \|", printed.out, re.M)
    assert [name for name, _, _ in rows] == ["auto", "stepwise", *TENSORFLOW]
    assert all(engine == name for name, engine, _ in rows[1:2]) and int(rows[0][2]) < int(rows[1][2])


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"programs": ["nobody", "elmo"]}, "programs: expected all or some of ptb_small, .*, got nobody"),
        ({"programs": []}, "programs: expected all or some of ptb_small, .*, got none"),
        (
            {"contestants": ["native"]},
            "contestants: expected some of auto, graph, stepwise.* .with --programs and --device=CPU., got native",
        ),
        ({"modes": ["inference"]}, "modes: expected some of training, evaluation .with --programs., got inference"),
        ({"dtype": "float64"}, "dtype: expected float32 with --programs, got float64"),
        (
            {"contestants": ["auto"], "chart": "x.png"},
            "chart: expected --contestants with auto and one of stepwise, tensorflow, got auto",
        ),
    ],
)
def test_bad_flags(flags, message):
    with pytest.raises(ValueError, match=f"^--{message}$"):
        run_main(**{"programs": ["elmo"], **flags})


@pytest.mark.skipif(has_contrib(), reason="this TensorFlow has tf.contrib")
def test_tensorflow_without_contrib():
    with pytest.raises(
        ValueError,
        match="^--contestants: expected some of auto, graph, stepwise .with --programs and .*, got tensorflow$",
    ):
        run_main(programs=["elmo"], contestants=["tensorflow"])


def test_a_chart_is_of_one_part():
    rows = rows_of("program", TINY, "training", MEASURED)
    rows += rows_of("program", TINY._replace(part="recurrent"), "training", MEASURED)
    with pytest.raises(ValueError, match="^--chart: expected .* one part of programs, got recurrent and whole$"):
        chart.draw_ratios(rows, kinds.KINDS["program"].comparison)


def test_names_of_programs():
    assert [program.name for program in programs.parse(["all"])] == list(programs.PROGRAMS)
    assert [program.name for program in programs.parse(["elmo", "ptb_small", "elmo"])] == ["elmo", "ptb_small"]
    assert {program.part for program in programs.parse(["all"], "whole")} == {"whole"}


def test_shapes_and_programs_are_not_in_one_table(tmp_path):
    paths = [str(tmp_path / name) for name in ("shapes.json", "programs.json")]
    shapes = rows_of("shape", SHAPE, "training", [Measured("native", [1.0])])
    rows = rows_of("program", TINY, "training", MEASURED)
    for path, measured in zip(paths, (shapes, rows)):
        record.write(path, "a machine", measured)
    with pytest.raises(ValueError, match="^--from_json: expected measurements of shapes or of programs, got both$"):
        run_main(from_json=paths)
    threads = str(tmp_path / "threads.json")
    record.write(threads, "a machine", [dict(shapes[0], threads=1)])
    with pytest.raises(ValueError, match=" of shapes or of programs or of threads, got all of them$"):
        run_main(from_json=[*paths, threads])


@ONCE
def test_chart_has_a_bar_per_program_mode_and_peer():
    rows = rows_of("program", TINY, "training", MEASURED) + rows_of("program", TINY, "evaluation", MEASURED[:2])
    upper, lower = chart.draw_ratios(rows, kinds.KINDS["program"].comparison).axes
    for axes, expected in ((upper, {"stepwise": 2.5, "tensorflow": 3.0}), (lower, {"stepwise": 2.5})):
        bars = {c.get_label(): c.patches for c in axes.containers}
        assert {name: bar.get_y() + bar.get_height() for name, (bar,) in bars.items()} == expected
    assert [t.get_text() for t in upper.get_xticklabels()] == ["ptb\nsmall"]


def test_a_program_that_soft_placement_moves():
    """`/gpu:0` is the CPU in a session without a GPU."""
    nmt = programs.PROGRAMS["nmt_encoder"]._replace(
        sizes={"batch_size": 2, "shortest": 1, "longest": 2, "num_units": 3, "src_vocab_size": 5}, part="whole"
    )
    fetched = PROGRAM_CONTESTANTS["stepwise"].make_step()(nmt, None, "evaluation", "CPU")()
    assert fetched["outputs"].shape == (2, 2, 3) and tf.nest.flatten(fetched["state"])[0].shape == (2, 3)
