"""`read`: the LSTM layers of a file, in the package's common form."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from typing import Any, NamedTuple, Union

from stacked_lstm import checks
from stacked_lstm.checkpoints import slots
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.formats import find_format, format_to_read
from stacked_lstm.checkpoints.layers import (
    POSSIBLE,
    VARIANT,
    CheckpointLayer,
    Location,
    check_fits,
    check_numbers,
    fits,
    layer_at,
)
from stacked_lstm.checkpoints.safety import child_process, files, limits, messages
from stacked_lstm.checkpoints.safety.files import Arrays, Content

Path = Union[str, "os.PathLike[str]"]

_SHOWN = 4  # Layers in a `repr`.


class Checkpoint(NamedTuple):
    """What `read` found in a file.

    Fields:
      path: the file.
      layers: list of `CheckpointLayer`, in the order of the network.
      other_layers: list of `CheckpointLayer` that were not selected by name, or whose names are not those of LSTMs.
      other_arrays: dictionary from names to arrays of everything that belongs to none of `layers`.

    Example:
      >>> np.savez("lstm.npz", weight_ih_l0=np.ones([12, 2]), weight_hh_l0=np.ones([12, 3]), head=np.ones([3]))
      >>> checkpoint = stacked_lstm.checkpoints.read("lstm.npz")
      >>> checkpoint
      <Checkpoint lstm.npz: 1 layer (l0 [2 -> 3]), 0 other layers, 1 other array>
      >>> list(checkpoint.other_arrays)
      ['head']
    """

    path: str
    layers: list[CheckpointLayer]
    other_layers: list[CheckpointLayer]
    other_arrays: Arrays

    def __repr__(self) -> str:
        layers = [
            f"{layer.name} [{sizes.input_size} -> {sizes.projection_size or sizes.hidden_size}]"
            for layer, sizes in zip(self.layers, [layer.sizes for layer in self.layers[:_SHOWN]])
        ]
        shown = ", ".join(layers + ["..."] * (len(self.layers) > _SHOWN))
        other_layers = _counted(self.other_layers, "other layer")
        other_arrays = _counted(self.other_arrays, "other array")
        return f"<Checkpoint {self.path}: {_counted(self.layers, 'layer')} ({shown}), {other_layers}, {other_arrays}>"


def _counted(things: list[CheckpointLayer] | Arrays, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def read(
    path: Path,
    format: str | None = None,
    names: str | None = None,
    forget_bias: float | None = None,
    max_bytes: int | None = None,
    trusted: bool = True,
) -> Checkpoint:
    """Reads the LSTM layers of a file of TensorFlow, Keras, PyTorch, ONNX or this package.

    Nothing is unpickled. TensorFlow is imported only for a TensorFlow checkpoint. A malicious TensorFlow checkpoint can
    end the process that reads it, and a malicious Keras file can make it run forever. `trusted=False` is for files from
    strangers.

    Args:
      path: the file, or the prefix or the folder of a TensorFlow checkpoint.
      format: a name in `FORMATS`. None: the suffix of `path` decides, and for .npz the names of the arrays; without a
        known suffix it is a TensorFlow checkpoint, and layers of all its layouts are read.
      names: regular expression that matches the complete names of the layers to read. None: all layers that certainly
        are LSTM layers. The names are those in `layers` and `other_layers` of the result.
      forget_bias: what cells add to the forget gate at run time, which is not in the file. None: 1.0, the default of
        BasicLSTMCell and LSTMCell. It has no effect on layers of libraries that add none.
      max_bytes: how many bytes the arrays of the file may take together. None: 20 times the size of the file, at least
        256 MiB. A damaged or malicious file may declare more than it holds.
      trusted: False reads the file in a child process, which takes the time to start Python (and TensorFlow for its
        checkpoints). The process may use 60 seconds of processor time and 8 GiB of address space, and more for a
        large file. If it dies, that is a ValueError.

    Returns:
      A `Checkpoint`.

    Raises:
      ValueError: the file is missing, damaged or too large, has no LSTM layers, or none with these names; arrays have
        wrong shapes; the child process died or took too long. Without `names`, also: a layer is no plain LSTM, or a
        layer's number is missing.

    Example:
      >>> np.savez("lstm.npz", weight_ih_l0=np.ones([12, 2]), weight_hh_l0=np.ones([12, 3]))
      >>> (layer,) = stacked_lstm.checkpoints.read("lstm.npz").layers
      >>> layer.name, layer.sizes
      ('l0', LayerSizes(input_size=2, hidden_size=3, projection_size=None))
      >>> sorted(layer.weights)
      ['Wc', 'Wf', 'Wi', 'Wo']
    """
    path = str(path)
    entry = find_format(path, format, "checkpoints.read", default="stacked_lstm")
    if forget_bias is not None:
        checks.number(forget_bias, "checkpoints.read", "forget_bias")
    layout = entry.layout if format is not None and entry.is_tensorflow_checkpoint else None
    locate = _locate if checks.flag(trusted, "checkpoints.read", "trusted") else _locate_in_child_process
    selected, unselected, arrays = locate(path, format, layout, names, max_bytes)
    layers, used = slots.with_slots([layer_at(location, arrays, forget_bias) for location in selected], arrays)
    other_layers = [layer_at(location, arrays, forget_bias) for location in unselected]
    other_arrays = {name: array for name, array in arrays.items() if name not in used}
    return Checkpoint(path, layers, other_layers, other_arrays)


def _locate(
    path: str, format: str | None, layout: str | None, names: str | None, max_bytes: int | None
) -> tuple[list[Location], list[Location], Arrays]:
    """The locations of the selected layers, those of the others, and all arrays of a file."""
    codec = format_to_read(path, format).codec()
    content = load(codec, path, max_bytes)
    return (*select_layers(codec, content, path, layout, names), content.arrays)


def _locate_in_child_process(*arguments: Any) -> tuple[list[Location], list[Location], Arrays]:
    """`_locate` in a child process with limits of time and memory."""
    path, *_, names, max_bytes = arguments
    check_max_bytes(max_bytes)
    if names is not None and not isinstance(names, str):
        checks.fail("checkpoints.read", "`names` to be a regular expression for names of layers", repr(names))
    allowed = child_process.limits_for([path], max_bytes)
    function = "stacked_lstm.checkpoints.reading:locate_and_send"
    with tempfile.TemporaryFile() as file:
        status, errors = child_process.call(function, ["read", json.dumps(arguments)], allowed, path, file)
        if status:
            raise RuntimeError(f"checkpoints.read: the process that reads {path} exited with {status}:\n{errors}")
        values, arrays = messages.receive(file)
    if isinstance(values, dict):
        messages.raise_error(values)
    selected, unselected = ([Location(**location) for location in locations] for locations in values)
    return list(selected), list(unselected), arrays


def locate_and_send() -> None:
    """What a child process does for `_locate_in_child_process`; its result goes to stdout."""
    with open(os.dup(1), "wb") as file:
        os.dup2(2, 1)  # Whatever a library prints.
        try:
            selected, unselected, arrays = _locate(*json.loads(sys.argv[1]))
        except Exception as error:
            messages.send(messages.error_values(error), {}, file)
        else:
            locations = [[location._asdict() for location in part] for part in (selected, unselected)]
            messages.send(locations, arrays, file)


def load(codec: Codec, path: str, max_bytes: int | None) -> Content:
    """What a file holds, if it does not ask for more than is plausible.

    Args:
      codec: the `Codec` of the file's format.
      path: the file.
      max_bytes: as for `read`.
    """
    check_max_bytes(max_bytes)
    content = codec.load(path, max_bytes)
    limits.check_names(content.arrays, path)
    return content


def check_max_bytes(max_bytes: int | None) -> None:
    """Raises ValueError if `max_bytes` is no positive integer."""
    if max_bytes is not None and (not isinstance(max_bytes, int) or max_bytes < 1):
        checks.fail("checkpoints.read", "`max_bytes` to be a positive integer", repr(max_bytes))


def select_layers(
    codec: Codec,
    content: Content,
    path: str,
    layout: str | None,
    names: str | None,
    names_argument: str = "names",
) -> tuple[list[Location], list[Location]]:
    """Finds the layers of a file and divides them.

    Args:
      codec: the `Codec` of the file's format.
      content: what the file holds.
      path: the file.
      layout: the only layout to look for; None for all.
      names: regular expression for the names of the layers to select; None for all that certainly are LSTM layers.
      names_argument: what the caller's user calls `names`.

    Returns:
      The selected locations and the others, both in the order of the network.

    Raises:
      ValueError: as `read` does.
    """
    with files.file_errors(path, "LSTM layers"):
        locations = codec.find(content, path)
    if layout is not None:
        locations = [location for location in locations if location.layout == layout]
    if names is None:
        selected = [location for location in locations if location.status != POSSIBLE]
    else:
        selected = [location for location in locations if _matches(names, location.name, names_argument)]
    if not selected:
        _fail_without_layers(locations, path, names, names_argument)
    for location in selected:
        check_fits(location, content.arrays, path, names_argument)
    if names is None:
        variants = {location.name: location.remark for location in selected if location.status == VARIANT}
        if variants:
            expected = f"plain LSTM layers in {path}, or `{names_argument}` to read these as if they were"
            checks.fail("checkpoints.read", expected, "; ".join(f"{name} ({why})" for name, why in variants.items()))
        check_numbers(selected, path, names_argument)
        codec.check_complete(selected, content.arrays, path, names_argument)
    chosen = set(map(id, selected))
    unselected = [location for location in locations if id(location) not in chosen]
    return selected, [place for place in unselected if fits(place.array_names, content.arrays, place.layout)]


def _fail_without_layers(locations: list[Location], path: str, names: str | None, names_argument: str) -> None:
    present = ", ".join(location.name for location in locations)
    if names is None:
        other = f"none; `{names_argument}` can select {present}" if present else "none"
        checks.fail("checkpoints.read", f"LSTM layers in {path}", other)
    expected = f"`{names_argument}` to match the names of LSTM layers in {path}"
    checks.fail(
        "checkpoints.read", expected, f"{names!r}; {'the names are ' + present if present else 'there are none'}"
    )


def _matches(pattern: str, name: str, argument: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except (re.error, TypeError) as error:
        problem = f"{pattern!r} ({error})"
    return checks.fail("checkpoints.read", f"`{argument}` to be a regular expression for names of layers", problem)
