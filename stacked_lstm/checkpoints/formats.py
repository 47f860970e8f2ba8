"""The kinds of files, as a table. A new one is a module and a line here.

Such a module has

    load(path) -> files.Content: all arrays by their names in the file, and what else is needed to write it again
    find(content, path) -> list of `layers.Location`, in the order of the network
    new(packed, layout, scope, path) -> (the `rest` of a new file's Content, list of Locations), for a plain stack;
        `packed` is a dictionary per layer from the layout's names to arrays
    save(path, content): writes the file
    finish(path): what is to be done when the file has its name; not all have it
"""

import collections

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import keras_files, onnx_models, state_dicts, tensorflow_checkpoints

Format = collections.namedtuple("Format", ["module", "suffixes", "layout", "directed", "biased"])
Format.__doc__ = """How a kind of file is read and written.

Fields:
  module: see above.
  suffixes: of the files' names; none for TensorFlow's checkpoints, which are known by their content.
  layout: that of layers in a new file, a name of `layouts.LAYOUTS`.
  directed: whether the file says in which direction its layers read a sequence.
  biased: whether layers always have biases.
"""

FORMATS = collections.OrderedDict(
    [
        ("stacked_lstm", Format(tensorflow_checkpoints, (), layouts.OWN, False, False)),
        ("rnn_cell", Format(tensorflow_checkpoints, (), "rnn_cell", False, True)),
        ("cudnn_compatible", Format(tensorflow_checkpoints, (), "cudnn_compatible", False, True)),
        ("keras", Format(keras_files, (".weights.h5", ".h5", ".keras"), "keras", True, False)),
        ("pytorch", Format(state_dicts, (".safetensors", ".npz"), "pytorch", True, False)),
        ("onnx", Format(onnx_models, (".onnx",), "onnx", True, False)),
    ]
)


def format_of(path):
    """The name in `FORMATS` by the suffix of a path; None where it has no suffix of theirs."""
    return next((name for name, entry in FORMATS.items() if str(path).endswith(entry.suffixes)), None)


def entry_of(path, format, function, otherwise=None):
    """The `Format` of a file.

    Args:
      format: a name in `FORMATS`; None for what the path's suffix says.
      otherwise: the name where neither says anything; None if that is an error.

    Raises:
      ValueError: an unknown format, or none, or the path's suffix is another one's.
    """
    by_suffix = format_of(path)
    name = format or by_suffix or otherwise
    if name is None:
        suffixes = " ".join(suffix for entry in FORMATS.values() for suffix in entry.suffixes)
        checks.fail(function, f"a format, or a name that ends in one of {suffixes}", path)
    entry = checks.known(FORMATS, name, function, "format")
    if by_suffix not in (None, name):
        checks.fail(function, f"a name that does not end as files of the format {by_suffix} do", path)
    return entry
