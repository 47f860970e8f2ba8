"""The trial of a new file: an example in the session and in the program of the file, before the file gets its name."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Iterator, Mapping

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.export.formats import Format
from stacked_lstm.files import durable_files
from stacked_lstm.files.temporary_folders import temporary_folder

# dtype -> the largest difference of an output, as a fraction of its largest number. Other dtypes must be equal.
TOLERANCES = {"float64": 1e-5, "float32": 1e-5, "float16": 1e-2, "bfloat16": 1e-1}

_SIZE = 3  # Replaces unknown sizes if the user gives no example.

_FUNCTION = "export.write"


def check_path(path: str, entry: Format) -> None:
    """Raises ValueError if a path has another suffix, exists, or is in no folder."""
    if not path.endswith(entry.suffix) or not os.path.basename(path):
        checks.fail(_FUNCTION, f"`path` to be a name that ends in {entry.suffix}", repr(path))
    if os.path.lexists(path):
        checks.fail(_FUNCTION, "`path` to be a new name", f"{path}, which exists")
    if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        checks.fail(_FUNCTION, "`path` in a folder that exists", path)


def import_packages(entry: Format, path: str) -> None:
    """Raises ImportError if a package is missing that the format needs."""
    for package in entry.packages:
        try:
            __import__(package)
        except ImportError as error:
            raise ImportError(f"{_FUNCTION}: expected the package {package} for {path}, got none ({error})") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the warnings of TensorFlow that its functions for frozen graphs and SavedModels are old."""
    level = tf.logging.get_verbosity()
    tf.logging.set_verbosity(tf.logging.ERROR)
    try:
        yield
    finally:
        tf.logging.set_verbosity(level)


@contextlib.contextmanager
def new_file(path: str) -> Iterator[str]:
    """Lets a block write and try a file or a folder, which gets its name only if the block does not fail.

    Args:
      path: the name; nothing has it yet.

    Yields:
      A path in a temporary folder beside it, to write to.
    """
    parent, name = os.path.split(os.path.abspath(path))
    with temporary_folder(parent, ".writing-") as folder:
        new = os.path.join(folder, name)
        yield new
        durable_files.move(new, path)


def arrays_of(
    inputs: Mapping[str, tf.Tensor], example: Mapping[str, Any] | None, entry: Format
) -> dict[str, np.ndarray]:
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
    return np.ones([_SIZE if size is None else size for size in shape.as_list()], tensor.dtype.as_numpy_dtype)


def run_session(session: tf.Session, inputs: Any, outputs: Any, arrays: Any, is_default: bool) -> dict[str, np.ndarray]:
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


def run_file(functions: Any, path: str, arrays: Any, outputs: list[str], entry: Format) -> dict[str, np.ndarray]:
    """What the program that the file is for computes for the example."""
    try:
        results: dict[str, np.ndarray] = functions.run(path, arrays, outputs)
    except Exception as error:  # Each program has errors of its own.
        message = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ValueError(f"{_FUNCTION}: expected {entry.program} to run the new file, got {message}") from error
    return results


def difference(result: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a fraction of the largest number."""
    if result.shape != expected.shape:
        return float("inf")
    if expected.dtype.name not in TOLERANCES:
        return 0.0 if np.array_equal(result, expected) else float("inf")
    largest = np.max(np.abs(expected.astype(np.float64)), initial=0)
    difference = np.max(np.abs(result.astype(np.float64) - expected.astype(np.float64)), initial=0)
    return float(difference / largest) if difference else 0.0


def check_differences(
    differences: Mapping[str, float],
    expected: Mapping[str, np.ndarray],
    path: str,
    entry: Format,
    quantize: str | None,
) -> None:
    """Raises ValueError if an output differs by more than its dtype, or the quantization, allows."""
    for name, difference in differences.items():
        tolerance = TOLERANCES.get(expected[name].dtype.name, 0.0)
        tolerance = tolerance if quantize is None else max(tolerance, entry.quantizations[quantize])
        if not difference <= tolerance:
            wanted = f"{path} to compute the output {name!r} to {tolerance} of its largest number"
            checks.fail(_FUNCTION, wanted, f"a difference of {difference:.3g}")
