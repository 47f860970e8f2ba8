"""PyTorch's state_dicts, as .safetensors or .npz files.

    safetensors.torch.save_file(model.state_dict(), "model.safetensors")
    numpy.savez("model.npz", **{name: value.numpy() for name, value in model.state_dict().items()})

There is no reader for the pickles of torch.save, because reading a pickle can run any program.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints import npz_files
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.layers import PLAIN, VARIANT, Location, Weights, fits, natural_order
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.files import Content
from stacked_lstm.checkpoints.safety.limits import Budget

_NAME = re.compile(r"(?P<prefix>(?:.*\.)?)weight_(?:ih|hh)(?P<level>(?:_l\d+)?)(?P<reverse>(?:_reverse)?)")
_OWN_NAME = re.compile(r"(?:.*\.)?(?:weight_(?:ih|hh|hr)|bias_(?:ih|hh))(?:_l\d+)?(?:_reverse)?")
# Weights from which others are computed: by weight normalisation, weight dropout and the like.
_REPARAMETRIZED = re.compile(r"parametrizations\.|(?:weight|bias)_(?:ih|hh|hr)")
_SHOWN = 3
_MATRICES = ("weight_ih", "weight_hh")
_KEYS = _MATRICES + ("bias_ih", "bias_hh", "weight_hr")
_HEIGHTS = {"GRU": 3, "RNN": 1}  # Rows of weight_hh per column in modules of PyTorch that use the same names.


def load(path: str, max_bytes: int | None) -> Content:
    """The `Content`, whose container is the metadata of a .safetensors file."""
    if path.endswith(".npz"):
        return npz_files.load(path, max_bytes)
    safetensors = _safetensors(path)
    with files.file_errors(path, "a .safetensors file"):
        files.open_regular(path).close()
        budget, arrays = Budget(path, max_bytes), {}
        with safetensors.safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                arrays[name] = file.get_tensor(name)  # The package checks that a tensor is within the file.
                budget.spend(arrays[name].nbytes, name)
            return Content(arrays, file.metadata())


def save(path: str, content: Content, target: str) -> None:
    """Writes an .npz or a .safetensors file."""
    if path.endswith(".npz"):
        npz_files.save(path, content, target)
    else:
        _safetensors(path)
        import safetensors.numpy

        arrays = {name: np.ascontiguousarray(array) for name, array in content.arrays.items()}
        safetensors.numpy.save_file(arrays, path, metadata=content.container)


def find(content: Content, path: str) -> list[Location]:
    """The layers, sorted by the numbers in the names of modules and layers; .safetensors files sort names as text."""
    locations = {}
    matches = [match for match in map(_NAME.fullmatch, content.arrays) if match]
    members: dict[str, list[str]] = {match.group("prefix"): [] for match in matches}
    for name in content.arrays:
        for end in [0] + [match.end() for match in re.finditer(r"\.", name)]:
            if name[:end] in members:
                members[name[:end]].append(name)
    for match in filter(None, map(_NAME.fullmatch, content.arrays)):
        prefix, suffix = match.group("prefix"), match.group("level") + match.group("reverse")
        names = {key: prefix + key + suffix for key in _KEYS}
        names = {key: name for key, name in names.items() if key in _MATRICES or name in content.arrays}
        direction = "backward" if match.group("reverse") else "forward"
        name = prefix + (suffix.lstrip("_") or "cell")
        if not _is_other_module(names, content.arrays):
            remark = _remark(prefix, members[prefix])
            status = VARIANT if remark else PLAIN
            locations[name] = Location(name, prefix, "pytorch", names, direction, status, remark)
    return sorted(locations.values(), key=lambda found: (natural_order(found.network), natural_order(found.name)))


def create(
    layers: Sequence[Weights], initial_states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[dict[str, str] | None, list[Location]]:
    """Metadata, and the names in the state_dict of an nn.LSTM, whose layers all have the same width."""
    prefix = scope or ""
    if prefix and not prefix.endswith("."):
        expected = '`scope` to be a prefix of names in a state_dict, which ends in "."'
        checks.fail("checkpoints.write", expected, repr(scope))
    shapes = [arrays["weight_hh"].shape for arrays in layers]
    if len(set(shapes)) > 1:
        expected = "`layers` to have one width, as in an nn.LSTM"
        checks.fail("checkpoints.write", expected, f"the widths {', '.join(str(shape[1]) for shape in shapes)}")
    height, width = shapes[0]
    if "weight_hr" in layers[0] and 4 * width >= height:
        expected = "projections to fewer columns than there are units, as in an nn.LSTM"
        checks.fail("checkpoints.write", expected, f"{width} columns and {height // 4} units")
    if path.endswith(".npz"):
        npz_files.check_dtypes(layers[0].values())
    locations = [
        Location(f"{prefix}l{k}", prefix, layout, {key: f"{prefix}{key}_l{k}" for key in arrays})
        for k, arrays in enumerate(layers)
    ]
    return (None if path.endswith(".npz") else {"format": "pt"}), locations


def _remark(prefix: str, members: Sequence[str]) -> str:
    """How a module differs from an nn.LSTM; empty if it does not.

    Args:
      prefix: the module's prefix of names. One without a prefix contains all other modules, so that only arrays count
        that are named like its weights.
      members: names of all arrays of the module and of those inside it.
    """
    others = [name for name in members if not _OWN_NAME.fullmatch(name)]
    if not prefix:
        others = [name for name in others if _REPARAMETRIZED.match(name)]
    shown = sorted(others)[:_SHOWN] + ["..."] * (len(others) > _SHOWN)
    return f"with {', '.join(shown)}, which an nn.LSTM does not have" if others else ""


def _is_other_module(array_names: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays are those of a GRU or a simple RNN."""
    name = array_names["weight_hh"]
    shape = arrays[name].shape if name in arrays else ()
    has_other_height = len(shape) == 2 and any(shape[0] == height * shape[1] for height in _HEIGHTS.values())
    return has_other_height and not fits(array_names, arrays, "pytorch")


def _safetensors(path: str) -> Any:
    try:
        import safetensors
    except ImportError:
        files.fail_without_package("safetensors", path)
    return safetensors


CODEC = Codec(load=load, find=find, create=create, save=save)
