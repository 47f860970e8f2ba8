"""benchmark.py --modes=exported: its rows, the programs that run the files, and what is left out."""

import importlib.util
import json

import numpy as np
import pytest

from benchmarking.exported import exported, exported_keras, exported_runners
from stacked_lstm.compat import tf
from support.engines.runtime import NEEDS_KERNELS
from support.suite.sets import EXHAUSTIVE, ONCE
from support.training.benchmarks import run_main
from support.training.task_data import write_temperatures
from support.training.tiny_runs import run
from training.run_files import trained_network

PACKAGES = ("keras", "onnx", "tf2onnx", "onnxruntime", "openvino", "ai_edge_litert")

pytestmark = [ONCE, NEEDS_KERNELS]


@pytest.fixture
def request_of(tmp_path):
    """A function that exports a run's layers, and returns a request for the process that runs the file."""

    def request(train_dir):
        from stacked_lstm import export

        path = str(tmp_path / "layers.npz")
        with trained_network.opened(train_dir) as finished:
            examples = trained_network.all_examples(finished)
            outputs = {"predictions": finished.network.predictions}
            export.npz(finished.session, finished.inputs, outputs, path, examples)
            feed = {finished.inputs[name]: array for name, array in examples.items()}
            expected = finished.session.run(finished.network.predictions, feed)
            score = exported.score(finished.task, expected)
            task = finished.task.settings["task"]
        np.savez(str(tmp_path / "inputs.npz"), **examples)
        pixels = [exported.PIXEL_MEAN, exported.PIXEL_DEVIATION]
        paths = {"inputs": str(tmp_path / "inputs.npz"), "predictions": str(tmp_path / "predictions.npy")}
        sizes = {"sizes": [1, 2], "seconds": 0.0, "rounds": 1}
        return dict(paths, **sizes, task=task, pixels=pixels, files={"1": path}, runtime="predictor"), expected, score

    return request


@pytest.mark.parametrize("task", ["forecast", "fashion_mnist", "titles"])
def test_the_rest_of_each_network_in_numpy(task, arguments, title_arguments, request_of, tmp_path):
    """The predictions are those of the session, the score is the last one of train.py."""
    changes = {"forecast": {"task": "forecast", "data_dir": str(tmp_path), "hidden_sizes": "4", "batch_size": "64"}}
    if task == "forecast":
        write_temperatures(tmp_path, 50 + 10 * np.random.RandomState(1).standard_normal(1000))
    chosen = title_arguments if task == "titles" else dict(arguments, **changes.get(task, {}))
    final = run(chosen, initial_state="zeros")
    request, expected, score = request_of(chosen["train_dir"])
    measured = exported_runners.main(request)
    assert sorted(measured) == ["ms_1", "ms_2", "start_s"] and min(measured.values()) > 0
    predictions = np.load(request["predictions"])
    assert predictions.shape == expected.shape
    assert np.max(np.abs(predictions - expected)) < 1e-5 * np.max(np.abs(expected))
    assert abs(score - (final["test_mae"] if task == "forecast" else final["test_accuracy"])) < 1e-5


def test_rows_and_what_is_left_out(title_arguments, tmp_path, monkeypatch, capsys):
    """A program that fails, and a format that cannot hold the network, are named; the others have their row."""
    run(title_arguments, initial_state="zeros")
    formats = {
        ".npz": exported.Export(".npz", ["predictor", "no such program"], "npz"),
        "no format": exported.Export(".none", ["predictor"], "none"),
    }
    monkeypatch.setattr(exported, "EXPORTS", formats)
    monkeypatch.setattr(exported, "_keras_files", lambda *arguments: [])
    path = tmp_path / "rows.json"
    run_main(modes=["exported"], runs=[title_arguments["train_dir"]], seconds=0.0, rounds=1, json=str(path))
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert ".npz in no such program is left out: KeyError: 'no such program'" in lines
    assert any(line.startswith("no format is left out: export.write: expected `format` to be one of") for line in lines)
    first, second = json.loads(path.read_text())["measurements"]
    assert first["runtime"] == "session, this graph" and second["runtime"] == "predictor"
    assert second["difference"] < 1e-5 and second["score"] == first["score"] and second["kilobytes"] > 1
    assert min(second[key] for key in ("start_s", "latency_ms", "per_second")) > 0
    assert sum(line.startswith("| titles |") for line in printed.out.splitlines()) == 2


def test_flags():
    for flag, value in (("chart", "x.png"), ("programs", ["all"]), ("contestants", ["native"])):
        with pytest.raises(ValueError, match=f"--{flag}: expected none with --modes=exported, got"):
            run_main(modes=["exported"], **{flag: value})
    with pytest.raises(ValueError, match="--modes: expected .*, got inference, exported$"):
        run_main(modes=["inference", "exported"])
    with pytest.raises(ValueError, match="--train_dir: expected the directory of a run, .*, got no_such_run"):
        run_main(modes=["exported"], runs=["no_such_run"])


@EXHAUSTIVE
@pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in PACKAGES), reason="a package is missing")
@pytest.mark.parametrize("task", ["fashion_mnist", "titles"])
def test_all_programs(task, arguments, title_arguments, capsys):
    """Every format and every exporter of Keras has a row; only quantized files differ by more than 1e-5."""
    chosen = title_arguments if task == "titles" else arguments
    run(chosen, initial_state="zeros")
    with tf.Graph().as_default():
        rows = exported.run([chosen["train_dir"]], 0.0, 1, "this machine")
    assert "left out" not in capsys.readouterr().err
    formats = ["none", *[name for name, entry in exported.EXPORTS.items() for _ in entry.runtimes]]
    formats += [exported.KERAS + exported.KERAS_EXPORTS[name] for name in exported_keras.EXPORTERS]
    assert [row["format"] for row in rows] == formats and len(rows) == 12
    for row in rows:
        assert row["difference"] < (1e-1 if "," in row["format"] else 1e-5), row
