"""The table of formats; a new one is a module with a `codec.Codec` and an entry here.

The library that a format needs is imported when a file of that format is first read or written.
"""

from __future__ import annotations

import importlib
import os
from typing import NamedTuple

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import stack_archives
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.layer_arrays import NORM_OF_OUTPUT


class Format(NamedTuple):
    """How files of one kind are named, and what their layers are like.

    Fields:
      module: name of the module in `stacked_lstm.checkpoints` that reads and writes them.
      suffixes: endings of the files' names; empty for TensorFlow's checkpoints, whose names may end in anything.
      layout: layout of the layers in a new file, a name in `layouts.LAYOUTS`.
      is_tensorflow_checkpoint: whether a file is a TensorFlow checkpoint, which may also hold other variables.
      has_directions: whether a file says in which direction its layers read a sequence.
      always_has_biases: whether layers without biases do not exist, so that they get zeros.
      has_initial_states: whether a file can hold what layers start from.
      options: names of options of `StackedLSTM` that have no arrays, and that the program of such a file may have.
      program: what computes with such a file, for messages; empty for the program that made it.

    Example:
      >>> entry = stacked_lstm.checkpoints.FORMATS["pytorch"]
      >>> entry.suffixes, entry.layout, entry.is_tensorflow_checkpoint
      (('.safetensors', '.npz'), 'pytorch', False)
    """

    module: str
    suffixes: tuple[str, ...]
    layout: str
    is_tensorflow_checkpoint: bool = False
    has_directions: bool = False
    always_has_biases: bool = False
    has_initial_states: bool = False
    options: tuple[str, ...] = ()
    program: str = ""

    def known_options(self) -> tuple[str, ...]:
        """The options of weights that may be written. A layout without gains itself refuses layer normalization."""
        return self.options if self.layout == "layer_norm_cell" else (*self.options, NORM_OF_OUTPUT)

    def codec(self) -> Codec:
        """The functions that read and write such files. Imports their module."""
        codec: Codec = importlib.import_module(f"stacked_lstm.checkpoints.{self.module}").CODEC
        return codec


FORMATS = {
    "stacked_lstm": Format(
        module="tensorflow.tensorflow_checkpoints",
        suffixes=(),
        layout=layouts.OWN,
        is_tensorflow_checkpoint=True,
        has_initial_states=True,
        options=("residual", "zoneout_c", "zoneout_h", "cell_clip", "projection_clip"),
    ),
    "rnn_cell": Format(
        module="tensorflow.tensorflow_checkpoints",
        suffixes=(),
        layout="rnn_cell",
        is_tensorflow_checkpoint=True,
        always_has_biases=True,
        options=("residual", "cell_clip", "projection_clip"),
    ),
    "cudnn_compatible": Format(
        module="tensorflow.tensorflow_checkpoints",
        suffixes=(),
        layout="cudnn_compatible",
        is_tensorflow_checkpoint=True,
        always_has_biases=True,
    ),
    "layer_norm_cell": Format(
        module="tensorflow.tensorflow_checkpoints",
        suffixes=(),
        layout="layer_norm_cell",
        is_tensorflow_checkpoint=True,
        always_has_biases=True,
        options=("residual",),
    ),
    "keras": Format(
        module="keras.keras_files",
        suffixes=(".weights.h5", ".h5", ".hdf5", ".hd5", ".keras"),
        layout="keras",
        has_directions=True,
    ),
    "pytorch": Format(
        module="state_dicts",
        suffixes=(".safetensors", ".npz"),
        layout="pytorch",
        has_directions=True,
    ),
    "onnx": Format(
        module="onnx.onnx_models",
        suffixes=(".onnx",),
        layout="onnx",
        has_directions=True,
        has_initial_states=True,
    ),
}

# The format stacked_lstm in a file whose name ends in .npz.
_ARCHIVE = Format(
    module="stack_archives",
    suffixes=(".npz",),
    layout=layouts.OWN,
    program="a runtime.Predictor",
    has_directions=True,
    has_initial_states=True,
)

# Suffixes of files that hold pickles, which can run any program. PyTorch gives them to what torch.save wrote.
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle")
_ZIP, _PICKLE, _HDF5 = b"PK\3\4", b"\x80", b"\x89HDF"  # How such files begin; torch.save writes a zip of pickles.


def format_of(path: object) -> str | None:
    """The format that the suffix of a file name implies.

    Args:
      path: a file name.

    Returns:
      A name in `FORMATS`, or None if no format has this suffix. It may be a TensorFlow checkpoint then.

    Example:
      >>> stacked_lstm.checkpoints.format_of("model.weights.h5")
      'keras'
      >>> stacked_lstm.checkpoints.format_of("model.ckpt-1000") is None
      True
    """
    return next((name for name, entry in FORMATS.items() if str(path).endswith(entry.suffixes)), None)


def format_to_read(path: str, format: str | None) -> Format:
    """The `Format` of a file that exists. Names of arrays tell the two formats of .npz files from each other.

    Args:
      path: the file.
      format: a name in `FORMATS`; None for what the file implies.

    Raises:
      ValueError: as `find_format` does, or an .npz file cannot be read.
    """
    if format is None and path.endswith(_ARCHIVE.suffixes) and stack_archives.is_archive(path):
        format = "stacked_lstm"
    return find_format(path, format, "checkpoints.read", default="stacked_lstm")


def find_format(path: str, format: str | None, function: str, default: str | None = None) -> Format:
    """The `Format` of a file.

    Args:
      path: the file.
      format: a name in `FORMATS`; None for what the suffix of `path` implies.
      function: the function of this package that error messages name.
      default: the name if neither says anything; None if that is an error.

    Raises:
      ValueError: no format, an unknown one, or another one than the suffix of `path` implies.
    """
    implied = format_of(path)
    if implied is None:
        _check_other_kinds(path, format, function)
    name = format or implied or default
    if name is None:
        suffixes = " ".join(suffix for entry in FORMATS.values() for suffix in entry.suffixes)
        own = " ".join(name for name, entry in FORMATS.items() if entry.is_tensorflow_checkpoint)
        expected = (
            f"a file name that ends in one of {suffixes}, or for a TensorFlow checkpoint `format` as one of {own}"
        )
        checks.fail(function, expected, path)
    entry: Format = checks.known(FORMATS, name, function, "format")
    if name == "stacked_lstm" and path.endswith(_ARCHIVE.suffixes):
        return _ARCHIVE
    if implied not in (None, name):
        names = "'pytorch' or 'stacked_lstm'" if path.endswith(_ARCHIVE.suffixes) else repr(implied)
        checks.fail(function, f"`format` to be {names}, which the name of {path} implies", repr(name))
    return entry


def _check_other_kinds(path: str, format: str | None, function: str) -> None:
    """Raises ValueError if a file without a known suffix holds pickles, or is a Keras file with another name."""
    start = b""
    if os.path.isfile(path) and not os.path.exists(path + ".index"):
        with files.open_regular(path) as file:
            start = file.read(4)
    is_named_so = path.endswith(_PICKLES) and not os.path.exists(path + ".index") and format in (None, "pytorch")
    if start == _ZIP or start[:1] == _PICKLE or is_named_so:
        recipe = f"safetensors.torch.save_file(model.state_dict(), {os.path.splitext(path)[0] + '.safetensors'!r})"
        expected = f"a file without pickles, because a pickle can run any program; PyTorch writes one with {recipe}"
        checks.fail(function, expected, path)
    if start == _HDF5:
        checks.fail(function, "the name of an HDF5 file to end in .h5, .hdf5 or .hd5", path)
