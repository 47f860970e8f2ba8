"""`write`: a model in a file for programs without this package; and a function for each format."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator, Mapping

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.export.formats import FORMATS, Format
from stacked_lstm.export.frozen import freeze
from stacked_lstm.temporary_folders import temporary_folder

# dtype -> how much an output may differ, of its largest number. Outputs of other dtypes must be equal.
TOLERANCES = {"float64": 1e-5, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}

_SIZE = 3  # In the place of sizes that the graph does not know, if the user gives no example.

_FUNCTION = "export.write"


def write(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
    format: str | None = None,
    quantize: str | None = None,
) -> dict[str, float]:
    """Writes the part of a graph that computes some outputs, with the values of its variables.

    Layers on the engines `native` and `cudnn` are built again with ops that other programs have. The file is run by the
    program that it is for before it gets its name. If that fails, or computes other numbers, no file is left.

    Args:
      session: an open session with initialized variables.
      inputs: dictionary from names to placeholders. Other programs feed the inputs under these names.
      outputs: dictionary from names to tensors. Other programs fetch the outputs under these names.
      path: str, the new file, or the new folder of a SavedModel.
      example: dictionary from the names of the inputs to arrays, with which the file is tried. A TFLite file has the
        sizes of these arrays. In other files, sizes that the graph does not know may vary. Default None: arrays of
        ones, with the size 3 for each size that the graph does not know. TFLite files then need a graph that knows all
        sizes of its inputs.
      format: "frozen_graph", "saved_model", "onnx" or "tflite". Default None: the suffix of `path` decides, .pb, .onnx
        or .tflite; a path without one of them is a SavedModel.
      quantize: for TFLite files, "float16" or "dynamic_range" (weights of 8 bits). Default None: no quantization.

    Returns:
      Dictionary from the names of the outputs to the largest difference of the file's numbers from the session's. It is
      a fraction of the largest number of the output. float32 and float64 outputs differ by at most 1e-5. With
      `quantize`, they differ by at most 1e-2 ("float16") or 1e-1 ("dynamic_range").

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
      ...     differences = export.write(session, {"x": x}, {"h": state[-1].h}, "model.pb")
      >>> differences["h"] < 1e-5
      True
    """
    path = str(path)
    entry = _format(path, format)
    _check_path(path, entry)
    if quantize is not None and not entry.quantizations:
        checks.fail(_FUNCTION, f"`quantize` to be None for {path}", repr(quantize))
    if quantize is not None:
        checks.known(entry.quantizations, quantize, _FUNCTION, "quantize")
    _import_packages(entry, path)
    with _quiet():
        frozen = freeze(session, inputs, outputs)
        arrays = _arrays(inputs, example, entry)
        expected = _run(session, inputs, outputs, arrays, example is None)
        functions = entry.functions()
        with temporary_folder(os.path.dirname(os.path.abspath(path)), ".writing-") as folder:
            new = os.path.join(folder, os.path.basename(path))
            functions.save(frozen, new, arrays, **({} if quantize is None else {"quantize": quantize}))
            results = _results(functions, new, arrays, list(outputs), entry)
            differences = {name: _difference(results[name], array) for name, array in expected.items()}
            _check_differences(differences, expected, path, entry, quantize)
            os.rename(new, path)
    return differences


def frozen_graph(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes a frozen graph: a GraphDef whose variables are constants. The path ends in .pb.

    Args:
      session, inputs, outputs, path, example: as for `write`.

    Returns:
      What `write` returns.

    Raises:
      ValueError, ImportError: as in `write`.

    Example:
      >>> from stacked_lstm import export
      >>> x = tf.placeholder(tf.float32, [None, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3])(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.frozen_graph(session, {"x": x}, {"outputs": outputs}, "model.pb")
      >>> sorted(differences)
      ['outputs']
    """
    return write(session, inputs, outputs, path, example, "frozen_graph")


