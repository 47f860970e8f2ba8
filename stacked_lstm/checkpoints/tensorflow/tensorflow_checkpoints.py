"""TensorFlow checkpoints: V1 is read, V2 is read and written. The program's graph and variables are not needed.

tf.train.Saver names variables as the graph does. tf.train.Checkpoint names them by the attributes that lead to them,
adds a suffix, and stores a graph of the objects, which also has the variables' other names.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from typing import Sequence

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.checkpoints import initial_states
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.layers import Location, Weights
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.files import Content
from stacked_lstm.checkpoints.safety.limits import Budget
from stacked_lstm.checkpoints.tensorflow import cell_variables, variables
from stacked_lstm.compat import tf
from stacked_lstm.files import durable_files
from stacked_lstm.files.temporary_folders import YOUNG
from stacked_lstm.stack.weights import LAYER_SCOPE

_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
STACK_SCOPE = "stacked_lstm"
CELL_NAMES = {
    "rnn_cell": "lstm_cell",
    "cudnn_compatible": "cudnn_compatible_lstm_cell",
    "layer_norm_cell": "layer_norm_basic_lstm_cell",
}


def load(path: str, max_bytes: int | None) -> Content:
    """The `Content` of the checkpoint with the prefix `path`, or of the last checkpoint in the folder `path`.

    Its container is the graph of objects of a tf.train.Checkpoint; None without one.
    """
    with files.file_errors(path, "a TensorFlow checkpoint"):
        prefix = tf.train.latest_checkpoint(path) if os.path.isdir(path) else path
        if not prefix:
            raise ValueError("a folder whose file `checkpoint` names no checkpoint that exists")
        sizes = []
        for name in files.existing_files(prefix):
            with files.open_regular(name) as file:
                sizes.append(os.fstat(file.fileno()).st_size)
        reader = tf.train.load_checkpoint(prefix)
        dtypes = reader.get_variable_to_dtype_map()
        budget = Budget(path, max_bytes, sum(sizes))
        for name, shape in sorted(reader.get_variable_to_shape_map().items()):
            budget.spend(float(np.prod(np.asarray(shape, np.float64))) * max(dtypes[name].size, 1), name)
        arrays = {name: reader.get_tensor(name) for name in sorted(dtypes)}
    for name, array in arrays.items():  # An array of bytes would cut zeros at the end of a string.
        arrays[name] = np.array(array, object if dtypes[name] == tf.string else None)
    return Content(arrays, arrays.pop(_OBJECT_GRAPH, None))


def find(content: Content, path: str) -> list[Location]:
    """The layers of StackedLSTMs, then those of cells and Keras layers."""
    keys = {key[: -len(_SUFFIX)] if key.endswith(_SUFFIX) else key: key for key in content.arrays}
    arrays = {name: content.arrays[key] for name, key in keys.items()}
    full_names = _full_names(content.container) if content.container is not None else {}
    scopes = {name.rpartition("/")[0]: full_names.get(key, name).rpartition("/")[0] for name, key in keys.items()}
    return [
        location._replace(
            array_names={key: keys.get(name, name) for key, name in location.array_names.items()},
            initial_state={key: keys[name] for key, name in location.initial_state.items()},
        )
        for location in variables.find_stacks(arrays) + variables.find_cells(arrays, scopes)
    ]


def _full_names(object_graph: np.ndarray) -> dict[str, str]:
    """Key in the checkpoint -> the name of the variable in its program's graph."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(object_graph.item())
    attributes = [attribute for node in graph.nodes for attribute in node.attributes]
    return {attribute.checkpoint_key: attribute.full_name for attribute in attributes if attribute.full_name}


def create(
    layers: Sequence[Weights], states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[None, list[Location]]:
    """No container, and the names of variables: `scope`/layer_1/Wf and so on, or those of cells at `scope` % 0."""
    if layout == layouts.OWN:
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
        expected = f"`scope` to name {count} layers, with %d for the number" if count > 1 else "`scope` to name a layer"
        checks.fail("checkpoints.write", f"{expected}, without / at its ends", repr(pattern))
    return names


def save(path: str, content: Content, target: str) -> None:
    """Writes a checkpoint on the CPU, in a graph and a session of its own.

    The names of its data differ from those of a checkpoint that exists at `target`, so that both can exist until the
    index is exchanged. The number of shards is a part of these names.
    """
    named = dict(content.arrays, **({_OBJECT_GRAPH: content.container} if content.container is not None else {}))
    names, count = list(named), _free_shard_count(target)
    with tf.Graph().as_default(), tf.device("/CPU:0"):
        placeholders = {
            name: tf.placeholder(tf.string if array.dtype == object else tf.as_dtype(array.dtype), array.shape)
            for name, array in named.items()
        }
        prefixes = [f"{path}.shard-{k}" for k in range(count)]
        saves = [
            tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=names[k::count],
                shape_and_slices=[""] * len(names[k::count]),
                tensors=[placeholders[name] for name in names[k::count]],
            )
            for k, prefix in enumerate(prefixes)
        ]
        with tf.control_dependencies(saves):
            merge = tf.raw_ops.MergeV2Checkpoints(
                checkpoint_prefixes=prefixes, destination_prefix=path, delete_old_dirs=False
            )
        with tf.Session(config=tf.ConfigProto(device_count={"GPU": 0})) as session:
            session.run(merge, {placeholders[name]: array for name, array in named.items()})


def _free_shard_count(target: str) -> int:
    """The smallest number of shards that no checkpoint at `target` has; 1 if there is none that could be kept."""
    parts = files.existing_files(target)
    if not os.path.exists(target + ".index") or any(map(os.path.islink, parts)):
        return 1
    counts = {int(name[-5:]) for name in parts if ".data-" in name[len(target) :]}
    return next(count for count in range(1, len(counts) + 2) if count not in counts)


def finish(path: str) -> None:
    """Lets tf.train.latest_checkpoint find the checkpoint, unless its folder already names another that exists."""
    folder, name = os.path.split(os.path.abspath(path))
    for leftover in glob.glob(os.path.join(glob.escape(folder), "checkpoint.tmp" + "?" * 32)):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(leftover).st_mtime > YOUNG:  # A process was killed while it wrote this file.
                os.remove(leftover)
    if latest(path) is None:
        tf.train.update_checkpoint_state(folder, name)
        durable_files.flush(os.path.join(folder, "checkpoint"))
        durable_files.flush(folder)


def latest(path: str) -> str | None:
    """The checkpoint that tf.train.latest_checkpoint finds in the folder of `path`; None if that does not exist."""
    latest_path: str | None = tf.train.latest_checkpoint(os.path.dirname(os.path.abspath(path)))
    return latest_path


CODEC = Codec(
    load=load, find=find, create=create, save=save, check_complete=cell_variables.check_all_found, finish=finish
)
