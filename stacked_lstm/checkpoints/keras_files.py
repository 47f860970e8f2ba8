"""Keras' files: .weights.h5 and .keras, of Keras 3 and of tf-keras, and .h5, a model's or its weights only.

    .weights.h5   layers/lstm/cell/vars/0, 1, 2 are a layer's kernel, recurrent_kernel and bias
    .h5           lstm/lstm/lstm_cell/kernel:0 and so on; attributes list the names in order; a whole model's
                  attribute model_config describes its layers
    .keras        a zip file of config.json and such a model.weights.h5

Groups of a .weights.h5 file are numbered by the classes of their layers, so that the order of layers of several classes
is not in their names; it is in the order in which the arrays were written. Layers are taken in the file's order, one
above the other, whatever a functional model does with them: of a model that is no chain, name those that are meant.
"""

import collections
import io
import json
import re
import zipfile

import numpy as np

from stacked_lstm import checks
from stacked_lstm.checkpoints import files, keras_configs
from stacked_lstm.checkpoints.layers import OTHER, PLAIN, Location, fits

MEMBER = "model.weights.h5"
_KEYS = ("kernel", "recurrent_kernel", "bias")
_NUMBERS = dict(zip("012", _KEYS))
_LSTM = re.compile(r"(?:forward_|backward_)?(?:cu_dnn)?lstm(?:_cell)?(?:_\d+)?")

Rest = collections.namedtuple("Rest", ["data", "order", "described"])
Rest.__doc__ = """What a file holds beside arrays.

Fields:
  data: the bytes of the file.
  order: names of arrays in the order of the network: as a .h5 file lists them, else as they were written.
  described: list of `keras_configs.Description`; None where the file has no config.
"""


def load(path):
    """`files.Content` with all arrays of the HDF5 file, and a `Rest`."""
    with files.reading(path, "a Keras file"):
        with open(path, "rb") as file:
            data = file.read()
        with _opened(path, data) as hdf5:
            arrays = _datasets(hdf5)
            order = list(_listed(hdf5)) or list(arrays)
            config = hdf5.attrs.get("model_config")
        if path.endswith(".keras"):
            config = zipfile.ZipFile(io.BytesIO(data)).read("config.json")
        described = keras_configs.described(json.loads(config)) if config is not None else None
    return files.Content(arrays, Rest(data, order, described))


def find(content, path):
    groups = collections.OrderedDict()
    for name in content.arrays:
        scope, _, last = name.rpartition("/")
        key = last.split(":")[0] if not scope.endswith("/vars") else _NUMBERS.get(last, last)
        if not scope.startswith("optimizer"):  # It keeps arrays with the names and shapes of the layers' own.
            groups.setdefault(scope, collections.OrderedDict())[key] = name
    locations = [_location(scope, names, content) for scope, names in groups.items()]
    places = {}
    for k, name in enumerate(content.rest.order):
        places.setdefault(_both_directions(name), k)
    return sorted(
        [location for location in locations if location is not None],
        key=lambda location: (places.get(_both_directions(location.name + "/"), 0), files.in_order(location.name)),
    )


def _both_directions(name):
    """The part of a name that the two layers of a Bidirectional share."""
    return re.sub(r"(?<=/)(?:forward|backward)_.*|[^/]*$", "", name, count=1)


def _location(scope, names, content):
    """`Location` of the layer whose arrays are in a group; None where it is not an LSTM's."""
    if not {"kernel", "recurrent_kernel"} <= set(names) <= set(_KEYS):
        return None
    names = collections.OrderedDict((key, names[key]) for key in _KEYS if key in names)
    layout = "keras" if fits(names, content.arrays, "keras") else "keras_cudnn"
    if not fits(names, content.arrays, layout) and not any(_LSTM.fullmatch(part) for part in scope.split("/")):
        return None  # A GRU has arrays of these names, too.
    if content.rest.described is None:
        return Location(scope, "", layout, names, files.direction_of(scope))
    description = keras_configs.of_layer(content.rest.described, scope)
    if description is None:  # A subclassed model's, say: what it computes is in its program.
        remark = "the config in the file does not describe it"
        return Location(scope, "", layout, names, files.direction_of(scope), OTHER, remark)
    direction = "backward" if description.backward else "forward"
    remark = description.remark
    return Location(scope, "", layout, names, direction, OTHER if remark else PLAIN, remark)


