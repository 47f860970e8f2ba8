"""`write`: a model in a file for programs without this package."""

from __future__ import annotations

import os
from typing import Any, Mapping

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.export.formats import FORMATS, Format
from stacked_lstm.export.frozen import freeze
from stacked_lstm.temporary_folders import temporary_folder

TOLERANCE = 1e-5  # Of the largest number of an output.


def write(
    path: str | os.PathLike[str],
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    example: Mapping[str, Any],
    format: str | None = None,
) -> None:
    """Writes the part of a graph that computes some outputs, with the values of its variables.

    Layers on the engines `native` and `cudnn` are built again with ops that other programs have. The file is run by the
    program that it is for before it gets its name. If that fails, or computes other numbers, no file is left.

    Args:
      path: the new file; for a SavedModel the new folder.
      session: an open session with initialized variables.
      inputs: dictionary from names to placeholders, under which other programs feed them.
      outputs: dictionary from names to tensors.
      example: dictionary from the names of the inputs to arrays, with which the file is tried. A TFLite file has the
        sizes of these arrays; in other files, sizes that the graph does not know may vary.
      format: "frozen_graph", "saved_model", "onnx" or "tflite". Default None: the suffix of `path` decides, .pb, .onnx
        or .tflite; a path without one of them is a SavedModel.

    Raises:
      ValueError: an argument has a wrong value, the path exists, the format cannot hold the graph, or other numbers
        come out.
      ImportError: a package that the format needs is not installed.

    Example:
      >>> from stacked_lstm import export
      >>> x = tf.placeholder(tf.float32, [None, None, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3])(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     export.write("model.pb", session, {"x": x}, {"h": state[-1].h}, example={"x": np.ones([4, 5, 2])})
      >>> import os
      >>> os.path.exists("model.pb")
      True
    """
    path = str(path)
    entry = _format(path, format)
    if os.path.lexists(path):
        checks.fail("export.write", "`path` to be a new name", f"{path}, which exists")
    _import_packages(entry, path)
    frozen = freeze(session, inputs, outputs)
    if not isinstance(example, Mapping) or set(example) != set(inputs):
        expected = f"`example` with an array for each of {', '.join(inputs)}"
        checks.fail("export.write", expected, sorted(example) if isinstance(example, Mapping) else repr(example))
    arrays = {name: np.asarray(example[name], tensor.dtype.as_numpy_dtype) for name, tensor in inputs.items()}
    expected_results = session.run(dict(outputs), {inputs[name]: array for name, array in arrays.items()})
    functions = entry.functions()
    with temporary_folder(os.path.dirname(os.path.abspath(path)), ".writing-") as folder:
        new = os.path.join(folder, os.path.basename(path))
        functions.save(frozen, new, arrays)
        _check_results(functions.run(new, arrays, list(outputs)), expected_results, path)
        os.rename(new, path)


def _format(path: str, name: str | None) -> Format:
    implied = next(
        (key for key, entry in FORMATS.items() if entry.suffix and path.endswith(entry.suffix)), "saved_model"
    )
    entry: Format = checks.known(FORMATS, name or implied, "export.write", "format")
    if not path.endswith(entry.suffix):
        checks.fail("export.write", f"`path` to end in {entry.suffix}", repr(path))
    return entry


def _import_packages(entry: Format, path: str) -> None:
    for package in entry.packages:
        try:
            __import__(package)
        except ImportError as error:
            raise ImportError(f"export.write: expected the package {package} for {path}, got none ({error})") from error


def _check_results(results: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], path: str) -> None:
    for name, array in expected.items():
        largest = np.max(np.abs(array), initial=0)
        same_shape = results[name].shape == array.shape
        difference = np.max(np.abs(results[name] - array), initial=0) if same_shape else np.inf
        if not difference <= TOLERANCE * largest:
            checks.fail(
                "export.write",
                f"{path} to compute the output {name!r} to {TOLERANCE} of its largest number",
                f"a difference of {difference:.3g} from numbers up to {largest:.3g}",
            )
