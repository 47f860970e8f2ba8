"""PyTorch's state_dicts, as .safetensors or .npz files.

    safetensors.torch.save_file(model.state_dict(), "model.safetensors")
    numpy.savez("model.npz", **{name: value.numpy() for name, value in model.state_dict().items()})

A pickle, which torch.save writes, can run any program when it is read; there is no reader for it here.
"""

import collections
import re

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints import files
from stacked_lstm.checkpoints.layers import Location, fits

_NAME = re.compile(r"(?P<prefix>(?:.*\.)?)weight_(?:ih|hh)(?P<level>(?:_l\d+)?)(?P<reverse>(?:_reverse)?)")
_WEIGHTS = ("weight_ih", "weight_hh")
_KEYS = _WEIGHTS + ("bias_ih", "bias_hh", "weight_hr")
_HEIGHTS = {"GRU": 3, "RNN": 1}  # Rows of weight_hh beside its columns, where PyTorch uses the same names.


def load(path):
    """`files.Content`; its rest is the metadata of a .safetensors file."""
    if path.endswith(".npz"):
        with files.reading(path, "arrays by name, without pickles,"), open(path, "rb") as file:
            with np.load(file, allow_pickle=False) as archive:
                return files.Content(collections.OrderedDict((name, archive[name]) for name in archive.files), None)
    safetensors = _safetensors(path)
    with files.reading(path, "tensors that NumPy has"):
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = collections.OrderedDict((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
            return files.Content(arrays, file.metadata())


def save(path, content):
    if path.endswith(".npz"):
        with open(path, "wb") as file:
            np.savez(file, **content.arrays)
    else:
        _safetensors(path)
        import safetensors.numpy

        arrays = {name: np.ascontiguousarray(array) for name, array in content.arrays.items()}
        safetensors.numpy.save_file(arrays, path, metadata=content.rest)


def find(content, path):
    """Modules by the numbers in their names, and a module's layers by theirs: .safetensors files sort them as text."""
    found = collections.OrderedDict()
    for match in filter(None, map(_NAME.fullmatch, content.arrays)):
        prefix, suffix = match.group("prefix"), match.group("level") + match.group("reverse")
        names = collections.OrderedDict((key, prefix + key + suffix) for key in _KEYS)
        names = collections.OrderedDict((k, n) for k, n in names.items() if k in _WEIGHTS or n in content.arrays)
        direction = "backward" if match.group("reverse") else "forward"
        name = prefix + (suffix.lstrip("_") or "cell")
        if not _of_another_kind(names, content.arrays):
            found[name] = Location(name, prefix, "pytorch", names, direction)
    return sorted(
        found.values(), key=lambda location: (files.in_order(location.network), files.in_order(location.name))
    )


def new(packed, layout, scope, path):
    """Metadata, and the names of the state_dict of an nn.LSTM, whose layers all have one width."""
    if scope and not scope.endswith("."):
        checks.fail("checkpoints.write", 'a `scope` that ends in ".", the prefix of a state_dict\'s names', repr(scope))
    shapes = [arrays["weight_hh"].shape for arrays in packed]
    if len(set(shapes)) > 1:
        checks.fail("checkpoints.write", "layers of one width for an nn.LSTM, shapes of weight_hh", shapes)
    locations = [
        Location(
            f"{scope or ''}l{k}",
            scope or "",
            layout,
            collections.OrderedDict((key, f"{scope or ''}{key}_l{k}") for key in arrays),
        )
        for k, arrays in enumerate(packed)
    ]
    return (None if str(path).endswith(".npz") else {"format": "pt"}), locations


def _of_another_kind(names, arrays):
    """Whether arrays are those of a GRU or a simple RNN."""
    shape = arrays[names["weight_hh"]].shape if names["weight_hh"] in arrays else ()
    plain = len(shape) == 2 and any(shape[0] == height * shape[1] for height in _HEIGHTS.values())
    return plain and not fits(names, arrays, "pytorch")


def _safetensors(path):
    try:
        import safetensors
    except ImportError:
        files.needed("safetensors", path)
    return safetensors