def new(packed, layout, scope, path):
    """The `Rest` of a file for keras.Sequential([LSTM(...), ...]).load_weights, and where its layers are."""
    if str(path).endswith(".keras"):
        checks.fail("checkpoints.write", "a template for a .keras file, or a .weights.h5 file to be written", path)
    dtypes = {array.dtype.name for arrays in packed for array in arrays.values()}
    if not dtypes <= {"float16", "float32", "float64"}:
        checks.fail("checkpoints.write", "arrays of float16, float32 or float64 for a Keras file", sorted(dtypes))
    if scope:
        checks.fail("checkpoints.write", "no `scope` for Keras, which names layers itself", repr(scope))
    listed = not str(path).endswith(".weights.h5")
    names = ["lstm"] + [f"lstm_{k}" for k in range(1, len(packed))]
    groups = [f"{name}/{name}/lstm_cell" if listed else f"layers/{name}/cell/vars" for name in names]
    locations = []
    for group, arrays in zip(groups, packed):
        keys = [(key, key + ":0" if listed else str(_KEYS.index(key))) for key in arrays]
        locations.append(
            Location(group, "", layout, collections.OrderedDict((key, f"{group}/{own}") for key, own in keys))
        )
    file = io.BytesIO()
    with _h5py().File(file, "w") as hdf5:
        for location, arrays in zip(locations, packed):
            for key, array in arrays.items():
                hdf5[location.names[key]] = array
        if listed:
            _list(hdf5, names, locations)
        else:  # The model and its layers have no arrays of their own, but tf-keras looks for them.
            for group in ["vars"] + [f"layers/{name}/vars" for name in names]:
                hdf5.create_group(group)
    return Rest(file.getvalue(), [], None), locations


def _list(hdf5, names, locations):
    """The attributes by which Keras finds the arrays in a .h5 file."""
    hdf5.attrs["layer_names"] = np.array(names, "S")
    hdf5.attrs["keras_version"] = np.array(b"2.0.0")  # Without it, Keras takes them for those of its version 1.
    for name, location in zip(names, locations):
        listed = [path.split("/", 1)[1] for path in location.names.values()]
        hdf5[name].attrs["weight_names"] = np.array(listed, "S")


def save(path, content):
    """Writes the `Rest`'s file with the arrays of the Content instead of its own."""
    data = io.BytesIO(_hdf5_bytes(path, content.rest.data))
    with _h5py().File(data, "r+") as hdf5:
        for name, array in content.arrays.items():
            if not files.same(hdf5[name][()], array):
                hdf5[name][...] = array
    with open(path, "wb") as file:
        file.write(_with_member(content.rest.data, data.getvalue()) if path.endswith(".keras") else data.getvalue())


def _datasets(hdf5):
    """Names -> arrays of a file, in the order in which they were written, which is that of their addresses."""
    found = []
    hdf5.visititems(lambda name, item: found.append((name, item)) if hasattr(item, "shape") else None)
    found.sort(key=lambda entry: _h5py().h5o.get_info(entry[1].id).addr)
    return collections.OrderedDict((name, np.asarray(item[()])) for name, item in found)


def _listed(hdf5):
    """Names of arrays, in the order of the attributes of a .h5 file."""
    top = hdf5["model_weights"] if "model_weights" in hdf5 else hdf5
    for layer in top.attrs.get("layer_names", []):
        group = top[_text(layer)]
        for name in group.attrs.get("weight_names", []):
            yield f"{group.name.lstrip('/')}/{_text(name)}"


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)


def _opened(path, data):
    return _h5py().File(io.BytesIO(_hdf5_bytes(path, data)), "r")


def _hdf5_bytes(path, data):
    return zipfile.ZipFile(io.BytesIO(data)).read(MEMBER) if path.endswith(".keras") else data


def _with_member(data, member):
    """A zip file with another file of weights."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new_:
        for info in old.infolist():
            new_.writestr(info, member if info.filename == MEMBER else old.read(info))
    return result.getvalue()


def _h5py():
    import h5py  # TensorFlow brings it; only this module needs it.

    return h5py
