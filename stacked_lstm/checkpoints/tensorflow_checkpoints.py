"""TensorFlow's checkpoints: V1 is read, V2 read and written, without a graph or variables of the program's."""

import collections
import os

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import files, variables
from stacked_lstm.checkpoints.layers import Location
from stacked_lstm.compat import tf
from stacked_lstm.weights import LAYER_SCOPE

STACK = "stacked_lstm"
CELL_NAMES = {"rnn_cell": "lstm_cell", "cudnn_compatible": "cudnn_compatible_lstm_cell"}


def load(path):
    """`files.Content` of a checkpoint's prefix, or of the last checkpoint in a folder."""
    with files.reading(path, "a TensorFlow checkpoint"):
        reader = tf.train.load_checkpoint(path)
        dtypes = reader.get_variable_to_dtype_map()
        arrays = collections.OrderedDict((name, reader.get_tensor(name)) for name in sorted(dtypes))
    for name, array in arrays.items():  # As an array of bytes, a string would lose zeros at its end.
        arrays[name] = np.array(array, object if dtypes[name] == tf.string else None)
    return files.Content(arrays, None)


def find(content, path):
    return variables.find_stacks(content.arrays) + variables.find_cells(content.arrays)


def new(packed, layout, scope, path):
    """No rest, and the names of variables: `scope`/layer_1/Wf and so on, or those of cells at `scope` % 0 and so on."""
    if layout == layouts.OWN:
        more = sorted(set().union(*packed) - set(variables.STACK_NAMES))
        if more:
            checks.fail("checkpoints.write", "layers without peepholes or projection, for a StackedLSTM has none", more)
        pattern, start = "%s/%s" % ((scope or STACK).replace("%", "%%"), LAYER_SCOPE), 1
    else:
        above = "rnn/multi_rnn_cell/cell_%d/" if len(packed) > 1 else "rnn/"
        pattern, start = scope or above + CELL_NAMES[layout], 0
    names = _numbered(pattern, len(packed), start)
    return None, [
        Location(name, "", layout, collections.OrderedDict((key, f"{name}/{key}") for key in arrays))
        for name, arrays in zip(names, packed)
    ]


def _numbered(pattern, count, start):
    try:
        names = [pattern % k for k in range(start, start + count)] if count > 1 or "%" in pattern else [pattern]
    except (TypeError, ValueError):
        names = []
    if len(set(names)) != count or not all(name.strip("/") == name != "" for name in names):
        expected = "`scope` to name %d layers, with %%d for their number" % count
        checks.fail("checkpoints.write", expected, repr(pattern))
    return names


def save(path, content):
    """Writes a checkpoint in a graph and a session of its own, on the CPU."""
    names, arrays = list(content.arrays), list(content.arrays.values())
    with tf.Graph().as_default(), tf.device("/CPU:0"):
        fed = [tf.placeholder(tf.string if a.dtype == object else tf.as_dtype(a.dtype), a.shape) for a in arrays]
        written = tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=[""] * len(names), tensors=fed)
        with tf.Session(config=tf.ConfigProto(device_count={"GPU": 0})) as session:
            session.run(written, dict(zip(fed, arrays)))


def finish(path):
    """Lets tf.train.latest_checkpoint find it, in a folder where nothing says which checkpoint is the latest."""
    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.exists(os.path.join(folder, "checkpoint")):
        tf.train.update_checkpoint_state(folder, name)
