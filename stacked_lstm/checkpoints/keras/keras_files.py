"""Keras files: .weights.h5 and .keras, of Keras 3 and tf-keras, and .h5, of a whole model or of its weights.

    .weights.h5   layers/lstm/cell/vars/0, 1, 2 are a layer's kernel, recurrent_kernel and bias
    .h5           lstm/lstm/lstm_cell/kernel:0 and so on. Attributes list the names in order. The attribute model_config
                  of a whole model describes the layers.
    .keras        a zip file with config.json and such a model.weights.h5

A .weights.h5 file numbers the layers of each class. The order of layers of different classes is therefore not in their
names. It is in the order in which the arrays were written. Layers are read in the order of the file, as if each fed the
next, whatever a functional model does with them. If a model is no chain, select the layers by name.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints.codec import Codec
from stacked_lstm.checkpoints.keras import hdf5_files, keras_configs
from stacked_lstm.checkpoints.layers import (
    PLAIN,
    VARIANT,
    Location,
    Weights,
    direction_of,
    fits,
    keras_layout,
    natural_order,
)
from stacked_lstm.checkpoints.safety import files
from stacked_lstm.checkpoints.safety.files import Content
from stacked_lstm.checkpoints.safety.limits import Budget

MEMBER = "model.weights.h5"  # The file of weights in a .keras file.
_KEYS = ("kernel", "recurrent_kernel", "bias")
_KEYS_BY_NUMBER = dict(zip("012", _KEYS))
_UNDESCRIBED = "no config: assumed to have tanh and sigmoid and, except in a Bidirectional, to read forward"
_LSTM = re.compile(r"(?:forward_|backward_)?(?:cu_dnn)?lstm(?:_cell)?(?:_\d+)?")


class Container(NamedTuple):
    """What a file holds beside arrays.

    Fields:
      data: the bytes of the file.
      order: names of arrays in the order of the network: as a .h5 file lists them, else as they were written.
      descriptions: list of `keras_configs.Description`; None if the file has no config.
    """

    data: bytes
    order: Sequence[str]
    descriptions: list[keras_configs.Description] | None


def load(path: str, max_bytes: int | None) -> Content:
    """The `Content` with all arrays of the HDF5 file, and a `Container`."""
    with files.file_errors(path, "a Keras file"):
        with files.open_regular(path) as file:
            data = file.read()
        budget = Budget(path, max_bytes, len(data))
        is_zip = path.endswith(".keras")
        for info in zipfile.ZipFile(io.BytesIO(data)).infolist() if is_zip else []:
            budget.spend(info.file_size, info.filename)
        with _open_hdf5(path, data) as hdf5:
            arrays = hdf5_files.arrays_of(_h5py(), hdf5, budget)
            listed = _listed_names(hdf5, budget, len(data))
            config = _text(hdf5.attrs["model_config"]) if "model_config" in hdf5.attrs else None
        order = listed or list(arrays)
        missing = sorted(set(listed) - set(arrays))
        if missing:
            raise ValueError(f"weight_names that list {missing[0]}, which is not in the file")
        if is_zip:
            config = _text(zipfile.ZipFile(io.BytesIO(data)).read("config.json"))
        descriptions = keras_configs.describe_model(json.loads(config)) if config is not None else None
    return Content(arrays, Container(data, order, descriptions))


def find(content: Content, path: str) -> list[Location]:
    """The LSTM layers, in the order of the network."""
    groups: dict[str, dict[str, str]] = {}
    for name in content.arrays:
        scope, _, last = name.rpartition("/")
        key = _KEYS_BY_NUMBER.get(last, last) if scope.endswith("/vars") else last.split(":")[0]
        if not scope.startswith("optimizer"):  # An optimizer's arrays have the names and shapes of the layers' arrays.
            groups.setdefault(scope, {})[key] = name
    locations = [_location(scope, names, content) for scope, names in groups.items()]
    positions: dict[str, int] = {}
    for k, name in enumerate(content.container.order):
        positions.setdefault(_without_direction(name), k)
    layers = [location for location in locations if location is not None]
    for layer in layers:
        if _without_direction(layer.name + "/") not in positions:
            raise ValueError(f"attributes layer_names and weight_names that do not list {layer.name}, so no order")
    return sorted(
        layers, key=lambda layer: (positions[_without_direction(layer.name + "/")], natural_order(layer.name))
    )


def _without_direction(name: str) -> str:
    """The part of a name that the two layers of a Bidirectional share."""
    return re.sub(r"(?<=/)(?:forward|backward)_.*|[^/]*$", "", name, count=1)


def _location(scope: str, names: Mapping[str, str], content: Content) -> Location | None:
    """The `Location` of the layer whose arrays are in a group; None if they are not those of an LSTM."""
    if not {"kernel", "recurrent_kernel"} <= set(names) <= set(_KEYS):
        return None
    names = {key: names[key] for key in _KEYS if key in names}
    layout = keras_layout(names, content.arrays)
    if not fits(names, content.arrays, layout) and not any(_LSTM.fullmatch(part) for part in scope.split("/")):
        return None  # The arrays of a GRU have the same names.
    location = Location(scope, "", layout, names, direction_of(scope))
    if content.container.descriptions is None:
        return location._replace(remark=_UNDESCRIBED)
    description = keras_configs.find_description(content.container.descriptions, scope)
    if description is None:  # What a layer of a subclassed model computes is known to its program only.
        return location._replace(status=VARIANT, remark="the config in the file does not describe it")
    direction = "backward" if description.backward else "forward"
    status = VARIANT if description.remark else PLAIN
    return location._replace(direction=direction, status=status, remark=description.remark)


def create(
    layers: Sequence[Weights], initial_states: Sequence[Weights], layout: str, scope: str | None, path: str
) -> tuple[Container, list[Location]]:
    """A file for keras.Sequential([LSTM(...), ...]).load_weights, and the locations in it."""
    if path.endswith(".keras"):
        expected = f"`template` to be an existing .keras file, because {path} must contain a whole model"
        checks.fail("checkpoints.write", expected, "None; a .weights.h5 file needs no template")
    dtypes = {array.dtype.name for arrays in layers for array in arrays.values()}
    if not dtypes <= {"float16", "float32", "float64"}:
        expected = "`layers` to have the dtype float16, float32 or float64 in a Keras file"
        checks.fail("checkpoints.write", expected, ", ".join(sorted(dtypes)))
    if scope:
        checks.fail("checkpoints.write", "no `scope` for a Keras file, since Keras names layers itself", repr(scope))
    has_lists = not path.endswith(".weights.h5")
    names = ["lstm"] + [f"lstm_{k}" for k in range(1, len(layers))]
    locations = []
    for name, arrays in zip(names, layers):
        group = f"{name}/{name}/lstm_cell" if has_lists else f"layers/{name}/cell/vars"
        array_names = {key: f"{group}/{key}:0" if has_lists else f"{group}/{_KEYS.index(key)}" for key in arrays}
        locations.append(Location(group, "", layout, array_names))
    file = io.BytesIO()
    with _h5py().File(file, "w") as hdf5:
        for location, arrays in zip(locations, layers):
            for key, array in arrays.items():
                hdf5[location.array_names[key]] = array
        if has_lists:
            _list_names(hdf5, names, locations)
        else:  # tf-keras looks for groups of the model and its layers, which have no arrays themselves.
            for group in ["vars"] + [f"layers/{name}/vars" for name in names]:
                hdf5.create_group(group)
    return Container(file.getvalue(), [], None), locations


def _list_names(hdf5: Any, names: Sequence[str], locations: Sequence[Location]) -> None:
    """Writes the attributes by which Keras finds the arrays in a .h5 file."""
    hdf5.attrs["layer_names"] = np.array(names, "S")
    hdf5.attrs["keras_version"] = np.array(b"2.0.0")  # Without a version, Keras expects the arrays of Keras 1.
    for name, location in zip(names, locations):
        weight_names = [path.split("/", 1)[1] for path in location.array_names.values()]
        hdf5[name].attrs["weight_names"] = np.array(weight_names, "S")


def save(path: str, content: Content, target: str) -> None:
    """Writes the file of the container with the arrays of the content in place of its own."""
    data = io.BytesIO(_hdf5_bytes(path, content.container.data))
    with _h5py().File(data, "r+") as hdf5:
        for name, array in content.arrays.items():
            if not files.same_bits(hdf5[name][()], array):
                hdf5[name][...] = array
    is_zip = path.endswith(".keras")
    with open(path, "wb") as file:
        file.write(_with_member(content.container.data, data.getvalue()) if is_zip else data.getvalue())


def _listed_names(hdf5: Any, budget: Budget, file_bytes: int) -> list[str]:
    """Names of arrays, in the order of the attributes of a .h5 file."""
    top = hdf5["model_weights"] if "model_weights" in hdf5 else hdf5
    names = []
    for layer in _texts(top.attrs, "layer_names", budget, file_bytes):
        prefix = top[layer].name.lstrip("/")
        names += [f"{prefix}/{name}" for name in _texts(top[layer].attrs, "weight_names", budget, file_bytes)]
    return names


def _texts(attributes: Any, name: str, budget: Budget, file_bytes: int) -> list[str]:
    """The texts in an attribute; none if it does not exist."""
    if name not in attributes:
        return []
    attribute = attributes.get_id(name)
    count = int(np.prod(attribute.shape))
    budget.spend(count * (file_bytes if attribute.dtype.kind == "O" and count > 1 else attribute.dtype.itemsize), name)
    return [_text(text) for text in np.ravel(attributes[name])]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _open_hdf5(path: str, data: bytes) -> Any:
    return _h5py().File(io.BytesIO(_hdf5_bytes(path, data)), "r")


def _hdf5_bytes(path: str, data: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(data)).read(MEMBER) if path.endswith(".keras") else data


def _with_member(data: bytes, member: bytes) -> bytes:
    """The zip file `data` with another file of weights."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as target:
        for info in source.infolist():
            target.writestr(info, member if info.filename == MEMBER else source.read(info))
    return result.getvalue()


def _h5py() -> Any:
    import h5py  # TensorFlow installs it.

    return h5py


CODEC = Codec(load=load, find=find, create=create, save=save)
