"""Trained networks as files of each format, run by the programs that the files are for: the mode "exported"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

import numpy as np

import stacked_lstm
from benchmarking.exported import exported_keras, exported_runners
from benchmarking.records.record import print_header, print_rows
from tasks.fashion_mnist import PIXEL_DEVIATION, PIXEL_MEAN

RUNS = ("runs/forecast", "runs/fashion_mnist", "runs/titles")
SIZES = (1, 64)  # Batch sizes: the latency is that of the first one, the throughput that of the last one.
KERAS = "Keras: "  # Before the format of a file that Keras' own exporter wrote.

# Key in --json, heading and format of each column.
COLUMNS = (
    ("task", "task", ""),
    ("format", "format", ""),
    ("runtime", "runtime", ""),
    ("difference", "difference", ".0e"),
    ("score", "score", ".4f"),
    ("kilobytes", "kB", ".0f"),
    ("start_s", "start s", ".2f"),
    ("latency_ms", "ms at B=1", ".3f"),
    ("per_second", "examples/s at B=64", ".0f"),
)


class Export(NamedTuple):
    """A format, and the programs that run its files.

    Fields:
      suffix: of the file's name; empty for a folder.
      runtimes: names in `exported_runners.RUNTIMES`.
      format, quantize: arguments of `export.write`.
      has_fixed_sizes: whether there is a file for each batch size.
    """

    suffix: str
    runtimes: Sequence[str]
    format: str
    quantize: str | None = None
    has_fixed_sizes: bool = False


EXPORTS = {
    "SavedModel": Export("", ["TensorFlow"], "saved_model"),
    "frozen graph": Export(".pb", ["session"], "frozen_graph"),
    "ONNX": Export(".onnx", ["ONNX Runtime", "OpenVINO"], "onnx"),
    "TFLite": Export(".tflite", ["LiteRT"], "tflite", has_fixed_sizes=True),
    "TFLite, float16": Export(".tflite", ["LiteRT"], "tflite", "float16", True),
    "TFLite, dynamic_range": Export(".tflite", ["LiteRT"], "tflite", "dynamic_range", True),
    ".npz": Export(".npz", ["predictor"], "npz"),
}
# Format of `exported_keras.EXPORTERS` -> the entry of `EXPORTS` whose first program runs it.
KERAS_EXPORTS = {"saved_model": "SavedModel", "onnx": "ONNX", "tflite": "TFLite"}


def measure(train_dirs: Sequence[str], seconds: float, rounds: int) -> Iterator[dict[str, Any]]:
    """Yields a row per task, format and program: the keys of `COLUMNS`, and `difference` and `score` as numbers.

    What cannot be exported or run is named on stderr and left out.

    Args:
      train_dirs: directories of train.py.
      seconds, rounds: each batch size is measured for `seconds` times `rounds`.

    Raises:
      ValueError, OSError, ImportError: a directory has no finished run, or the data are missing.
    """
    from training.run_files import trained_network

    for train_dir in train_dirs:
        with trained_network.opened(train_dir) as run, tempfile.TemporaryDirectory() as folder:
            examples = trained_network.all_examples(run)
            feed = {run.inputs[name]: array for name, array in examples.items()}
            expected = run.session.run(run.network.predictions, feed)
            request = {
                "task": run.task.settings["task"],
                "pixels": [PIXEL_MEAN, PIXEL_DEVIATION],
                "inputs": os.path.join(folder, "inputs.npz"),
                "predictions": os.path.join(folder, "predictions.npy"),
                "sizes": SIZES,
                "seconds": seconds,
                "rounds": rounds,
            }
            np.savez(request["inputs"], **examples)
            task = request["task"]
            yield _row(task, "none", "session, this graph", expected, expected, run.task, {})
            for name, runtime, files in _files(run, examples, request, folder):
                measured = _child(exported_runners, dict(request, runtime=runtime, files=files), folder, name)
                if measured is not None:
                    predictions = np.load(request["predictions"])
                    measured["kilobytes"] = _kilobytes(files["1"])
                    yield _row(task, name, runtime, predictions, expected, run.task, measured)


def _files(
    run: Any, examples: Mapping[str, np.ndarray], request: Mapping[str, Any], folder: str
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Writes the files; yields (format, program, batch size -> path)."""
    from stacked_lstm import export

    for number, (name, entry) in enumerate(EXPORTS.items()):
        files = {}
        for size in SIZES:
            path = os.path.join(folder, f"{number}_{size if entry.has_fixed_sizes else 'any'}{entry.suffix}")
            files[str(size)] = path
            if os.path.lexists(path):
                continue
            example = exported_runners.batch(examples, 0, size)
            outputs = {"predictions": run.network.predictions}
            try:
                export.write(run.session, run.inputs, outputs, path, example, entry.format, entry.quantize)
            except (ValueError, ImportError) as error:
                _leave_out(name, str(error))
                break
        else:
            for runtime in entry.runtimes:
                yield name, runtime, files
            if entry.format == "npz" and not run.task.settings["peer"]:
                yield from _keras_files(files["1"], examples, request, folder)


