"""`write`: a model in a file for programs without this package; and a function for each format."""

from __future__ import annotations

import difflib
import os
from typing import Any, Mapping

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.export import npz_file, trial
from stacked_lstm.export.formats import FORMATS, Format
from stacked_lstm.export.frozen import freeze

_FUNCTION = "export.write"
_OTHER_FILES = (".h5", ".keras", ".pt", ".pth")  # Of other libraries.


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
      format: "frozen_graph", "saved_model", "onnx", "tflite" or "npz". Default None: the suffix of `path` decides, .pb,
        .onnx, .tflite or .npz; other paths are SavedModels, unless their suffix seems misspelled. "npz" has only the
        LSTM layers; see `npz`.
      quantize: for TFLite files, "float16" or "dynamic_range" (weights of 8 bits). Default None: no quantization.

    Returns:
      Dictionary from the names of the outputs to the largest difference of the file's numbers from the session's. It is
      a fraction of the largest number of the output. float32 and float64 outputs differ by at most 1e-5, float16 by
      1e-2, bfloat16 by 1e-1. With `quantize`, they differ by at most 1e-2 ("float16") or 1e-1 ("dynamic_range").

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
    entry = format_of(path, format)
    if entry is npz_file.ENTRY and quantize is None:
        return npz_file.npz(session, inputs, outputs, path, example)
    trial.check_path(path, entry)
    if quantize is not None and not entry.quantizations:
        checks.fail(_FUNCTION, f"`quantize` to be None for {path}", repr(quantize))
    if quantize is not None:
        checks.one_of(entry.quantizations, quantize, _FUNCTION, "quantize")
    trial.import_packages(entry, path)
    with trial.quiet():
        frozen = freeze(session, inputs, outputs)
        arrays = trial.arrays_of(inputs, example, entry)
        expected = trial.run_session(session, inputs, outputs, arrays, example is None)
        functions = entry.functions()
        with trial.new_file(path) as new:
            functions.save(frozen, new, arrays, **({} if quantize is None else {"quantize": quantize}))
            results = trial.run_file(functions, new, arrays, list(outputs), entry)
            differences = {name: trial.difference(results[name], array) for name, array in expected.items()}
            trial.check_differences(differences, expected, path, entry, quantize)
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


def format_of(path: str, name: str | None = None) -> Format:
    """Returns the `Format` of a file, as `write` decides it.

    Args:
      path: the file, or the folder of a SavedModel.
      name: the argument `format` of `write`. Default None: the suffix of the path decides.

    Raises:
      ValueError: an unknown name; or, without a name, a suffix that is like one of those of files.

    Example:
      >>> from stacked_lstm import export
      >>> export.format_of("model.tflite").program
      'LiteRT'
    """
    formats = dict(FORMATS, npz=npz_file.ENTRY)
    suffixes = {entry.suffix: key for key, entry in formats.items() if entry.suffix}
    implied = next((key for suffix, key in suffixes.items() if path.endswith(suffix)), "saved_model")
    suffix = os.path.splitext(path)[1].lower()
    is_like_a_file = suffix in _OTHER_FILES or difflib.get_close_matches(suffix, suffixes, cutoff=0.7)
    if name is None and implied == "saved_model" and is_like_a_file:
        expected = f"`path` to end in {', '.join(suffixes)}, or `format` to be 'saved_model'"
        checks.fail(_FUNCTION, expected, repr(path))
    return checks.known(formats, implied if name is None else name, _FUNCTION, "format")
