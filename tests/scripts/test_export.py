"""scripts/export.py: the exported networks of the three tasks, run by other programs, against predict.py's network."""

import importlib.util
import os

import absl.flags
import numpy as np
import pytest

from stacked_lstm import runtime
from stacked_lstm.compat import tf
from support.engines.runtime import NEEDS_KERNELS
from support.networks import exports
from support.processes import programs
from support.references.numeric import relative_difference
from support.suite.paths import ROOT
from support.suite.sets import ONCE
from support.training.task_data import write_temperatures
from support.training.tiny_runs import SCRIPTS, run
from tasks import TASKS
from training import experiment

NEEDS_ONNX = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnx", "tf2onnx", "onnxruntime")),
    reason="onnx, tf2onnx or onnxruntime is not installed",
)


def script():
    """The module scripts/export.py; tests/export is a folder with the same name."""
    spec = importlib.util.spec_from_file_location("export_script", os.path.join(SCRIPTS, "export.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def export(**flags):
    module, values = script(), absl.flags.FlagValues()
    module.define_flags(values)
    values(["export.py"] + [f"--{flag}={value}" for flag, value in flags.items()])
    module.run(values)


def expected(task_name, train_dir, feeds):
    """The predictions of the run's network for arrays."""
    settings = experiment.read_settings(train_dir)
    task = TASKS[task_name](settings)
    task.restore()
    task.read()
    with tf.Graph().as_default(), tf.Session() as session:
        network = task.build(experiment.recurrent_layers(settings))
        tf.train.Saver().restore(session, experiment.find_checkpoint(train_dir))
        return session.run(network.predictions, {network.feeds[name]: array for name, array in feeds.items()})


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    with exports.witness_in(tmp_path_factory.mktemp("witness")) as process:
        yield process


@ONCE
@NEEDS_ONNX
def test_titles_to_onnx(title_arguments, tmp_path, witness, capsys):
    run(title_arguments, initial_state="projected", pieces="5", bidirectional="true", recurrent_dropout="0.2")
    path = str(tmp_path / "titles.onnx")
    export(train_dir=title_arguments["train_dir"], to=path)
    printed = capsys.readouterr().out.splitlines()[-6:]
    assert printed[1:4] == [
        "input: sequences int32 [None, None, 5]",
        "input: lengths int32 [None]",
        "output: predictions float32 [None, 3]",
    ]
    assert printed[-1] == f"wrote {path}"
    sequences = np.array([[[2, 3, 4, 0, 0], [5, 0, 0, 0, 0], [1, 6, 1, 7, 8]], [[1, 9, 2, 2, 0]] + [[0] * 5] * 2])
    feeds = {"sequences": sequences.astype(np.int32), "lengths": np.array([3, 1], np.int32)}
    results = witness.run("onnxruntime", path, feeds, ["predictions"])
    assert relative_difference(results["predictions"], expected("titles", title_arguments["train_dir"], feeds)) < 1e-5


def test_images_to_saved_model(arguments, tmp_path, witness):
    run(arguments)
    path = str(tmp_path / "images")
    export(train_dir=arguments["train_dir"], to=path)
    feeds = {"images": np.random.RandomState(0).randint(0, 256, [3, 28, 28]).astype(np.uint8)}
    results = witness.run("saved_model", path, feeds, ["predictions"])
    wanted = expected("fashion_mnist", arguments["train_dir"], feeds)
    assert relative_difference(results["predictions"], wanted) < 1e-5


@ONCE
@pytest.mark.skipif(importlib.util.find_spec("ai_edge_litert") is None, reason="ai-edge-litert is not installed")
def test_forecast_to_tflite(arguments, tmp_path, witness, capsys):
    write_temperatures(tmp_path, 50 + 10 * np.random.RandomState(1).standard_normal(1000))
    run(arguments, task="forecast", data_dir=str(tmp_path), hidden_sizes="4", batch_size="64")
    path = str(tmp_path / "forecast.tflite")
    export(train_dir=arguments["train_dir"], to=path, batch_size=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("input", "output"))]
    assert lines == ["input: inputs float32 [2, 48, 7]", "output: predictions float32 [2, 48, 24]"]
    feeds = {"inputs": np.random.RandomState(0).standard_normal([2, 48, 7]).astype(np.float32)}
    results = witness.run("litert", path, feeds, ["predictions"])
    assert relative_difference(results["predictions"], expected("forecast", arguments["train_dir"], feeds)) < 1e-5


def test_errors(tmp_path):
    def fails(*flags):
        result = programs.run([os.path.join(SCRIPTS, "export.py"), *flags], env=dict(os.environ, PYTHONPATH=ROOT))
        assert result.returncode == 2
        return result.stderr.decode().splitlines()[-1]

    assert fails() == "export.py: --train_dir: expected a path, got none"
    assert fails(f"--train_dir={tmp_path}") == "export.py: --to: expected a path, got none"
    assert "--train_dir" in fails(f"--train_dir={tmp_path}", f"--to={tmp_path / 'model'}")
    for path in (str(tmp_path), str(tmp_path / "no" / "model.onnx")):  # Before the data are read.
        message = fails(f"--train_dir={tmp_path}", f"--to={path}")
        assert message == f"export.py: --to: expected a new name in an existing folder, got {path}"


@pytest.mark.parametrize(
    "message, expected",
    [
        ("export.write: expected `quantize` to be None for x.onnx, got 'float16'",
         "--quantize: expected none for x.onnx, got 'float16'"),
        ("export.write: expected `path` to be a name that ends in .npz, got 'x'",
         "--to: expected a name that ends in .npz, got 'x'"),
        ("export.write: expected `path` to end in .pb, or `format` to be 'saved_model', got 'x'",
         "export.write: expected --to to end in .pb, or --to_format to be 'saved_model', got 'x'"),
    ],
)  # fmt: skip
def test_messages_name_the_flags(message, expected):
    assert script().with_flags(message) == expected


@ONCE
@NEEDS_KERNELS
def test_titles_to_npz(title_arguments, tmp_path, capsys):
    """NumPy computes what is around the layers, with the arrays in the file."""
    run(title_arguments, initial_state="learned")
    path = str(tmp_path / "titles.npz")
    export(train_dir=title_arguments["train_dir"], to=path)
    assert "of the largest number that the layers return" in capsys.readouterr().out.splitlines()[-2]
    sequences = np.array([[2, 3, 1], [1, 0, 0]], np.int32)
    feeds = {"sequences": sequences[..., np.newaxis], "lengths": np.array([3, 1], np.int32)}
    with np.load(path) as file:
        arrays = {name: file[name] for name in file if name.startswith("other")}
    matrix, bias = sorted((array for array in arrays.values() if array.shape[-1] == 3), key=lambda array: -array.ndim)
    outputs, _ = runtime.load(path)(arrays["other_arrays/embedding"][sequences], feeds["lengths"])
    steps = [outputs[0], outputs[1, :1]]
    pooled = np.array([np.concatenate([series.mean(axis=0), series.max(axis=0)]) for series in steps])
    scores = np.exp(pooled @ matrix + bias)
    wanted = expected("titles", title_arguments["train_dir"], feeds)
    assert relative_difference(scores / scores.sum(axis=1, keepdims=True), wanted) < 1e-5