def _keras_files(
    npz: str, examples: Mapping[str, np.ndarray], request: Mapping[str, Any], folder: str
) -> Iterator[tuple[str, str, dict[str, str]]]:
    shapes = {name: list(array.shape[1:]) for name, array in examples.items()}
    result = _child(exported_keras, dict(request, npz=npz, shapes=shapes, folder=folder), folder, "Keras")
    for format, reason in (result or {"failures": {}})["failures"].items():
        _leave_out(KERAS + KERAS_EXPORTS[format], reason)
    for format, files in (result or {"files": {}})["files"].items():
        entry = EXPORTS[KERAS_EXPORTS[format]]
        yield KERAS + KERAS_EXPORTS[format], entry.runtimes[0], files


def _child(module: Any, request: Mapping[str, Any], folder: str, name: str) -> dict[str, Any] | None:
    """Runs a module as a program; returns what it prints, or None if it fails."""
    path = os.path.join(folder, "request.json")
    with open(path, "w") as file:
        json.dump(request, file)
    root = os.path.dirname(os.path.dirname(os.path.abspath(stacked_lstm.__file__)))
    result = subprocess.run(
        [sys.executable, module.__file__, path],
        capture_output=True,
        env=dict(os.environ, PYTHONPATH=root, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES=""),
    )
    lines = result.stdout.decode().splitlines()
    if result.returncode != 0 or not lines:
        errors = [line for line in result.stderr.decode().splitlines() if line.strip()] or ["no message"]
        _leave_out(f"{name} in {request.get('runtime', 'a process of its own')}", errors[-1])
        return None
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def _leave_out(name: str, reason: str) -> None:
    print(f"{name} is left out: {reason}", file=sys.stderr)


def _kilobytes(path: str) -> float:
    """The size of a file, or of all files in a folder."""
    folders = [(folder, names) for folder, _, names in os.walk(path)] or [(os.path.dirname(path), [path])]
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, names in folders for name in names) / 1000


def _row(
    task: str,
    format: str,
    runtime: str,
    predictions: np.ndarray,
    expected: np.ndarray,
    examples_of: Any,
    measured: Mapping[str, float],
) -> dict[str, Any]:
    latency, batch_ms = (measured.get(f"ms_{size}") for size in SIZES)
    return {
        "task": task,
        "format": format,
        "runtime": runtime,
        "difference": float(np.max(np.abs(predictions - expected)) / np.max(np.abs(expected))),
        "score": score(examples_of, predictions),
        "kilobytes": measured.get("kilobytes"),
        "start_s": measured.get("start_s"),
        "latency_ms": latency,
        "per_second": 1000 * SIZES[-1] / batch_ms if batch_ms else None,
    }


def score(task: Any, predictions: np.ndarray) -> float:
    """The task's score of predictions for the test examples: the accuracy, or the mean absolute error in °F."""
    if "labels" in task.test:
        return float(np.mean(np.argmax(predictions, axis=1) == task.test["labels"]))
    return float(task.step_errors(predictions)[-1])


def run(train_dirs: Sequence[str], seconds: float, rounds: int, machine: str) -> list[dict[str, Any]]:
    """Measures, and prints the table; returns its rows."""
    print(machine)
    print_header([heading for _, heading, _ in COLUMNS])
    rows = []
    for row in measure(train_dirs, seconds, rounds):
        print_rows([row], COLUMNS)
        rows.append(row)
    return rows
