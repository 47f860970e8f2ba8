"""TensorFlow checkpoints: V1 is read, V2 is read and written. The program's graph and variables are not needed."""

from __future__ import annotations

import os
from typing import Sequence

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import files, initial_states, variables
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.files import Content
from stacked_lstm.checkpoints.layers import Location, Weights
from stacked_lstm.compat import tf
from stacked_lstm.weights import LAYER_SCOPE

STACK_SCOPE = "stacked_lstm"
CELL_NAMES = {"rnn_cell": "lstm_cell", "cudnn_compatible": "cudnn_compatible_lstm_cell"}


def load(path: str) -> Content:
    """The `Content` of the checkpoint with the prefix `path`, or of the last checkpoint in the folder `path`."""
    with files.file_errors(path, "a TensorFlow checkpoint"):
        reader = tf.train.load_checkpoint(path)
        dtypes = reader.get_variable_to_dtype_map()
        arrays = {name: reader.get_tensor(name) for name in sorted(dtypes)}
    for name, array in arrays.items():  # An array of bytes would cut zeros at the end of a string.
        arrays[name] = np.array(array, object if dtypes[name] == tf.string else None)
    return Content(arrays, None)


def find(content: Content, path: str) -> list[Location]:
    """The layers of StackedLSTMs, then those of cells and Keras layers."""
    return variables.find_stacks(content.arrays) + variables.find_cells(content.arrays)


def create(
    layers: Sequence[Weights], states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[None, list[Location]]:
    """No container, and the names of variables: `scope`/layer_1/Wf and so on, or those of cells at `scope` % 0."""
    if layout == layouts.OWN:
        unknown = sorted(set().union(*layers) - set(variables.STACK_NAMES))
        if unknown:
            expected = "`layers` to have no peepholes and no projection, since StackedLSTM has none"
            checks.fail("checkpoints.write", expected, unknown)
        pattern, first = f"{(scope or STACK_SCOPE).replace('%', '%%')}/{LAYER_SCOPE}", 1
    else:
        outer = "rnn/multi_rnn_cell/cell_%d/" if len(layers) > 1 else "rnn/"
        pattern, first = scope or outer + CELL_NAMES[layout], 0
    names = _numbered_names(pattern, len(layers), first)
    locations = []
    for k, (name, arrays, state) in enumerate(zip(names, layers, states)):
        state_names = initial_states.variable_names(name.rpartition("/")[0], str(first + k))
        state_names = {key: state_names[key] for key in state}
        array_names = {key: f"{name}/{key}" for key in arrays}
        locations.append(Location(name, "", layout, array_names, initial_state=state_names))
    return None, locations


def _numbered_names(pattern: str, count: int, first: int) -> list[str]:
    try:
        names = [pattern % k for k in range(first, first + count)] if count > 1 or "%" in pattern else [pattern]
    except (TypeError, ValueError):
        names = []
    if len(set(names)) != count or not all(name.strip("/") == name != "" for name in names):
        expected = f"`scope` to name {count} layer{'s' * (count > 1)}, with %d for the number"
        checks.fail("checkpoints.write", expected, repr(pattern))
    return names


def save(path: str, content: Content) -> None:
    """Writes a checkpoint on the CPU, in a graph and a session of its own."""
    names, arrays = list(content.arrays), list(content.arrays.values())
    with tf.Graph().as_default(), tf.device("/CPU:0"):
        placeholders = [
            tf.placeholder(tf.string if array.dtype == object else tf.as_dtype(array.dtype), array.shape)
            for array in arrays
        ]
        slices = [""] * len(names)
        op = tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=slices, tensors=placeholders)
        with tf.Session(config=tf.ConfigProto(device_count={"GPU": 0})) as session:
            session.run(op, dict(zip(placeholders, arrays)))


def finish(path: str) -> None:
    """Lets tf.train.latest_checkpoint find the checkpoint, unless its folder already names another that exists."""
    folder, name = os.path.split(os.path.abspath(path))
    if latest(path) is None:
        tf.train.update_checkpoint_state(folder, name)


def latest(path: str) -> str | None:
    """The checkpoint that tf.train.latest_checkpoint finds in the folder of `path`; None if that does not exist."""
    latest_path: str | None = tf.train.latest_checkpoint(os.path.dirname(os.path.abspath(path)))
    return latest_path


CODEC = Codec(load=load, find=find, create=create, save=save, finish=finish)