def saved_model(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes a SavedModel, a folder, with the signature "serving_default" and the tag "serve".

    Args:
      session, inputs, outputs, path, example: as for `write`.

    Returns:
      What `write` returns.

    Raises:
      ValueError, ImportError: as in `write`.

    Example:
      >>> from stacked_lstm import export
      >>> x = tf.placeholder(tf.float32, [None, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3])(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.saved_model(session, {"x": x}, {"outputs": outputs}, "model")
      >>> import os
      >>> sorted(os.listdir("model"))[0]
      'saved_model.pb'
    """
    return write(session, inputs, outputs, path, example, "saved_model")


def onnx(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Writes an ONNX file with a node LSTM for each layer. It needs onnx, tf2onnx and onnxruntime.

    Args:
      session, inputs, outputs, path, example: as for `write`. The path ends in .onnx.

    Returns:
      What `write` returns.

    Raises:
      ValueError, ImportError: as in `write`. Nodes LSTM have neither projections nor clips.

    Source: https://onnx.ai/onnx/operators/onnx__LSTM.html

    Example:
      >>> from stacked_lstm import export
      >>> x = tf.placeholder(tf.float32, [None, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3])(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.onnx(session, {"x": x}, {"outputs": outputs}, "model.onnx")
      >>> from stacked_lstm import checkpoints
      >>> len(checkpoints.read("model.onnx").layers)
      1
    """
    return write(session, inputs, outputs, path, example, "onnx")


def tflite(
    session: tf.Session,
    inputs: Mapping[str, tf.Tensor],
    outputs: Mapping[str, tf.Tensor],
    path: str | os.PathLike[str],
    example: Mapping[str, Any] | None = None,
    quantize: str | None = None,
) -> dict[str, float]:
    """Writes a TFLite file, whose inputs have fixed sizes. It needs ai-edge-litert.

    Args:
      session, inputs, outputs, path, example, quantize: as for `write`. The path ends in .tflite.

    Returns:
      What `write` returns.

    Raises:
      ValueError, ImportError: as in `write`.

    Example:
      >>> from stacked_lstm import export
      >>> x = tf.placeholder(tf.float32, [1, 5, 2])
      >>> outputs, state = stacked_lstm.StackedLSTM([3])(x)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     differences = export.tflite(session, {"x": x}, {"outputs": outputs}, "model.tflite")
      >>> sorted(differences)
      ['outputs']
    """
    return write(session, inputs, outputs, path, example, "tflite", quantize)


def _format(path: str, name: str | None) -> Format:
    suffixes = {entry.suffix: key for key, entry in FORMATS.items() if entry.suffix}
    implied = next((key for suffix, key in suffixes.items() if path.endswith(suffix)), "saved_model")
    return checks.known(FORMATS, implied if name is None else name, _FUNCTION, "format")


def _check_path(path: str, entry: Format) -> None:
    if not path.endswith(entry.suffix) or not os.path.basename(path):
        checks.fail(_FUNCTION, f"`path` to be a name that ends in {entry.suffix}", repr(path))
    if os.path.lexists(path):
        checks.fail(_FUNCTION, "`path` to be a new name", f"{path}, which exists")
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        checks.fail(_FUNCTION, "`path` in a folder that exists", path)


def _import_packages(entry: Format, path: str) -> None:
    for package in entry.packages:
        try:
            __import__(package)
        except ImportError as error:
            raise ImportError(f"{_FUNCTION}: expected the package {package} for {path}, got none ({error})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TensorFlow's functions for frozen graphs and SavedModels warn that they are old."""
    level = tf.logging.get_verbosity()
    tf.logging.set_verbosity(tf.logging.ERROR)
    try:
        yield
    finally:
        tf.logging.set_verbosity(level)


def _arrays(inputs: Mapping[str, tf.Tensor], example: Mapping[str, Any] | None, entry: Format) -> dict[str, np.ndarray]:
    """The example as arrays; ones if there is none."""
    if example is None:
        return {name: _ones(name, tensor, entry) for name, tensor in inputs.items()}
    if not isinstance(example, Mapping) or set(example) != set(inputs):
        actual = ", ".join(map(str, example)) if isinstance(example, Mapping) else checks.describe(example)
        checks.fail(_FUNCTION, f"`example` to have an array for each of {', '.join(inputs)}", actual)
    arrays = {name: np.asarray(example[name], tensor.dtype.as_numpy_dtype) for name, tensor in inputs.items()}
    for name, array in arrays.items():
        if not inputs[name].shape.is_compatible_with(array.shape):
            shape = inputs[name].shape.as_list()
            checks.fail(_FUNCTION, f"`example[{name!r}]` to have the shape {shape}", list(array.shape))
    return arrays


def _ones(name: str, tensor: tf.Tensor, entry: Format) -> np.ndarray:
    shape = tensor.shape
    is_known = shape.ndims is not None and (shape.is_fully_defined() or not entry.has_fixed_sizes)
    if not is_known or tensor.dtype == tf.string:
        reason = f"the input {name!r} has the dtype {tensor.dtype.base_dtype.name} and the shape {shape}"
        checks.fail(_FUNCTION, f"`example`, because {reason}", "none")
    return np.ones([size or _SIZE for size in shape.as_list()], tensor.dtype.as_numpy_dtype)


def _run(session: tf.Session, inputs: Any, outputs: Any, arrays: Any, is_default: bool) -> dict[str, np.ndarray]:
    """What the session computes for the example."""
    try:
        results: dict[str, np.ndarray] = session.run(dict(outputs), {inputs[name]: arrays[name] for name in arrays})
    except tf.errors.InvalidArgumentError as error:
        if not is_default:
            raise
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        message = f"{_FUNCTION}: expected `example`, because the graph does not run on ones ({shapes}), got none"
        raise ValueError(message) from error
    return results


def _results(functions: Any, path: str, arrays: Any, outputs: list[str], entry: Format) -> dict[str, np.ndarray]:
    """What the program that the file is for computes for the example."""
    try:
        results: dict[str, np.ndarray] = functions.run(path, arrays, outputs)
    except Exception as error:  # Each program has errors of its own.
        message = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(f"{_FUNCTION}: expected {entry.program} to run the new file, got {message}") from error
    return results


def _difference(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a fraction of the largest number."""
    if result.shape != expected.shape:
        return float("inf")
    if expected.dtype.name not in TOLERANCES:
        return 0.0 if np.array_equal(result, expected) else float("inf")
    largest = np.max(np.abs(expected.astype(np.float64)), initial=0)
    difference = np.max(np.abs(result.astype(np.float64) - expected.astype(np.float64)), initial=0)
    return float(difference / largest) if difference else 0.0


def _check_differences(
    differences: Mapping[str, float],
    expected: Mapping[str, np.ndarray],
    path: str,
    entry: Format,
    quantize: str | None,
) -> None:
    for name, difference in differences.items():
        tolerance = TOLERANCES.get(expected[name].dtype.name, 0.0)
        tolerance = tolerance if quantize is None else max(tolerance, entry.quantizations[quantize])
        if not difference <= tolerance:
            wanted = f"{path} to compute the output {name!r} to {tolerance} of its largest number"
            checks.fail(_FUNCTION, wanted, f"a difference of {difference:.3g}")
